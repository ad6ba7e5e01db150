//! The check of a data folder: a sound one has no findings, and each kind of damage is found where it is.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may fail")]

mod agreement;
mod damage;
mod documents;
mod rig;
mod sound;
