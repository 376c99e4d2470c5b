//! The IANA special-purpose address registries.
