//! Ignorance as a type.

/// What a watcher knows of its source.
///
/// A watcher that fails says `Unknown`; it never reports an empty value to mean "I don't know".
/// Nothing is deleted or created on the strength of an `Unknown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Observed<T> {
    /// Not read yet, or the last attempt to read it failed.
    #[default]
    Unknown,
    /// Read whole.
    Known(T),
}

impl<T> Observed<T> {
    /// The value, if it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Observed::Unknown => None,
            Observed::Known(value) => Some(value),
        }
    }

    /// Whether the value is known.
    pub fn is_known(&self) -> bool {
        self.known().is_some()
    }
}
