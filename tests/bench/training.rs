//! What a Soul that is trained notices of it: how long its answers take, asked a thousand times a second, while a copy of
//! it learns for as long, and while none does.

use std::time::Instant;

use matrix_tests::node::{TestNode, manifest, name};
use matrixd::learning::New;
use matrixd::runtime::learner::Source;
use matrixd::souls::training::Training;

use crate::table::{Row, Wanted};

/// Experiences of one lesson, each of which takes the copy some milliseconds: some seconds together.
const EXPERIENCES: usize = 600;

/// Measures it.
pub(crate) async fn measure(rounds: usize) -> Vec<Row> {
    let (mut trained, mut quiet, mut took) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()], Vec::new());
    for _ in 0..rounds {
        let node = TestNode::start().await;
        let mut pupil = manifest("pupil", node.program("pupil").await, &[]);
        pupil.learning = Training { manual: true, batch: 1_000, ..Training::default() };
        node.spawn(pupil).await.expect("it comes to life");
        let began = Instant::now();
        let ((), beside) = node.answers_during("pupil", "about red", lesson(&node)).await;
        let lasted = began.elapsed();
        let ((), alone) = node.answers_during("pupil", "about red", tokio::time::sleep(lasted)).await;
        eprintln!("  trained for {lasted:.1?}: {beside}; otherwise: {alone}");
        for (figures, latencies) in [(&mut trained, beside), (&mut quiet, alone)] {
            for (figures, percent) in figures.iter_mut().zip([50, 99]) {
                figures.push(latencies.within(percent).as_secs_f64() * 1e6);
            }
        }
        took.push(lasted.as_secs_f64());
        node.end().await;
    }
    let mut rows: Vec<_> = std::iter::zip(["median", "p99"], std::iter::zip(trained, quiet))
        .map(|(which, (ours, alone))| Row {
            what: format!("answer of a Soul asked 1,000 times a second while it is trained, {which}"),
            unit: "µs",
            ours,
            other: Some(("untrained", alone)),
            wanted: if which == "p99" { Wanted::Times(0.5) } else { Wanted::Nothing },
        })
        .collect();
    let what = "a lesson meanwhile".to_owned();
    rows.push(Row { what, unit: "s", ours: took, other: None, wanted: Wanted::Nothing });
    rows
}

/// Teaches, and waits until it is learnt.
async fn lesson(node: &TestNode) {
    let experience = |place: usize| New {
        source: Source::Api,
        by: "bench".into(),
        about: String::new(),
        input: "do slow".into(),
        output: place.to_string().into(),
        reward: None,
        at_ms: 1,
    };
    let (mut watch, learning) = (node.watch("pupil"), node.node().learning());
    let experiences = (0..EXPERIENCES).map(experience).collect();
    learning.teach(&name("pupil"), experiences, None).await.expect("it is taken");
    learning.train(&name("pupil")).await.expect("it is asked");
    watch.event("soul.trained").await;
}
