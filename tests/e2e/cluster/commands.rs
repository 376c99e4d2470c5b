//! `nodedns list`, `prune`, `plan` and `check` where the nodes are real.
