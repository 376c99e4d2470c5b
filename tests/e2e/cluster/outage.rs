//! The control plane is away for minutes, and comes back.
