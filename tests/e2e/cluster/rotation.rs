//! Client certificates that are replaced while the daemon runs.
