//! Who runs when, and where.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc as channels;

use super::*;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn tasks_that_wake_each_other_all_end() {
    let workers = Workers::start("test", 3, 0).expect("three threads");
    let (done, ended) = mpsc::sync_channel(64);
    for _ in 0..50 {
        let (to_pong, mut pong) = channels::channel(1);
        let (to_ping, mut ping) = channels::channel(1);
        workers.spawner().spawn(async move {
            while let Some(count) = pong.recv().await {
                to_ping.send(count + 1).await.expect("ping waits");
            }
        });
        let done = done.clone();
        workers.spawner().spawn(async move {
            let mut count = 0;
            while count < 1_000 {
                to_pong.send(count).await.expect("pong waits");
                count = ping.recv().await.expect("pong answers");
            }
            done.send(count).expect("the test waits");
        });
    }
    let sum: u32 = (0..50).map(|_| ended.recv_timeout(PATIENCE).expect("every pair ends")).sum();
    assert_eq!(sum, 50_000);
}

#[test]
fn who_keeps_waking_each_other_keeps_nobody_out() {
    let workers = Workers::start("test", 1, 0).expect("a thread");
    let (to_one, mut one) = channels::channel(1);
    let (to_other, mut other) = channels::channel(1);
    workers
        .spawner()
        .spawn(async move { while one.recv().await.is_some() && to_other.send(()).await.is_ok() {} });
    let begin = to_one.clone();
    workers
        .spawner()
        .spawn(async move { while other.recv().await.is_some() && to_one.send(()).await.is_ok() {} });
    begin.blocking_send(()).expect("they play");
    let (done, ended) = mpsc::sync_channel(64);
    workers.spawner().spawn(async move {
        tokio::task::yield_now().await;
        done.send(()).expect("the test waits");
    });
    ended.recv_timeout(PATIENCE).expect("the third gets its turn");
}

#[test]
fn what_waits_behind_a_thread_that_is_held_up_goes_to_another() {
    let workers = Workers::start("test", 2, 0).expect("two threads");
    let spawner = workers.spawner();
    let (done, ended) = mpsc::sync_channel(64);
    workers.spawner().spawn(async move {
        // The one task that this thread would run next: no backlog, so nobody is woken for it.
        spawner.spawn(async move { done.send(()).expect("it is waited for") });
        while ended.try_recv().is_err() {
            held_up();
            std::thread::yield_now();
        }
        spawner.spawn(async {});
    });
    let (finished, end) = mpsc::sync_channel(64);
    workers.spawner().spawn(async move { finished.send(()).expect("the test waits") });
    end.recv_timeout(PATIENCE).expect("the second task runs while the first is held up");
}

#[test]
fn a_new_thread_takes_the_place_of_one_that_is_held_up() {
    let workers = Workers::start("test", 1, 0).expect("a thread");
    // More often than there are places.
    for _ in 0..2 * HELD_MAX {
        let (done, ended) = mpsc::sync_channel(64);
        let (finished, end) = mpsc::sync_channel(64);
        let spawner = workers.spawner();
        workers.spawner().spawn(async move {
            spawner.spawn(async move { done.send(()).expect("it is waited for") });
            while ended.try_recv().is_err() {
                held_up();
                std::thread::yield_now();
            }
            finished.send(()).expect("the test waits");
        });
        end.recv_timeout(PATIENCE).expect("the second task runs on another thread");
    }
    // Those that were held up are gone as soon as they have a processor, of which they get a tenth of what others do.
    let begun = Instant::now();
    let crew = loop {
        let crew = lock(&workers.shared.crew);
        if crew.empty.len() == HELD_MAX {
            break crew;
        }
        assert!(begun.elapsed() < PATIENCE, "{crew:?}");
        drop(crew);
        std::thread::yield_now();
    };
    assert_eq!(crew.free, 1);
}

#[test]
fn what_comes_from_outside_is_run_however_long_after_the_last() {
    let workers = Workers::start("test", 2, 0).expect("two threads");
    let (done, ended) = mpsc::sync_channel(64);
    for micros in (0..300).rev().chain(0..300) {
        for _ in 0..3 {
            let done = done.clone();
            workers.spawner().spawn(async move { done.send(()).expect("the test waits") });
        }
        for _ in 0..3 {
            ended.recv_timeout(PATIENCE).expect("each is run");
        }
        let since = Instant::now();
        while since.elapsed() < Duration::from_micros(micros) {
            std::hint::spin_loop();
        }
    }
}

#[test]
fn a_panic_ends_its_task_only() {
    let workers = Workers::start("test", 1, 0).expect("a thread");
    workers.spawner().spawn(async { panic!("as the test wants it") });
    let (done, ended) = mpsc::sync_channel(64);
    workers.spawner().spawn(async move { done.send(()).expect("the test waits") });
    ended.recv_timeout(PATIENCE).expect("the thread goes on");
}

#[test]
fn timers_work_and_a_dropped_pool_runs_nothing_more() {
    let workers = Workers::start("test", 1, 0).expect("a thread");
    let (done, ended) = mpsc::sync_channel(64);
    let ticking = done.clone();
    workers.spawner().spawn(async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        ticking.send("late").expect("the test waits");
    });
    assert_eq!(ended.recv_timeout(PATIENCE), Ok("late"));
    let spawner = workers.spawner();
    drop(workers);
    spawner.spawn(async move { done.send("never").expect("the test waits") });
    drop(spawner);
    assert!(ended.recv_timeout(Duration::from_millis(50)).is_err());
}
