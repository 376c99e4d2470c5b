//! Nodes that die or are cut off, and who takes them out of DNS.
