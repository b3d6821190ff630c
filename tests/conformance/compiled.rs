//! What a node has compiled is not compiled again to be checked.

use std::path::Path;

use matrix_tests::node::built;
use matrixd::bench::{Bench, BenchConfig};
use matrixd::runtime::compile::{CHILD_COMMAND, CompilerConfig};
use matrixd::runtime::limits::LimitsConfig;

use crate::guest;

/// A bench in this folder, whose compiler is this program.
async fn bench(folder: &Path, program: &Path) -> Bench {
    let (program, arguments) = (program.to_owned(), vec![CHILD_COMMAND.into()]);
    let compiler = CompilerConfig { program, arguments, ..CompilerConfig::default() };
    let limits = LimitsConfig::default();
    Bench::open(BenchConfig { folder: folder.to_owned(), compiler, limits })
        .await
        .expect("a folder of a bench")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_compiled_elsewhere_is_taken_and_nothing_else() {
    let folder = || tempfile::tempdir().expect("a folder");
    let (there, here, one, other) = (folder(), folder(), guest("counter"), guest("echo"));
    let node = bench(there.path(), &built("matrix-check")).await;
    for component in [&one, &other] {
        node.load(component.clone()).await.expect("a component");
    }
    node.close().await;
    for _ in 0..2 {
        Bench::take_compiled(there.path(), here.path(), Some(&one)).expect("it is our own");
    }
    let bench = bench(here.path(), Path::new("/nowhere")).await;
    bench.load(one).await.expect("it is compiled");
    let refused = bench.load(other).await.expect_err("nobody compiles it");
    assert!(refused.to_string().contains("/nowhere"), "{refused}");
    bench.close().await;
}
