//! Schelling's segregation, beside Mesa's own example, and beside the same model without a node.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use matrix_tests::node::{TestNode, matrix};
use matrixd::ids::Digest;
use matrixd::matrices::MatrixState;
use matrixd::matrices::manifest::MatrixManifest;
use segregation::{Model, Settings};

use crate::bystander::{Bystander, folder};
use crate::table::{Row, Wanted};

/// Steps of one round.
const STEPS: u32 = 20;

/// The share of like neighbours that an agent wants: so high that no run ends within these steps. How a run ended
/// is kept in the KV, on disk, which costs what a put costs and has nothing to do with a step.
const THRESHOLD: f64 = 0.7;

/// Width and height; four cells of five are lived in.
const SIZES: [(u32, u32); 2] = [(25, 50), (100, 100)];

/// Measures it.
pub(crate) async fn measure(rounds: usize, python: &Path) -> Vec<Row> {
    let mut mesa =
        Bystander::start(Command::new(python).arg(folder().join("schelling.py")), "`make bench` installs it");
    let node = TestNode::start().await;
    let rules = node.guest("schelling").await;
    let mut rows = Vec::new();
    for (width, height) in SIZES {
        let (mut ours, mut theirs, mut plain) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..rounds {
            let seed = round as u64 + 1;
            ours.push(on_the_node(&node, rules, (width, height), seed).await * 1e6);
            plain.push(without_a_node((width, height), seed) * 1e6);
            let request = format!("{width} {height} {STEPS} {THRESHOLD} {seed}");
            theirs.extend(mesa.as_mut().map(|mesa| mesa.round(&request) * 1e6));
        }
        let agents = width * height * 4 / 5;
        let row = |other: Option<(&'static str, Vec<f64>)>, wanted| Row {
            what: format!("Schelling, {agents} agents, {STEPS} steps"),
            unit: "µs",
            ours: ours.clone(),
            other,
            wanted,
        };
        rows.push(row(mesa.as_ref().map(|_| ("Mesa", theirs)), Wanted::Times(50.0)));
        rows.push(row(Some(("native Rust", plain)), Wanted::Times(0.5)));
    }
    node.stop().await;
    rows
}

/// Seconds of the steps on a node: asked for, done, written to the run log, answered.
async fn on_the_node(node: &TestNode, rules: Digest, (width, height): (u32, u32), seed: u64) -> f64 {
    let config =
        format!("{{\"width\": {width}, \"height\": {height}, \"density\": 0.8, \"threshold\": {THRESHOLD}}}");
    let matrix = MatrixManifest { seed, ..matrix(&format!("grid-{width}-{seed}"), rules, &config) };
    let name = matrix.name.clone();
    let matrices = node.node().matrices();
    matrices.create(matrix, false, None).await.expect("it is sound");
    let began = Instant::now();
    let stepped = matrices.step(&name, STEPS).await.expect("it is paused");
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!((stepped.state, stepped.tick), (MatrixState::Paused, u64::from(STEPS)), "it goes on");
    matrices.delete(&name, None).await.expect("it is there");
    seconds
}

/// Seconds of the same steps, and of the two figures that the rules tell at each.
fn without_a_node((width, height): (u32, u32), seed: u64) -> f64 {
    let settings = Settings { width, height, density: 0.8, threshold: THRESHOLD, ..Settings::default() };
    let mut model = Model::new(settings, seed).expect("the settings are sound");
    let began = Instant::now();
    let mut sum = 0.0;
    for _ in 0..STEPS {
        model.step();
        sum += model.happiness() + model.similarity();
    }
    let seconds = began.elapsed().as_secs_f64();
    assert!(sum > 0.0);
    seconds
}
