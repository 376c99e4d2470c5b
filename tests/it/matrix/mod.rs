//! The fault matrix: everything that can go wrong, in the middle of everything that can be going
//! on. Each combination is a cell; a cell that makes no sense is listed with the reason, and the
//! number of cells that ran is asserted.
//!
//! In every cell the safety rules S1 to S8 hold at every batch, and once the fault is over the pool
//! is right within one backoff step (L3). `cargo test --test it matrix -- --nocapture` shows the
//! tables; `NODEDNS_FAULT_SEEDS=20` runs every cell of Route 53 with so many different backoffs.

mod api_server;
mod netlink;
mod route53;
mod table;
