//! What the checks have found: told as it is found out, kept for programs and for the end.

use std::future::poll_fn;
use std::io::Write;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Sleep, sleep};

use crate::cli::check::ids::Id;
use crate::cli::check::render::{Style, heading, line, summary};
use crate::cli::progress::Progress;
use crate::cli::render::{OutputError, emit};

/// How long one question to a server may take. Longer than a name server or an API server that is
/// well ever takes, and as long as the daemon waits.
const STEP: Duration = Duration::from_secs(15);

/// How long all of them may take together. What has not been asked by then is not asked any more.
const ALL: Duration = Duration::from_secs(120);

/// What a check is about. They come in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// The files and what they say.
    Configuration,
    /// This host, and the daemon on it.
    Node,
    /// The kubeconfig, the API server, and what it lets this identity read.
    Kubernetes,
    /// The credentials, and whose they are.
    Aws,
    /// The hosted zones of the records, and who serves them.
    HostedZones,
    /// What the names hold.
    Names,
}

impl Section {
    /// The section's heading.
    pub fn title(self) -> &'static str {
        match self {
            Section::Configuration => "Configuration",
            Section::Node => "Node",
            Section::Kubernetes => "Kubernetes",
            Section::Aws => "AWS",
            Section::HostedZones => "Hosted zones",
            Section::Names => "Names",
        }
    }
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Good.
    Ok,
    /// It works, but is probably not what is meant, or not for long.
    Warning,
    /// It does not work.
    Failed,
    /// Not looked at, because it is not needed or depends on something that has failed.
    Skipped,
}

/// What came of one check, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was checked. The same check of two things has the same id.
    pub id: Id,
    /// What it is about: a file, a name, a hosted zone, a server.
    pub subject: String,
    /// What came of it.
    pub outcome: Outcome,
    /// What was found, in words.
    pub text: String,
    /// What to do about it, on one line or several. Lines that begin with a blank are to be copied as
    /// they are, and are never wrapped.
    pub remedy: Option<String>,
}

impl Finding {
    /// Something is good.
    pub fn ok(id: Id, subject: impl Into<String>, text: impl Into<String>) -> Self {
        Finding { id, subject: subject.into(), outcome: Outcome::Ok, text: text.into(), remedy: None }
    }

    /// Something works, but is probably not what is meant, or not for long.
    pub fn warning(id: Id, subject: impl Into<String>, text: impl Into<String>) -> Self {
        Finding { outcome: Outcome::Warning, ..Finding::ok(id, subject, text) }
    }

    /// Something does not work.
    pub fn failed(id: Id, subject: impl Into<String>, text: impl Into<String>) -> Self {
        Finding { outcome: Outcome::Failed, ..Finding::ok(id, subject, text) }
    }

    /// Something was not looked at; the text says why.
    pub fn skipped(id: Id, subject: impl Into<String>, text: impl Into<String>) -> Self {
        Finding { outcome: Outcome::Skipped, ..Finding::ok(id, subject, text) }
    }

    /// The same, and what to do about it.
    #[must_use]
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Finding { remedy: Some(remedy.into()), ..self }
    }
}

/// A finding for programs: a [`Finding`] and where it belongs.
#[derive(Debug, Serialize)]
struct Check {
    /// What was checked: see below. The same check of two things has the same id.
    id: Id,
    /// `configuration`, `node`, `kubernetes`, `aws`, `hosted_zones` or `names`.
    section: Section,
    /// What it is about.
    subject: String,
    /// `ok`, `warning`, `failed` or `skipped`.
    outcome: Outcome,
    /// What was found, in words, which may change.
    text: String,
    /// What to do about it, in words, which may change; `null` where there is nothing to do.
    remedy: Option<String>,
}

/// What `--output json` prints.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether nothing has failed. Warnings are allowed.
    ok: bool,
    /// How many checks came to what.
    counts: Counts,
    /// Every check, in the order of the sections.
    checks: Vec<Check>,
}

/// How many checks came to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Good.
    pub ok: usize,
    /// With a warning.
    pub warning: usize,
    /// To mend.
    pub failed: usize,
    /// Not looked at.
    pub skipped: usize,
}

/// No answer came in time; how long was waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no answer within {} s", .0.as_secs())]
pub struct NoAnswer(pub Duration);

/// Everything that has been found so far.
pub struct Findings<'a> {
    /// Where lines go as they are found out; `None` when programs are told at the end.
    out: Option<(&'a mut dyn Write, Style)>,
    section: Section,
    /// The section whose heading stands.
    headed: Option<Section>,
    found: Vec<(Section, Finding)>,
    /// Nobody reads on; the first error says why.
    unread: Option<OutputError>,
    /// Route 53 has gone on limiting the requests for as long as was waited: waiting costs too much.
    pub(super) is_limited: bool,
    /// Fires when all the time is spent.
    end: Pin<Box<Sleep>>,
}

impl<'a> Findings<'a> {
    /// Nothing yet, and all the time ahead; needs to be called on a Tokio runtime.
    pub fn new(out: Option<(&'a mut dyn Write, Style)>) -> Self {
        Findings {
            out,
            section: Section::Configuration,
            headed: None,
            found: Vec::new(),
            unread: None,
            is_limited: false,
            end: Box::pin(sleep(ALL)),
        }
    }

    /// What follows belongs to this section.
    pub fn begin(&mut self, section: Section) {
        self.section = section;
    }

    /// Tells of it, and keeps it.
    pub fn add(&mut self, finding: Finding) {
        if let Some((out, style)) = &mut self.out
            && self.unread.is_none()
        {
            let mut text = String::new();
            if self.headed.replace(self.section) != Some(self.section) {
                text.push_str(&heading(self.section, self.found.is_empty()));
            }
            line(&mut text, &finding, *style);
            self.unread = emit(*out, &text).err();
        }
        self.found.push((self.section, finding));
    }

    /// How many checks came to what.
    pub fn counts(&self) -> Counts {
        let count = |outcome| self.found.iter().filter(|(_, finding)| finding.outcome == outcome).count();
        Counts {
            ok: count(Outcome::Ok),
            warning: count(Outcome::Warning),
            failed: count(Outcome::Failed),
            skipped: count(Outcome::Skipped),
        }
    }

    /// Waits for a server's answer, but not for long: 15 s, and never longer than all the checks
    /// together may take. On a terminal `what` says meanwhile what is going on.
    ///
    /// # Errors
    /// [`NoAnswer`] when it takes longer.
    pub async fn wait<T>(&mut self, what: &str, answer: impl Future<Output = T>) -> Result<T, NoAnswer> {
        let _progress = Progress::new(what);
        let mut end = self.end.as_mut();
        let end = poll_fn(|context| if end.is_elapsed() { Poll::Ready(()) } else { end.as_mut().poll(context) });
        tokio::select! {
            biased;
            answer = answer => Ok(answer),
            () = end => Err(NoAnswer(ALL)),
            () = sleep(STEP) => Err(NoAnswer(STEP)),
        }
    }

    /// Says how many checks came to what, where people read, and gives what there is for programs.
    ///
    /// # Errors
    /// When what has been found could not be written.
    pub fn end(self) -> Result<Report, OutputError> {
        let counts = self.counts();
        if let Some(error) = self.unread {
            return Err(error);
        }
        if let Some((out, _)) = self.out {
            emit(out, &format!("\n{}\n", summary(counts)))?;
        }
        let check = |(section, finding): (Section, Finding)| {
            let Finding { id, subject, outcome, text, remedy } = finding;
            Check { id, section, subject, outcome, text, remedy }
        };
        Ok(Report { ok: counts.failed == 0, counts, checks: self.found.into_iter().map(check).collect() })
    }
}
