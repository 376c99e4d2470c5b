//! `nodedns adopt`.
