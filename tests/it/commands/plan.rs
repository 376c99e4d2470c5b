//! `nodedns plan`.
