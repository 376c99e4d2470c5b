//! Beside real Kubernetes: etcd, an API server with `Node,RBAC`, a controller manager, a kubelet on
//! containerd and two stand-ins, on three nodes of which each runs nodedns. `up` and `down` beside this file
//! make the same for a person to stand in.
//!
//! Each test has a cluster of its own, and some take minutes, most of which they wait. `NODEDNS_TEST_CLUSTERS`
//! is where their files are while they run.

mod annotations;
mod api_certificate;
mod api_server;
mod api_silence;
mod audit;
mod checked;
mod commands;
mod control_plane;
mod evidence;
pub(crate) mod fixture;
mod identity;
mod idle;
mod keys;
mod kubelet;
mod node_state;
mod observer;
mod outage;
mod rights;
mod rolling;
mod rotation;
mod survivors;
mod survivors_adrift;
mod up;
