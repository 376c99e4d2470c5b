//! What would become of record sets, for people and for programs.

use serde::Serialize;

use crate::decide::batch::Edit;
use crate::decide::name::DnsName;
use crate::decide::record::RecordType;

/// What becomes of the record sets at one name and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolDiff {
    /// The hosted zone's id.
    pub zone_id: String,
    /// The name.
    pub name: DnsName,
    /// The type.
    pub rtype: RecordType,
    /// What becomes of each record set.
    pub edits: Vec<Edit>,
}

/// One edit for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EditView {
    /// `create`, `update` or `delete`.
    pub action: &'static str,
}

/// The edits of a pool as lines, like a diff.
pub fn render(pool: &PoolDiff, width: Option<usize>) -> String {
    let _ = (pool, width);
    String::new()
}
