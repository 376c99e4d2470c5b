//! `nodedns restore`.
