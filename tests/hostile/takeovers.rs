//! Rules that are to take over from others, and harm whoever lets them: the others go on, with their state untouched.

use matrix_tests::node::{PATIENCE, TestNode, matrix};
use matrixd::ids::{Digest, MatrixName, StateHash};
use matrixd::matrices::manifest::MatrixManifest;
use matrixd::matrices::{MatrixError, MatrixState, MatrixView};
use matrixd::transport::bus::{Filter, Item};
use matrixd::transport::envelope::Content;
use matrixd::transport::router::Draft;

/// Fuel of a call: an endless loop ends after some tenths of a second.
const FUEL: u64 = 200_000_000;

fn named(text: &str) -> MatrixName {
    text.parse().expect("a test uses sound names")
}

/// A Matrix of `regime` with this word, after some steps.
async fn regime(node: &TestNode, rules: Digest, word: &str, steps: u32) -> (MatrixName, MatrixView) {
    let manifest =
        MatrixManifest { call_fuel: FUEL, ..matrix(&format!("of-{word}"), rules, &format!("\"{word}\"")) };
    let (matrices, name) = (node.node().matrices(), manifest.name.clone());
    matrices.create(manifest, false, None).await.expect("it starts");
    // How the steps end is told by the Matrix itself.
    let _ = matrices.step(&name, steps).await;
    let view = matrices.get(&name).expect("it is known");
    (name, view)
}

/// Goes through a run again: its ticks, and the hash at its end, if nothing differs.
async fn replayed(node: &TestNode, name: &MatrixName) -> (u64, StateHash) {
    let mut reports = node.node().matrices().replay(name).expect("it has a run log");
    let mut last = None;
    while let Some(report) = reports.recv().await {
        last = Some(report.expect("the run log is whole"));
    }
    let last = last.expect("a report");
    assert!(last.done && last.first_difference.is_none(), "{last:?}");
    (last.tick, last.state_hash)
}

fn why(error: &MatrixError) -> String {
    assert!(matches!(error, MatrixError::NotSwapped { .. }), "{error:?}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_harms_while_taking_over_leaves_the_run_as_it_was() {
    let node = TestNode::start().await;
    node.neighbour().await;
    let (rules, next) = (node.program("regime").await, node.program("successor").await);
    let matrices = node.node().matrices();
    let cases = [
        ("refuse", "told to"),
        ("trap", "trapped"),
        ("loop", "call_fuel"),
        ("recurse", "stack"),
        ("hoard", "memory"),
        ("dumb", "trapped"),
    ];
    let mut events = node
        .node()
        .bus()
        .subscribe(Filter::new(&["matrix.swap"], &[""; 0]).expect("a sound filter"), None)
        .expect("room");
    for (word, reason) in cases {
        let (name, before) = regime(&node, rules, word, 2).await;
        let error = matrices.swap(&name, next).await.expect_err("it does harm");
        let error = why(&error);
        println!("{word}: {error}");
        assert!(error.contains(reason) && error.contains(&next.to_string()), "{error}");
        assert!(!error.contains('\u{1b}'), "a reason is one harmless line");
        let dry = matrices.rehearse(&name, next, 1).await.expect_err("it would do harm");
        assert!(why(&dry).contains(reason), "{dry}");
        assert_eq!(matrices.get(&name).expect("it is known"), before);
        let after = matrices.step(&name, 2).await.expect("it goes on");
        assert_eq!((after.tick, after.state), (4, MatrixState::Paused));
        assert_eq!(replayed(&node, &name).await, (4, after.state_hash));
        let told = tokio::time::timeout(PATIENCE, events.next()).await.expect("an event");
        let Item::Event { event, .. } = told else { panic!("an event is missing") };
        assert_eq!(*event.kind, *"matrix.swap-failed");
        assert!(String::from_utf8_lossy(&event.content.body).contains(reason));
        node.assert_lives().await;
    }
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_by_name() {
    let node = TestNode::start().await;
    let rules = node.program("regime").await;
    let (name, before) = regime(&node, rules, "calm", 2).await;
    let matrices = node.node().matrices();
    let cases = [
        (node.program("citizen").await, "not the rules of a Matrix"),
        (node.guest("ipd").await, "it takes 2 to 100 players, and there are 0"),
        (node.program("misrule").await, "schema `regime/1`"),
        (Digest::of(b"nothing"), "no node that is alive has component"),
    ];
    for (other, reason) in cases {
        let error = matrices.swap(&name, other).await.expect_err("it does not fit").to_string();
        assert!(error.contains(reason), "{error}");
    }
    let error = matrices.roll_back(&name).await.expect_err("there is nothing to go back to");
    assert!(why(&error).contains("no others before"), "{error}");
    assert_eq!(matrices.swap(&name, rules).await.expect("they run"), before);
    matrices.stop(&name, None).await.expect("it stops");
    let over = matrices.swap(&name, node.program("successor").await).await;
    assert!(matches!(over, Err(MatrixError::State { .. })), "{over:?}");
    let gone = matrices.swap(&named("nobody"), rules).await;
    assert!(matches!(gone, Err(MatrixError::Unknown(_))), "{gone:?}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_over_goes_on_where_the_others_were_with_their_chance() {
    let node = TestNode::start().await;
    let (rules, next) = (node.program("regime").await, node.program("successor").await);
    let (name, before) = regime(&node, rules, "calm", 3).await;
    let matrices = node.node().matrices();
    let dry = matrices.rehearse(&name, next, 2).await.expect("it would take over");
    let whats: Vec<_> = dry.differences.iter().map(|found| (found.tick, found.what)).collect();
    assert_eq!(
        (dry.from, dry.ticks, whats),
        (1, 2, vec![(2, "signals"), (2, "state"), (3, "signals"), (3, "state")])
    );
    assert_eq!(matrices.get(&name).expect("it is known"), before, "nothing is changed");
    let swapped = matrices.swap(&name, next).await.expect("it takes over");
    assert_eq!((swapped.manifest.rules, swapped.tick, swapped.state), (next, 3, MatrixState::Paused));
    let switch = swapped.switches[0];
    assert_eq!(
        (switch.tick, switch.before, switch.after, switch.state),
        (3, rules, next, swapped.state_hash)
    );
    let after = matrices.step(&name, 2).await.expect("it goes on");
    assert_eq!(replayed(&node, &name).await, (5, after.state_hash));
    let drawn = |text: &[u8]| String::from_utf8_lossy(text).replace(['[', ']', ','], "");
    let (_, seen) = matrices.view(&name).await.expect("a view");
    let seen = drawn(&seen.body);
    let mut seen = seen.split(' ');
    assert_eq!(seen.next(), Some("5"));
    let (first, second) = (seen.next().expect("a draw"), seen.next().expect("another"));
    assert_ne!(first, second, "chance did not begin anew");
    // The layout of the new ones is not known to those before.
    let error = matrices.roll_back(&name).await.expect_err("they do not know it");
    assert!(why(&error).contains("schema `regime/2`"), "{error}");
    let now = matrices.get(&name).expect("it is known");

    let node = node.restart_with(|_| {}).await;
    let matrices = node.node().matrices();
    let again = matrices.step(&name, 0).await.expect("it was brought back");
    assert_eq!((again.tick, again.manifest.rules, &again.switches), (6, next, &now.switches));
    assert_eq!(replayed(&node, &name).await, (6, again.state_hash));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_crash_over_their_own_state_stay_and_those_that_failed_are_mended() {
    let node = TestNode::start().await;
    let (rules, next) = (node.program("regime").await, node.program("successor").await);
    let (name, before) = regime(&node, rules, "calm", 1).await;
    let matrices = node.node().matrices();
    let draft = Draft {
        sender: "client:test".parse().expect("an address"),
        recipient: format!("matrix:{name}").parse().expect("an address"),
        content: Content { content_type: "text/plain".into(), body: "break".into() },
        in_reply_to: None,
        hops: 0,
        trace: None,
    };
    node.node().router().ask(draft, PATIENCE).await.expect("it hears");
    let error = matrices.swap(&name, next).await.expect_err("they crash over their state");
    assert!(why(&error).contains("do not give their state"), "{error}");
    assert_eq!(matrices.get(&name).expect("it is known"), before);
    let after = matrices.step(&name, 1).await.expect("they go on");
    assert_eq!(replayed(&node, &name).await, (2, after.state_hash));

    let (name, failed) = regime(&node, rules, "falls", 5).await;
    assert_eq!((failed.state, failed.tick), (MatrixState::Failed, 2), "{}", failed.reason);
    let other = node.program("misrule").await;
    assert!(matrices.swap(&name, other).await.is_err());
    assert_eq!(matrices.get(&name).expect("it is known"), failed, "it stays as it failed");
    let mended = matrices.swap(&name, next).await.expect("it takes over");
    assert_eq!((mended.state, mended.tick, mended.reason.as_str()), (MatrixState::Paused, 2, ""));
    let after = matrices.step(&name, 3).await.expect("it goes on");
    assert_eq!(replayed(&node, &name).await, (5, after.state_hash));
    node.stop().await;
}
