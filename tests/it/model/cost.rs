//! What the guard costs.
