//! The simulation and the formulas say the same where both can be had.

use super::leader::{Seen, Setup, breaks_at, simulate};
use super::shapes::{BUCKET, Kademlia, MESH_DEGREE, fullest_shard, gossip, mesh, tree};
use super::*;

const COSTS: Costs =
    Costs { message: 1e-5, connection: 1e5, soul_counted: 2e3, soul: 2e3, way: 300.0, record: 1e-6 };

fn run(nodes: u64, frames: f64, time: f64) -> Seen {
    let setup = Setup { nodes, frames, latency: 0.001, message: COSTS.message, time };
    simulate(&Constants::of_the_code(), setup, 7)
}

fn near(got: f64, expected: f64, part: f64) {
    assert!((got - expected).abs() <= expected * part, "{got} is not within {part} of {expected}");
}

#[test]
fn the_leader_gets_as_many_messages_as_the_formula_says() {
    let constants = Constants::of_the_code();
    for (nodes, frames) in [(2, 0.0), (3, 0.0), (10, 50.0), (100, 10.0)] {
        let (seen, time) = (run(nodes, frames, 20.0), 20.0);
        let expected = today(&constants, &COSTS, Demand { nodes, souls: 0, frames });
        // A burst or a renewal more or less at either end.
        near(seen.messages as f64 / time, expected.leader_messages, 0.02);
        near(seen.busy, expected.leader_busy, 0.02);
        assert_eq!(seen.lost, 0, "{seen:?}");
    }
}

#[test]
fn leases_are_lost_where_the_formula_says_that_the_leader_falls_behind() {
    let constants = Constants::of_the_code();
    // A slow thread, so that few nodes are enough.
    let message = 5e-4;
    let setup = Setup { nodes: 0, frames: 0.0, latency: 0.001, message, time: 30.0 };
    let expected = 1.0 / (message * per_node(&constants, 0.0)) + 1.0;
    let broken = breaks_at(&constants, setup, 1_000).expect("a thousand are too many");
    near(broken as f64, expected, 0.12);
}

#[test]
fn limits_are_in_order_and_the_first_is_the_bound_of_connections() {
    let limits = limits(&Constants::of_the_code(), &COSTS, 10.0);
    assert!(limits.is_sorted());
    assert_eq!(limits[0].0, Constants::of_the_code().connections_max + 1, "{limits:?}");
}

#[test]
fn a_tree_is_as_deep_as_it_must_be_and_tells_each_once() {
    for (nodes, children, depth) in [(1, 4, 0), (5, 4, 1), (6, 4, 2), (21, 4, 2), (22, 4, 3), (1_000, 16, 3)]
    {
        let seen = tree(nodes, children);
        assert_eq!((seen.reached, seen.messages, seen.steps), (nodes, nodes - 1, depth), "{nodes}");
        assert!(seen.most_sent <= children);
    }
}

#[test]
fn gossip_reaches_all_and_sends_what_the_links_say() {
    for nodes in [10, 100, 5_000] {
        let links = mesh(nodes, MESH_DEGREE, 3);
        let ends: usize = links.iter().map(Vec::len).sum();
        let seen = gossip(&links);
        assert_eq!(seen.reached, nodes);
        // Everybody sends on every link, but for the one it came by.
        assert_eq!(seen.messages, ends - (nodes - 1));
        near(ends as f64 / nodes as f64, MESH_DEGREE as f64, 0.25);
        assert!(seen.steps <= 2 + (nodes as f64).log2().ceil() as usize, "{seen:?}");
    }
}

#[test]
fn a_look_up_takes_one_step_where_all_are_known_and_few_where_not() {
    let small = Kademlia::new(BUCKET, 5).look_up(500);
    assert!(small.most <= 1 && small.contacts == BUCKET - 1, "{small:?}");
    let large = Kademlia::new(10_000, 5).look_up(500);
    assert!(large.steps > 1.0 && large.most <= 14, "{large:?}");
    // One bucket a halving, until a bucket is not full any more.
    assert!(large.contacts >= 9 * BUCKET && large.contacts < 14 * BUCKET, "{large:?}");
}

#[test]
fn shards_share_what_there_is() {
    assert_eq!(fullest_shard(1, 1_000, 3, 1), 1_000);
    assert_eq!(fullest_shard(3, 1_000, 3, 1), 1_000);
    let mean = 100_000.0 * 3.0 / 100.0;
    near(fullest_shard(100, 100_000, 3, 1) as f64, mean, 0.15);
}
