//! Kills at random moments of swaps, under load; swaps on top of swaps, and back.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use matrix_tests::realm::{Chance, Door};
use tokio::time::sleep;

use super::{again, alone, whole};

const SOUL: &str = "insect";
const TURN: Duration = Duration::from_secs(5);
/// How often a node is killed.
const KILLS: usize = 12;
/// Within what time of a swap's begin, at first.
const WINDOW: Duration = Duration::from_millis(40);
const CLIENTS: usize = 3;

/// The last number of a client's series that the Soul knows: one that cannot follow is refused by the number before.
async fn last(door: &Door, client: usize) -> u64 {
    let refused = door.ask(SOUL, &format!("add client-{client} 0")).await.expect_err("0 follows nothing");
    let said = refused.message().to_owned();
    let number = said.rsplit(' ').next().and_then(|number| number.trim_matches('.').parse().ok());
    number.unwrap_or_else(|| panic!("it says what came before: {said}"))
}

/// One client: adds until its node is gone.
async fn add(door: &Door, client: usize, from: u64, acknowledged: &AtomicU64) -> u64 {
    let mut number = from;
    loop {
        match door.ask(SOUL, &format!("add client-{client} {}", number + 1)).await {
            Ok(_) => {
                number += 1;
                acknowledged.store(number, Ordering::Relaxed);
            }
            Err(status) => {
                assert!(!status.message().contains("comes after"), "in order, once: {status}");
                return number + 1;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_its_node_is_killed_a_soul_has_the_old_code_or_the_new() {
    let mut realm = alone(false).await;
    let door = realm.door(0);
    let old = door.program("caterpillar").await;
    let codes = [door.program("butterfly").await, door.program("moth").await];
    door.spawn(SOUL, &old, &[]).await.expect("it starts");
    door.swap(SOUL, &codes[0], TURN).await.expect("it takes the state up");
    let (mut chance, mut counts, mut known) = (Chance::new(11), [0; 3], whole(&door, SOUL).await.len());
    let mut window = WINDOW;
    for round in 0..KILLS {
        let before = whole(&door, SOUL).await.pop().expect("there is one").component;
        let next = codes.iter().find(|code| **code != before).expect("there are two");
        let from = [last(&door, 0).await, last(&door, 1).await, last(&door, 2).await];
        let acknowledged = from.map(AtomicU64::new);
        let (told, saved) = (AtomicBool::new(false), from.map(AtomicU64::new));
        let clients = (0..CLIENTS).map(|client| add(&door, client, from[client], &acknowledged[client]));
        let swapping = async {
            let before = acknowledged.each_ref().map(|number| number.load(Ordering::Relaxed));
            if door.swap(SOUL, next, TURN).await.is_ok() {
                told.store(true, Ordering::Relaxed);
                // The commit has the state, and so all that was answered before it was asked for.
                before.iter().zip(&saved).for_each(|(number, saved)| saved.store(*number, Ordering::Relaxed));
            }
        };
        let moment = window.mul_f64(chance.below(100) as f64 / 100.0);
        let killing = async {
            sleep(moment).await;
            realm.kill(0).await;
        };
        let (sent, (), ()) = tokio::join!(join_all(clients), swapping, killing);
        again(&mut realm).await;
        let versions = whole(&door, SOUL).await;
        let swapped = versions[versions.len() - 1].component == *next;
        let told = told.into_inner();
        assert!(swapped || !told, "round {round}: what was told has happened");
        known += usize::from(swapped);
        assert_eq!(versions[versions.len() - 1].number, known as u64, "round {round}: {versions:?}");
        let code = door.ask(SOUL, "code").await.expect("it lives");
        let wanted = if swapped { next } else { &before };
        assert_eq!(code == "butterfly", *wanted == codes[0], "round {round}");
        let mut sum = 0;
        for client in 0..CLIENTS {
            let (number, saved) = (last(&door, client).await, saved[client].load(Ordering::Relaxed));
            assert!((saved..=sent[client]).contains(&number), "round {round}: {saved} {number} {sent:?}");
            sum += number;
        }
        assert_eq!(door.ask(SOUL, "total").await.expect("it lives"), sum.to_string(), "each once");
        counts[usize::from(swapped) + usize::from(told)] += 1;
        // Moments gather where it is decided, however busy the machine is.
        window = match (swapped, told) {
            (_, true) => moment.max(Duration::from_millis(1)),
            (true, false) => window,
            (false, _) => window * 2,
        };
    }
    let [never, untold, told] = counts;
    eprintln!("{window:?}: {never} did not happen, {untold} happened untold, {told} were told of");
    assert!(never > 0 && untold + told > 0, "kills came before the commit and after it: {counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_its_node_is_killed_a_soul_that_goes_back_has_one_state_or_the_other() {
    let mut realm = alone(false).await;
    let door = realm.door(0);
    let (old, new) = (door.program("caterpillar").await, door.program("butterfly").await);
    door.spawn(SOUL, &old, &[]).await.expect("it starts");
    let add = async |numbers: std::ops::RangeInclusive<u64>| {
        for number in numbers {
            door.ask(SOUL, &format!("add main {number}")).await.expect("it is counted");
        }
    };
    let (mut chance, mut counts, mut takes) = (Chance::new(5), [0; 3], None);
    for round in 0..KILLS / 2 {
        let left: u64 = door.ask(SOUL, "total").await.expect("it lives").parse().expect("a number");
        door.swap(SOUL, &new, TURN).await.expect("it takes the state up");
        add(left + 1..=left + 3).await;
        door.save(SOUL).await.expect("there is room");
        let Some(takes) = takes else {
            // The first time tells how long it takes.
            let began = Instant::now();
            door.roll_back(SOUL).await.expect("it was kept");
            takes = Some(began.elapsed());
            continue;
        };
        let percent = u32::try_from(chance.below(150)).expect("a small number");
        let killing = async {
            sleep(takes * percent / 100).await;
            realm.kill(0).await;
        };
        let (told, ()) = tokio::join!(door.roll_back(SOUL), killing);
        again(&mut realm).await;
        let versions = whole(&door, SOUL).await;
        let is_back = versions[versions.len() - 1].component == old;
        assert!(is_back || told.is_err(), "round {round}: what was told has happened");
        let total = door.ask(SOUL, "total").await.expect("it lives");
        assert_eq!(total, (left + if is_back { 0 } else { 3 }).to_string(), "round {round}");
        counts[usize::from(is_back) + usize::from(told.is_ok())] += 1;
        if !is_back {
            door.roll_back(SOUL).await.expect("it was kept");
            assert_eq!(door.ask(SOUL, "total").await.expect("it lives"), left.to_string(), "round {round}");
        }
        add(left + 1..=left + 1).await;
    }
    let [never, untold, told] = counts;
    eprintln!("{takes:?} to go back: {never} times not, {untold} times untold, {told} times told of");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_during_another_waits_for_it_and_older_code_is_refused() {
    let mut realm = alone(false).await;
    let door = realm.door(0);
    let old = door.program("caterpillar").await;
    let (butterfly, moth) = (door.program("butterfly").await, door.program("moth").await);
    // The moth and the butterfly are one source: what goes wrong with the one goes wrong with the other.
    door.spawn(SOUL, &old, &[("after", "init-loop")]).await.expect("it starts");
    let first = async { door.swap(SOUL, &butterfly, TURN).await };
    let second = async {
        door.logged(SOUL, "init-loop").await;
        door.swap(SOUL, &moth, TURN).await
    };
    let (first, second) = tokio::join!(first, second);
    assert!(first.is_err() && second.is_err(), "{first:?} {second:?}");
    assert_eq!(whole(&door, SOUL).await.len(), 1);
    door.spawn(SOUL, &old, &[]).await.expect("nothing goes wrong any more");
    let both = tokio::join!(door.swap(SOUL, &butterfly, TURN), door.swap(SOUL, &moth, TURN));
    both.0.and(both.1).expect("one after the other");
    let versions = whole(&door, SOUL).await;
    assert_eq!(versions.len(), 3, "{versions:?}");
    // Back to what cannot read the state: refused, also after a kill.
    let refused = door.swap(SOUL, &old, TURN).await.expect_err("a caterpillar cannot read it").to_string();
    assert!(refused.contains("insect/2"), "{refused}");
    realm.kill(0).await;
    again(&mut realm).await;
    assert_eq!(whole(&door, SOUL).await, versions);
    door.swap(SOUL, &old, TURN).await.expect_err("nor now");
    assert_eq!(door.ask(SOUL, "fly").await.expect("it can"), "1");
}
