//! What a well-behaved guest may rely on, next door to all the others.

use std::path::{Path, PathBuf};
use std::time::Duration;

use matrix_tests::node::{PATIENCE, TestNode, manifest, matrix, name};
use matrixd::ids::MatrixName;
use matrixd::kv::Consistency;
use matrixd::matrices::{MatrixState, MatrixView};
use matrixd::telemetry::logs::{LogFilter, LogLevel};
use matrixd::transport::bus::{Filter, Item};

#[tokio::test(flavor = "multi_thread")]
async fn settings_topics_and_buckets_work_as_granted() {
    let node = TestNode::start().await;
    node.run("citizen", "citizen", &[("colour", "green")]).await;
    assert_eq!(node.ask("citizen", "setting colour").await.as_deref(), Ok("green"));
    assert_eq!(node.ask("citizen", "setting none").await.as_deref(), Ok(""));
    assert_eq!(node.ask("citizen", "subscribe news").await.as_deref(), Ok("subscribed"));
    node.run("caller", "caller", &[("peer", "citizen")]).await;
    assert_eq!(node.ask("caller", "put key a value").await.as_deref(), Ok("kept"));
    assert_eq!(node.ask("caller", "get key").await.as_deref(), Ok("a value"));
    assert_eq!(node.ask("caller", "ask 5000 ping").await.as_deref(), Ok("pong"));
    // Another Soul of the same component has a bucket of its own.
    node.run("stranger", "caller", &[]).await;
    assert_eq!(node.ask("stranger", "get key").await.as_deref(), Ok(""));
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_costs_neither_time_nor_handles() {
    let node = TestNode::start().await;
    node.neighbour().await;
    // More often than a guest may hold handles.
    assert_eq!(node.ask("neighbour", "nap 5000").await.as_deref(), Ok("awake"));
    assert_eq!(node.view("neighbour").crashes, 0);
    node.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chance_is_the_seeds_and_time_is_the_messages() {
    let mut told = Vec::new();
    for _ in 0..2 {
        let node = TestNode::start().await;
        let digest = node.program("citizen").await;
        let mut chances = Vec::new();
        for (soul, seed) in [("one", 1), ("same", 1), ("other", 2)] {
            let mut manifest = manifest(soul, digest, &[]);
            manifest.seed = seed;
            node.spawn(manifest).await.expect("it starts");
            let moment = node.ask(soul, "moment").await.expect("it answers");
            let (time, chance) = moment.split_once(' ').expect("two words");
            let age = matrixd::clock::now_ms().saturating_sub(time.parse().expect("milliseconds"));
            assert!(age < 60_000, "its time is {age} ms before the message's");
            chances.push(chance.to_owned());
        }
        assert_eq!(chances[0], chances[1]);
        assert_ne!(chances[0], chances[2]);
        told.push(chances);
        node.end().await;
    }
    assert_eq!(told[0], told[1], "another node gives other chances");
}

/// A Matrix on a torus on which it never ends by itself.
const RESTLESS: &str = "{\"width\": 20, \"height\": 20, \"threshold\": 1.0}";

/// The kinds of all events that the node keeps.
async fn kinds(node: &TestNode) -> Vec<String> {
    let mut events = node.node().bus().subscribe(Filter::default(), Some(0)).expect("room");
    let mut kinds = Vec::new();
    while let Ok(Item::Event { event, .. }) = tokio::time::timeout(Duration::ZERO, events.next()).await {
        kinds.push(event.kind.to_string());
    }
    kinds
}

/// How many lines of guests the node keeps.
async fn guest_lines(node: &TestNode) -> usize {
    let mut tail = node.node().logs().tail(LogFilter { source: None, level: LogLevel::Trace }, 1_000);
    let mut found = 0;
    while let Ok(tailed) = tokio::time::timeout(Duration::ZERO, tail.next()).await {
        found += usize::from(tailed.line.text.starts_with("misrule: step "));
    }
    found
}

/// Steps a Matrix that waits, once it has been brought back.
async fn step(node: &TestNode, matrix: &MatrixName, ticks: u32) -> MatrixView {
    let stepped = tokio::time::timeout(PATIENCE, node.node().matrices().step(matrix, ticks)).await;
    stepped.expect("in time").expect("it waits")
}

/// The files of this kind in the folder of the runs.
fn files(runs: &Path, kind: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(runs).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == kind)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_are_brought_back_tell_nothing_twice() {
    // From the log alone, and from a checkpoint after each tick.
    for checkpoint_work_ms in [u64::MAX, 0] {
        let node =
            TestNode::start_with(|config| config.matrices.checkpoint_work_ms = checkpoint_work_ms).await;
        let rules = node.program("misrule").await;
        let manifest = matrix("gossip", rules, "\"gossip later\"");
        let name = manifest.name.clone();
        node.node().matrices().create(manifest, false, None).await.expect("it is sound");
        step(&node, &name, 5).await;
        let told = kinds(&node).await.iter().filter(|kind| *kind == "guest.step.done").count();
        assert_eq!((told, guest_lines(&node).await), (5, 5));
        let node = node.restart_with(|_| {}).await;
        assert_eq!(step(&node, &name, 2).await.tick, 7);
        let told = kinds(&node).await.iter().filter(|kind| *kind == "guest.step.done").count();
        assert_eq!((told, guest_lines(&node).await), (2, 2), "{checkpoint_work_ms}");
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_matrix_comes_to_the_same_state_however_it_is_brought_back() {
    let node = TestNode::start_with(|config| config.matrices.checkpoint_work_ms = 0).await;
    let rules = node.guest("schelling").await;
    let [kept, damaged, twin] = ["kept", "damaged", "twin"].map(|name| matrix(name, rules, RESTLESS));
    let names = [kept.name.clone(), damaged.name.clone(), twin.name.clone()];
    for manifest in [kept, damaged, twin] {
        node.node().matrices().create(manifest, false, None).await.expect("it is sound");
    }
    let [kept, damaged, twin] = &names;
    let never_stopped = step(&node, twin, 40).await;
    let runs = |folder: &Path| folder.join("runs");
    let mut folder = PathBuf::new();
    step(&node, kept, 30).await;
    step(&node, damaged, 30).await;
    let left = "01BX5ZZKBKACTAV9WEVGEMMVRZ.log";
    let node = node
        .restart_with(|config| {
            folder = runs(&config.data_dir);
            assert_eq!((files(&folder, "log").len(), files(&folder, "checkpoint").len()), (3, 3));
            std::fs::write(folder.join(left), b"of a Matrix that was never recorded").expect("written");
        })
        .await;
    assert!(!folder.join(left).exists(), "a run that no Matrix names is not kept");
    assert_eq!(step(&node, kept, 5).await.tick, 35);
    let node = node
        .restart_with(|config| {
            for checkpoint in files(&runs(&config.data_dir), "checkpoint") {
                let mut bytes = std::fs::read(&checkpoint).expect("a file");
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                std::fs::write(&checkpoint, bytes).expect("written");
            }
        })
        .await;
    for (name, ticks) in [(kept, 5), (damaged, 10)] {
        let view = step(&node, name, ticks).await;
        assert_eq!((view.state, view.tick), (MatrixState::Paused, never_stopped.tick), "{name}");
        assert_eq!(
            (view.state_hash, view.signals),
            (never_stopped.state_hash, never_stopped.signals.clone())
        );
        let mut replay = node.node().matrices().replay(name).expect("it is known");
        let mut last = None;
        while let Some(progress) = replay.recv().await {
            last = Some(progress.expect("it can be gone through"));
        }
        let last = last.expect("a report");
        assert_eq!((last.done, last.tick, last.first_difference), (true, 40, None), "every tick is proven");
    }
    for name in &names {
        node.node().matrices().delete(name, None).await.expect("it is there");
    }
    assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 0, "what is deleted leaves nothing");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soul_that_is_deleted_takes_its_bucket_along() {
    let node = TestNode::start().await;
    node.run("caller", "caller", &[]).await;
    assert_eq!(node.ask("caller", "put key secret").await.as_deref(), Ok("kept"));
    node.node().souls().checkpoint(&name("caller")).await.expect("it can be saved");
    node.node().souls().delete(&name("caller"), None).await.expect("it is there");
    for bucket in ["soul/caller", "sys/checkpoints", "sys/souls"] {
        let page = node.node().kv().range(bucket, b"", None, 9, Consistency::Linearizable).await;
        assert!(page.expect("a bucket").entries.is_empty(), "{bucket}");
    }
    node.run("caller", "caller", &[]).await;
    assert_eq!(node.ask("caller", "get key").await.as_deref(), Ok(""), "who comes next inherits nothing");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_was_cut_off_is_gone_on_with() {
    let node = TestNode::start().await;
    node.run("caller", "caller", &[]).await;
    assert_eq!(node.ask("caller", "put key secret").await.as_deref(), Ok("kept"));
    // As a node leaves it that is killed after the first step.
    let kv = node.node().kv().clone();
    let record =
        kv.get("sys/souls", b"caller", Consistency::Linearizable).await.expect("a KV").expect("a record");
    let record = String::from_utf8(record.value.to_vec()).expect("JSON");
    let deleted = record.replace("\"state\":\"running\"", "\"state\":\"deleted\"");
    assert_ne!(record, deleted);
    kv.put("sys/souls", b"caller", deleted.into(), None, None).await.expect("room");
    drop(kv);
    let node = node.restart_with(|_| {}).await;
    assert!(node.node().souls().get(&name("caller")).is_err());
    for bucket in ["soul/caller", "sys/checkpoints", "sys/souls"] {
        let page = node.node().kv().range(bucket, b"", None, 9, Consistency::Linearizable).await;
        assert!(page.expect("a bucket").entries.is_empty(), "{bucket}");
    }
    node.stop().await;
}
