//! Faults in random order, for as long as one likes.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use matrix_tests::net::Link;
use matrix_tests::realm::load::{Clients, Load};
use matrix_tests::realm::{Chance, Plan, TestRealm};
use matrix_tests::setting;
use tokio::time::{Instant, sleep};

use crate::{HEALED, network};

/// For how long faults come, where `MATRIX_SOAK_SECONDS` says nothing.
pub(crate) const SECONDS: u64 = 120;
/// After how many faults all that was seen is checked, and new clients come: the search for an order is for short
/// histories.
const FAULTS: usize = 4;

/// One fault and its end.
async fn fault(realm: &mut TestRealm, chance: &mut Chance) -> String {
    let node = chance.below(realm.len());
    let lasts = Duration::from_millis(200 + chance.below(3_000) as u64);
    let what = match chance.below(if realm.net().is_ok() { 8 } else { 4 }) {
        0 => {
            realm.kill(node).await;
            sleep(lasts).await;
            realm.restart(node);
            "killed"
        }
        1 => {
            realm.stop(node).await;
            sleep(lasts).await;
            realm.restart(node);
            "ended in order"
        }
        2 => {
            realm.pause(node);
            sleep(lasts).await;
            realm.resume(node);
            "paused"
        }
        3 => {
            for node in 0..realm.len() {
                realm.kill(node).await;
            }
            for node in 0..realm.len() {
                realm.restart(node);
            }
            "killed with all others"
        }
        which => cut(realm, node, which, lasts).await,
    };
    format!("node {node} was {what} for {lasts:?}")
}

/// A fault of links and its end.
async fn cut(realm: &TestRealm, node: usize, which: usize, lasts: Duration) -> &'static str {
    let net = network(realm, "faults of links").expect("asked for only where there is one");
    let other = (node + 1) % realm.len();
    let what = match which {
        4 => {
            net.isolate(node);
            "isolated"
        }
        5 => {
            net.cut_one_way(node, other);
            "not heard by the next"
        }
        6 => {
            net.cut(node, other);
            "cut off from the next"
        }
        _ => {
            let (delay, jitter) = (Duration::from_millis(10), Duration::from_millis(60));
            net.set_all(Link {
                delay,
                jitter,
                loss: 0.05,
                duplicate: 0.02,
                reorder: 0.02,
                ..Link::default()
            });
            "slow, as all others"
        }
    };
    sleep(lasts).await;
    net.heal();
    net.set_all(Link::default());
    what
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: `make soak` runs it"]
async fn any_order_of_faults_leaves_the_history_right() {
    let seed = setting("MATRIX_SOAK_SEED").unwrap_or_else(|| RandomState::new().build_hasher().finish());
    let lasts = Duration::from_secs(setting("MATRIX_SOAK_SECONDS").unwrap_or(SECONDS));
    eprintln!("MATRIX_SOAK_SEED={seed}");
    let mut chance = Chance::new(seed);
    let begun = Instant::now();
    while begun.elapsed() < lasts {
        let plan = Plan { seed: chance.draw(), ..Plan::default() };
        let mut realm = TestRealm::start_with(plan).await;
        let clients = Clients { seed: chance.draw(), keys: 8, ..Clients::of(&[0, 1, 2]) };
        let mut load = Load::start(&realm, clients).await;
        for _ in 0..FAULTS {
            let what = fault(&mut realm, &mut chance).await;
            let ready = realm.until_ready().await;
            let again = load.goes_on(HEALED).await;
            eprintln!("{what}: all ready after {ready:?}, all clients after {again:?}");
        }
        load.end(&realm, &format!("seed {seed}")).await;
        realm.until_same().await;
    }
}
