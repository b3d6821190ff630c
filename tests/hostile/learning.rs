//! Souls that learn: what makes them worse, or crashes over them, is not kept, and they notice nothing of it.

use matrix_tests::node::{TestNode, manifest, name};
use matrixd::kv::RequestId;
use matrixd::learning::{Lesson, New, Progress, Verdict};
use matrixd::runtime::learner::Source;
use matrixd::souls::manifest::{Durability, Mode};
use matrixd::souls::training::{Training, TrainingMode};

/// So many experiences of a word, with numbers near this one.
fn about(word: &str, number: f64, count: usize) -> Vec<New> {
    let one = |place: usize| New {
        source: Source::User,
        by: "tests".into(),
        about: String::new(),
        input: word.to_owned().into(),
        output: format!("{:.3}", number + (place as f64) / 1_000.0).into(),
        reward: None,
        at_ms: 1,
    };
    (0..count).map(one).collect()
}

/// Of all words, red and blue are taught, of which a fifth is held out.
fn training() -> Training {
    Training { manual: true, held_out_percent: Some(20), ..Training::default() }
}

async fn pupil(node: &TestNode, change: impl FnOnce(&mut matrixd::souls::manifest::Manifest)) {
    let mut pupil = manifest("pupil", node.program("pupil").await, &[]);
    pupil.learning = training();
    change(&mut pupil);
    node.spawn(pupil).await.expect("it comes to life");
}

/// Teaches, asks for a lesson, and waits for the event of this kind that tells what came of it.
async fn lesson(node: &TestNode, experiences: Vec<New>, kind: &str) -> Lesson {
    let (mut watch, learning) = (node.watch("pupil"), node.node().learning());
    learning.teach(&name("pupil"), experiences, None).await.expect("it is taken");
    learning.train(&name("pupil")).await.expect("it is asked");
    let event = watch.event(kind).await;
    serde_json::from_slice(&event.content.body).expect("a lesson")
}

async fn progress(node: &TestNode) -> Progress {
    node.node().learning().progress(&name("pupil")).await.expect("it is known")
}

/// What the pupil thinks of a word.
async fn thinks(node: &TestNode, word: &str) -> f64 {
    let said = node.ask("pupil", &format!("about {word}")).await.expect("it answers");
    said.parse().expect("a number")
}

fn both(red: f64, blue: f64) -> Vec<New> {
    [about("red", red, 100), about("blue", blue, 100)].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_learnt_outlives_the_node_and_what_misleads_is_not_kept() {
    let node = TestNode::start().await;
    pupil(&node, |_| {}).await;
    let first = lesson(&node, both(3.0, 5.0), "soul.trained").await;
    assert_eq!((first.number, first.first, first.last, first.verdict), (1, 1, 200, Verdict::Kept));
    assert!(first.held_out > 20 && first.trained + first.held_out == 200, "{first:?}");
    assert!(first.state.is_some() && first.parent != first.state, "{first:?}");
    assert!(
        (thinks(&node, "red").await - 3.1).abs() < 0.1 && (thinks(&node, "blue").await - 5.1).abs() < 0.1
    );

    // Its labels are wrong, and its own held-out share with them: what was held out before judges it.
    let misled = lesson(&node, both(1_000.0, -1_000.0), "soul.training-rejected").await;
    assert_eq!((misled.verdict, misled.state), (Verdict::Rejected, None));
    assert!(misled.reason.contains("`loss` on what was held out went from"), "{}", misled.reason);
    assert!((thinks(&node, "red").await - 3.1).abs() < 0.1, "it was misled");
    let after = progress(&node).await;
    assert_eq!((after.waiting(), after.lessons.count), (0, 2), "it is not tried again");

    // What follows is learnt, and judged by nothing of what was rejected.
    let third = lesson(&node, both(3.0, 5.0), "soul.trained").await;
    assert_eq!((third.number, third.first, third.parent), (3, 401, first.state));
    let node = node.restart_with(|_| {}).await;
    assert!(
        (thinks(&node, "red").await - 3.1).abs() < 0.1 && (thinks(&node, "blue").await - 5.1).abs() < 0.1
    );
    assert_eq!(progress(&node).await.lessons.count, 3);
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_fails_over_a_lesson_harms_nobody() {
    let node = TestNode::start_with(|config| config.learning.call_ms = 200).await;
    node.neighbour().await;
    pupil(&node, |_| {}).await;
    lesson(&node, both(3.0, 5.0), "soul.trained").await;
    let before = thinks(&node, "red").await;
    for (number, (misdeed, reason)) in (2..).zip([
        ("trap", "`train` trapped"),
        ("loop", "`train` ran longer"),
        ("recurse", "`train` used up its stack"),
        ("refuse", "`train` refused: told to"),
        ("diverge", "which is not a number"),
    ]) {
        // Of several, one at least is not held out.
        let misdeed = format!("do {misdeed}");
        let failed = lesson(&node, about(&misdeed, 1.0, 20), "soul.training-rejected").await;
        assert_eq!((failed.number, failed.verdict), (number, Verdict::Failed), "{misdeed}");
        assert!(failed.reason.contains(reason), "{misdeed}: {}", failed.reason);
        assert_eq!(thinks(&node, "red").await, before, "{misdeed}");
    }
    let forgetful = lesson(&node, about("do forget", 1.0, 20), "soul.training-rejected").await;
    assert_eq!(forgetful.verdict, Verdict::Rejected, "{forgetful:?}");
    let after = progress(&node).await;
    assert_eq!((after.waiting(), node.view("pupil").crashes), (0, 0));
    node.assert_lives().await;
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soul_whose_state_changes_all_the_time_is_trained_in_its_place() {
    let node = TestNode::start().await;
    pupil(&node, |_| {}).await;
    let noted = async {
        loop {
            node.ask("pupil", "note").await.expect("it answers");
        }
    };
    let slow = || [about("red", 3.0, 30), about("do slow", 1.0, 10)].concat();
    let delayed = lesson_delayed(&node, slow());
    let reason = tokio::select! {
        reason = delayed => reason,
        () = noted => unreachable!("it goes on for ever"),
    };
    assert!(reason.contains("in-place"), "{reason}");
    assert_eq!(progress(&node).await.lessons.delayed, reason);
    // The same, told to wait.
    let before: u64 = node.ask("pupil", "note").await.expect("it answers").parse().expect("a number");
    pupil(&node, |pupil| pupil.learning.mode = TrainingMode::InPlace).await;
    let noted = async {
        loop {
            node.ask("pupil", "note").await.expect("it answers");
        }
    };
    let trained = tokio::select! {
        lesson = lesson(&node, about("red", 3.0, 1), "soul.trained") => lesson,
        () = noted => unreachable!("it goes on for ever"),
    };
    assert_eq!((trained.verdict, trained.first, progress(&node).await.waiting()), (Verdict::Kept, 1, 0));
    let after: u64 = node.ask("pupil", "note").await.expect("it answers").parse().expect("a number");
    assert!(after > before && thinks(&node, "red").await > 2.5, "what it was told meanwhile is lost");
    node.end().await;
}

async fn lesson_delayed(node: &TestNode, experiences: Vec<New>) -> String {
    let (mut watch, learning) = (node.watch("pupil"), node.node().learning());
    learning.teach(&name("pupil"), experiences, None).await.expect("it is taken");
    learning.train(&name("pupil")).await.expect("it is asked");
    let event = watch.event("soul.training-delayed").await;
    let told: serde_json::Value = serde_json::from_slice(&event.content.body).expect("a reason");
    // It is written down right after it is told.
    while progress(node).await.lessons.delayed.is_empty() {
        tokio::task::yield_now().await;
    }
    told["reason"].as_str().expect("a text").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soul_that_keeps_its_turns_keeps_what_it_learns() {
    let node = TestNode::start().await;
    pupil(&node, |pupil| pupil.durability = Durability { mode: Mode::Turn, ..Durability::default() }).await;
    assert_eq!(node.ask("pupil", "note").await.as_deref(), Ok("1"));
    lesson(&node, both(3.0, 5.0), "soul.trained").await;
    assert_eq!(node.ask("pupil", "note").await.as_deref(), Ok("2"));
    let node = node.restart_with(|_| {}).await;
    assert_eq!(node.ask("pupil", "note").await.as_deref(), Ok("3"));
    assert!((thinks(&node, "red").await - 3.1).abs() < 0.1);
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soul_is_trained_by_itself_once_enough_waits_and_forgets_all_with_its_end() {
    let node = TestNode::start().await;
    pupil(&node, |pupil| {
        let every_seconds = u32::MAX;
        pupil.learning = Training { manual: false, every_experiences: 50, every_seconds, ..training() };
    })
    .await;
    let (mut watch, learning) = (node.watch("pupil"), node.node().learning());
    let request = Some(RequestId([1; 16]));
    for _ in 0..2 {
        learning.teach(&name("pupil"), about("red", 3.0, 49), request).await.expect("it is taken, once");
    }
    assert_eq!(progress(&node).await.waiting(), 49);
    learning.teach(&name("pupil"), about("red", 3.0, 1), None).await.expect("it is taken");
    watch.event("soul.trained").await;
    assert_eq!(progress(&node).await.waiting(), 0);
    node.node().souls().delete(&name("pupil"), None).await.expect("it is there");
    assert!(learning.progress(&name("pupil")).await.is_err());
    assert!(learning.teach(&name("pupil"), about("red", 3.0, 1), None).await.is_err());
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soul_is_given_back_what_it_learnt_before() {
    let node = TestNode::start().await;
    pupil(&node, |pupil| pupil.learning.tolerance = Some(1e9)).await;
    let first = lesson(&node, both(3.0, 5.0), "soul.trained").await;
    let second = lesson(&node, both(30.0, 50.0), "soul.trained").await;
    assert!(thinks(&node, "red").await > 30.0);
    assert!(node.node().learning().restore(&name("pupil"), 7).await.is_err(), "there is no such lesson");
    let mut watch = node.watch("pupil");
    node.node().learning().restore(&name("pupil"), first.number).await.expect("its state is kept");
    let event = watch.event("soul.restored").await;
    let restored: Lesson = serde_json::from_slice(&event.content.body).expect("a lesson");
    assert_eq!((restored.number, restored.verdict, restored.state), (3, Verdict::Restored, first.state));
    assert!((thinks(&node, "red").await - 3.1).abs() < 0.1);
    let node = node.restart_with(|_| {}).await;
    assert!((thinks(&node, "red").await - 3.1).abs() < 0.1, "it is durable, and given once");
    let after = progress(&node).await;
    assert_eq!((after.waiting(), after.lessons.count, after.lessons.seen), (0, 3, second.last));
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soul_that_cannot_learn_says_so() {
    let node = TestNode::start().await;
    node.run("pupil", "citizen", &[]).await;
    let reason = lesson_delayed(&node, about("red", 3.0, 1)).await;
    assert!(reason.contains("does not export `learner`"), "{reason}");
    assert_eq!(progress(&node).await.waiting(), 1);
    node.end().await;
}
