//! All nodes one after the other: restarts, upgrades, drains, reboots.
