//! What each asks of Route 53 while nothing happens, all with the intervals that they have by default.

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use tokio::join;
use tokio::time::sleep;

use super::column::Column;
use super::lab::Lab;
use super::report::{Results, by_operation, seconds};
use super::times::settle;
use crate::cluster::fixture::NODES;

/// nodedns looks every 15 minutes, so that it does once in this time.
const REST: Duration = Duration::from_secs(16 * 60);

pub(super) async fn measure(lab: &Lab, columns: &[Column], results: &Mutex<Results>) {
    let put = |row: &str, column: Column, text: String| {
        results.lock().expect("nobody panics with it").put("idle", row, column, text)
    };
    // Side by side: each has a zone of its own, and nobody does anything that another would see.
    for column in columns {
        column.start(lab, "5m").await;
        lab.until_right(*column, &NODES, Duration::from_secs(360)).await.expect("all nodes are published at first");
        settle(*column).await;
    }
    let since = SystemTime::now();
    sleep(REST).await;
    for column in columns {
        let requests = lab.requests(*column, since);
        let hourly = requests.len() as f64 * 3600.0 / REST.as_secs_f64();
        let text = format!("{hourly:.0} (in {} min: {})", REST.as_secs() / 60, by_operation(&requests));
        put("idle", *column, text);
    }
    if columns.contains(&Column::KubeNodeDns) {
        let patience = Duration::from_secs(360);
        let (from, right) = join!(lab.readdress("n2"), lab.until_right(Column::KubeNodeDns, &NODES, patience));
        let time = right.map(|right| seconds(right.duration_since(from).unwrap_or_default()));
        put(
            "poll",
            Column::KubeNodeDns,
            time.map_or("not within 360 s".to_owned(), |time| format!("{time} (once; it looks every 5 min)")),
        );
    }
    for column in columns {
        column.stop(lab).await;
    }
}
