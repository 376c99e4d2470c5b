//! `nodedns prune`.
