//! New code for many Souls: a few first, and taken back where it fails.

use std::collections::BTreeSet;
use std::time::Duration;

use matrix_tests::node::{TestNode, manifest, name};
use matrixd::ids::Digest;
use matrixd::souls::swap::{Plan, Step, Tally};
use tokio::sync::mpsc;

/// How many Souls there are.
const SOULS: usize = 30;

/// Spawns the Souls, all caterpillars that were given one message; the last one's new code fails as `after` says.
async fn insects(node: &TestNode, after: &str) -> (Digest, Digest) {
    let (old, new) = (node.program("caterpillar").await, node.program("butterfly").await);
    for number in 0..SOULS {
        let after = if number == SOULS - 1 { after } else { "" };
        let soul = format!("insect-{number:02}");
        node.spawn(manifest(&soul, old, &[("after", after)])).await.expect("it starts");
        assert_eq!(node.ask(&soul, "add main 1").await.as_deref(), Ok("1"));
    }
    (old, new)
}

/// Rolls out to the end; gives what was told.
async fn roll_out(node: &TestNode, from: Digest, to: Digest, failures_max: usize) -> Vec<Step> {
    let plan = Plan {
        from: BTreeSet::from([from]),
        to,
        canary_percent: 10,
        watch: Duration::from_millis(100),
        batch: 8,
        failures_max,
        turn: Duration::from_secs(1),
    };
    let (tell, mut told) = mpsc::channel(64);
    let hears = async {
        let mut steps = Vec::new();
        while let Some(step) = told.recv().await {
            steps.push(step);
        }
        steps
    };
    let (rolled, steps) = tokio::join!(node.node().fleet().roll_out(plan, tell), hears);
    rolled.expect("the KV is there");
    steps
}

fn codes(node: &TestNode, code: Digest) -> usize {
    let souls = (0..SOULS).map(|number| node.view(&format!("insect-{number:02}")));
    souls.filter(|view| view.manifest.component == code).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_souls_of_a_component_get_new_code_stage_by_stage() {
    let node = TestNode::start().await;
    let (old, new) = insects(&node, "").await;
    let steps = roll_out(&node, old, new, 0).await;
    let swapped: Vec<_> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Progress(tally) => Some(tally.swapped),
            _ => None,
        })
        .collect();
    assert_eq!(swapped, [0, 3, 11, 19, 27, 30], "three come first, then eight at a time");
    let all = Tally { total: SOULS, swapped: SOULS, ..Tally::default() };
    assert_eq!(steps.last(), Some(&Step::Ended(true, all)));
    assert_eq!(codes(&node, new), SOULS);
    assert_eq!(node.ask("insect-07", "add main 2").await.as_deref(), Ok("2"));
    // The same again finds nobody.
    let steps = roll_out(&node, old, new, 0).await;
    assert_eq!(steps.last(), Some(&Step::Ended(true, Tally::default())));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_too_many_fail_all_get_their_old_code_again() {
    let node = TestNode::start().await;
    let (old, new) = insects(&node, "restore-refuse").await;
    let steps = roll_out(&node, old, new, 0).await;
    let failed = |step: &Step| matches!(step, Step::Failed(soul, why) if *soul == name("insect-29") && why.contains("refuses"));
    assert_eq!(steps.iter().filter(|step| failed(step)).count(), 1, "{steps:?}");
    assert!(steps.iter().any(|step| matches!(step, Step::TakingBack(_))), "{steps:?}");
    let tally = Tally { total: SOULS, swapped: SOULS - 1, failed: 1, rolled_back: SOULS - 1 };
    assert_eq!(steps.last(), Some(&Step::Ended(false, tally)));
    assert_eq!(codes(&node, old), SOULS);
    for number in 0..SOULS {
        assert_eq!(node.ask(&format!("insect-{number:02}"), "add main 2").await.as_deref(), Ok("2"));
    }
    // Where one may fail, the others keep the new code.
    let steps = roll_out(&node, old, new, 1).await;
    let tally = Tally { total: SOULS, swapped: SOULS - 1, failed: 1, rolled_back: 0 };
    assert_eq!(steps.last(), Some(&Step::Ended(false, tally)));
    assert_eq!((codes(&node, old), codes(&node, new)), (1, SOULS - 1));
    node.stop().await;
}
