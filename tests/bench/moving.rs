//! How long Souls are away while they move: off a node that is drained, and off one that is dead. They are asked all the
//! while, each again as soon as it has answered and a pause is over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use matrix_tests::node::{PATIENCE, manifest, name};
use matrixd::realm::NodeState;
use matrixd::transport::envelope::{Content, SendError};
use matrixd::transport::router::{Draft, Router};

use crate::table::{Row, Wanted};
use crate::two::Two;

/// Souls that move.
const SOULS: usize = 100;
/// Between an answer and the next question to the same Soul.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a question to a Soul of a dead node waits before it is asked again.
const PATIENT: Duration = Duration::from_millis(50);

/// Measures it.
pub(crate) async fn measure(rounds: usize) -> Vec<Row> {
    let [mut drained, mut quiet, mut dead] = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        let mut two = Two::start(|config| config.engine.live_instances_max = 2_000, "").await;
        let citizen = two.here.program("citizen").await;
        for number in 0..SOULS {
            let soul = manifest(&soul(number), citizen, &[]);
            two.here.node().fleet().spawn(soul, None).await.expect("there is room for it");
        }
        gather(&two).await;
        let (longest, took) = watched(&two, async {
            two.here.node().realm().want(2, NodeState::Draining).await.expect("this node stays");
            until_empty(&two).await;
        })
        .await;
        drained.push(longest);
        two.here.node().realm().want(2, NodeState::Member).await.expect("it is alive");
        gather(&two).await;
        quiet.push(watched(&two, tokio::time::sleep(took)).await.0);
        dead.push(survive(&mut two).await);
        two.stop().await;
    }
    let row = |what: &str, unit, ours, wanted| Row { what: what.into(), unit, ours, other: None, wanted };
    vec![
        row("longest answer while 100 Souls leave a drained node, p99", "ms", drained, Wanted::AtMost(50.0)),
        row("longest answer in the same time while none moves, p99", "ms", quiet, Wanted::Nothing),
        row("a Soul of a killed node answers elsewhere", "s", dead, Wanted::AtMost(5.0)),
    ]
}

fn soul(number: usize) -> String {
    format!("mover-{number}")
}

/// All Souls live on the other node.
async fn gather(two: &Two) {
    let fleet = two.here.node().fleet();
    for number in 0..SOULS {
        let to = async {
            while fleet.move_to(&name(&soul(number)), 2).await.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::time::timeout(PATIENCE, to).await.expect("it takes Souls");
    }
}

async fn until_empty(two: &Two) {
    let emptied = async {
        while two.here.node().fleet().load().get(&2).is_some_and(|souls| *souls > 0) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, emptied).await.expect("a drained node is emptied");
}

async fn ask(router: &Router, number: usize, patience: Duration) -> Result<(), SendError> {
    let content = Content { content_type: "text/plain".into(), body: Bytes::from_static(b"ping") };
    let draft = Draft {
        sender: "client:bench".parse().expect("an address"),
        recipient: format!("soul:{}", soul(number)).parse().expect("an address"),
        content,
        in_reply_to: None,
        hops: 0,
        trace: None,
    };
    router.ask(draft, patience).await.map(drop)
}

/// Asks all Souls while something is done. Milliseconds that the longest answer took: of 100 Souls, the one but worst; and
/// how long that was done.
async fn watched(two: &Two, during: impl Future<Output = ()>) -> (f64, Duration) {
    let (router, over, began) = (two.here.node().router(), AtomicBool::new(false), Instant::now());
    let asker = async |number| {
        let mut longest = Duration::ZERO;
        while !over.load(Ordering::Relaxed) {
            let asked = Instant::now();
            let answer = ask(router, number, PATIENCE).await;
            answer.expect("no question is lost to a Soul that moves");
            longest = longest.max(asked.elapsed());
            tokio::time::sleep(PAUSE).await;
        }
        longest
    };
    let during = async {
        during.await;
        over.store(true, Ordering::Relaxed);
        began.elapsed()
    };
    let (mut longest, took) = tokio::join!(join_all((0..SOULS).map(asker)), during);
    longest.sort();
    (longest[SOULS * 99 / 100 - 1].as_secs_f64() * 1e3, took)
}

/// Seconds from the death of the other node until a Soul that was there answers.
async fn survive(two: &mut Two) -> f64 {
    let router = two.here.node().router().clone();
    ask(&router, 0, PATIENCE).await.expect("it lives");
    two.kill_there();
    let killed = Instant::now();
    let answered = async { while ask(&router, 0, PATIENT).await.is_err() {} };
    tokio::time::timeout(PATIENCE, answered).await.expect("it comes up elsewhere");
    killed.elapsed().as_secs_f64()
}
