//! Starts a simulator on the command line.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use route53_sim::{Options, Sim, Switch, Throttle};
use tokio::signal::unix::{SignalKind, signal};

/// A strict simulator of the Route 53 API.
#[derive(Debug, Parser)]
#[command(name = "route53-sim", version)]
struct Arguments {
    /// Where to listen; port 0 takes a free one and says which.
    #[arg(long, default_value = "127.0.0.1:4580")]
    listen: SocketAddr,
    /// A public hosted zone, as NAME=ID; may be given again.
    #[arg(long = "zone", value_name = "NAME=ID", value_parser = zone)]
    zones: Vec<(String, String)>,
    /// A private hosted zone, as NAME=ID; may be given again.
    #[arg(long = "private-zone", value_name = "NAME=ID", value_parser = zone)]
    private_zones: Vec<(String, String)>,
    /// The id of a zone of another account; may be given again.
    #[arg(long = "foreign-zone", value_name = "ID")]
    foreign_zones: Vec<String>,
    /// Two geoproximity record sets at one location (the service's answer is unknown).
    #[arg(long, value_enum, default_value_t = Switch::Allow)]
    geoproximity_duplicates: Switch,
    /// Several values in a routed record set (its documentation disagrees with itself).
    #[arg(long, value_enum, default_value_t = Switch::Allow)]
    multi_value: Switch,
    /// Whether a DELETE without a bias matches a bias of 0 (the service's answer is unknown).
    #[arg(long, value_enum, default_value_t = Switch::Reject)]
    delete_missing_bias_matches_zero: Switch,
    /// The request-rate limit.
    #[arg(long, value_enum, default_value_t = ThrottleModel::Off)]
    throttle: ThrottleModel,
    /// How long a change stays PENDING, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 50)]
    insync_after: u64,
    /// How long a zone refuses further changes after one, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    busy_for: u64,
    /// The longest page of ListResourceRecordSets, and of ListHealthChecks, 1 to 300.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u16).range(1..=300))]
    page_size: u16,
    /// Refuse bodies whose elements are not in the order of the schema.
    #[arg(long)]
    strict_element_order: bool,
    /// Send InvalidChangeBatch in the form that only the documentation still has.
    #[arg(long)]
    legacy_error_root: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ThrottleModel {
    /// No limit.
    Off,
    /// Five requests a second.
    Legacy,
    /// Token buckets for the account and for each action.
    TokenBucket,
}

fn zone(text: &str) -> Result<(String, String), String> {
    let (name, id) = text.split_once('=').ok_or("not of the form NAME=ID, as in example.com=Z0123456789ABC")?;
    if id.is_empty() || id.len() > 32 || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(format!("{id:?} is no zone id: 1 to 32 letters and digits"));
    }
    Ok((name.to_owned(), id.to_owned()))
}

impl Arguments {
    /// The id that two zones have.
    fn repeated_id(&self) -> Option<&str> {
        let mut ids = BTreeSet::new();
        self.zones.iter().chain(&self.private_zones).map(|(_, id)| id.as_str()).find(|id| !ids.insert(*id))
    }

    fn options(&self) -> Options {
        Options {
            geoproximity_duplicates: self.geoproximity_duplicates,
            multi_value: self.multi_value,
            delete_missing_bias_matches_zero: self.delete_missing_bias_matches_zero,
            throttle: match self.throttle {
                ThrottleModel::Off => Throttle::Off,
                ThrottleModel::Legacy => Throttle::Legacy,
                ThrottleModel::TokenBucket => Throttle::TokenBucket,
            },
            insync_after: Duration::from_millis(self.insync_after),
            busy_for: Duration::from_millis(self.busy_for),
            page_size: self.page_size.into(),
            strict_element_order: self.strict_element_order,
            legacy_error_root: self.legacy_error_root,
            foreign_zones: self.foreign_zones.iter().cloned().collect(),
            ..Options::default()
        }
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    if let Some(id) = arguments.repeated_id() {
        return Err(format!("two hosted zones with the id {id}; give each --zone and --private-zone its own"));
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        // Before the address is printed: whoever reads it may send a signal at once.
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
        let mut builder = Sim::builder().listen(arguments.listen).options(arguments.options());
        for (name, id) in &arguments.zones {
            builder = builder.zone(name, id);
        }
        for (name, id) in &arguments.private_zones {
            builder = builder.private_zone(name, id);
        }
        let sim = builder.try_start()?;
        println!("{}", introduction(&sim.endpoint(), arguments));
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}

fn introduction(endpoint: &str, arguments: &Arguments) -> String {
    let mut zones = arguments.zones.iter().chain(&arguments.private_zones);
    let example = match zones.next() {
        Some((_, id)) => format!("aws route53 list-resource-record-sets --hosted-zone-id {id}"),
        None => "aws route53 create-hosted-zone --name example.com --caller-reference 1".to_owned(),
    };
    format!(
        "route53-sim listens on {endpoint}

Point a client at it:

  export AWS_ENDPOINT_URL_ROUTE_53={endpoint}
  export AWS_ENDPOINT_URL_STS={endpoint}
  export AWS_ACCESS_KEY_ID=simulated AWS_SECRET_ACCESS_KEY=simulated AWS_REGION=us-east-1

for example:

  {example}
  curl {endpoint}/_sim/state

SIGTERM and SIGINT end it."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_zone_has_its_own_id() {
        let repeated = |args: &[&str]| {
            let args = Arguments::try_parse_from(["route53-sim"].iter().chain(args)).expect("usage");
            args.repeated_id().map(str::to_owned)
        };
        assert_eq!(repeated(&["--zone", "a.example=Z1", "--private-zone", "a.example=Z2"]), None);
        let twice = ["--zone", "a.example=Z1", "--private-zone", "b.example=Z1"];
        assert_eq!(repeated(&twice).as_deref(), Some("Z1"));
        assert!(run(&Arguments::try_parse_from(["route53-sim"].iter().chain(&twice)).expect("usage")).is_err());
    }
}
