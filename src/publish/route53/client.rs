//! The SDK client: where requests go, with whose credentials, and for how long.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::identity::IdentityCache;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_sdk_route53::Client;

use crate::config::Route53Settings as Settings;
use crate::decide::provider::{ErrorKind, ProviderError};
use crate::publish::route53::files::profile_files;

/// Where Route 53 signs requests in the `aws` partition; no other Region makes a difference there.
const DEFAULT_REGION: &str = "us-east-1";

/// How long a TCP and TLS connection may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long loading credentials may take: an external process may itself talk to a service.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(5);

/// What is said of a host that trusts nobody.
const NO_CERTIFICATES: &str = "this host has no CA certificates, so it cannot tell AWS from anybody else\n\
                               hint: install the package ca-certificates, or set SSL_CERT_FILE";

/// The clients of one configuration. Clones share it, and the credentials once they are loaded.
#[derive(Clone)]
pub(super) struct Connection {
    pub route53: Client,
    shared: SdkConfig,
}

impl Connection {
    /// A client of STS, built when it is asked for: only `nodedns check` does.
    pub fn sts(&self) -> aws_sdk_sts::Client {
        aws_sdk_sts::Client::new(&self.shared)
    }
}

/// Reads the AWS configuration and builds a client. Talks to nobody: credentials are loaded when
/// the first request needs them, and their lack is that request's error. The last place where the
/// SDK looks for them is the instance metadata service: off EC2, and without any credentials, that
/// costs a second, which `AWS_EC2_METADATA_DISABLED=true` saves.
///
/// The SDK's own retries are off. The caller backs off in its own (testable) time and decides anew
/// before each attempt; a second mechanism below it would multiply the attempts, hide them from the
/// request log and stretch a withdrawal without anyone knowing. With them go the SDK's adaptive
/// rate limits, which were measured to hold a request up for 26 seconds.
///
/// # Errors
/// The host has no CA certificates.
pub(super) async fn connect(
    settings: &Settings,
    credentials: Option<&SharedCredentialsProvider>,
) -> Result<Connection, ProviderError> {
    // The SDK reads them once in the life of a process, so it must not find none: they may be
    // installed while the daemon runs.
    if rustls_native_certs::load_native_certs().certs.is_empty() {
        return Err(ProviderError { kind: ErrorKind::Unavailable, code: None, message: NO_CERTIFICATES.to_owned() });
    }
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT.min(settings.attempt_timeout))
        .operation_attempt_timeout(settings.attempt_timeout)
        .operation_timeout(settings.attempt_timeout + Duration::from_secs(1))
        .build();
    let files = profile_files();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(region(settings, files.clone()).await)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        // Bodies are small and the attempt timeout bounds them; a second clock has nothing to add.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .identity_cache(
            IdentityCache::lazy().load_timeout(CREDENTIALS_TIMEOUT.min(settings.attempt_timeout / 2)).build(),
        );
    if let Some(given) = credentials {
        loader = loader.credentials_provider(given.clone());
    }
    if let Some(profile) = &settings.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(files) = files {
        loader = loader.profile_files(files);
    }
    if let Some(url) = &settings.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    let shared = loader.load().await;
    Ok(Connection { route53: Client::new(&shared), shared })
}

/// The SDK's default chain would ask the instance metadata service last, which off EC2 is a wait
/// for nothing.
async fn region(settings: &Settings, files: Option<EnvConfigFiles>) -> Region {
    if let Some(region) = &settings.region {
        return Region::new(region.clone());
    }
    RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(region_of_profile(settings, files))
        .region()
        .await
        .unwrap_or(Region::from_static(DEFAULT_REGION))
}

fn region_of_profile(settings: &Settings, files: Option<EnvConfigFiles>) -> ProfileFileRegionProvider {
    let mut profile = ProfileFileRegionProvider::builder();
    if let Some(name) = &settings.profile {
        profile = profile.profile_name(name);
    }
    if let Some(files) = files {
        profile = profile.profile_files(files);
    }
    profile.build()
}

#[cfg(test)]
mod tests {
    use aws_config::meta::region::ProvideRegion;
    use aws_runtime::env_config::file::EnvConfigFileKind;

    use super::*;

    #[tokio::test]
    async fn the_region_is_that_of_the_profile_in_the_files_that_systemd_hands_over() {
        let config = "[default]\nregion = eu-north-1\n[profile edge]\nregion = eu-central-1\n";
        let files = EnvConfigFiles::builder().with_contents(EnvConfigFileKind::Config, config).build();
        for (profile, region) in [(Some("edge"), "eu-central-1"), (Some("default"), "eu-north-1")] {
            let settings = Settings { profile: profile.map(str::to_owned), ..Settings::default() };
            let found = region_of_profile(&settings, Some(files.clone())).region().await;
            assert_eq!(found, Some(Region::from_static(region)));
        }
    }
}
