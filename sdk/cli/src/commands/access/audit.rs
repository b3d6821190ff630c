//! `matrix access audit`.

use matrix_proto::audit::{Chain, Fault};
use matrix_proto::v1::{AuditRecord, AuditRequest};
use serde_json::{Value, json};

use crate::errors::Error;
use crate::session::Session;
use crate::table::Table;
use crate::text;

/// Lines that are shown where nothing is said.
const LAST: u32 = 50;

/// Which lines, and what to do with them.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Only what this caller did, such as local or token/NAME
    #[arg(long, conflicts_with = "verify")]
    caller: Option<String>,
    /// Only this method, such as Kv/Put
    #[arg(long, conflicts_with = "verify")]
    method: Option<String>,
    /// Only the last so many lines; 0: all
    #[arg(long, value_name = "LINES", default_value_t = LAST, conflicts_with = "verify")]
    last: u32,
    /// Reckons the chain of all lines anew, and names the first that does not follow
    #[arg(long)]
    verify: bool,
}

/// Carries out the command.
pub(super) async fn run(args: &Args, session: &Session<'_>) -> Result<(), Error> {
    let node = session.node().await?;
    let message = match args.verify {
        true => AuditRequest::default(),
        false => AuditRequest {
            caller: args.caller.clone().unwrap_or_default(),
            method: args.method.clone().unwrap_or_default(),
            last: args.last,
        },
    };
    let place = "the audit log";
    let mut lines = node.stream(place, message, async |request| node.access().audit(request).await).await?;
    let (mut shown, mut check) = (Vec::new(), Check::default());
    while let Some(line) = lines.message().await.map_err(|status| Error::node(status, place))? {
        if args.verify {
            check.follow(&line)?;
        } else if session.output.is_json() {
            session.output.show(&json(&line), |_| String::new())?;
        } else {
            shown.push(line);
        }
    }
    if args.verify {
        return check.show(session);
    }
    if session.output.is_json() {
        return Ok(());
    }
    session.output.show(&Value::Null, |style| table(&shown).render(style, "nothing was changed"))
}

/// A chain that is reckoned anew.
#[derive(Debug, Default)]
struct Check {
    chain: Option<Chain>,
    first: u64,
    count: u64,
}

impl Check {
    fn follow(&mut self, record: &AuditRecord) -> Result<(), Error> {
        let followed = match &mut self.chain {
            Some(chain) => chain.follow(&record.line).map(drop),
            None => self.begin(&record.line),
        };
        self.count += 1;
        followed.map_err(|fault| {
            let place = format!("line {} of what is kept, in {}", self.count, text::one_line(&record.file));
            Error::local("the chain of the audit log is broken", &place, fault)
        })
    }

    /// The first line that is kept: what was before it is not known any more, unless it is the first of all.
    fn begin(&mut self, line: &str) -> Result<(), Fault> {
        let (after, entry) = Chain::after(line)?;
        self.first = entry.seq;
        if entry.seq == 1 {
            Chain::default().follow(line)?;
        }
        self.chain = Some(after);
        Ok(())
    }

    fn show(&self, session: &Session<'_>) -> Result<(), Error> {
        let head = self.chain.clone().unwrap_or_default().head();
        let (first, count) = (self.first, self.count);
        let json = json!({ "holds": true, "lines": count, "first": first, "head": head });
        session.output.show(&json, |style| {
            format!("{} {count} lines, from number {first} on, to {head}\n", style.green("the chain holds:"))
        })
    }
}

fn json(line: &AuditRecord) -> Value {
    json!({
        "sequence": line.sequence,
        "at_ms": line.at_ms,
        "call": line.call,
        "method": line.method,
        "caller": line.caller,
        "role": line.role,
        "via": line.via,
        "target": line.target,
        "request_id": line.request_id,
        "outcome": line.outcome,
    })
}

fn table(lines: &[AuditRecord]) -> Table {
    let mut table = Table::new(["LINE", "TIME", "CALLER", "ROLE", "METHOD", "OUTCOME", "TARGET"]);
    for line in lines {
        let outcome = match line.call {
            0 => String::new(),
            call => format!("{} of {call}", line.outcome),
        };
        table.row([
            line.sequence.to_string(),
            text::moment(line.at_ms),
            line.caller.clone(),
            line.role.clone(),
            line.method.clone(),
            outcome,
            line.target.clone(),
        ]);
    }
    table
}
