//! What a well-behaved Soul notices of others that never return: how long its answers take when nothing
//! else runs, and beside six that loop or copy memory, are cut off, and begin again.

use std::time::Duration;

use matrix_tests::node::{TestNode, manifest};

use crate::table::{Row, Wanted};

/// Souls that do not return.
const HOSTILE: usize = 6;
/// What each of them is told, again and again: more often than there is time for.
const MESSAGES: usize = 200;
/// How long one round takes.
const ROUND: Duration = Duration::from_secs(2);

/// Which program is told what: `rogue` runs on the caller's stack, `caller` on one of its own.
const CASES: [(&str, &str, &str); 5] = [
    ("quiet", "", ""),
    ("beside 6 loops", "rogue", "loop"),
    ("beside 6 that copy memory", "rogue", "copy"),
    ("beside 6 loops on fibers", "caller", "loop"),
    ("beside 6 that copy memory, on fibers", "caller", "copy"),
];

/// Measures it.
pub(crate) async fn measure(rounds: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    for (what, program, word) in CASES {
        let (mut half, mut most) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let node = TestNode::start_with(|config| {
                // As it is where nobody sets anything; what is cut off begins again at once.
                config.limits.default.call_ms = 250;
                config.souls.restart.pause_ms_max = 1;
                config.souls.restart.crashes_max = usize::MAX;
            })
            .await;
            node.neighbour().await;
            if !program.is_empty() {
                beset(&node, program, word).await;
            }
            let ((), latencies) = node.pings_during(tokio::time::sleep(ROUND)).await;
            eprintln!("  {what}: {latencies}");
            half.push(latencies.within(50).as_secs_f64() * 1e6);
            most.push(latencies.within(99).as_secs_f64() * 1e6);
            drop(node);
        }
        for (which, ours) in [("median", half), ("p99", most)] {
            let what = format!("a neighbour's answer, {which}, {what}");
            rows.push(Row { what, unit: "µs", ours, other: None, wanted: Wanted::Nothing });
        }
    }
    rows
}

/// Spawns the hostile Souls, and gives each more to do than it will live to do.
async fn beset(node: &TestNode, program: &str, word: &'static str) {
    let component = node.program(program).await;
    for number in 0..HOSTILE {
        let soul = format!("{program}-{number}");
        node.spawn(manifest(&soul, component, &[])).await.expect("it behaves until told");
        for _ in 0..MESSAGES {
            node.send(&soul, word.into()).expect("there is room in its mailbox");
        }
    }
}
