//! What is true: each file turns one source into events, and only sends.
//!
//! A watcher that fails says [`Observed::Unknown`](crate::decide::observed::Observed) and keeps
//! trying; it never sends an empty value to mean "I don't know".

pub mod addresses;
pub mod clock;
pub mod identity;
pub mod node;
pub mod probe;
