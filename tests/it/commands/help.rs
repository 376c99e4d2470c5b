//! `nodedns help`.
