//! Formats, exit codes, pipes and progress, the same for every command.
