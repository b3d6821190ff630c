//! Ten thousand Souls that are asked all the while get new code by a rollout, beside ten thousand processes of
//! Erlang/OTP whose code is changed under the same load by its release handler. Nothing may be lost, doubled or
//! overtaken on either side, and the state has to go over: each counts what it was asked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use futures::future::join_all;
use matrix_tests::node::{TestNode, manifest};
use matrixd::ids::Digest;
use matrixd::rollout::{self, Plan, Step, Tally};
use matrixd::transport::bus::{Filter, Item, Subscription};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::asker::Asker;
use crate::bystander::{Bystander, folder};
use crate::table::{Row, Wanted};

/// Souls that get new code, all of them alive.
const SOULS: usize = 10_000;
/// Instances that the node may hold beside them: new code is born before the old one goes.
const NEW_CODE: usize = 400;
/// In which time all are asked once: 20,000 questions a second.
const ROUND: Duration = Duration::from_millis(500);
/// How long nothing happens, to see what the load alone does.
const QUIET: Duration = Duration::from_secs(2);
/// Souls that are spawned, or asked, at the same time, while nothing is measured.
const AT_ONCE: usize = 256;
/// What is told of the longest answers and the times held up: percent of the Souls, and in words.
const SHARES: [(usize, &str); 3] = [(50, "median"), (99, "p99"), (100, "the longest")];
/// The shares in [`SHARES`] that are compared.
const COMPARED: usize = 99;

/// What was measured in one round, in seconds; of each share.
#[derive(Debug, Default)]
struct Figures {
    quiet: [f64; SHARES.len()],
    answers: [f64; SHARES.len()],
    held: [f64; SHARES.len()],
    /// Until all had the new code.
    took: f64,
    /// Transactions and syncs of the KV meanwhile.
    kv: (u64, u64),
}

/// Measures it.
pub(crate) async fn measure(rounds: usize) -> Vec<Row> {
    let erlang = Erlang::compiled();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(roll_out().await);
        theirs.extend(erlang.as_ref().and_then(Erlang::upgrade));
        eprintln!("  {:?}\n  {:?}", ours.last(), theirs.last());
    }
    let row = |what: String, unit, scale: f64, figure: &dyn Fn(&Figures) -> f64, wanted| {
        let figures = |of: &[Figures]| of.iter().map(|of| figure(of) * scale).collect::<Vec<_>>();
        let other = (!theirs.is_empty()).then(|| ("Erlang/OTP", figures(&theirs)));
        Row { what, unit, ours: figures(&ours), other, wanted }
    };
    let mut rows = Vec::new();
    for (place, (percent, share)) in SHARES.into_iter().enumerate() {
        let wanted = || if percent == COMPARED { Wanted::Times(20.0) } else { Wanted::Nothing };
        let held = format!("a Soul held up for its new code, {share} of 10,000");
        rows.push(row(held, "ms", 1e3, &|of| of.held[place], wanted()));
        let answers = format!("longest answer of a Soul while all get new code, {share} of 10,000");
        rows.push(row(answers, "ms", 1e3, &|of| of.answers[place], wanted()));
        let quiet = format!("longest answer of a Soul in the same load otherwise, {share} of 10,000");
        rows.push(row(quiet, "ms", 1e3, &|of| of.quiet[place], Wanted::Nothing));
    }
    rows.push(row("until 10,000 Souls have new code".into(), "s", 1.0, &|of| of.took, Wanted::Nothing));
    for (what, of) in [("transactions", 0), ("fsyncs", 1)] {
        let each = |figures: &Figures| [figures.kv.0, figures.kv.1][of] as f64 / SOULS as f64;
        let ours = ours.iter().map(each).collect();
        let what = format!("new code for 10,000 Souls: {what}, checkpoints included");
        rows.push(Row { what, unit: "a Soul", ours, other: None, wanted: Wanted::Nothing });
    }
    rows
}

/// Of each share, within which time that many were.
fn shares(sorted: &[Duration]) -> [f64; SHARES.len()] {
    SHARES.map(|(percent, _)| sorted[(sorted.len() * percent).div_ceil(100) - 1].as_secs_f64())
}

fn soul(place: usize) -> String {
    format!("insect-{place}")
}

/// One round of this node.
async fn roll_out() -> Figures {
    let node = TestNode::start_with(|config| {
        config.engine.live_instances_max = (SOULS + NEW_CODE) as u32;
    })
    .await;
    let (caterpillar, butterfly) = (node.program("caterpillar").await, node.program("butterfly").await);
    for_all(async |place| {
        node.spawn(manifest(&soul(place), caterpillar, &[])).await.expect("there is room for it");
    })
    .await;
    let souls = (0..SOULS).map(|place| format!("soul:{}", soul(place)).parse().expect("an address"));
    let asker = Asker::new(&node, souls.collect(), ROUND);
    let (asker, quiet, ()) = asker.watch(tokio::time::sleep(QUIET)).await;
    let filter = Filter::new(&["soul.swapped"], &[] as &[&str]).expect("a sound filter");
    let events = node.node().bus().subscribe(filter, None).expect("room for a subscriber");
    let before = node.node().kv().stats();
    let (asker, answers, (took, after)) = asker
        .watch(async {
            let began = Instant::now();
            renew(&node, caterpillar, butterfly).await;
            (began.elapsed(), node.node().kv().stats())
        })
        .await;
    let asked = asker.asked().to_string();
    for_all(async |place| {
        assert_eq!(node.ask(&soul(place), "total").await.as_ref(), Ok(&asked), "its state went over");
        assert_eq!(node.ask(&soul(place), "code").await.as_deref(), Ok("butterfly"));
    })
    .await;
    let figures = Figures {
        quiet: shares(&quiet),
        answers: shares(&answers),
        held: shares(&held(events).await),
        took: took.as_secs_f64(),
        kv: (after.writes - before.writes, after.fsyncs - before.fsyncs),
    };
    node.stop().await;
    figures
}

async fn for_all<F: Future<Output = ()>>(each: impl Fn(usize) -> F) {
    for start in (0..SOULS).step_by(AT_ONCE) {
        join_all((start..SOULS.min(start + AT_ONCE)).map(&each)).await;
    }
}

/// Rolls the new code out, as `Components.Rollout` does, with nobody watched in between.
async fn renew(node: &TestNode, from: Digest, to: Digest) {
    let plan = Plan { canary_percent: 1, watch: Duration::ZERO, batch: 16, failures_max: 0 };
    let fleet = node.node().fleet();
    let souls = fleet.with_code(&BTreeSet::from([from])).await.expect("the KV is there");
    let users = fleet.renewal(to, Duration::from_secs(5));
    let (tell, mut told) = mpsc::channel(64);
    let hear = async {
        let mut last = None;
        while let Some(step) = told.recv().await {
            last = Some(step);
        }
        last
    };
    let ((), last) = tokio::join!(rollout::roll_out(&users, souls, plan, tell), hear);
    let all = Tally { total: SOULS, swapped: SOULS, ..Tally::default() };
    assert_eq!(last, Some(Step::Ended(true, all)), "all have the new code");
}

/// How long each Soul was held up, as the node told it: from the end of its turn before until the new code may have
/// the next message.
async fn held(mut events: Subscription) -> Vec<Duration> {
    let mut held = Vec::with_capacity(SOULS);
    while held.len() < SOULS {
        let Item::Event { event, .. } = events.next().await else { panic!("the node keeps as many events") };
        let told: serde_json::Value = serde_json::from_slice(&event.content.body).expect("it is JSON");
        held.push(Duration::from_micros(told["pause_us"].as_u64().expect("it says for how long")));
    }
    held.sort();
    held
}

/// The rival, compiled: an application in two versions, and the program that upgrades it.
struct Erlang(TempDir);

impl Erlang {
    /// None where Erlang is not installed.
    fn compiled() -> Option<Self> {
        let out = tempfile::tempdir().expect("a temporary folder can be made");
        let at = |version: &str| out.path().join(format!("insects-{version}")).join("ebin");
        let describe = |version: &str, file: &str, text: &str| {
            std::fs::create_dir_all(at(version)).expect("a folder can be made");
            std::fs::write(at(version).join(file), text).expect("a file can be written");
        };
        for version in ["1", "2"] {
            let text = format!(
                "{{application, insects, [{{description, \"\"}}, {{vsn, \"{version}\"}}, {{modules, [insect]}},
                  {{registered, [insects]}}, {{applications, [kernel, stdlib]}}, {{mod, {{upgrade, none}}}}]}}."
            );
            describe(version, "insects.app", &text);
        }
        describe("2", "insects.appup", r#"{"2", [{"1", [{update, insect, {advanced, change}}]}], []}."#);
        let compiled = compile(out.path(), "upgrade.erl", &[])
            && compile(&at("1"), "insect.erl", &[])
            && compile(&at("2"), "insect.erl", &["-DBUTTERFLY"]);
        if !compiled {
            eprintln!("  erlc: not found, or it failed; install it: apt-get install erlang-base");
        }
        compiled.then_some(Self(out))
    }

    fn version(&self, version: &str) -> PathBuf {
        self.0.path().join(format!("insects-{version}"))
    }

    /// One round.
    fn upgrade(&self) -> Option<Figures> {
        let mut program = Command::new("erl");
        program.args(["-noshell", "-pa"]).arg(self.0.path()).arg(self.version("1").join("ebin"));
        program.args(["-run", "upgrade", "main"]).arg(self.version("2"));
        let mut erlang = Bystander::start(&mut program, "install it: apt-get install erlang-base")?;
        let shares = |erlang: &mut Bystander, what: &str| {
            SHARES.map(|(percent, _)| erlang.round(&format!("{what} {percent}")))
        };
        erlang.round(&format!("live {SOULS} {}", ROUND.as_millis()));
        erlang.round(&format!("quiet {}", QUIET.as_millis()));
        let quiet = shares(&mut erlang, "answer");
        let took = erlang.round("upgrade");
        let (answers, held) = (shares(&mut erlang, "answer"), shares(&mut erlang, "held"));
        Some(Figures { quiet, answers, held, took, kv: (0, 0) })
    }
}

fn compile(to: &Path, source: &str, options: &[&str]) -> bool {
    let mut compiler = Command::new("erlc");
    let compiled = compiler.args(options).arg("-o").arg(to).arg(folder().join(source)).status();
    compiled.is_ok_and(|status| status.success())
}
