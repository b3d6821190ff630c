//! Somebody who asks Souls that count, one after another, each when its turn has come, whether the answer before is
//! there or not: a question to a Soul that is held up waits with it, and its answer is late by as much. The questions to
//! a Soul are numbered, and one that is lost, doubled or overtaken is noticed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use matrix_tests::node::{PATIENCE, TestNode};
use matrixd::transport::envelope::{Address, Content, Envelope};
use matrixd::transport::mailbox::{Inbox, Mailbox};
use matrixd::transport::router::{Draft, Router};

/// How often it is looked what is due: as often as Erlang's timers let the other one look.
const TICK: Duration = Duration::from_millis(1);
/// Rounds of questions whose answers may wait for the asker.
const ROUNDS_WAITING: usize = 20;

/// What is asked counts from the next phase on.
const SETTLING: u8 = 0;
/// The longest answers are noted down.
const WATCHED: u8 = 1;
/// Whom nobody has asked in this round is asked, and then it ends.
const OVER: u8 = 2;

/// Who asks.
pub(crate) struct Asker {
    me: Address,
    souls: Vec<Address>,
    /// In which time all are asked once.
    round: Duration,
    router: Router,
    inbox: Inbox,
    /// How many questions each Soul has answered: the count that it answered last.
    counted: Vec<u64>,
}

/// Questions without a pause between them.
struct Course {
    began: Instant,
    /// How many questions each Soul had answered before.
    before: u64,
    sent: u64,
    heard: u64,
    /// Since when the longest answers are noted down.
    watched: Option<Instant>,
    longest: Vec<Duration>,
}

impl Asker {
    /// Will ask these Souls of the node, whose names end in their places in the list.
    pub(crate) fn new(node: &TestNode, souls: Vec<Address>, round: Duration) -> Self {
        let router = node.node().router().clone();
        let me: Address = "soul:asker".parse().expect("an address");
        let (mailbox, inbox) = Mailbox::new(souls.len() * ROUNDS_WAITING);
        router.directory().insert(me.clone(), mailbox);
        let counted = vec![0; souls.len()];
        Self { me, souls, round, router, inbox, counted }
    }

    /// How often each Soul has been asked, and has answered.
    pub(crate) fn asked(&self) -> u64 {
        self.counted[0]
    }

    /// Asks all Souls while something is done: for a round before, and for two at least from its beginning on. Gives how
    /// long the longest answer of each took, from when the question was due, the shortest first.
    ///
    /// # Panics
    /// If a question was lost, doubled or overtaken.
    pub(crate) async fn watch<T>(self, during: impl Future<Output = T>) -> (Self, Vec<Duration>, T) {
        let (phase, round) = (Arc::new(AtomicU8::new(SETTLING)), self.round);
        let told = Arc::clone(&phase);
        // On a thread of its own, as somebody outside would: what it sees must not depend on where its task waits.
        let asking = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            runtime.expect("the system gives a timer").block_on(self.ask_all(&told))
        });
        tokio::time::sleep(round).await;
        phase.store(WATCHED, Ordering::Relaxed);
        let least = tokio::time::Instant::now() + 2 * round;
        let done = during.await;
        tokio::time::sleep_until(least).await;
        phase.store(OVER, Ordering::Relaxed);
        let (asker, mut longest) = asking.await.expect("nothing is lost, doubled or overtaken");
        longest.sort();
        (asker, longest, done)
    }

    async fn ask_all(mut self, phase: &AtomicU8) -> (Self, Vec<Duration>) {
        let mut course = Course {
            began: Instant::now(),
            before: self.asked(),
            sent: 0,
            heard: 0,
            watched: None,
            longest: vec![Duration::ZERO; self.souls.len()],
        };
        let mut over = None;
        loop {
            let now = Instant::now();
            match phase.load(Ordering::Relaxed) {
                OVER => over = over.or(Some(now)),
                WATCHED => course.watched = course.watched.or(Some(now)),
                _ => {}
            }
            let ends = |sent: u64| over.is_some() && sent.is_multiple_of(self.souls.len() as u64);
            while !ends(course.sent) && self.due(&course, course.sent) <= now {
                self.ask(&course);
                course.sent += 1;
            }
            if ends(course.sent) && course.heard == course.sent {
                return (self, course.longest);
            }
            let lost = over.is_some_and(|since| now - since > PATIENCE);
            assert!(!lost, "{} of {} questions were answered", course.heard, course.sent);
            self.hear(&mut course, now + TICK).await;
        }
    }

    /// When a question is due.
    fn due(&self, course: &Course, question: u64) -> Instant {
        let nanos = self.round.as_nanos() * u128::from(question) / self.souls.len() as u128;
        course.began + Duration::from_nanos(u64::try_from(nanos).expect("less than five hundred years"))
    }

    fn ask(&self, course: &Course) {
        let (count, question) = (self.souls.len() as u64, course.sent);
        let number = course.before + question / count + 1;
        let place = usize::try_from(question % count).expect("a place");
        let body = format!("add load {number}").into();
        let draft = Draft {
            sender: self.me.clone(),
            recipient: self.souls[place].clone(),
            content: Content { content_type: "text/plain".into(), body },
            in_reply_to: None,
            hops: 0,
            trace: None,
        };
        self.router.send(draft).expect("there is room in its mailbox");
    }

    /// Takes note of what is answered until then.
    async fn hear(&mut self, course: &mut Course, until: Instant) {
        let mut batch = Vec::new();
        while Instant::now() < until
            && tokio::time::timeout_at(until.into(), self.inbox.ready()).await.is_ok()
        {
            self.inbox.drain(&mut batch, usize::MAX);
            let now = Instant::now();
            for answer in batch.drain(..) {
                self.answered(course, &answer, now);
            }
        }
    }

    fn answered(&mut self, course: &mut Course, answer: &Envelope, now: Instant) {
        let place = answer.sender.to_string();
        let place = place.rsplit('-').next().and_then(|place| place.parse::<usize>().ok());
        let place = place.expect("the name of a Soul that was asked");
        let count = std::str::from_utf8(&answer.content.body).ok().and_then(|text| text.parse::<u64>().ok());
        let expected = self.counted[place] + 1;
        assert_eq!(count, Some(expected), "{} counts every question, once, in order", answer.sender);
        self.counted[place] = expected;
        course.heard += 1;
        let question = (expected - course.before - 1) * self.souls.len() as u64 + place as u64;
        let due = self.due(course, question);
        if course.watched.is_some_and(|since| due >= since) {
            course.longest[place] = course.longest[place].max(now.saturating_duration_since(due));
        }
    }
}
