//! A thread that stays awake for a moment after something came: what comes next often comes at once, and to be woken
//! costs more than to look. A processor that has nothing to do halts, and on a virtual machine it takes tens of
//! microseconds to have it back.
//!
//! How long a thread looks is learnt as Linux' governor `haltpoll` learns it (Documentation/virt/guest-halt-polling.rst):
//! a sleep that was short says that it should have looked for longer, a long one that it looked in vain. A thread that
//! nobody stirs sleeps as any other, and one that looks gives its processor to whoever wants it; where that takes long, the
//! processor has enough to do, and the thread sleeps. Beside guests that compute no thread looks: who sleeps and is woken
//! goes before such a guest, who gives way to one has it back after milliseconds.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// The longest that a thread looks for what comes next.
const LOOK_MAX: Duration = Duration::from_micros(200);
/// The shortest.
const LOOK_MIN: Duration = Duration::from_micros(25);
/// How long another thread has a processor for which looking is in vain: it would not halt.
const GIVEN_MAX: Duration = Duration::from_micros(100);
/// How long after a guest was last seen to compute threads do not look.
const BESIDE: Duration = Duration::from_millis(20);
/// How long a thread that is stirred again and again keeps those waiting who wait for it to be [`idle`].
const BUSY_MAX: Duration = Duration::from_micros(500);

/// What a thread knows of itself.
#[derive(Default)]
struct Here {
    /// How often something came.
    stirs: Cell<u64>,
    looking: Cell<bool>,
    /// Wakes the task that looks, while it waits to be stirred.
    task: RefCell<Option<Waker>>,
    /// Whom to wake before the thread sleeps.
    idle: RefCell<Vec<Waker>>,
}

/// When this was first asked for.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);
/// When a guest was last seen to compute, in microseconds after [`START`]; 0: never.
static COMPUTED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static HERE: Here = Here::default();
}

/// Something came to this thread, and more may come at once. Where no [`keep`] runs on it, nothing follows.
pub fn stir() {
    HERE.with(|here| {
        here.stirs.set(here.stirs.get().wrapping_add(1));
        if let Some(task) = here.task.take() {
            task.wake();
        }
    });
}

/// A guest of this process computes: its call has taken long already, and goes on.
pub fn computing() {
    COMPUTED.store(now_micros().max(1), Ordering::Relaxed);
}

/// Returns once this thread has nothing better to do: it is about to sleep, or has been stirred for half a millisecond.
/// At once where no [`keep`] runs on it, or the thread does not look.
pub async fn idle() {
    poll_fn(|context| {
        HERE.with(|here| {
            if !here.looking.get() {
                return Poll::Ready(());
            }
            let mut waiting = here.idle.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
    })
    .await;
}

/// Keeps the thread of a current-thread runtime awake for a moment after each [`stir`]. One task of it runs this, to the
/// runtime's end; where it is dropped the thread sleeps as others do.
pub async fn keep() {
    let _ended = Ended;
    let (mut look, mut seen) = (Duration::ZERO, stirs());
    loop {
        let slept = Instant::now();
        until_stirred(seen).await;
        look = learn(look, slept.elapsed());
        let (mut since, mut busy) = (Instant::now(), Instant::now());
        while since.elapsed() < look && !is_beside(COMPUTED.load(Ordering::Relaxed), now_micros()) {
            HERE.with(|here| here.looking.set(true));
            // The runtime asks the system what came, without waiting.
            tokio::task::yield_now().await;
            if stirs() == seen {
                let given = Instant::now();
                std::thread::yield_now();
                if given.elapsed() > GIVEN_MAX {
                    break;
                }
                continue;
            }
            (seen, since) = (stirs(), Instant::now());
            if busy.elapsed() > BUSY_MAX {
                stop_looking();
                // Those who waited go first.
                tokio::task::yield_now().await;
                busy = Instant::now();
            }
        }
        stop_looking();
        seen = stirs();
    }
}

/// How long to look next, after a sleep of this length, where it was `look` before.
fn learn(look: Duration, slept: Duration) -> Duration {
    if slept <= LOOK_MAX {
        return (look * 2).clamp(LOOK_MIN, LOOK_MAX);
    }
    Some(look / 2).filter(|less| *less >= LOOK_MIN).unwrap_or_default()
}

/// Whether a guest that was seen to compute at `computed` must be thought to do so `now`.
fn is_beside(computed: u64, now: u64) -> bool {
    computed > 0 && u128::from(now.saturating_sub(computed)) < BESIDE.as_micros()
}

fn now_micros() -> u64 {
    u64::try_from(START.elapsed().as_micros()).unwrap_or(u64::MAX)
}

fn stirs() -> u64 {
    HERE.with(|here| here.stirs.get())
}

async fn until_stirred(seen: u64) {
    poll_fn(|context| {
        HERE.with(|here| {
            here.task.replace(Some(context.waker().clone()));
            if here.stirs.get() == seen { Poll::Pending } else { Poll::Ready(()) }
        })
    })
    .await;
}

/// Whoever waits for this thread to be idle need not any more.
fn stop_looking() {
    // Where it is at its end, nobody waits.
    let _ = HERE.try_with(|here| {
        here.looking.set(false);
        here.idle.take().into_iter().for_each(Waker::wake);
    });
}

/// Nobody waits for a thread that looks no more.
struct Ended;

impl Drop for Ended {
    fn drop(&mut self) {
        stop_looking();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_sleeps_lengthen_the_look_and_long_ones_end_it() {
        let micros = Duration::from_micros;
        let mut look = Duration::ZERO;
        for expected in [25, 50, 100, 200, 200] {
            look = learn(look, micros(200));
            assert_eq!(look, micros(expected));
        }
        for expected in [100, 50, 25, 0, 0] {
            look = learn(look, micros(201));
            assert_eq!(look, micros(expected));
        }
    }

    #[test]
    fn a_guest_that_was_seen_to_compute_counts_for_a_while() {
        assert!(!is_beside(0, 5) && is_beside(5, 5) && is_beside(5, 4) && is_beside(5, 20_004));
        assert!(!is_beside(5, 20_005));
    }

    #[tokio::test]
    async fn nobody_waits_for_a_thread_that_does_not_look() {
        idle().await;
        stir();
        idle().await;
    }

    #[tokio::test]
    async fn who_waits_for_a_thread_to_be_idle_waits_while_it_is_stirred_and_not_for_long() {
        let stirred = async {
            loop {
                stir();
                tokio::task::yield_now().await;
            }
        };
        let waits = async {
            // Until it has learnt to look.
            while !HERE.with(|here| here.looking.get()) {
                tokio::task::yield_now().await;
            }
            let since = Instant::now();
            idle().await;
            since.elapsed()
        };
        tokio::select! {
            () = keep() => {}
            () = stirred => {}
            waited = waits => assert!(!HERE.with(|here| here.looking.get()), "it waited for {waited:?}"),
        }
        assert!(HERE.with(|here| here.idle.borrow().is_empty()));
    }
}
