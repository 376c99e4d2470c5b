//! plan_table
