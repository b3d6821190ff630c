//! What realms of 10, 1,000 and 100,000 nodes would cost: `make scale`. First it measures what one connection, one
//! message, one Soul and one record cost on this machine; then it calculates, and simulates, with the constants of the
//! code. What it prints is explained in `tests/scale/README.md`.

mod measure;

use matrix_tests::scale::leader::{Setup, breaks_at, simulate};
use matrix_tests::scale::shapes::{BUCKET, Kademlia, MESH_DEGREE, fullest_shard, gossip, mesh, tree};
use matrix_tests::scale::{Constants, Costs, Demand, limits, per_node, today};

/// The realms that are looked at.
const NODES: [u64; 3] = [10, 1_000, 100_000];
/// Souls that live on each node, and frames of the log that the realm writes in a second.
const SOULS: u64 = 100;
const FRAMES: f64 = 100.0;
/// Seconds that a message takes between two nodes in simulations.
const LATENCY: f64 = 0.001;
/// Seconds that are simulated of the smaller realms, and of the largest.
const TIME: f64 = 10.0;
const TIME_OF_LARGEST: f64 = 3.0;
/// The most nodes at which the leader is looked at for the point where it breaks.
const MOST: u64 = 20_000;
/// To how many a learner passes the log on in a tree.
const CHILDREN: usize = 16;
/// Nodes that keep each entry of a directory in shards.
const COPIES: usize = 3;
/// Look-ups that are averaged over.
const LOOK_UPS: usize = 1_000;

#[tokio::main]
async fn main() {
    let constants = Constants::of_the_code();
    let costs = measure::all().await;
    println!("{} profile\n", if cfg!(debug_assertions) { "dev" } else { "release" });
    print_measured(&constants, &costs);
    print_today(&constants, &costs);
    print_leader(&constants, &costs);
    print_limits(&constants, &costs);
    print_shapes(&costs);
}

fn print_measured(constants: &Constants, costs: &Costs) {
    println!("| one | costs |\n|---|---|");
    println!("| message at one end, of the network's thread | {:.1} µs |", costs.message * 1e6);
    println!("| end of a connection with five lanes, memory | {:.0} KiB |", costs.connection / 1024.0);
    println!("| Soul in the KV, as it is counted | {:.0} bytes |", costs.soul_counted);
    println!("| Soul in the KV, memory | {:.0} bytes |", costs.soul);
    println!("| way to a Soul, memory | {:.0} bytes |", costs.way);
    println!("| record of a node, read | {:.2} µs |", costs.record * 1e6);
    let each = per_node(constants, 0.0);
    println!("| other node, messages a second at the leader, without writes | {each:.0} |\n");
}

fn print_today(constants: &Constants, costs: &Costs) {
    println!("| as it is built, by formula | {} |", NODES.map(|nodes| format!("{nodes} nodes")).join(" | "));
    println!("|---|---|---|---|");
    let all =
        NODES.map(|nodes| today(constants, costs, Demand { nodes, souls: nodes * SOULS, frames: FRAMES }));
    let row = |what: &str, show: &dyn Fn(usize) -> String| {
        println!("| {what} | {} |", [show(0), show(1), show(2)].join(" | "));
    };
    row("connections of a node", &|at| all[at].connections.to_string());
    row("connections in all", &|at| (NODES[at] * (NODES[at] - 1) / 2).to_string());
    row("pings and answers at a node, a second", &|at| format!("{:.0}", all[at].pings));
    row("messages at the leader, a second", &|at| format!("{:.0}", all[at].leader_messages));
    row("threads that these take", &|at| format!("{:.3}", all[at].leader_busy));
    row("memory of connections, Souls and ways at a node", &|at| bytes(all[at].memory));
    row("the KV's state, of at most 1 GiB", &|at| bytes(all[at].state));
    row("records read by each node when one changes", &|at| seconds(all[at].change));
    row("the same when all start", &|at| seconds(all[at].all_start));
    println!();
}

fn print_leader(constants: &Constants, costs: &Costs) {
    println!(
        "| the leader's thread, simulated | messages a second | by formula | busy | longest wait | leases lost |"
    );
    println!("|---|---|---|---|---|---|");
    for nodes in NODES {
        let time = if nodes == NODES[2] { TIME_OF_LARGEST } else { TIME };
        // Without writes: the least that there is to do.
        let setup = Setup { nodes, frames: 0.0, latency: LATENCY, message: costs.message, time };
        let seen = simulate(constants, setup, 1);
        let formula = (nodes - 1) as f64 * per_node(constants, 0.0);
        println!(
            "| {nodes} nodes | {:.0} | {formula:.0} | {:.2} | {} | {} |",
            seen.messages as f64 / time,
            seen.busy,
            seconds(seen.longest),
            seen.lost
        );
    }
    println!();
}

fn print_limits(constants: &Constants, costs: &Costs) {
    println!("| nodes | what gives way, by formula, with {SOULS} Souls a node |\n|---|---|");
    for (nodes, what) in limits(constants, costs, SOULS as f64) {
        println!("| {nodes} | {what} |");
    }
    let setup = Setup { nodes: 0, frames: 0.0, latency: LATENCY, message: costs.message, time: TIME };
    match breaks_at(constants, setup, MOST) {
        Some(nodes) => println!("| {nodes} | simulated: the first lease is lost, without one write |\n"),
        None => println!("| > {MOST} | simulated: the first lease is lost, without one write |\n"),
    }
}

fn print_shapes(costs: &Costs) {
    println!("| other shapes, simulated | {} |", NODES.map(|nodes| format!("{nodes} nodes")).join(" | "));
    println!("|---|---|---|---|");
    let row = |what: &str, show: &dyn Fn(usize) -> String| {
        println!("| {what} | {} |", NODES.map(|nodes| show(nodes as usize)).join(" | "));
    };
    let passed_on = |nodes| tree(nodes, CHILDREN);
    row(&format!("tree of {CHILDREN}: steps to the last node"), &|nodes| passed_on(nodes).steps.to_string());
    row("… messages that one node sends at most", &|nodes| passed_on(nodes).most_sent.to_string());
    row("… messages in all", &|nodes| passed_on(nodes).messages.to_string());
    let told = |nodes| gossip(&mesh(nodes, MESH_DEGREE, 1));
    row(&format!("mesh of {MESH_DEGREE}, gossip: steps to the last node"), &|nodes| {
        told(nodes).steps.to_string()
    });
    row("… messages that one node sends at most", &|nodes| told(nodes).most_sent.to_string());
    row("… messages in all", &|nodes| told(nodes).messages.to_string());
    row("… nodes reached", &|nodes| told(nodes).reached.to_string());
    let found = |nodes| Kademlia::new(nodes, 1).look_up(LOOK_UPS);
    row(&format!("look-up, buckets of {BUCKET}: steps"), &|nodes| format!("{:.1}", found(nodes).steps));
    row("… steps at most", &|nodes| found(nodes).most.to_string());
    row("… contacts of a node", &|nodes| found(nodes).contacts.to_string());
    let entries = |nodes: usize| nodes * SOULS as usize;
    row(&format!("shards, {COPIES} copies: Souls at the fullest node"), &|nodes| {
        fullest_shard(nodes, entries(nodes), COPIES, 1).to_string()
    });
    row("… memory that they take", &|nodes| {
        bytes(fullest_shard(nodes, entries(nodes), COPIES, 1) as f64 * (costs.soul + costs.way))
    });
}

fn bytes(count: f64) -> String {
    match count {
        count if count >= 1e9 => format!("{:.1} GB", count / 1e9),
        count if count >= 1e6 => format!("{:.1} MB", count / 1e6),
        count => format!("{:.1} kB", count / 1e3),
    }
}

fn seconds(count: f64) -> String {
    match count {
        count if count >= 1.0 => format!("{count:.1} s"),
        count if count >= 1e-3 => format!("{:.1} ms", count * 1e3),
        count => format!("{:.1} µs", count * 1e6),
    }
}
