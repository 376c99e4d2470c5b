//! Taking the node out and letting it back in: what is asked, and what is answered.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The code of a refusal when somebody asks for a change who may only look.
pub const NOT_PERMITTED: &str = "not_permitted";

/// The code of a refusal when a change is in force, but nobody knows yet whether it is saved.
pub const UNFINISHED: &str = "unfinished";

/// The longest reason, in characters.
pub const REASON_MAX: usize = 256;

/// The longest drain that ends by itself, in seconds: a year.
pub const SECONDS_MAX: u64 = 365 * 24 * 3600;

/// What a drain is to be: `{"v":1,"request":{"drain":{"for_seconds":1800}}}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DrainRequest {
    /// After how many seconds it ends by itself, 1 to [`SECONDS_MAX`]; `null`: only a resume ends it.
    pub for_seconds: Option<u64>,
    /// Whether it may leave a pool with fewer than `keep_min` record sets.
    pub force: bool,
    /// Why, for whoever looks: at most [`REASON_MAX`] characters, none of them a control character.
    pub reason: Option<String>,
}

impl DrainRequest {
    /// What is wrong with it, if anything.
    ///
    /// # Errors
    /// A sentence for people.
    pub fn check(&self) -> Result<(), String> {
        if self.for_seconds.is_some_and(|seconds| seconds == 0 || seconds > SECONDS_MAX) {
            return Err("a drain that ends by itself lasts between one second and 365 days".to_owned());
        }
        let reason = self.reason.as_deref().unwrap_or_default();
        if reason.chars().count() > REASON_MAX {
            return Err(format!("the reason is longer than {REASON_MAX} characters"));
        }
        if reason.chars().any(char::is_control) {
            return Err("the reason has a line break or another control character in it".to_owned());
        }
        Ok(())
    }
}

/// What came of a drain or a resume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainAnswer {
    /// How the node is drained now.
    pub drain: DrainStatus,
    /// What the operator has to know, e.g. that it could not be saved.
    pub warnings: Vec<String>,
}

/// Whether the operator has drained the node, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainStatus {
    /// Whether it is drained.
    pub state: DrainState,
    /// Since when; `null` unless it is.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// When it ends by itself; `null` when only a resume ends it.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Whether it may leave a pool with fewer than `keep_min` record sets.
    #[serde(default)]
    pub force: bool,
    /// Why, in the operator's words.
    #[serde(default)]
    pub reason: Option<String>,
    /// Who asked for it: the user id.
    #[serde(default)]
    pub uid: Option<u32>,
    /// What is wrong and what to do: it could not be read, or a restart of the daemon would not keep
    /// it so.
    #[serde(default)]
    pub warning: Option<String>,
}

/// Whether the operator has drained the node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrainState {
    /// It is not drained.
    #[default]
    None,
    /// It is drained.
    Drained,
    /// What was saved could not be read.
    Unknown,
}
