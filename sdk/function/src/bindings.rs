//! The generated half of the contract in `sdk/wit`.
#![expect(missing_docs, clippy::all, clippy::pedantic, reason = "generated from WIT")]

pub(crate) mod lambda;

wit_bindgen::generate!({
    path: "../wit",
    world: "tidemill:function/consumer",
    pub_export_macro: true,
    generate_all,
});
