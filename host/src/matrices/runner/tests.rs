mod checkpoints;
mod mailbox;
mod rehearsals;
mod swaps;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::FutureExt as _;

use super::super::lines::Kept;
use super::super::replay::Replay;
use super::super::status::Progress;
use super::super::testing::{Manner, TICKS, Toy, header};
use super::super::world::setup;
use super::*;
use crate::ids::{MatrixName, SoulName, StateHash};
use crate::telemetry::{Telemetry, TelemetryConfig};
use crate::transport::bus::{Bus, BusConfig, Filter, Item};
use crate::transport::envelope::Address;
use crate::transport::mailbox::Mailbox;
use crate::transport::router::{Draft, Router, TransportConfig};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// A Matrix of two players, neo and trinity, and everything around it.
struct Bench {
    folder: tempfile::TempDir,
    world: Arc<Toy>,
    players: Arc<[SoulName]>,
    router: Router,
    bus: Bus,
    telemetry: Telemetry,
    progress: Arc<watch::Sender<Progress>>,
    stop: CancellationToken,
    moved: CancellationToken,
    stopping: CancellationToken,
    kept: Kept,
    /// How much work of the rules lies between two checkpoints.
    checkpoint_every: Duration,
}

fn soul(name: &str) -> SoulName {
    name.parse().expect("a name")
}

impl Bench {
    fn new(world: Toy) -> Self {
        let telemetry = Telemetry::new(TelemetryConfig::default(), "test").expect("no exporter");
        let figures = Default::default();
        let (state, reason, switches) = (MatrixState::Paused, String::new(), Arc::default());
        let progress = Progress { state, reason, figures, switches };
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            world: Arc::new(world),
            players: [soul("neo"), soul("trinity")].into(),
            router: Router::new(
                &TransportConfig::default(),
                1,
                crate::kv::Roster::default(),
                telemetry.metrics().transport.clone(),
            ),
            telemetry,
            bus: Bus::new(BusConfig::default()),
            progress: Arc::new(watch::channel(progress).0),
            stop: CancellationToken::new(),
            moved: CancellationToken::new(),
            stopping: CancellationToken::new(),
            kept: Kept::default(),
            checkpoint_every: Duration::MAX,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("run.log")
    }

    /// A runner for a new run.
    async fn fresh(&self, running: bool) -> (Runner<Toy>, mpsc::Sender<Command>) {
        let header = header(&self.players);
        let mut rules = self.world.rules(header.rules).await.expect("a toy");
        let mut course = Course::new(self.players.len());
        let outcome = rules.start(setup(&header)).await.expect("no crash").expect("a toy");
        let (next, _) = course.absorb(outcome).expect("sound");
        course.figures.state_hash = replay::state_hash(&mut rules).await.expect("a state");
        let mut log = RunLog::create(self.path(), &header, 1 << 20).await.expect("a new file");
        log.tick(0, 1, course.figures.state_hash, &encode_actions(&[]));
        log.sync().await.expect("a disk");
        self.over(rules, next, course, log, running, false)
    }

    /// A runner for the run that the log holds.
    async fn again(&self, running: bool) -> (Runner<Toy>, mpsc::Sender<Command>) {
        let (replay, course, next) = Replay::to_end(&*self.world, &self.path()).await.expect("a sound log");
        let log = RunLog::resume(self.path(), replay.offset(), 1 << 20).await.expect("a file");
        self.over(replay.rules, next, course, log, running, replay.ended)
    }

    fn over(
        &self,
        rules: <Toy as World>::Rules,
        next: Next,
        course: Course,
        log: RunLog,
        running: bool,
        ended: bool,
    ) -> (Runner<Toy>, mpsc::Sender<Command>) {
        let matrix: MatrixName = "market".parse().expect("a name");
        let (mailbox, inbox) = Mailbox::new(16);
        self.router.directory().insert(Address::Matrix(matrix.clone()), mailbox);
        let (commands, told) = mpsc::channel(4);
        let copies = Copies::new(matrix.clone(), &BTreeSet::new(), self.stopping.clone());
        let runner = Runner {
            table: Table {
                world: self.world.clone(),
                matrix,
                run: "run-1".into(),
                players: self.players.clone(),
                deadline: Duration::from_millis(50),
                catch_up: Duration::from_secs(10),
            },
            rules,
            first: header(&self.players).rules,
            next,
            course,
            keeper: Keeper::new(log.path(), self.checkpoint_every, copies.checkpoints()),
            copies,
            log,
            untold: Vec::new(),
            clocks: Clocks::new(&self.telemetry.metrics().matrices),
            interval: Duration::ZERO,
            body_bytes_max: 1024,
            running,
            ended,
            steps: None,
            metrics: self.telemetry.metrics().matrices.clone(),
            lines: Lines {
                commands: told,
                inbox,
                progress: self.progress.clone(),
                router: self.router.clone(),
                bus: self.bus.clone(),
                stop: self.stop.clone(),
                moved: self.moved.clone(),
                stopping: self.stopping.clone(),
                kept: self.kept.clone(),
            },
        };
        (runner, commands)
    }

    /// Runs `ticks` ticks, and then stops as a node does that is killed between two ticks.
    async fn some_ticks(&self, fresh: bool, ticks: u64) {
        let (runner, commands) = if fresh { self.fresh(false).await } else { self.again(false).await };
        let running = runner.run();
        let stepping = async {
            step(&commands, ticks).await;
            self.stopping.cancel();
        };
        let (end, ()) = futures::join!(running, stepping);
        assert!(matches!(end, End::Stopping), "{end:?}");
    }

    fn state(&self) -> (u64, StateHash, u64) {
        let progress = self.progress.borrow();
        (progress.figures.tick, progress.figures.state_hash, progress.figures.missed_actions)
    }

    /// The kinds of all events so far.
    fn kinds(&self) -> Vec<String> {
        let mut events = self.bus.subscribe(Filter::default(), Some(0)).expect("room");
        let mut kinds = Vec::new();
        while let Some(Item::Event { event, .. }) = events.next().now_or_never() {
            kinds.push(event.kind.to_string());
        }
        kinds
    }
}

async fn step(commands: &mpsc::Sender<Command>, ticks: u64) {
    let (reply, done) = oneshot::channel();
    commands.send(Command::Step(ticks, reply)).await.expect("it listens");
    done.await.expect("an answer").expect("it does not run");
}

/// What a run without any trouble comes to.
async fn untroubled() -> (u64, StateHash, u64) {
    let bench = Bench::new(Toy::default());
    let (runner, _commands) = bench.fresh(true).await;
    assert!(matches!(runner.run().await, End::Finished));
    bench.state()
}

fn played(ticks: std::ops::RangeInclusive<u64>) -> Vec<(u64, u8)> {
    ticks.map(|tick| (tick, tick as u8)).collect()
}

#[tokio::test]
async fn a_run_is_played_told_and_finished() {
    let bench = Bench::new(Toy::default());
    let (runner, _commands) = bench.fresh(true).await;
    assert!(matches!(runner.run().await, End::Finished));
    assert_eq!((bench.state().0, bench.state().2), (TICKS, 0));
    assert_eq!(bench.world.mind(&soul("neo")).seen, played(0..=TICKS));
    assert_eq!(bench.world.mind(&soul("neo")).last, None, "the final turn ended its game");
    let figures = bench.progress.borrow().figures.clone();
    assert_eq!(figures.signals.get("ticks"), Some(&(TICKS as f64)));
    assert_eq!(figures.result.expect("a result").body, TICKS.to_string());
    let kinds = bench.kinds();
    assert_eq!(kinds.iter().filter(|kind| *kind == "matrix.tick").count() as u64, TICKS);
    assert!(kinds.contains(&"guest.count.finished".to_owned()));
}

#[tokio::test]
async fn who_does_not_answer_has_no_choice() {
    let world = Toy::default();
    world.set(&soul("neo"), Manner::Refuses);
    world.set(&soul("trinity"), Manner::Absent);
    let bench = Bench::new(world);
    let (mut runner, _commands) = bench.fresh(true).await;
    runner.table.deadline = Duration::from_secs(10);
    assert!(matches!(runner.run().await, End::Finished));
    assert_eq!((bench.state().0, bench.state().2), (TICKS, 2 * TICKS));
    assert_eq!(bench.world.rules_made.load(Ordering::Relaxed), 1, "a refusal is no reason to catch up");
}

#[tokio::test]
async fn who_is_late_has_no_choice_and_holds_nobody_up_for_long() {
    let world = Toy::default();
    world.set(&soul("neo"), Manner::Silent);
    let bench = Bench::new(world);
    let began = Instant::now();
    bench.some_ticks(true, 3).await;
    assert_eq!((bench.state().0, bench.state().2), (3, 3));
    assert!(began.elapsed() >= Duration::from_millis(150), "three deadlines of 50 ms");
    assert_eq!(bench.world.mind(&soul("trinity")).seen, played(0..=2));
}

#[tokio::test]
async fn a_killed_run_goes_on_as_if_nothing_had_happened() {
    let mut bench = Bench::new(Toy::default());
    bench.some_ticks(true, 4).await;
    bench.stopping = CancellationToken::new();
    let (runner, _commands) = bench.again(true).await;
    assert!(matches!(runner.run().await, End::Finished));
    assert_eq!(bench.state(), untroubled().await);
    assert_eq!(bench.world.mind(&soul("neo")).seen, played(0..=TICKS));
    let (runner, _commands) = bench.again(true).await;
    assert!(runner.ended);
    assert!(matches!(runner.run().await, End::Finished), "and is not played again");
    assert_eq!(bench.world.mind(&soul("neo")).seen, played(0..=TICKS));
}

#[tokio::test]
async fn souls_that_came_back_from_older_states_catch_up_in_one_pass() {
    let mut bench = Bench::new(Toy::default());
    bench.some_ticks(true, 6).await;
    bench.stopping = CancellationToken::new();
    bench.world.set_back(&soul("neo"), Some(2));
    bench.world.set_back(&soul("trinity"), None);
    let made = bench.world.rules_made.load(Ordering::Relaxed);
    let (runner, _commands) = bench.again(true).await;
    assert!(matches!(runner.run().await, End::Finished));
    assert_eq!(bench.world.rules_made.load(Ordering::Relaxed), made + 2, "one to go on, one to catch up");
    assert_eq!(bench.state(), untroubled().await);
    for name in ["neo", "trinity"] {
        assert_eq!(bench.world.mind(&soul(name)).seen, played(0..=TICKS), "{name}");
    }
}

#[tokio::test]
async fn a_soul_that_is_ahead_goes_on_from_where_it_is() {
    let mut bench = Bench::new(Toy::default());
    bench.some_ticks(true, 3).await;
    bench.stopping = CancellationToken::new();
    bench.world.minds.lock().expect("no panic").entry(soul("neo")).or_default().last = Some(7);
    let (runner, _commands) = bench.again(true).await;
    assert!(matches!(runner.run().await, End::Finished));
    assert_eq!(bench.state(), untroubled().await);
}

#[tokio::test]
async fn messages_come_between_ticks_and_are_part_of_the_run() {
    let mut bench = Bench::new(Toy::default());
    let (runner, commands) = bench.fresh(false).await;
    let asking = async {
        step(&commands, 2).await;
        let answer = bench.router.ask(draft(), Duration::from_secs(5)).await.expect("an answer");
        step(&commands, 1).await;
        bench.stopping.cancel();
        answer.content.expect("content").body
    };
    let (_, answer) = futures::join!(runner.run(), asking);
    assert_eq!(answer, "hello");
    let before = bench.state();
    bench.stopping = CancellationToken::new();
    let (mut runner, _commands) = bench.again(false).await;
    assert_eq!(runner.course.figures.state_hash, before.1);
    assert_eq!(view(&mut runner.rules).await.expect("a view").body, "ntnthellont");
}

#[tokio::test]
async fn rules_that_crash_end_the_run_where_the_log_ends() {
    let bench = Bench::new(Toy { fails_at: Some(5), ..Toy::default() });
    let (runner, _commands) = bench.fresh(true).await;
    let end = runner.run().await;
    assert!(matches!(&end, End::Failed(MatrixError::Crashed(_))), "{end:?}");
    assert_eq!(bench.state().0, 5);
    let (mut replay, mut course, _) = Replay::open(&*bench.world, &bench.path()).await.expect("a log");
    let progress = replay.compare(&mut course, 5, |_| {}).await.expect("sound");
    assert_eq!((progress.tick, progress.done, progress.first_difference), (5, true, None));
}

#[tokio::test]
async fn a_difference_is_found_at_its_tick() {
    let bench = Bench::new(Toy::default());
    let (mut runner, _commands) = bench.fresh(false).await;
    let asked = group(std::mem::take(&mut runner.next.prompts), false);
    let (actions, _) = asked.into_actions();
    runner.log.tick(1, 1, StateHash::of(b"another state"), &encode_actions(&actions));
    runner.log.sync().await.expect("a disk");
    let to_end = Replay::to_end(&*bench.world, &bench.path()).await;
    assert!(matches!(to_end, Err(MatrixError::Differs(1))));
    let (mut replay, mut course, _) = Replay::open(&*bench.world, &bench.path()).await.expect("a log");
    assert_eq!(replay.compare(&mut course, 1, |_| {}).await.expect("sound").first_difference, Some(1));
}

#[tokio::test]
async fn commands_are_obeyed_between_ticks() {
    let bench = Bench::new(Toy::default());
    let (runner, commands) = bench.fresh(false).await;
    let telling = async {
        let (reply, seen) = oneshot::channel();
        commands.send(Command::View(reply)).await.expect("it listens");
        assert_eq!(seen.await.expect("an answer").expect("a view").0, 0);
        step(&commands, 2).await;
        assert_eq!(bench.state().0, 2);
        let (reply, refused) = oneshot::channel();
        let (first, begun) = oneshot::channel();
        commands.send(Command::Step(1_000, first)).await.expect("it listens");
        commands.send(Command::Step(1, reply)).await.expect("it listens");
        let refused = refused.await.expect("an answer").expect_err("it steps already");
        assert_eq!(refused.to_string(), "market is running: pause it before it is told to step");
        drop(commands);
        assert!(begun.await.is_err(), "the run ended before so many steps");
    };
    let (end, ()) = futures::join!(runner.run(), telling);
    assert!(matches!(end, End::Finished), "{end:?}");
}

#[tokio::test]
async fn a_stop_cuts_a_tick_off() {
    let world = Toy::default();
    world.set(&soul("neo"), Manner::Silent);
    let bench = Bench::new(world);
    let (mut runner, _commands) = bench.fresh(true).await;
    runner.table.deadline = Duration::from_secs(3600);
    let stopping = async {
        tokio::task::yield_now().await;
        bench.stop.cancel();
    };
    let (end, ()) = futures::join!(runner.run(), stopping);
    assert!(matches!(end, End::Stopped));
    assert_eq!(bench.state().0, 0);
}

fn draft() -> Draft {
    Draft {
        sender: "client:test".parse().expect("an address"),
        recipient: "matrix:market".parse().expect("an address"),
        content: Content { content_type: "text/plain".into(), body: "hello".into() },
        in_reply_to: None,
        hops: 0,
        trace: None,
    }
}
