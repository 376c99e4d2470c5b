//! Exit codes, the same for every command.
//!
//! From 64 on they are those of sysexits.h, so that a unit can say `RestartPreventExitStatus=78`.

use std::process::{ExitCode, Termination};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Good.
    Ok = 0,
    /// The command failed.
    Failed = 1,
    /// There are differences, or something is not healthy.
    Differs = 2,
    /// The command line is wrong (`EX_USAGE`).
    Usage = 64,
    /// The daemon or a service cannot be reached (`EX_UNAVAILABLE`).
    Unavailable = 69,
    /// Not permitted (`EX_NOPERM`).
    NotPermitted = 77,
    /// The configuration is bad (`EX_CONFIG`).
    BadConfig = 78,
}

impl Exit {
    /// All codes, in order.
    pub const ALL: [Exit; 7] =
        [Exit::Ok, Exit::Failed, Exit::Differs, Exit::Usage, Exit::Unavailable, Exit::NotPermitted, Exit::BadConfig];

    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The meaning, for the help texts and the manual.
    pub fn meaning(self) -> &'static str {
        match self {
            Exit::Ok => "good",
            Exit::Failed => "the command failed",
            Exit::Differs => "there are differences, or something is not healthy",
            Exit::Usage => "the command line is wrong",
            Exit::Unavailable => "the daemon or a service cannot be reached",
            Exit::NotPermitted => "not permitted",
            Exit::BadConfig => "the configuration is bad",
        }
    }

    /// How a command line ended that clap did not let through: its help and version are good.
    pub fn of_usage(error: &clap::Error) -> Exit {
        if error.use_stderr() { Exit::Usage } else { Exit::Ok }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        self.into()
    }
}
