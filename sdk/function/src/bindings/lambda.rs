//! The generated half of the world `lambda`. What it has in common with the world `consumer` is there once.

wit_bindgen::generate!({
    path: "../wit",
    world: "tidemill:function/lambda",
    pub_export_macro: true,
    with: {
        "tidemill:function/log@0.1.0": crate::bindings::tidemill::function::log,
        "tidemill:function/config@0.1.0": crate::bindings::tidemill::function::config,
        "tidemill:function/output@0.1.0": crate::bindings::tidemill::function::output,
    },
    generate_all,
});
