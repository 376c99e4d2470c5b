//! The metrics, for whoever watches many nodes: over HTTP, or as a file for node_exporter.

pub mod definitions;
