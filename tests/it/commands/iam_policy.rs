//! `nodedns iam-policy`.
