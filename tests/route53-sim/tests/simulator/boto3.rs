//! The same service, as a client sees it that nobody here wrote: boto3.

use std::path::{Path, PathBuf};
use std::process::Command;

use route53_sim::Sim;

use crate::client::ZONE;

/// A Python that has boto3: the one on the path, or one in a virtual environment below the target directory.
fn python() -> Result<PathBuf, String> {
    let has_boto3 = |python: &Path| {
        Command::new(python)
            .args(["-c", "import boto3"])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    let system = PathBuf::from("python3");
    if has_boto3(&system) {
        return Ok(system);
    }
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("boto3");
    let python = environment.join("bin/python3");
    if has_boto3(&python) {
        return Ok(python);
    }
    let run = |command: &mut Command| match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Err(format!("{command:?}: {error}")),
    };
    run(Command::new("python3")
        .args(["-m", "venv"])
        .arg(&environment))?;
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "boto3"]))?;
    Ok(python)
}

#[test]
fn boto3_agrees() {
    let python = match python() {
        Ok(python) => python,
        Err(why) => {
            assert!(
                std::env::var_os("NODEDNS_FORBID_SKIP").is_none_or(|v| v != "1"),
                "boto3 cannot be had: {why}"
            );
            println!("skipped: boto3 cannot be had: {why}");
            return;
        }
    };
    let sim = Sim::builder()
        .zone("example.com", ZONE)
        .private_zone("internal.example", "ZPRIVATE")
        .start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boto3_conformance.py");
    let output = Command::new(python)
        .arg("-B")
        .arg(script)
        .env_clear()
        .envs(
            std::env::vars_os()
                .filter(|(name, _)| ["PATH", "HOME"].iter().any(|kept| name == kept)),
        )
        .env("AWS_ENDPOINT_URL_ROUTE_53", sim.endpoint())
        .env("AWS_ENDPOINT_URL_STS", sim.endpoint())
        .env("AWS_ACCESS_KEY_ID", "AKIASIMULATED")
        .env("AWS_SECRET_ACCESS_KEY", "simulated")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_CONFIG_FILE", "/nonexistent")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("ROUTE53_SIM", sim.endpoint())
        .env("ROUTE53_SIM_ZONE", ZONE)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let ran = text.lines().find_map(|line| {
        line.strip_prefix("Ran ")?
            .split(' ')
            .next()?
            .parse::<u32>()
            .ok()
    });
    assert!(ran.is_some_and(|count| count >= 15), "{text}");
}
