//! A component that exports a `handle` of another type.

wit_bindgen::generate!({
    inline: "
        package tests:impostor;

        world impostor {
            export handle: func(number: u32) -> u32;
        }
    ",
});

struct Impostor;

impl Guest for Impostor {
    fn handle(number: u32) -> u32 {
        number
    }
}

export!(Impostor);
