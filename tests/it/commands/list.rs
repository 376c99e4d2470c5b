//! `nodedns list`.
