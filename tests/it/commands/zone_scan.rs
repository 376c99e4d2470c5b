//! Reading a whole hosted zone, and everything about one.
