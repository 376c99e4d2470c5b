//! control/mod
