//! What should be published, and why.
//!
//! Pure: nothing below this module performs IO, reads a clock or an environment, logs, or awaits.
//! Time is an argument ([`time::Moment`]), effects are values, and ignorance is a type
//! ([`observed::Observed`]).

pub mod address;
pub mod adopt;
pub mod annotation;
pub mod batch;
pub mod damping;
pub mod drain;
pub mod engine;
pub mod fitness;
pub mod forecast;
pub mod glob;
pub mod guard;
pub mod hash;
pub mod health_check;
pub mod inventory;
pub mod name;
pub mod node;
pub mod observed;
pub mod owner;
pub mod plan;
pub mod policy;
pub mod pool;
pub mod probe;
pub mod provider;
pub mod prune;
pub mod random;
pub mod reason;
pub mod record;
pub mod registry;
pub mod report;
pub mod routing;
pub mod select;
pub mod selector;
pub mod survivors;
pub mod time;
