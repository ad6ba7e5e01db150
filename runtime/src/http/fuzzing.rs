//! What must hold for what a stranger signs or hands back, whatever bytes they are. Each function panics when a promise is
//! broken.
//!
//! `fuzz/` in the repository calls them with bytes that a fuzzer makes up; tests call them with random ones, with damaged
//! ones, and with those that were kept.

pub use super::auth::fuzzing::signature;
pub use super::iterator::fuzzing::token;
