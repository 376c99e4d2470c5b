//! The way to a value: `record[2].routing.coordinates`.

use std::fmt;

/// One step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// The way from the root of the configuration to a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Path(pub(super) Vec<Step>);

impl Path {
    pub(super) fn key(&self, name: &str) -> Self {
        self.then(Step::Key(name.to_owned()))
    }

    pub(super) fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    pub(super) fn then(&self, step: Step) -> Self {
        Path(self.0.iter().cloned().chain([step]).collect())
    }

    /// The path itself, then each that is one step shorter, down to the root.
    pub(super) fn ancestors(&self) -> impl Iterator<Item = Path> {
        (0..=self.0.len()).rev().map(|length| Path(self.0[..length].to_vec()))
    }

    /// What it is in; of the root, the root.
    pub(super) fn parent(&self) -> Path {
        Path(self.0.split_last().map(|(_, way)| way.to_vec()).unwrap_or_default())
    }

    /// Whether this is the array that the layers add to rather than replace.
    pub(super) fn is_records(&self) -> bool {
        matches!(self.0.as_slice(), [Step::Key(name)] if name == RECORDS)
    }
}

/// The key of the array of records.
pub(super) const RECORDS: &str = "record";

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(name) if position == 0 => f.write_str(name)?,
                Step::Key(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
