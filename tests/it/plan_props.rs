//! plan_props
