//! What several test modules share.

pub(crate) mod api_server;
pub(crate) mod bus;
pub(crate) mod check_service;
pub(crate) mod desk;
pub(crate) mod hostile;
pub(crate) mod iam;
pub(crate) mod name_server;
pub(crate) mod netns;
pub(crate) mod pki;
pub(crate) mod port;
pub(crate) mod referee;
pub(crate) mod scrape;
pub(crate) mod siblings;
pub(crate) mod told;
pub(crate) mod world;

/// A test that cannot run says so and passes, unless `NODEDNS_FORBID_SKIP=1` demands that it run.
pub(crate) fn skip(why: &str) {
    assert!(
        std::env::var_os("NODEDNS_FORBID_SKIP").is_none_or(|value| value != "1"),
        "skipping is forbidden here: {why}"
    );
    println!("skipped: {why}");
}

/// Whether this test has its process to itself. If not, it is run in one of its own, and there is
/// nothing left to do here: for what touches the whole process.
pub(crate) fn alone() -> bool {
    const ALONE: &str = "NODEDNS_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let name = std::thread::current().name().expect("the test's name").to_owned();
    let output = std::process::Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", &name, "--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        .output()
        .expect("the test binary runs");
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("1 passed"), "the test ran");
    false
}
