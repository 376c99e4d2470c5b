//! What is going on, on a terminal, when it takes longer than a second. Nothing in a pipe.
