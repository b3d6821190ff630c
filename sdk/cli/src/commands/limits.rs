//! `matrix limits`.

use matrix_proto::v1::{Limit, LimitsRequest};
use serde_json::{Value, json};

use crate::errors::Error;
use crate::session::Session;
use crate::table::Table;
use crate::text;

/// Lists all limits, as they hold on the node.
pub(crate) async fn run(session: &Session<'_>) -> Result<(), Error> {
    let node = session.node().await?;
    let ask = async |request| node.observe().limits(request).await;
    let limits = node.call("the limits", LimitsRequest {}, ask).await?.limits;
    session.output.show(&json!({ "limits": limits.iter().map(json).collect::<Vec<_>>() }), |style| {
        let mut table =
            Table::new(["NAME", "DEFAULT", "MOST", "UNIT", "SETTING", "WHAT", "WHERE IT IS REACHED"]);
        for limit in &limits {
            let amount =
                |amount: u64| if limit.unit == "bytes" { text::bytes(amount) } else { amount.to_string() };
            table.row([
                limit.name.clone(),
                amount(limit.default),
                amount(limit.max),
                limit.unit.clone(),
                limit.setting.clone(),
                limit.what.trim_end_matches('.').to_owned(),
                limit.by.clone(),
            ]);
        }
        table.render(style, "no limits")
    })
}

fn json(limit: &Limit) -> Value {
    json!({
        "name": limit.name,
        "what": limit.what,
        "setting": limit.setting,
        "unit": limit.unit,
        "default": limit.default,
        "max": limit.max,
        "by": limit.by,
    })
}
