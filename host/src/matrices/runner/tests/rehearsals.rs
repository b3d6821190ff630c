//! What would come of a swap.

use super::super::super::rehearsal::{Difference, Rehearsal, rehearse};
use super::super::super::testing::{Law, component};
use super::*;

async fn rehearsed(bench: &Bench, law: Law, from: u64) -> Result<Rehearsal, MatrixError> {
    rehearse(&*bench.world, &bench.path(), component(law), from).await
}

#[tokio::test]
async fn the_same_rules_do_the_same_and_others_differ_where_they_do() {
    let bench = Bench::new(Toy::default());
    bench.some_ticks(true, 6).await;
    let log = std::fs::read(bench.path()).expect("a file");
    let events = bench.kinds().len();
    let same = rehearsed(&bench, Law::Counts, 2).await.expect("they take over");
    assert_eq!(same, Rehearsal { from: 2, ticks: 4, ..Rehearsal::default() });
    let other = rehearsed(&bench, Law::Migrates, 4).await.expect("they take over");
    let whats: Vec<_> = other.differences.iter().map(|found| (found.tick, found.what)).collect();
    assert_eq!(whats, [(5, "signals"), (5, "state"), (6, "signals"), (6, "state")]);
    let (before, after) = ("0: ticks 5.0".to_owned(), "0: rounds 5.0".to_owned());
    assert_eq!(other.differences[0], Difference { tick: 5, what: "signals", before, after });
    assert_eq!(std::fs::read(bench.path()).expect("a file"), log, "nothing is written");
    assert_eq!(bench.kinds().len(), events, "nothing is told");
}

#[tokio::test]
async fn who_would_not_take_over_says_so() {
    let bench = Bench::new(Toy::default());
    bench.some_ticks(true, 3).await;
    for (law, part) in [(Law::Refuses, "not mine"), (Law::Crashes, "trapped"), (Law::Dumb, "trapped")] {
        let error = rehearsed(&bench, law, 1).await.expect_err("they do not take over").to_string();
        assert!(error.contains(part), "{error}");
    }
    let found = rehearsed(&bench, Law::Migrates, 3).await.expect("there is no tick to compare");
    assert_eq!((found.ticks, found.differences.len()), (0, 0));
}

#[tokio::test]
async fn differences_are_bounded() {
    let mut found = Rehearsal::default();
    let long = "\u{1b}".repeat(1000);
    for tick in 0..150 {
        found.add(tick, "reply", "a", &long);
    }
    assert_eq!((found.differences.len(), found.left_out), (100, 50));
    assert!(found.differences[0].after.chars().all(|shown| !shown.is_control()));
    assert_eq!(found.differences[0].after.len(), 200);
}
