//! node_watch
