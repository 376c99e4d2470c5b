//! Faults on demand: what goes wrong with the next requests.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Operation;

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// An error of one's own.
    Error {
        /// HTTP status.
        status: u16,
        /// `<Code>`.
        code: String,
        /// `<Message>`.
        message: String,
    },
    /// 400 `Throttling`.
    Throttling,
    /// 400 `PriorRequestNotComplete`.
    PriorRequestNotComplete,
    /// 403 `AccessDenied`.
    AccessDenied,
    /// 403 `ExpiredToken`.
    ExpiredToken,
    /// A server's error, such as 500 or 503.
    Status(u16),
    /// The answer comes late, after this long (in JSON, milliseconds). Other faults of the request still happen.
    #[serde(rename = "delay-ms", with = "crate::options::milliseconds")]
    Delay(Duration),
    /// No answer, on an open connection; nothing is done.
    Hang,
    /// The request is carried out; then no answer, on an open connection.
    HangAfterCommit,
    /// The connection is reset; nothing is done.
    Reset,
    /// The request is carried out; then the connection is closed without an answer.
    DropAfterCommit,
    /// The request is carried out; then the body breaks off in the middle of an answer that announced its length.
    Truncate,
}

/// How many requests a fault meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Count {
    /// Each of the next so many.
    Next(u32),
    /// Some of the next so many, evenly spread, the first among them.
    Of {
        /// How many fail.
        faults: u32,
        /// Out of how many.
        calls: u32,
    },
    /// The one with this number of those that come, from 1.
    Nth(u32),
    /// Every one.
    Always,
}

/// Which requests a fault meets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// Of this operation; any, if absent.
    pub operation: Option<Operation>,
    /// About this zone; any, if absent.
    pub zone: Option<String>,
    /// Signed with this access key; any, if absent.
    pub access_key: Option<String>,
}

impl Target {
    /// Every request.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Requests about a zone.
    #[must_use]
    pub fn zone(id: &str) -> Self {
        Self { zone: Some(id.to_owned()), ..Self::default() }
    }

    /// Narrows it to a zone.
    #[must_use]
    pub fn in_zone(mut self, id: &str) -> Self {
        self.zone = Some(id.to_owned());
        self
    }

    /// Narrows it to an access key.
    #[must_use]
    pub fn signed_by(mut self, access_key: &str) -> Self {
        self.access_key = Some(access_key.to_owned());
        self
    }

    fn meets(&self, operation: Operation, zone: Option<&str>, access_key: Option<&str>) -> bool {
        self.operation.is_none_or(|wanted| wanted == operation)
            && self.zone.as_deref().is_none_or(|wanted| Some(wanted) == zone)
            && self.access_key.as_deref().is_none_or(|wanted| Some(wanted) == access_key)
    }
}

impl From<Operation> for Target {
    fn from(operation: Operation) -> Self {
        Self { operation: Some(operation), ..Self::default() }
    }
}

/// A fault that waits for its requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Injection {
    /// Which requests.
    pub target: Target,
    /// What goes wrong.
    pub fault: Fault,
    /// How often.
    pub count: Count,
    /// How many requests it has seen.
    pub seen: u32,
}

impl Injection {
    /// A fault that has met no request yet.
    pub fn new(target: impl Into<Target>, fault: Fault, count: Count) -> Self {
        Self { target: target.into(), fault, count, seen: 0 }
    }

    fn spent(&self) -> bool {
        match self.count {
            Count::Always => false,
            Count::Next(calls) | Count::Nth(calls) | Count::Of { calls, .. } => self.seen >= calls,
        }
    }

    /// Counts a request, and says whether it is met.
    fn strike(&mut self) -> bool {
        let index = self.seen;
        self.seen = self.seen.saturating_add(1);
        match self.count {
            Count::Always | Count::Next(_) => true,
            Count::Nth(number) => self.seen == number,
            Count::Of { faults, calls } => {
                let (index, faults, calls) = (u64::from(index), u64::from(faults), u64::from(calls));
                index * faults % calls < faults
            }
        }
    }
}

/// The faults that wait.
#[derive(Debug, Default)]
pub struct Faults {
    waiting: Vec<Injection>,
}

impl Faults {
    /// Adds one behind the others.
    pub fn add(&mut self, injection: Injection) {
        self.waiting.push(injection);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    /// Those that are left.
    #[must_use]
    pub fn waiting(&self) -> &[Injection] {
        &self.waiting
    }

    /// What happens to a request: all delays that meet it, up to and with the first other fault.
    pub fn strike(&mut self, operation: Operation, zone: Option<&str>, access_key: Option<&str>) -> Vec<Fault> {
        let mut struck = Vec::new();
        for injection in self.waiting.iter_mut().filter(|i| !i.spent() && i.target.meets(operation, zone, access_key)) {
            if injection.strike() {
                struck.push(injection.fault.clone());
                if !matches!(injection.fault, Fault::Delay(_)) {
                    break;
                }
            }
        }
        self.waiting.retain(|injection| !injection.spent());
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(faults: &mut Faults, calls: usize) -> Vec<bool> {
        (0..calls).map(|_| !faults.strike(Operation::GetChange, None, None).is_empty()).collect()
    }

    #[test]
    fn a_fault_meets_as_many_requests_as_it_was_given() {
        let mut faults = Faults::default();
        faults.add(Injection::new(Operation::GetChange, Fault::Throttling, Count::Next(2)));
        faults.add(Injection::new(Operation::ListHostedZones, Fault::Throttling, Count::Always));
        assert_eq!(pattern(&mut faults, 4), [true, true, false, false]);
        faults.add(Injection::new(Target::any(), Fault::Reset, Count::Of { faults: 2, calls: 5 }));
        let struck = pattern(&mut faults, 10);
        assert_eq!(struck, [true, false, false, true, false, false, false, false, false, false]);
        assert_eq!(faults.waiting().len(), 1);
        faults.add(Injection::new(Operation::GetChange, Fault::Hang, Count::Nth(3)));
        assert_eq!(pattern(&mut faults, 5), [false, false, true, false, false]);
        assert_eq!(faults.waiting().len(), 1);
    }

    #[test]
    fn a_delay_goes_with_the_next_fault_and_a_target_narrows() {
        let mut faults = Faults::default();
        let delay = Fault::Delay(Duration::from_millis(5));
        faults.add(Injection::new(Operation::GetChange, delay.clone(), Count::Always));
        faults.add(Injection::new(Target::zone("Z1"), Fault::Reset, Count::Next(1)));
        faults.add(Injection::new(Target::zone("Z1"), Fault::Hang, Count::Next(1)));
        assert_eq!(faults.strike(Operation::GetChange, Some("Z2"), None), std::slice::from_ref(&delay));
        assert_eq!(faults.strike(Operation::GetChange, Some("Z1"), None), [delay, Fault::Reset]);
        assert_eq!(faults.strike(Operation::ListHostedZones, Some("Z1"), None), [Fault::Hang]);
        faults.add(Injection::new(Target::any().signed_by("AKIA1"), Fault::Hang, Count::Always));
        assert_eq!(faults.strike(Operation::ListHostedZones, None, Some("AKIA2")), []);
        assert_eq!(faults.strike(Operation::ListHostedZones, None, Some("AKIA1")), [Fault::Hang]);
    }
}
