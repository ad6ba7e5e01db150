//! Splits and merges under load, judged from outside: producers, readers and a function write down what they did and saw,
//! and a pure function finds out what is wrong with it.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test may fail"
)]

mod change;
mod doctored;
mod follow;
mod history;
mod judge;
mod kills;
mod load;
mod produce;
mod run;
