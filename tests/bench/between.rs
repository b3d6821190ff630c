//! Messages of 100 bytes between Souls of two nodes, encrypted, beside two nodes of Erlang/OTP and beside NATS.

use std::time::Instant;

use bytes::Bytes;
use matrix_tests::node::{PATIENCE, TestNode, manifest};
use matrixd::config::Config;
use matrixd::kv::Expect;
use matrixd::runtime::limits::LimitsConfig;
use matrixd::transport::envelope::{Address, Content};
use matrixd::transport::mailbox::{Inbox, Mailbox};
use matrixd::transport::router::Draft;

use crate::distribution::{Pair, Wire};
use crate::nats::Nats;
use crate::table::{Row, Wanted};
use crate::two::Two;

/// Bytes of a message, the count of its hops included.
const BODY_BYTES: usize = 100;
/// Pairs of Souls that talk, one of each pair on either node, and messages that each pair has under way.
const PAIRS: usize = 64;
const EACH: usize = 64;
/// Hops of each message in a round.
const HOPS: u32 = 120;
/// Hops of the one message whose round trips are timed.
const PING_HOPS: u32 = 20_000;
/// Messages, and calls, of the others in a round.
const MESSAGES: usize = 500_000;
const CALLS: usize = 10_000;

/// Measures it.
pub(crate) async fn measure(rounds: usize) -> Vec<Row> {
    let (plain, tls) = (Pair::start(Wire::Plain), Pair::start(Wire::Tls));
    let (mut plain, mut tls, nats) = (plain, tls, Nats::start().await);
    let two = Pairs::start().await;
    let [mut sent, mut erlang, mut erlang_tls, mut nats_sent] = [const { Vec::new() }; 4];
    let [mut asked, mut erlang_asked, mut erlang_called, mut nats_asked] = [const { Vec::new() }; 4];
    for _ in 0..rounds {
        sent.push(two.play(PAIRS, EACH, HOPS).await);
        asked.push(two.play(1, 1, PING_HOPS).await * 2.0 / 1e3);
        let each = |seconds: f64| seconds * 1e9 / MESSAGES as f64;
        if let Some(pair) = &mut plain {
            erlang.push(each(pair.send(MESSAGES)));
            erlang_asked.push(pair.ask(CALLS)[0]);
            erlang_called.push(pair.call(CALLS)[0]);
        }
        erlang_tls.extend(tls.as_mut().map(|pair| each(pair.send(MESSAGES))));
        if let Some(nats) = &nats {
            nats_sent.push(each(nats.send(MESSAGES)));
            nats_asked.push(nats.ask(CALLS)[0]);
        }
    }
    two.stop().await;
    let row = |what: &str, unit, ours: &Vec<f64>, name, other: Vec<f64>, times| Row {
        what: what.into(),
        unit,
        ours: ours.clone(),
        other: (!other.is_empty()).then_some((name, other)),
        wanted: times,
    };
    let (throughput, trip) = ("message between nodes", "round trip between nodes, 1 in flight");
    vec![
        row(throughput, "ns each", &sent, "Erlang/OTP, TCP", erlang, Wanted::Times(3.0)),
        row(throughput, "ns each", &sent, "Erlang/OTP, TLS", erlang_tls, Wanted::Nothing),
        row(throughput, "ns each", &sent, "NATS core", nats_sent, Wanted::Times(1.0)),
        row(trip, "µs", &asked, "Erlang/OTP, p50", erlang_asked, Wanted::Times(1.0 / 1.5)),
        row(trip, "µs", &asked, "gen_server:call, p50", erlang_called, Wanted::Nothing),
        row(trip, "µs", &asked, "NATS, p50", nats_asked, Wanted::Times(1.0)),
    ]
}

/// Two nodes, with Souls in pairs, one on each.
struct Pairs {
    two: Two,
    goal: tokio::sync::Mutex<Inbox>,
}

impl Pairs {
    async fn start() -> Self {
        let quota = LimitsConfig::default().max.messages_per_second;
        let settings = "[realm]\nlabels = { side = \"there\" }\n[transport]\nhops_max = 65535\n";
        let settings = format!("{settings}[limits.default]\nmessages_per_second = {quota}\n");
        let change = |config: &mut Config| {
            config.transport.hops_max = u16::MAX;
            config.limits.default.messages_per_second = config.limits.max.messages_per_second;
            config.engine.live_instances_max = 2_000;
        };
        let two = Two::start(change, &settings).await;
        let here = &two.here;
        let relay = here.program("relay").await;
        for place in 0..PAIRS * 2 {
            let next = format!("relay-{}", place ^ 1);
            let mut soul = manifest(&format!("relay-{place}"), relay, &[("next", &next)]);
            if place % 2 == 1 {
                soul.placement.labels.insert("side".into(), "there".into());
                here.node().fleet().spawn(soul, None).await.expect("there is room for it");
            } else {
                here.spawn(soul).await.expect("there is room for it");
            }
        }
        let goal = tokio::sync::Mutex::new(Self::goal(here).await);
        Self { two, goal }
    }

    /// The mailbox that messages end in: it is on this node, and the other one knows it.
    async fn goal(here: &TestNode) -> Inbox {
        let (goal, inbox) = Mailbox::new(PAIRS * EACH);
        here.node().router().directory().insert(address("soul:goal"), goal);
        let placed = Bytes::from_static(br#"{"node":1,"generation":1}"#);
        let kv = here.node().kv();
        kv.compare_and_swap("sys/placed", b"goal", Expect::Absent, Some(placed), None)
            .await
            .expect("it runs");
        inbox
    }

    /// Nanoseconds a hop.
    async fn play(&self, pairs: usize, each: usize, hops: u32) -> f64 {
        let mut body = vec![b'x'; BODY_BYTES];
        // The first hop is the one that brings it to its first Soul, the last the one to the goal.
        body[..4].copy_from_slice(&(hops - 1).to_le_bytes());
        let body = Bytes::from(body);
        let began = Instant::now();
        for _ in 0..each {
            for pair in 0..pairs {
                let content = Content { content_type: "application/octet-stream".into(), body: body.clone() };
                let draft = Draft {
                    sender: address("client:bench"),
                    recipient: address(&format!("soul:relay-{}", pair * 2)),
                    content,
                    in_reply_to: None,
                    hops: 0,
                    trace: None,
                };
                self.two.here.node().router().send(draft).expect("there is room in a mailbox");
            }
        }
        let (mut goal, mut batch, mut arrived) = (self.goal.lock().await, Vec::new(), 0);
        while arrived < pairs * each {
            let ready = tokio::time::timeout(PATIENCE, goal.ready()).await;
            ready.expect("no message is lost between two nodes that live");
            arrived += goal.drain(&mut batch, usize::MAX);
            batch.clear();
        }
        began.elapsed().as_secs_f64() * 1e9 / (pairs * each) as f64 / f64::from(hops)
    }

    async fn stop(self) {
        self.two.stop().await;
    }
}

fn address(text: &str) -> Address {
    text.parse().expect("a sound address")
}
