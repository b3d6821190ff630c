//! Wakes by post. To wake a task of another thread's runtime is a call of the system each time, and that thread is up for
//! the first of many before the others have been told. A thread that takes post is told once that there is some, and
//! wakes its tasks itself: so what was done for many of them together goes on together.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::alert;

thread_local! {
    /// The post of this thread, where it takes any.
    static HERE: RefCell<Option<Arc<Postbox>>> = const { RefCell::new(None) };
}

/// The tasks of one thread that others have woken.
#[derive(Debug, Default)]
struct Postbox(Mutex<Post>);

#[derive(Debug, Default)]
struct Post {
    woken: Vec<Waker>,
    /// Wakes the task that empties the box, while it waits.
    postman: Option<Waker>,
    /// Nobody empties it any more.
    is_closed: bool,
}

/// A waker of a task that lives where `postbox` is.
struct Address {
    postbox: Arc<Postbox>,
    task: Waker,
}

impl Postbox {
    fn put(&self, task: &Waker) {
        let mut post = self.lock();
        if post.is_closed {
            drop(post);
            return task.wake_by_ref();
        }
        post.woken.push(task.clone());
        let postman = post.postman.take();
        drop(post);
        if let Some(postman) = postman {
            postman.wake();
        }
    }

    fn poll_take(&self, postman: &Waker) -> Poll<Vec<Waker>> {
        let mut post = self.lock();
        if post.woken.is_empty() {
            post.postman = Some(postman.clone());
            return Poll::Pending;
        }
        Poll::Ready(std::mem::take(&mut post.woken))
    }

    fn close(&self) {
        let left = {
            let mut post = self.lock();
            post.is_closed = true;
            std::mem::take(&mut post.woken)
        };
        left.into_iter().for_each(Waker::wake);
    }

    /// No code panics while it holds the post.
    fn lock(&self) -> MutexGuard<'_, Post> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Address {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // A thread at its end has no post of its own.
        let is_here =
            HERE.try_with(|here| here.borrow().as_ref().is_some_and(|here| Arc::ptr_eq(here, &self.postbox)));
        if is_here.unwrap_or_default() { self.task.wake_by_ref() } else { self.postbox.put(&self.task) }
    }
}

/// Has this thread take post for as long as this runs: one task of its current-thread runtime runs it.
pub async fn deliver() {
    let open = Open(Arc::default());
    HERE.with(|here| here.replace(Some(Arc::clone(&open.0))));
    loop {
        let woken = poll_fn(|context| open.0.poll_take(context.waker())).await;
        alert::stir();
        woken.into_iter().for_each(Waker::wake);
        // They go first: what comes meanwhile is taken together.
        tokio::task::yield_now().await;
    }
}

/// The postbox of this thread, until this is dropped.
struct Open(Arc<Postbox>);

impl Drop for Open {
    fn drop(&mut self) {
        // Where the thread is at its end, nobody looks any more.
        let _ = HERE.try_with(RefCell::take);
        self.0.close();
    }
}

/// Runs `future`, which other threads then wake by post where this one takes any.
pub async fn by_post<F: Future>(future: F) -> F::Output {
    let (mut future, mut address) = (pin!(future), None::<(Arc<Address>, Waker)>);
    poll_fn(|context| {
        let Some(postbox) = HERE.with(|here| here.borrow().clone()) else {
            return future.as_mut().poll(context);
        };
        let known = address.take().filter(|(address, _)| {
            Arc::ptr_eq(&address.postbox, &postbox) && address.task.will_wake(context.waker())
        });
        let (_, waker) = address.insert(known.unwrap_or_else(|| {
            let address = Arc::new(Address { postbox, task: context.waker().clone() });
            (Arc::clone(&address), Waker::from(address))
        }));
        future.as_mut().poll(&mut Context::from_waker(waker))
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::FutureExt as _;
    use futures::task::noop_waker;
    use tokio::sync::oneshot;

    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn the_postman_is_woken_once_for_all_that_come_before_he_does() {
        let (postman, tasks) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let (him, task) = (Waker::from(Arc::clone(&postman)), Waker::from(Arc::clone(&tasks)));
        let postbox = Postbox::default();
        assert!(postbox.poll_take(&him).is_pending());
        for _ in 0..3 {
            postbox.put(&task);
        }
        assert_eq!((postman.0.load(Ordering::SeqCst), tasks.0.load(Ordering::SeqCst)), (1, 0));
        let Poll::Ready(woken) = postbox.poll_take(&him) else { panic!("there is post") };
        assert_eq!(woken.len(), 3);
        assert!(postbox.poll_take(&him).is_pending());
        postbox.put(&task);
        postbox.close();
        assert_eq!(tasks.0.load(Ordering::SeqCst), 1, "what was left is delivered");
        postbox.put(&task);
        assert_eq!(tasks.0.load(Ordering::SeqCst), 2, "and what comes later goes on its own");
        assert_eq!(postman.0.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn what_other_threads_do_arrives_by_post() {
        let answers = async {
            let (ask, mut asked) = tokio::sync::mpsc::channel::<oneshot::Sender<usize>>(64);
            let other = std::thread::spawn(move || {
                let mut answered = 0;
                while let Some(answer) = asked.blocking_recv() {
                    answer.send(answered).expect("it waits");
                    answered += 1;
                }
                answered
            });
            let one = |_| {
                by_post(async {
                    let (answer, answered) = oneshot::channel();
                    ask.send(answer).await.expect("it listens");
                    answered.await.expect("it answers")
                })
            };
            let mut sum = 0;
            for _ in 0..100 {
                sum += futures::future::join_all((0..64).map(one)).await.into_iter().sum::<usize>();
            }
            drop(ask);
            (sum, other.join().expect("it does not panic"))
        };
        tokio::select! {
            () = deliver() => {}
            (sum, answered) = answers => assert_eq!((sum, answered), (6_399 * 6_400 / 2, 6_400)),
        }
        assert!(HERE.with(|here| here.borrow().is_none()), "nobody delivers any more");
    }

    #[test]
    fn where_no_post_is_taken_the_task_itself_is_woken() {
        let (send, receive) = oneshot::channel();
        let mut waits = pin!(by_post(receive));
        let counted = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&counted));
        assert!(waits.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        send.send(7).expect("it waits");
        assert_eq!(counted.0.load(Ordering::SeqCst), 1);
        assert_eq!(waits.poll(&mut Context::from_waker(&noop_waker())), Poll::Ready(Ok(7)));
        assert!(by_post(std::future::ready(())).now_or_never().is_some());
    }
}
