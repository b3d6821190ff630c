//! A bench needs no node, and has its limits.

use super::*;
use crate::runtime::compile::tests::config as compiler;

async fn bench() -> (tempfile::TempDir, Bench) {
    let folder = tempfile::tempdir().expect("a folder");
    let (folder_path, limits) = (folder.path().to_owned(), LimitsConfig::default());
    let config = BenchConfig { folder: folder_path, compiler: compiler(), limits };
    (folder, Bench::open(config).await.expect("an empty folder"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_would_refuse_does_not_come_to_the_bench() {
    let (_folder, bench) = bench().await;
    let refused = bench.load(Bytes::from_static(b"\0asm\x01\0\0\0")).await.expect_err("a core module");
    assert!(matches!(&refused, BenchError::Component(_)), "{refused}");
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_kv_answers_nothing() {
    let (_folder, bench) = bench().await;
    let lost = bench.kv(true).await.expect("it was opened");
    assert!(lost.delete("bench", b"key", None).await.is_err());
    assert!(bench.kv(false).await.expect("it is open").delete("bench", b"key", None).await.is_ok());
    bench.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_given_once() {
    let (_folder, bench) = bench().await;
    assert_ne!(bench.fresh_name(), bench.fresh_name());
    bench.close().await;
}
