//! engine_sim
