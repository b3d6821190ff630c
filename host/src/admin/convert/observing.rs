//! What guests use, and the limits.

use matrix_proto::v1;

use crate::runtime::limits::{Limit, Listed};
use crate::runtime::usage::Used;

/// What was used; `turned_away` is the mailbox's.
pub(in crate::admin) fn figures(used: &Used, turned_away: u64) -> v1::Figures {
    v1::Figures {
        cpu_ns: used.cpu_ns,
        fuel: used.fuel,
        received: used.received,
        sent: used.sent,
        kv: used.kv,
        dropped: used.dropped,
        refused: used.refused,
        turned_away,
        calls: used.calls,
    }
}

/// A limit.
pub(in crate::admin) fn limit(limit: &Limit) -> v1::Limit {
    let Listed { name, what, setting, unit, by } = limit.listed;
    v1::Limit {
        name: name.to_owned(),
        what: what.to_owned(),
        setting: setting.to_owned(),
        unit: unit.to_owned(),
        default: limit.default,
        max: limit.max,
        by: by.to_owned(),
    }
}
