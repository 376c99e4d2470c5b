//! The topics, in the order in which they are listed.

use crate::cli::help::expand::expand;
use crate::cli::help::page::Page;

/// Something that is explained at length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic {
    /// The word to ask for it with.
    pub name: &'static str,
    /// `# ` and the summary, then the text.
    source: &'static str,
}

macro_rules! topics {
    ($($name:literal),* $(,)?) => {
        [$(Topic { name: $name, source: include_str!(concat!($name, ".txt")) }),*]
    };
}

/// All topics.
pub const TOPICS: [Topic; 16] = topics![
    "daemon",
    "ownership",
    "intents",
    "signals",
    "addresses",
    "never-empty",
    "dead-nodes",
    "draining",
    "prune",
    "adopt",
    "iam",
    "output",
    "metrics",
    "exit-codes",
    "files-and-environment",
    "trouble",
];

/// Every key that the commands print for programs; made from the source by the test suite.
const KEYS: &str = include_str!("output-keys.txt");

/// Every metric; made from the definitions by the test suite.
const METRICS: &str = include_str!("metric-names.txt");

impl Topic {
    /// What it is about, in a few words.
    pub fn summary(&self) -> &'static str {
        self.source.lines().next().unwrap_or_default().trim_start_matches("# ")
    }

    /// The explanation.
    pub fn page(&self) -> Page {
        let body = self.source.split_once('\n').map_or("", |(_, body)| body);
        Page::parse(&expand(&body.replace("{{keys}}", KEYS).replace("{{metrics}}", METRICS)))
    }
}
