//! Threads for Souls and Matrices. What a task wakes runs next on the same thread: two Souls who talk stay where
//! their memory is, and no thread is woken for them. A thread that has nothing to do takes over half of what waits
//! behind a busy one. For a thread that is held up a new one takes its place; it goes on with less priority, and ends
//! with the task that held it.

#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;

use async_task::{Runnable, ScheduleInfo, WithInfo};
use tokio::runtime::{Handle, Runtime};

/// How many tasks in a row may overtake those that wait, each because the one before woke it.
const CHAIN_MAX: u32 = 64;
/// A thread looks for tasks from outside after so many of its own.
const OUTSIDE_EVERY: u32 = 64;

/// The most threads that are held up at a time while others have their places.
const HELD_MAX: usize = 62;
/// How much less of a processor a thread gets that is held up: about a tenth of what others do.
const HELD_NICE: i32 = 10;

thread_local! {
    /// Whose worker this thread is, and which one, if it is any.
    static HERE: OnceCell<(Arc<Shared>, usize)> = const { OnceCell::new() };
}

/// The threads. Dropping this ends them, each as soon as the task that it runs lets go of it: a guest that does not
/// end is not waited for.
#[derive(Debug)]
pub struct Workers {
    shared: Arc<Shared>,
    /// Keeps the time for the tasks, and does their work on disks. Taken out when dropped, and only then.
    helper: Option<Runtime>,
}

/// Runs futures on the threads of [`Workers`]. Clones are the same threads.
#[derive(Debug, Clone)]
pub struct Spawner(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Tasks that other threads woke, oldest first. A task is in one queue at most: queues are as bounded as tasks.
    outside: Mutex<VecDeque<Runnable>>,
    /// Places for all threads that there can be.
    workers: Box<[Worker]>,
    /// How many of these, from the first on, a thread has had: the others hold no task, and are not looked at.
    places_used: AtomicUsize,
    crew: Mutex<Crew>,
    name: String,
    nice: i32,
    /// Where tasks find the time, and help with disks.
    helper: Handle,
    /// Workers that sleep, or are about to.
    asleep: Mutex<Vec<usize>>,
    /// How many these are, to be looked at without the lock.
    asleep_count: AtomicUsize,
    closing: AtomicBool,
}

/// Who works.
#[derive(Debug)]
struct Crew {
    /// How many threads there should be that are not held up.
    wanted: usize,
    /// How many there are.
    free: usize,
    /// Places that no thread has; the next to be taken is the last.
    empty: Vec<usize>,
}

/// One thread, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Worker {
    ready: Mutex<Ready>,
    thread: Mutex<Option<Thread>>,
    /// Another thread has taken its place. Only the thread itself changes this.
    replaced: AtomicBool,
}

/// What a thread is to run.
#[derive(Debug, Default)]
struct Ready {
    /// The task that was woken last, by the one that runs.
    next: Option<Runnable>,
    /// The others, oldest first.
    queue: VecDeque<Runnable>,
}

impl Workers {
    /// Starts so many threads, called `name`, whose niceness is `nice` above the process's; 0 threads: one for each
    /// core.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(name: &str, threads: usize, nice: i32) -> io::Result<Self> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if threads > 0 { threads } else { cores() };
        let mut helper = tokio::runtime::Builder::new_multi_thread();
        let helper = helper.worker_threads(1).thread_name(format!("{name}-helper")).enable_all().build()?;
        let shared = Arc::new(Shared {
            outside: Mutex::default(),
            workers: (0..threads + HELD_MAX).map(|_| Worker::default()).collect(),
            crew: Mutex::new(Crew {
                wanted: threads,
                free: threads,
                empty: (threads..threads + HELD_MAX).rev().collect(),
            }),
            places_used: AtomicUsize::new(threads),
            name: name.to_owned(),
            nice,
            helper: helper.handle().clone(),
            asleep: Mutex::default(),
            asleep_count: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
        });
        // From here on dropping it ends the threads that have been started.
        let workers = Self { shared, helper: Some(helper) };
        for index in 0..threads {
            workers.shared.start_one(index)?;
        }
        Ok(workers)
    }

    /// A way to run futures here.
    pub fn spawner(&self) -> Spawner {
        Spawner(Arc::clone(&self.shared))
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        while self.shared.wake_one() {}
        if let Some(helper) = self.helper.take() {
            helper.shutdown_background();
        }
    }
}

impl Spawner {
    /// Runs `future` to its end, or until the threads end. A panic ends it, and is logged.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let shared = Arc::clone(&self.0);
        let schedule = move |task, info: ScheduleInfo| shared.schedule(task, info.woken_while_running);
        let (runnable, task) = async_task::spawn(future, WithInfo(schedule));
        task.detach();
        runnable.schedule();
    }
}

/// Says that this thread is held up, such as by a guest that computes: what waits behind it goes to a thread that
/// sleeps, or else to a new one, which takes the place of this one. On a thread that is nobody's worker it does nothing.
pub(crate) fn held_up() {
    HERE.with(|here| {
        let Some((shared, index)) = here.get() else { return };
        let mut ready = lock(&shared.workers[*index].ready);
        let next = ready.next.take();
        ready.queue.extend(next);
        let waiting = !ready.queue.is_empty();
        drop(ready);
        if (waiting || !lock(&shared.outside).is_empty()) && !shared.wake_one() {
            shared.replace(*index);
        }
    });
}

/// What one thread does.
fn work(shared: &Arc<Shared>, index: usize) {
    let _context = shared.helper.enter();
    *lock(&shared.workers[index].thread) = Some(std::thread::current());
    // The thread is new: it has no place yet.
    HERE.with(|here| drop(here.set((Arc::clone(shared), index))));
    let (mut turn, mut chain) = (0_u32, 0);
    while !shared.closing.load(Ordering::Relaxed) {
        turn = turn.wrapping_add(1);
        let outside = turn.is_multiple_of(OUTSIDE_EVERY).then(|| shared.next_outside()).flatten();
        let own = || shared.own(index, &mut chain);
        let Some(task) = outside.or_else(own).or_else(|| shared.steal(index)) else {
            shared.sleep(index);
            continue;
        };
        // A task that panics is at its end; the thread goes on with the others.
        if catch_unwind(AssertUnwindSafe(|| task.run())).is_err() {
            tracing::error!("a task of a Soul or a Matrix panicked");
        }
        if shared.workers[index].replaced.swap(false, Ordering::Relaxed) {
            return shared.leave(index);
        }
    }
}

impl Shared {
    /// Starts a thread that is free to work in this place.
    fn start_one(self: &Arc<Self>, index: usize) -> io::Result<()> {
        let shared = Arc::clone(self);
        let thread = std::thread::Builder::new().name(self.name.clone());
        thread.spawn(move || {
            lower_priority(shared.nice);
            work(&shared, index);
        })?;
        Ok(())
    }

    /// Starts what threads are missing, as far as there are places. The helper does it: a thread has the priority of
    /// the one that starts it, which may have been lowered.
    fn fill_up(self: &Arc<Self>, crew: &mut Crew) {
        while crew.free < crew.wanted
            && let Some(index) = crew.empty.pop()
        {
            crew.free += 1;
            self.places_used.fetch_max(index + 1, Ordering::SeqCst);
            let shared = Arc::clone(self);
            self.helper.spawn(async move {
                if let Err(error) = shared.start_one(index) {
                    tracing::warn!(%error, "no thread takes the place of one that is held up");
                    let mut crew = lock(&shared.crew);
                    crew.free -= 1;
                    crew.empty.push(index);
                }
            });
        }
    }

    /// The places in which tasks may wait.
    fn places(&self) -> &[Worker] {
        &self.workers[..self.places_used.load(Ordering::SeqCst)]
    }

    /// Lets a new thread take the place of this one, which is held up.
    fn replace(self: &Arc<Self>, index: usize) {
        let mut crew = lock(&self.crew);
        if !self.workers[index].replaced.swap(true, Ordering::Relaxed) {
            crew.free -= 1;
            lower_priority(HELD_NICE);
        }
        self.fill_up(&mut crew);
    }

    /// Takes leave of a thread that was held up.
    fn leave(self: &Arc<Self>, index: usize) {
        let left = std::mem::take(&mut *lock(&self.workers[index].ready));
        *lock(&self.workers[index].thread) = None;
        let mut crew = lock(&self.crew);
        crew.empty.push(index);
        self.fill_up(&mut crew);
        drop(crew);
        lock(&self.outside).extend(left.queue.into_iter().chain(left.next));
        self.wake_one();
    }

    /// Queues a task that was woken; `again`: it woke itself while it ran, to let others go first.
    fn schedule(self: &Arc<Self>, task: Runnable, again: bool) {
        let here = HERE.with(|here| {
            let (shared, index) = here.get()?;
            Arc::ptr_eq(shared, self).then_some(*index)
        });
        let Some(index) = here else {
            lock(&self.outside).push_back(task);
            self.wake_one();
            return;
        };
        let mut ready = lock(&self.workers[index].ready);
        let waits = if again { Some(task) } else { ready.next.replace(task) };
        ready.queue.extend(waits);
        // One task is this thread's next; more than one is work for two.
        let backlog = ready.queue.len() + usize::from(ready.next.is_some()) > 1;
        drop(ready);
        if backlog {
            self.wake_one();
        }
    }

    /// The thread's own next task. `chain` counts those in a row that overtook others.
    fn own(&self, index: usize, chain: &mut u32) -> Option<Runnable> {
        let mut ready = lock(&self.workers[index].ready);
        if *chain >= CHAIN_MAX {
            let next = ready.next.take();
            ready.queue.extend(next);
        }
        let next = ready.next.take();
        *chain = if next.is_some() { *chain + 1 } else { 0 };
        next.or_else(|| ready.queue.pop_front())
    }

    /// The oldest task from outside. Whoever takes it wakes the next for the rest.
    fn next_outside(&self) -> Option<Runnable> {
        let mut outside = lock(&self.outside);
        let task = outside.pop_front();
        let more = !outside.is_empty();
        drop(outside);
        if more {
            self.wake_one();
        }
        task
    }

    /// A task from outside, or else the older half of what waits behind another thread.
    fn steal(&self, index: usize) -> Option<Runnable> {
        if let Some(task) = self.next_outside() {
            return Some(task);
        }
        let places = self.places();
        for other in (1..places.len()).map(|step| &places[(index + step) % places.len()]) {
            let mut theirs = lock(&other.ready);
            let half = theirs.queue.len().div_ceil(2);
            let mut taken = theirs.queue.drain(..half);
            let Some(first) = taken.next() else { continue };
            let rest: Vec<_> = taken.collect();
            drop(theirs);
            lock(&self.workers[index].ready).queue.extend(rest);
            return Some(first);
        }
        None
    }

    /// Waits until somebody wakes this thread.
    fn sleep(&self, index: usize) {
        lock(&self.asleep).push(index);
        self.asleep_count.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        // Whoever queued a task before this saw nobody asleep: the task is looked for once more. Whoever queues
        // one later sees this thread, and wakes it.
        let waiting = |worker: &Worker| !lock(&worker.ready).queue.is_empty();
        let work = !lock(&self.outside).is_empty() || self.places().iter().any(waiting);
        if work || self.closing.load(Ordering::SeqCst) {
            let mut asleep = lock(&self.asleep);
            if let Some(place) = asleep.iter().position(|sleeper| *sleeper == index) {
                asleep.swap_remove(place);
                self.asleep_count.fetch_sub(1, Ordering::SeqCst);
            }
            return;
        }
        // Woken for nothing, as `park` may be, it is still on the list, and lies down again.
        while lock(&self.asleep).contains(&index) {
            std::thread::park();
        }
    }

    /// Wakes a thread that sleeps. False: none does.
    fn wake_one(&self) -> bool {
        fence(Ordering::SeqCst);
        if self.asleep_count.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let mut asleep = lock(&self.asleep);
        let Some(index) = asleep.pop() else { return false };
        self.asleep_count.fetch_sub(1, Ordering::SeqCst);
        drop(asleep);
        if let Some(thread) = &*lock(&self.workers[index].thread) {
            thread.unpark();
        }
        true
    }
}

/// Without the right to it, a thread is as others are.
fn lower_priority(nice: i32) {
    if nice != 0 {
        let _ = rustix::process::nice(nice);
    }
}

/// Nothing can panic while one of these locks is held, so a poisoned lock still holds the truth.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
