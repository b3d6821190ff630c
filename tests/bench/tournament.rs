//! A round robin of 24 strategies, every match of 200 turns, beside Axelrod-Python: each player is a Soul of
//! its own, and the rules are a component.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use dilemma::strategies::Strategy;
use matrix_tests::node::{TestNode, manifest, matrix, name};
use matrixd::matrices::manifest::MatrixManifest;

use crate::bystander::{Bystander, folder};
use crate::table::{Row, Wanted};

/// Turns of one match.
const TURNS: u32 = 200;

/// The players, as both programs call them.
const STRATEGIES: [&str; 24] = Strategy::NAMES;

/// Measures it.
pub(crate) async fn measure(rounds: usize, python: &Path) -> Vec<Row> {
    let mut axelrod = Bystander::start(
        Command::new(python).arg(folder().join("tournament.py")).arg(TURNS.to_string()).args(STRATEGIES),
        "`make bench` installs it",
    );
    let node = TestNode::start().await;
    let strategist = node.guest("strategist").await;
    for (place, strategy) in STRATEGIES.iter().enumerate() {
        let settings = [("strategy", *strategy), ("turns", "200")];
        let player = manifest(&soul(place), strategist, &settings);
        node.spawn(player).await.expect("every strategy is known");
    }
    let rules = node.guest("ipd").await;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let config = format!("{{\"turns\": {TURNS}, \"self_play\": true}}");
        let matrix = MatrixManifest {
            players: (0..STRATEGIES.len()).map(|place| name(&soul(place))).collect(),
            tick_deadline_ms: 10_000,
            ..matrix(&format!("round-{round}"), rules, &config)
        };
        let name = matrix.name.clone();
        let matrices = node.node().matrices();
        matrices.create(matrix, false, None).await.expect("it is sound");
        let began = Instant::now();
        matrices.run(&name, None).await.expect("it is paused");
        let done = matrices.wait(&name).await.expect("it ends");
        ours.push(began.elapsed().as_secs_f64() * 1e3);
        assert_eq!(done.tick, u64::from(TURNS), "{}", done.reason);
        theirs.extend(axelrod.as_mut().map(|axelrod| axelrod.round("") * 1e3));
    }
    node.stop().await;
    vec![Row {
        what: "tournament, 24 players, 300 matches, 200 turns".into(),
        unit: "ms",
        ours,
        other: axelrod.map(|_| ("Axelrod-Python", theirs)),
        wanted: Wanted::Times(10.0),
    }]
}

fn soul(place: usize) -> String {
    format!("player-{place}")
}
