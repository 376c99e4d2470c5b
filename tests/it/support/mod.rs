//! What several test modules share.

pub(crate) mod api_server;
pub(crate) mod hostile;
pub(crate) mod netns;
pub(crate) mod pki;
pub(crate) mod referee;
pub(crate) mod world;

/// A test that cannot run says so and passes, unless `NODEDNS_FORBID_SKIP=1` demands that it run.
pub(crate) fn skip(why: &str) {
    assert!(
        std::env::var_os("NODEDNS_FORBID_SKIP").is_none_or(|value| value != "1"),
        "skipping is forbidden here: {why}"
    );
    println!("skipped: {why}");
}
