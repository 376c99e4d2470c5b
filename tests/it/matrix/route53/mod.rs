//! Route 53: the engine in virtual time, the real provider, and the simulator with faults.

mod cell;
mod service;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use route53_sim::{Operation, Options, Sim};

use self::cell::{Act, Cell, Lasting};
use super::table::Table;

const ZONE: &str = "Z0123456789ABC";
/// The zone that is made again after the first was deleted.
const SUCCESSOR: &str = "Z0SUCCESSOR";
const SECRET: &str = "planted-secret-that-must-not-show";
const TOKEN: &str = "planted-token-that-must-not-show";

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Throttled,
    ServerError,
    Hang,
    Reset,
    DropAfterCommit,
    HangAfterCommit,
    CutShort,
    SecondPage,
    Busy,
    Denied,
    ZoneGone,
    Expired,
}

impl Kind {
    const ALL: [Kind; 12] = [
        Kind::Throttled,
        Kind::ServerError,
        Kind::Hang,
        Kind::Reset,
        Kind::DropAfterCommit,
        Kind::HangAfterCommit,
        Kind::CutShort,
        Kind::SecondPage,
        Kind::Busy,
        Kind::Denied,
        Kind::ZoneGone,
        Kind::Expired,
    ];

    fn name(self) -> &'static str {
        match self {
            Kind::Throttled => "throttled",
            Kind::ServerError => "500, 503, 504",
            Kind::Hang => "no answer, nothing done",
            Kind::Reset => "connection reset",
            Kind::DropAfterCommit => "done, connection closed",
            Kind::HangAfterCommit => "done, no answer",
            Kind::CutShort => "done, answer cut short",
            Kind::SecondPage => "listing breaks off after a page",
            Kind::Busy => "PriorRequestNotComplete",
            Kind::Denied => "AccessDenied",
            Kind::ZoneGone => "zone deleted, then made again",
            Kind::Expired => "credentials expired, then renewed",
        }
    }

    /// Whether a change is made nevertheless.
    fn is_done(self) -> bool {
        matches!(self, Kind::DropAfterCommit | Kind::HangAfterCommit | Kind::CutShort)
    }

    /// Whether the request is never answered.
    fn hangs(self) -> bool {
        matches!(self, Kind::Hang | Kind::HangAfterCommit)
    }
}

const OPERATIONS: [(Operation, &str); 3] = [
    (Operation::ListResourceRecordSets, "list"),
    (Operation::ChangeResourceRecordSets, "change"),
    (Operation::GetChange, "get-change"),
];

fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for kind in Kind::ALL {
        for (operation, column) in OPERATIONS {
            for act in Act::ALL {
                for lasting in Lasting::ALL {
                    cells.push(Cell { kind, operation, column, act, lasting });
                }
            }
        }
    }
    cells
}

/// With how many different backoffs every cell is run.
fn seeds() -> u64 {
    let seeds = std::env::var("NODEDNS_FAULT_SEEDS").map(|text| text.parse().expect("a number"));
    seeds.unwrap_or(1)
}

/// Cells share nothing, and those that wait for an answer that never comes leave the processor to others.
const WORKERS: usize = 4;

#[test]
fn whatever_route_53_does_nothing_is_lost() {
    let cells = cells();
    let next = AtomicUsize::new(0);
    let columns = OPERATIONS.map(|(_, column)| column);
    let table = Mutex::new(Table::new("Route 53: what went wrong, with which request", &columns));
    let broken = Mutex::new(Vec::new());
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let runtime = Rc::new(runtime);
        let options = Options { insync_after: Duration::ZERO, ..Options::default() };
        let sim = Rc::new(Sim::builder().zone("example.com", ZONE).options(options).start());
        while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Some(why) = cell.makes_no_sense() {
                table.lock().expect("a table").left_out(why);
                continue;
            }
            for seed in 1..=seeds() {
                match catch_unwind(AssertUnwindSafe(|| cell.run(&runtime, &sim, seed))) {
                    Ok(outcome) => {
                        let mut table = table.lock().expect("a table");
                        table.right(cell.kind.name(), cell.column, outcome.strikes, outcome.recovery);
                    }
                    Err(_) => broken.lock().expect("a list").push(format!("{cell:?} with seed {seed}")),
                }
            }
        }
    };
    std::thread::scope(|scope| {
        (0..WORKERS).for_each(|_| drop(scope.spawn(work)));
    });
    let broken = broken.into_inner().expect("a list");
    assert!(broken.is_empty(), "{} cells went wrong: {broken:#?}", broken.len());
    let table = table.into_inner().expect("a table");
    table.show();
    assert_eq!((table.count() as u64, table.count_left_out()), (465 * seeds(), 183));
}
