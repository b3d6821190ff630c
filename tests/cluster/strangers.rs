//! Messages that come before the news of whom they come from, or whom they are for.

use std::time::Duration;

use matrix_proto::v1;
use matrix_tests::net::Link;
use matrix_tests::realm::{Door, PATIENCE, Plan, TestRealm, until};

use crate::{network, others};

/// How much later the leader's news come to one node than messages do.
const LATE: Duration = Duration::from_millis(300);
/// Slow news are no silence.
const SETTINGS: &str = "[kv]\nheartbeat_ms = 500\n";

/// Starts rules that add up what they are sent.
async fn tally(door: &Door) {
    let rules = door.program("tally").await;
    let manifest =
        v1::MatrixManifest { name: "tally".into(), rules, tick_interval_ms: 20, ..Default::default() };
    let create = v1::CreateMatrixRequest { manifest: Some(manifest), start: true, ..Default::default() };
    door.matrices().create(door.request(create)).await.expect("it starts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_born_a_moment_ago_is_answered_and_asked_from_a_node_that_has_not_heard_of_it() {
    let realm = TestRealm::start_with(Plan { settings: SETTINGS.into(), ..Plan::default() }).await;
    let Some(net) = network(&realm, "news that come later than messages") else { return };
    let leader = realm.leader().await;
    let [near, far] = others(&realm, leader)[..] else { panic!("there are three") };
    let (here, there) = (realm.door(near), realm.door(far));
    let (echo, teller) = (there.guest("echo").await, here.program("teller").await);
    let caller = there.program("caller").await;
    there.spawn("echo", &echo, &[]).await.expect("it starts");
    there.spawn("asker", &caller, &[("peer", "newborn")]).await.expect("it starts");
    let node = async |node: usize| realm.status(node).await.expect("it is up").node;
    let (near, far_away) = (node(near).await, node(far).await);
    for name in ["echo", "asker"] {
        let request = v1::MoveSoulRequest { name: name.into(), node: far_away, ..Default::default() };
        there.souls().r#move(there.request(request)).await.expect("it moves");
    }
    // Where all have as many, whoever is asked takes the next.
    realm.door(leader).spawn("other", &echo, &[]).await.expect("it starts");
    here.ask("echo", "hi").await.expect("the near node knows it, too");

    net.set(leader, far, Link { delay: LATE, ..Link::default() });
    here.spawn("neo", &teller, &[("peer", "echo")]).await.expect("it starts");
    assert_eq!(here.soul("neo").await.expect("it lives").node, near, "no node has fewer");
    here.ask("neo", "tell hi").await.expect("it is told");
    let heard = || async { here.ask("neo", "heard").await.ok().filter(|heard| heard == "1") };
    until("the answer comes back to it", PATIENCE, heard).await;

    // It is awake, and the code of the other is there: nothing gives the news time to come.
    there.ask("asker", "open default").await.expect("it has come");
    here.spawn("newborn", &teller, &[]).await.expect("it starts");
    let asked = there.ask("asker", "ask 9000 told").await;
    assert_eq!(asked.expect("whoever is asked for is found"), "0");
    assert_eq!(here.soul("newborn").await.expect("it lives").node, near);

    tally(&here).await;
    let sum = there.ask_of(v1::address::To::Matrix("tally".into()), "add 2").await;
    assert_eq!(sum.expect("it is found"), "2");
    net.set_all(Link::default());
}
