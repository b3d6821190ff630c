//! How fast a node is, beside the best of each field. `make bench` runs everything; words after it choose,
//! such as `bench messages kv`.
//!
//! Every comparison is made in rounds, this node and the other program in turn, so that a machine that slows
//! down slows both; what is told is the median of the rounds' ratios. Nothing here is a test: a figure that is
//! missed is said to be missed, and that is all.

mod asker;
mod between;
mod bystander;
mod caller;
mod distribution;
mod etcd;
mod etcd_cluster;
mod kv;
mod languages;
mod messages;
mod moving;
mod nats;
mod neighbour;
mod schelling;
mod souls;
mod swap;
mod table;
mod three;
mod tournament;
mod training;
mod two;

use std::path::{Path, PathBuf};

use tokio::runtime::Builder;

use table::{Row, print};

/// Rounds of each comparison.
const ROUNDS: usize = 5;

/// What there is to measure, in the order in which it is done.
const GROUPS: [&str; 12] = [
    "tournament",
    "schelling",
    "messages",
    "souls",
    "neighbour",
    "kv",
    "between",
    "three",
    "moving",
    "swap",
    "training",
    "languages",
];

/// What the command line says.
struct Arguments {
    /// The interpreter that has the rivals in Python.
    python: PathBuf,
    /// Rounds of each comparison.
    rounds: usize,
    /// Which groups.
    groups: Vec<String>,
}

fn arguments() -> Result<Arguments, String> {
    let mut found = Arguments { python: "python3".into(), rounds: ROUNDS, groups: Vec::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--python" => found.python = value()?.into(),
            "--rounds" => found.rounds = value()?.parse().map_err(|_| "--rounds needs a number")?,
            group if GROUPS.contains(&group) => found.groups.push(word),
            _ => return Err(format!("`{word}` is unknown; there are --python, --rounds, {GROUPS:?}")),
        }
    }
    if found.groups.is_empty() {
        found.groups = GROUPS.map(str::to_owned).to_vec();
    }
    Ok(found)
}

fn main() -> Result<(), String> {
    let Arguments { python, rounds, groups } = arguments()?;
    let mut rows: Vec<Row> = Vec::new();
    for group in &groups {
        eprintln!("{group}: {rounds} rounds");
        let runtime = match group.as_str() {
            // A client on one thread takes all answers that have come before it asks again, and leaves more of the
            // machine to the servers.
            "kv" | "three" => Builder::new_current_thread().enable_all().build(),
            _ => Builder::new_multi_thread().enable_all().build(),
        };
        let runtime = runtime.map_err(|error| format!("cannot start the runtime: {error}"))?;
        rows.extend(runtime.block_on(measure(group, rounds, &python)));
    }
    print(&rows);
    Ok(())
}

/// Measures one of [`GROUPS`].
async fn measure(group: &str, rounds: usize, python: &Path) -> Vec<Row> {
    match group {
        "tournament" => tournament::measure(rounds, python).await,
        "schelling" => schelling::measure(rounds, python).await,
        "messages" => messages::measure(rounds).await,
        "souls" => souls::measure(rounds).await,
        "neighbour" => neighbour::measure(rounds).await,
        "between" => between::measure(rounds).await,
        "moving" => moving::measure(rounds).await,
        "swap" => swap::measure(rounds).await,
        "three" => three::measure(rounds).await,
        "languages" => languages::measure(rounds).await,
        "training" => training::measure(rounds).await,
        _ => kv::measure(rounds).await,
    }
}
