//! `matrix top`.

use std::time::Duration;

use matrix_proto::v1::{Figures, GuestUsage, NodeUsage, UsageOrder, UsageRequest, UsageResponse};
use serde_json::{Value, json};

use crate::errors::Error;
use crate::output::Style;
use crate::session::Session;
use crate::table::Table;
use crate::text;

/// Puts what follows at the top of an empty screen.
const CLEAR: &[u8] = b"\x1b[H\x1b[2J";

/// Who is shown, and in which order.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// By what the guests are ordered, the most first
    #[arg(short, long, value_enum, default_value = "cpu")]
    sort: Sort,
    /// How many guests, of all nodes together
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    count: u32,
    /// For how long each node counts, in seconds: 0.05 to 10
    #[arg(short, long, value_name = "SECONDS", value_parser = text::parse_seconds, default_value = "1")]
    interval: Duration,
    /// Only guests whose names start with PREFIX
    #[arg(value_name = "PREFIX", default_value = "", hide_default_value = true)]
    prefix: String,
    /// Only those of the node that is asked
    #[arg(long)]
    here: bool,
    /// Counts once, and ends
    #[arg(long)]
    once: bool,
}

/// By what guests are ordered.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Sort {
    /// Processor time
    Cpu,
    /// Fuel: about one unit an instruction
    Fuel,
    /// Linear memory
    Memory,
    /// Messages, in and out
    Messages,
    /// Operations on the KV
    Kv,
    /// Calls to services outside the realm
    Calls,
    /// Messages that wait
    Waiting,
    /// What was refused and dropped
    Refused,
    /// Their names
    Name,
}

/// Shows who uses most: until it is interrupted, unless it is told to do it once.
pub(crate) async fn run(args: Args, session: &Session<'_>) -> Result<(), Error> {
    let node = session.node().await?;
    let request = UsageRequest {
        window_ms: u32::try_from(args.interval.as_millis()).unwrap_or(u32::MAX),
        order: UsageOrder::from(args.sort).into(),
        limit: args.count,
        name_prefix: args.prefix,
        here: args.here,
    };
    let screen = !args.once && !session.output.is_json() && session.output.stdout_is_terminal();
    loop {
        let ask = async |request| node.observe().usage(request).await;
        let usage = node.call("the guests", request.clone(), ask).await?;
        if screen {
            session.output.raw(CLEAR)?;
        }
        session.output.show(&json(&usage), |style| human(style, &usage))?;
        if args.once {
            return Ok(());
        }
    }
}

impl From<Sort> for UsageOrder {
    fn from(sort: Sort) -> Self {
        match sort {
            Sort::Cpu => Self::Cpu,
            Sort::Fuel => Self::Fuel,
            Sort::Memory => Self::Memory,
            Sort::Messages => Self::Messages,
            Sort::Kv => Self::Kv,
            Sort::Calls => Self::Calls,
            Sort::Waiting => Self::Waiting,
            Sort::Refused => Self::Refused,
            Sort::Name => Self::Name,
        }
    }
}

/// What a node's window came to in a second, or as a share of one processor.
#[derive(Debug, Clone, Copy)]
struct Window(f64);

impl Window {
    /// That of a node, by its number.
    fn of(usage: &UsageResponse, node: u64) -> Self {
        let found = usage.nodes.iter().find(|found| found.node == node);
        Self(found.map_or(1.0, |found| found.window_us as f64 / 1e6).max(1e-6))
    }

    fn per_second(self, count: u64) -> f64 {
        count as f64 / self.0
    }

    /// In percent.
    fn share(self, cpu_ns: u64) -> f64 {
        cpu_ns as f64 / 1e9 / self.0 * 100.0
    }
}

fn human(style: &Style, usage: &UsageResponse) -> String {
    let nodes: String = usage.nodes.iter().map(|node| node_line(style, usage, node)).collect();
    let mut table = Table::new([
        "CPU %",
        "FUEL/S",
        "MEMORY",
        "IN/S",
        "OUT/S",
        "KV/S",
        "CALLS/S",
        "WAITING",
        "REFUSED/S",
        "STATE",
        "NODE",
        "KIND",
        "NAME",
    ]);
    for guest in &usage.guests {
        let (used, window) = (guest.used.unwrap_or_default(), Window::of(usage, guest.node));
        let rate = |count: u64| rounded(window.per_second(count));
        table.row([
            format!("{:.1}", window.share(used.cpu_ns)),
            scaled(window.per_second(used.fuel)),
            text::bytes(guest.memory_bytes),
            rate(used.received),
            rate(used.sent),
            rate(used.kv),
            rate(used.calls),
            guest.waiting.to_string(),
            rate(refused(&used)),
            guest.state.clone(),
            guest.node.to_string(),
            guest.kind.clone(),
            guest.name.clone(),
        ]);
    }
    format!("{nodes}\n{}", table.render(style, "no guests"))
}

/// A node, and what all its guests use.
fn node_line(style: &Style, usage: &UsageResponse, node: &NodeUsage) -> String {
    let head = style.bold(&format!("node {}", node.node));
    if !node.reason.is_empty() {
        return format!("{head}  {}\n", style.red(&text::one_line(&node.reason)));
    }
    let (used, window) = (node.used.unwrap_or_default(), Window::of(usage, node.node));
    format!(
        "{head}  {:.1} % of {} processors, {} of {} memory, {} guests, {} messages a second\n",
        window.share(used.cpu_ns),
        node.processors,
        text::bytes(node.memory_bytes),
        text::bytes(node.memory_bytes_max),
        node.guests,
        rounded(window.per_second(used.received)),
    )
}

fn refused(used: &Figures) -> u64 {
    used.refused + used.dropped + used.turned_away
}

/// A figure a second: small ones to a tenth.
fn rounded(figure: f64) -> String {
    if figure == 0.0 || figure >= 10.0 { format!("{figure:.0}") } else { format!("{figure:.1}") }
}

/// A large figure, such as `1.2G`.
fn scaled(figure: f64) -> String {
    let units = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let unit = units.into_iter().find(|(size, _)| figure >= *size);
    unit.map_or_else(|| rounded(figure), |(size, unit)| format!("{:.1}{unit}", figure / size))
}

fn json(usage: &UsageResponse) -> Value {
    json!({
        "nodes": usage.nodes.iter().map(node_json).collect::<Vec<_>>(),
        "guests": usage.guests.iter().map(|guest| guest_json(usage, guest)).collect::<Vec<_>>(),
    })
}

fn node_json(node: &NodeUsage) -> Value {
    json!({
        "node": node.node,
        "window_us": node.window_us,
        "used": figures(&node.used.unwrap_or_default()),
        "memory_bytes": node.memory_bytes,
        "memory_bytes_max": node.memory_bytes_max,
        "guests": node.guests,
        "processors": node.processors,
        "reason": node.reason,
    })
}

fn guest_json(usage: &UsageResponse, guest: &GuestUsage) -> Value {
    let (used, window) = (guest.used.unwrap_or_default(), Window::of(usage, guest.node));
    json!({
        "kind": guest.kind,
        "name": guest.name,
        "node": guest.node,
        "state": guest.state,
        "memory_bytes": guest.memory_bytes,
        "waiting": guest.waiting,
        "cpu_percent": window.share(used.cpu_ns),
        "fuel_per_second": window.per_second(used.fuel),
        "received_per_second": window.per_second(used.received),
        "sent_per_second": window.per_second(used.sent),
        "kv_per_second": window.per_second(used.kv),
        "calls_per_second": window.per_second(used.calls),
        "refused_per_second": window.per_second(refused(&used)),
        "used": figures(&used),
        "total": figures(&guest.total.unwrap_or_default()),
    })
}

fn figures(figures: &Figures) -> Value {
    json!({
        "cpu_ns": figures.cpu_ns,
        "fuel": figures.fuel,
        "received": figures.received,
        "sent": figures.sent,
        "kv": figures.kv,
        "calls": figures.calls,
        "dropped": figures.dropped,
        "refused": figures.refused,
        "turned_away": figures.turned_away,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(
            [rounded(0.0), rounded(0.25), rounded(9.96), rounded(1234.5)],
            ["0", "0.2", "10.0", "1234"]
        );
        assert_eq!([scaled(12.0), scaled(1_500.0), scaled(2.3e9)], ["12", "1.5k", "2.3G"]);
        let window = Window(0.5);
        assert_eq!((window.per_second(4), window.share(250_000_000)), (8.0, 50.0));
    }
}
