//! What a Soul costs by the language that it is written in: `echo`, in each.

use std::path::Path;
use std::time::Instant;

use matrix_tests::node::{TestNode, resident_bytes};
use matrixd::clock;
use matrixd::runtime::batch::Batch;
use matrixd::runtime::soul::SoulInstance;
use matrixd::runtime::state::Moment;
use matrixd::telemetry::{Telemetry, TelemetryConfig};

use crate::souls::{born, greeting, row};
use crate::table::{Row, Wanted};

/// The languages, and how the names of their components end.
const LANGUAGES: [(&str, &str); 4] =
    [("Rust", ""), ("C", "-c"), ("JavaScript", "-js"), ("Python", "-python")];
/// Instances that are alive at the same time.
const ALIVE: usize = 32;
/// Messages of one round, one an entry.
const CALLS: usize = 2_000;
/// How long the compiler may take where the bench itself is not optimised, in seconds.
const COMPILE_SECONDS: u64 = 600;

/// What was measured in one round.
#[derive(Debug)]
struct Figures {
    compile_ms: f64,
    birth_us: f64,
    memory_kib: f64,
    call_us: f64,
}

/// Measures it: those languages whose Souls are built.
pub(crate) async fn measure(rounds: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    for (language, end) in LANGUAGES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../guests/out/echo{end}.wasm"));
        let Ok(bytes) = std::fs::read(&path) else {
            eprintln!("  LEFT OUT: {language}: run `make languages`");
            continue;
        };
        let mut figures = Vec::new();
        for round in 0..rounds {
            figures.push(one_round(&bytes, round).await);
            eprintln!("  {language}: {:?}", figures.last());
        }
        let size = vec![bytes.len() as f64 / 1024.0];
        rows.push(row(&format!("echo in {language}: the component"), "KiB", size, Wanted::Nothing));
        let mut add = |what: &str, unit, figure: &dyn Fn(&Figures) -> f64| {
            let ours = figures.iter().map(figure).collect();
            rows.push(row(&format!("echo in {language}: {what}"), unit, ours, Wanted::Nothing));
        };
        add("compiled for the first time", "ms", &|of| of.compile_ms);
        add("created and answered, compiled before", "µs", &|of| of.birth_us);
        add("memory of a live instance", "KiB", &|of| of.memory_kib);
        add("a message of one word, one an entry", "µs", &|of| of.call_us);
    }
    rows
}

async fn one_round(bytes: &[u8], round: usize) -> Figures {
    let node = TestNode::start_with(|config| {
        // Interpreters have several memories, each of which takes a place.
        config.engine.live_instances_max = 8 * ALIVE as u32;
        config.components.compiler.cpu_seconds_max = COMPILE_SECONDS;
        config.components.compiler.wall_seconds_max = COMPILE_SECONDS;
    })
    .await;
    // A custom section, which has a name and says nothing: what was compiled before is of no use.
    let now = u128::from(clock::now_ms());
    let unique = [bytes, &[0, 17, 16], &now.to_le_bytes().map(|byte| byte & 0x7F)].concat();
    let catalog = node.node().catalog();
    let mut upload =
        catalog.components().store().begin_upload(None, None).await.expect("an upload can begin");
    upload.write(unique.into()).await.expect("it is stored");
    let (digest, _) = upload.finish().await.expect("it is whole");
    let (_, compile_us) = catalog.admit(digest, None, None).await.expect("it is compiled");
    let component = &catalog.get(digest).await.expect("it was admitted");

    let telemetry = Telemetry::new(TelemetryConfig::default(), "bench").expect("the default works");
    // The first one pays for what all share.
    let mut alive: Vec<SoulInstance> = vec![born(&node, &telemetry, component).await];
    let (before, began) = (resident_bytes(), Instant::now());
    while alive.len() <= ALIVE {
        alive.push(born(&node, &telemetry, component).await);
    }
    let birth_us = began.elapsed().as_secs_f64() * 1e6 / ALIVE as f64;
    let memory_kib = resident_bytes().saturating_sub(before) as f64 / ALIVE as f64 / 1024.0;
    let (envelope, soul) = (greeting(), &mut alive[0]);
    let began = Instant::now();
    for _ in 0..CALLS {
        let answers = soul.receive(Batch::of([&envelope]), Moment::default()).await;
        assert!(
            answers.is_ok_and(|answers| matches!(&answers[..], [Ok(Some(_))])),
            "round {round}: it echoes"
        );
    }
    let call_us = began.elapsed().as_secs_f64() * 1e6 / CALLS as f64;
    drop(alive);
    // It would be kept for other nodes otherwise.
    catalog.remove(digest).await.expect("nobody uses it");
    node.stop().await;
    Figures { compile_ms: compile_us as f64 / 1e3, birth_us, memory_kib, call_us }
}
