//! Talking to the running daemon over a unix socket.
//!
//! One line of JSON each way: the client asks, the daemon answers with one line, or with one line
//! per change. What is on the wire ([`protocol`]) is apart from the core's own types, so that these
//! may change without breaking a client, and [`translate`] is the one place where the one becomes
//! the other.

pub mod client;
pub mod command;
pub mod protocol;
pub mod server;
pub mod translate;

pub use server::BindError;
