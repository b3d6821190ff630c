//! Components: what is read of them, and what compiling them may take.

use matrix_label::{Label, PRODUCERS_MAX, Producer, TEXT_BYTES_MAX, carrying};
use matrix_tests::by_hand::ByHand;
use matrix_tests::node::{PATIENCE, TestNode};
use matrix_tests::realm::until;
use matrixd::runtime::compile::CompilerConfig;
use matrixd::runtime::components::ComponentsConfig;
use matrixd::runtime::inspect::InspectLimits;

use super::names;
use crate::bombs::laborious;

/// Bytes of the key beside compiled functions.
const KEY_BYTES: u64 = 32;

/// Uploads a component to a node with these settings, which refuses it and keeps nothing of it; the error.
async fn refused(bytes: &[u8], change: impl FnOnce(&mut ComponentsConfig)) -> String {
    let node = TestNode::start_with(|config| change(&mut config.components)).await;
    let error = node.upload(bytes).await.expect_err("it is refused");
    assert!(node.node().catalog().components().store().list().is_empty(), "its bytes were kept");
    node.end().await;
    error
}

/// The same, for a limit of what is read.
async fn inspected(by_hand: ByHand, limit: &str, change: impl FnOnce(&mut InspectLimits)) {
    let error = refused(&by_hand.build(), |config| change(&mut config.inspect)).await;
    names(error, &format!("limit `{limit}`"));
}

/// A Soul that keeps every rule.
fn sound() -> ByHand {
    ByHand::default()
}

/// The same, with more in its core module.
fn with(fields: impl Into<String>) -> ByHand {
    ByHand { fields: fields.into(), ..sound() }
}

pub(crate) async fn core_instances() {
    inspected(sound(), "core_instances_max", |limits| limits.core_instances_max = 0).await;
}

pub(crate) async fn memories() {
    inspected(with("(memory 1)".repeat(4)), "memories_max", |_| {}).await;
}

pub(crate) async fn tables() {
    inspected(with("(table 1 funcref)".repeat(21)), "tables_max", |_| {}).await;
}

pub(crate) async fn program_bytes() {
    let (bytes, max) = (sound().build(), InspectLimits::default().program_bytes_max as usize);
    let carrying = carrying(&bytes, &vec![0; max + 1]).expect("it is a component");
    let error = refused(&carrying, |_| {}).await;
    names(error, "limit `program_bytes_max`");
}

pub(crate) async fn nesting() {
    inspected(sound(), "nesting_max", |limits| limits.nesting_max = 0).await;
}

pub(crate) async fn modules() {
    inspected(sound(), "modules_max", |limits| limits.modules_max = 0).await;
}

pub(crate) async fn component_instances() {
    inspected(sound(), "instances_max", |limits| limits.instances_max = 1).await;
}

pub(crate) async fn functions() {
    inspected(sound(), "functions_max", |limits| limits.functions_max = 5).await;
}

pub(crate) async fn function_bytes() {
    inspected(sound(), "function_bytes_max", |limits| limits.function_bytes_max = 10).await;
}

pub(crate) async fn br_table_targets() {
    let table = format!("(func (br_table {} (i32.const 0)))", "0 ".repeat(20));
    inspected(with(table), "br_table_targets_max", |limits| limits.br_table_targets_max = 10).await;
}

pub(crate) async fn types() {
    inspected(sound(), "types_max", |limits| limits.types_max = 3).await;
}

pub(crate) async fn type_bytes() {
    inspected(sound(), "type_bytes_max", |limits| limits.type_bytes_max = 10).await;
}

pub(crate) async fn entries() {
    inspected(sound(), "entries_max", |limits| limits.entries_max = 3).await;
}

pub(crate) async fn memory_min_bytes() {
    inspected(sound(), "memory_min_bytes_max", |limits| limits.memory_min_bytes_max = 1 << 16).await;
}

/// What a node takes a component for that says so much of itself.
async fn labelled(label: Label) -> Label {
    let node = TestNode::start().await;
    let digest = node.upload(&label.write(&sound().build()).expect("a component")).await;
    let record = node.node().catalog().record(digest.expect("it is taken in")).await.expect("the KV answers");
    let read = record.expect("it is known").info.label;
    node.end().await;
    read
}

pub(crate) async fn label_bytes() {
    let read = labelled(Label { description: "x".repeat(1 << 20), ..Label::default() }).await;
    assert_eq!(read.description, "x".repeat(TEXT_BYTES_MAX));
}

pub(crate) async fn label_producers() {
    let one =
        |number: usize| Producer { role: "sdk".to_owned(), name: number.to_string(), version: String::new() };
    let producers = (0..10_000).map(one).collect();
    let read = labelled(Label { producers, ..Label::default() }).await;
    assert_eq!(read.producers.len(), PRODUCERS_MAX);
}

pub(crate) async fn component_bytes() {
    let error = refused(&sound().build(), |config| config.inspect.component_bytes_max = 100).await;
    names(error, "component_bytes_max");
}

pub(crate) async fn components_bytes() {
    let error = refused(&sound().build(), |config| config.total_bytes_max = 100).await;
    names(error, "total_bytes_max");
}

pub(crate) async fn components() {
    let node = TestNode::start_with(|config| config.components.components_max = 1).await;
    node.upload(&sound().build()).await.expect("there is room");
    let other = with("(func)").build();
    names(node.upload(&other).await.expect_err("there is one already"), "components_max");
    node.end().await;
}

pub(crate) async fn uploads() {
    let node = TestNode::start_with(|config| config.components.uploads_max = 1).await;
    let store = node.node().catalog().components().store();
    let first = store.begin_upload(None, None).await.expect("there is a place");
    names(store.begin_upload(None, None).await.map(drop).expect_err("there is no other"), "uploads_max");
    drop(first);
    node.end().await;
}

/// Has something compiled that takes long, under these limits; the error.
async fn compiled(change: impl FnOnce(&mut CompilerConfig)) -> String {
    refused(&laborious(100, 8_000), |config| change(&mut config.compiler)).await
}

pub(crate) async fn compile_memory_bytes() {
    names(compiled(|limits| limits.memory_bytes_max = 200 << 20).await, "memory_bytes_max");
}

pub(crate) async fn compile_cpu_seconds() {
    names(compiled(|limits| limits.cpu_seconds_max = 1).await, "cpu_seconds_max");
}

pub(crate) async fn compile_wall_seconds() {
    names(compiled(|limits| limits.wall_seconds_max = 1).await, "wall_seconds_max");
}

pub(crate) async fn compile_output_bytes() {
    let error = refused(&sound().build(), |config| config.compiler.output_bytes_max = 1_000).await;
    names(error, "output_bytes_max");
}

pub(crate) async fn compile_functions_bytes() {
    const MAX: u64 = 4 << 10;
    let folder = tempfile::tempdir().expect("a folder");
    let node = TestNode::start_with(|config| {
        config.components.compiler.functions_bytes_max = MAX;
        config.components.compiler.functions_dir = Some(folder.path().to_owned());
    })
    .await;
    let files = |of: &std::path::Path| {
        let files = std::fs::read_dir(of).expect("a folder of functions");
        let files = files.map(|file| file.and_then(|file| file.metadata()).expect("a file"));
        files.filter(std::fs::Metadata::is_file).map(|file| file.len()).collect::<Vec<_>>()
    };
    let (kept, whole) = (|| files(folder.path()), || files(&folder.path().join("whole")));
    for number in 1..8 {
        // No function is like one of the component before.
        node.upload(&laborious(1, 1_000 + number)).await.expect("a component");
        assert!(kept().iter().sum::<u64>() <= MAX + KEY_BYTES, "{:?}", kept());
        assert!(whole().iter().sum::<u64>() <= MAX, "{:?}", whole());
    }
    assert!(kept().iter().sum::<u64>() > MAX / 4, "{:?}", kept());
    node.end().await;
}

pub(crate) async fn compile_waiting() {
    let node = TestNode::start_with(|config| {
        (config.components.compiler.waiting_max, config.components.compiler.wall_seconds_max) = (0, 3);
    })
    .await;
    let slow = laborious(100, 8_000);
    let mut slow = Box::pin(node.upload(&slow));
    let compiled = node.socket().with_file_name("compiled");
    let is_compiled = || async {
        let mut files = std::fs::read_dir(&compiled).expect("a folder");
        files.find(|file| file.as_ref().is_ok_and(|file| file.path().extension() == Some("part".as_ref())))
    };
    tokio::select! {
        _ = &mut slow => panic!("it was over before it was compiled"),
        _ = until("the child writes what it brings", PATIENCE, is_compiled) => {}
    }
    // It keeps the other from its turn, for as long as it may.
    let other = sound().build();
    tokio::select! {
        biased;
        _ = &mut slow => panic!("it was over before anybody waited"),
        refused = node.upload(&other) => names(refused.expect_err("it was refused"), "waiting_max"),
    }
    names((&mut slow).await.expect_err("it takes too long"), "wall_seconds_max");
    drop(slow);
    node.end().await;
}
