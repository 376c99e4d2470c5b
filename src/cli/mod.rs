//! The command line: one file per subcommand.

pub mod addresses;
pub mod render;
pub mod status;
