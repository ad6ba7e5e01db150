//! A component that exports `handle` but wants something that a node does not offer.

wit_bindgen::generate!({
    inline: "
        package tests:importer;

        interface nowhere {
            go: func();
        }

        world importer {
            import nowhere;
            export handle: func();
        }
    ",
});

struct Importer;

impl Guest for Importer {
    fn handle() {
        tests::importer::nowhere::go();
    }
}

export!(Importer);
