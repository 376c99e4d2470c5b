//! The API server restarts, forgets, changes its certificate, or cannot be reached for a while.
