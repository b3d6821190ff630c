//! Messages of 100 bytes from Soul to Soul, beside processes of Erlang/OTP that do the same.

use std::process::Command;
use std::time::Instant;

use bytes::Bytes;
use matrix_tests::node::{TestNode, manifest};
use matrixd::transport::envelope::{Address, Content};
use matrixd::transport::mailbox::{Inbox, Mailbox};
use matrixd::transport::router::Draft;

use crate::bystander::{Bystander, folder};
use crate::table::{Row, Wanted};

/// Bytes of a message, the count of its hops included.
const BODY_BYTES: usize = 100;

/// How many Souls, how many of them begin, with how many messages each, and how many hops each message goes.
struct Case {
    souls: usize,
    begin: usize,
    each: usize,
    hops: u32,
}

impl Case {
    fn messages(&self) -> usize {
        self.begin * self.each
    }
}

const CASES: [(&str, Case, f64); 2] = [
    ("message, 1,000 Souls, 64 in flight each", Case { souls: 1_000, begin: 1_000, each: 64, hops: 50 }, 2.0),
    ("ping-pong, 2 Souls, 1 in flight", Case { souls: 2, begin: 1, each: 1, hops: 60_000 }, 1.0 / 1.5),
];

/// Measures it.
pub(crate) async fn measure(rounds: usize) -> Vec<Row> {
    let mut erlang = erlang();
    let mut rows = Vec::new();
    for (what, case, times) in CASES {
        let node = TestNode::start_with(|config| {
            config.engine.live_instances_max = 2_000;
            config.transport.hops_max = u16::MAX;
            config.limits.default.messages_per_second = config.limits.max.messages_per_second;
        })
        .await;
        let mut goal = people(&node, &case).await;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let hops = case.messages() as f64 * f64::from(case.hops);
        for _ in 0..rounds {
            ours.push(play(&node, &case, &mut goal).await * 1e9 / hops);
            let request = format!("{} {} {} {}", case.souls, case.begin, case.each, case.hops);
            theirs.extend(erlang.as_mut().map(|erlang| erlang.round(&request) * 1e9 / hops));
        }
        node.stop().await;
        let other = erlang.as_ref().map(|_| ("Erlang/OTP", theirs));
        rows.push(Row { what: what.into(), unit: "ns a hop", ours, other, wanted: Wanted::Times(times) });
    }
    rows
}

/// Compiles the rival, and starts it.
fn erlang() -> Option<Bystander> {
    let install = "install it: apt-get install erlang-base";
    let out = tempfile::tempdir().expect("a temporary folder can be made");
    let compiled = Command::new("erlc").arg("-o").arg(out.path()).arg(folder().join("relay.erl")).status();
    if !compiled.is_ok_and(|status| status.success()) {
        eprintln!("  erlc: not found, or it failed; {install}");
        return None;
    }
    let arguments = ["-noshell", "-s", "relay", "main"];
    let mut erlang =
        Bystander::start(Command::new("erl").arg("-pa").arg(out.path()).args(arguments), install)?;
    // Once it has answered, what it was compiled to is in its memory.
    erlang.round("2 1 1 1");
    Some(erlang)
}

/// Spawns the Souls in pairs, and the mailbox that messages end in.
async fn people(node: &TestNode, case: &Case) -> Inbox {
    let relay = node.program("relay").await;
    for place in 0..case.souls {
        let next = format!("relay-{}", place ^ 1);
        let soul = manifest(&format!("relay-{place}"), relay, &[("next", &next)]);
        node.spawn(soul).await.expect("there is room for it");
    }
    let (goal, inbox) = Mailbox::new(case.messages());
    node.node().router().directory().insert(address("soul:goal"), goal);
    inbox
}

/// Seconds until the last message has gone all its hops.
async fn play(node: &TestNode, case: &Case, goal: &mut Inbox) -> f64 {
    let mut body = vec![b'x'; BODY_BYTES];
    // The first hop is the one that brings it to its first Soul, the last the one to the goal.
    body[..4].copy_from_slice(&(case.hops - 1).to_le_bytes());
    let (client, body) = (address("client:bench"), Bytes::from(body));
    let souls: Vec<_> = (0..case.begin).map(|place| address(&format!("soul:relay-{place}"))).collect();
    let began = Instant::now();
    for _ in 0..case.each {
        for soul in &souls {
            let content = Content { content_type: "application/octet-stream".into(), body: body.clone() };
            let draft = Draft {
                sender: client.clone(),
                recipient: soul.clone(),
                content,
                in_reply_to: None,
                hops: 0,
                trace: None,
            };
            node.node().router().send(draft).expect("there is room in a mailbox");
        }
    }
    let (mut batch, mut arrived) = (Vec::new(), 0);
    while arrived < case.messages() {
        goal.ready().await;
        arrived += goal.drain(&mut batch, usize::MAX);
        batch.clear();
    }
    began.elapsed().as_secs_f64()
}

fn address(text: &str) -> Address {
    text.parse().expect("a sound address")
}
