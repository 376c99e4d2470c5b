//! `nodedns check`.
