//! Other rules take over in the midst of a run.

use super::super::super::runlog::LogError;
use super::super::super::runlog::reader::Reader;
use super::super::super::runlog::record::Record;
use super::super::super::switches::{SWITCHES_MAX, Switch};
use super::super::super::testing::{Law, component};
use super::*;

async fn swap(commands: &mpsc::Sender<Command>, law: Law) -> Result<(), MatrixError> {
    let (reply, done) = oneshot::channel();
    commands.send(Command::Swap(component(law), reply)).await.expect("it listens");
    done.await.expect("an answer")
}

impl Bench {
    /// Drives a run, and ends it as a node does that stops.
    async fn driven<T>(
        &mut self,
        fresh: bool,
        drive: impl AsyncFnOnce(&Self, &mpsc::Sender<Command>) -> T,
    ) -> T {
        let (runner, commands) = if fresh { self.fresh(false).await } else { self.again(false).await };
        let driving = async {
            let driven = drive(self, &commands).await;
            self.stopping.cancel();
            driven
        };
        let (end, driven) = futures::join!(runner.run(), driving);
        assert!(matches!(end, End::Stopping), "{end:?}");
        self.stopping = CancellationToken::new();
        driven
    }

    /// Goes through the log from its beginning; the hash at its end.
    async fn replayed(&self, ticks: u64) -> StateHash {
        let (mut replay, mut course, _) = Replay::open(&*self.world, &self.path()).await.expect("a log");
        let progress = replay.compare(&mut course, ticks, |_| {}).await.expect("sound");
        assert_eq!((progress.tick, progress.first_difference), (ticks, None));
        progress.state_hash
    }

    fn logged(&self) -> Vec<Switch> {
        let (_, mut reader) = Reader::open(&self.path()).expect("a log");
        std::iter::from_fn(|| reader.next().expect("sound"))
            .filter_map(|record| if let Record::Switch(switch) = record { Some(switch) } else { None })
            .collect()
    }
}

#[tokio::test]
async fn others_take_over_between_two_ticks_and_a_replay_does_the_same() {
    let mut bench = Bench::new(Toy::default());
    let state = bench
        .driven(true, async |bench, commands| {
            step(commands, 4).await;
            let before = bench.state();
            swap(commands, Law::Migrates).await.expect("they migrate");
            let at_switch = bench.state();
            assert_eq!(
                (at_switch.0, at_switch.1 == before.1),
                (4, false),
                "the state is that of the new layout"
            );
            step(commands, 3).await;
            at_switch.1
        })
        .await;
    let switch = Switch { tick: 4, before: component(Law::Counts), after: component(Law::Migrates), state };
    assert_eq!(bench.logged(), [switch]);
    assert_eq!(bench.progress.borrow().switches[..], [switch]);
    assert_eq!(*bench.world.filed.lock().expect("no panic"), [switch]);
    assert_eq!(*bench.world.claimed.lock().expect("no panic"), [switch]);
    assert_eq!(bench.replayed(7).await, bench.state().1);
    let kinds = bench.kinds();
    let ticks = kinds.iter().filter(|kind| ["matrix.tick", "matrix.swapped"].contains(&kind.as_str()));
    assert_eq!(ticks.clone().position(|kind| kind == "matrix.swapped"), Some(4), "{kinds:?}");
    // It is brought back with the new rules, and plays to its end as it would have.
    let (runner, _commands) = bench.again(true).await;
    assert_eq!(
        (runner.course.figures.state_hash, &runner.course.switches[..]),
        (bench.state().1, &[switch][..])
    );
    assert!(matches!(runner.run().await, End::Finished));
    assert_eq!((bench.state().0, bench.state().2), (TICKS, 0));
    let signals = bench.progress.borrow().figures.signals.clone();
    assert_eq!((signals.get("ticks"), signals.get("rounds")), (Some(&4.0), Some(&(TICKS as f64))));
    for name in ["neo", "trinity"] {
        assert_eq!(bench.world.mind(&soul(name)).seen, played(0..=TICKS), "{name}");
    }
}

#[tokio::test]
async fn who_does_not_take_over_changes_nothing() {
    let mut bench = Bench::new(Toy::default());
    let refused = bench
        .driven(true, async |bench, commands| {
            step(commands, 3).await;
            let before = std::fs::read(bench.path()).expect("a file");
            let mut refused = Vec::new();
            for law in [Law::Refuses, Law::Crashes, Law::Dumb] {
                refused.push(swap(commands, law).await.expect_err("they do not").to_string());
            }
            assert_eq!(std::fs::read(bench.path()).expect("a file"), before);
            step(commands, 1).await;
            refused
        })
        .await;
    for (error, part) in refused.iter().zip(["refused: not mine", "trapped", "trapped"]) {
        assert!(error.starts_with("the rules of market stay as they are: sha256:"), "{error}");
        assert!(error.contains(part), "{error}");
    }
    assert!(bench.world.claimed.lock().expect("no panic").is_empty());
    let (runner, _commands) = bench.again(true).await;
    assert!(matches!(runner.run().await, End::Finished));
    assert_eq!(bench.state(), untroubled().await);
}

#[tokio::test]
async fn what_nobody_may_claim_or_no_log_has_room_for_does_not_take_over() {
    let mut bench = Bench::new(Toy { unclaimed: true, ..Toy::default() });
    let error = bench.driven(true, async |_, commands| swap(commands, Law::Migrates).await).await;
    assert!(matches!(error, Err(MatrixError::Component(_))), "{error:?}");
    assert!(bench.logged().is_empty());

    let bench = Bench::new(Toy::default());
    let (mut runner, _commands) = bench.fresh(false).await;
    let length = runner.log.end_offset();
    runner.log = RunLog::resume(bench.path(), length, length + 40).await.expect("a file");
    let error = runner.swap(component(Law::Migrates)).await.expect("the run goes on");
    assert!(matches!(error, Err(MatrixError::Log(LogError::Full(_)))), "{error:?}");
    assert_eq!((runner.log.end_offset(), runner.course.switches.len()), (length, 0));
}

#[tokio::test]
async fn rules_that_crash_over_their_own_state_are_brought_back_and_go_on() {
    // Set up, and after each of two ticks: the fourth crashes.
    let mut bench = Bench::new(Toy { snapshots: std::sync::Mutex::new(Some(3)), ..Toy::default() });
    let error = bench
        .driven(true, async |_, commands| {
            step(commands, 2).await;
            let error = swap(commands, Law::Migrates).await.expect_err("they crash");
            step(commands, 2).await;
            error.to_string()
        })
        .await;
    assert!(error.contains("those that run do not give their state") && error.contains("trapped"), "{error}");
    assert_eq!((bench.state().0, bench.logged().len()), (4, 0));
    assert_eq!(bench.replayed(4).await, bench.state().1);
}

#[tokio::test]
async fn a_node_that_ends_before_the_record_follows_has_swapped() {
    let mut bench = Bench::new(Toy { unfiled: true, ..Toy::default() });
    let (runner, commands) = bench.fresh(false).await;
    let swapping = async {
        step(&commands, 2).await;
        let (reply, done) = oneshot::channel();
        commands.send(Command::Swap(component(Law::Migrates), reply)).await.expect("it listens");
        let mut shown = bench.progress.subscribe();
        shown.wait_for(|progress| !progress.switches.is_empty()).await.expect("it is shown");
        bench.stopping.cancel();
        done.await
    };
    let (end, told) = futures::join!(runner.run(), swapping);
    assert!(matches!(end, End::Stopping) && told.is_err(), "nobody is told of it");
    assert!(bench.world.filed.lock().expect("no panic").is_empty());
    bench.stopping = CancellationToken::new();
    let (runner, _commands) = bench.again(true).await;
    assert_eq!(runner.course.switches, bench.logged());
    assert!(matches!(runner.run().await, End::Finished));
    assert_eq!(bench.replayed(TICKS).await, bench.state().1);
}

#[tokio::test]
async fn rules_come_and_go_with_messages_and_checkpoints_between() {
    let mut bench = Bench::new(Toy::default());
    bench.checkpoint_every = Duration::ZERO;
    bench
        .driven(true, async |bench, commands| {
            step(commands, 2).await;
            bench.router.ask(draft(), Duration::from_secs(5)).await.expect("an answer");
            swap(commands, Law::Migrates).await.expect("they migrate");
        })
        .await;
    // The checkpoint is of the rules before, and the message and the switch come from the log.
    bench
        .driven(false, async |bench, commands| {
            assert_eq!(bench.state().0, 2);
            step(commands, 2).await;
            assert!(swap(commands, Law::Counts).await.is_err(), "they do not know the new layout");
            swap(commands, Law::Migrates).await.expect("their own layout is known to them");
        })
        .await;
    let steps = bench.world.steps.load(Ordering::Relaxed);
    let (runner, _commands) = bench.again(true).await;
    assert_eq!(bench.world.steps.load(Ordering::Relaxed), steps, "the checkpoint is of the new rules");
    assert_eq!(runner.course.switches, bench.logged());
    assert!(matches!(runner.run().await, End::Finished));
    assert_eq!((bench.logged().len(), bench.replayed(TICKS).await), (2, bench.state().1));
}

#[tokio::test]
async fn a_switch_that_leads_elsewhere_is_a_difference() {
    let bench = Bench::new(Toy::default());
    let (mut runner, _commands) = bench.fresh(false).await;
    let state = StateHash::of(b"another state");
    let switch = Switch { tick: 0, before: component(Law::Counts), after: component(Law::Migrates), state };
    runner.log.switch(&switch).expect("room");
    let to_end = Replay::to_end(&*bench.world, &bench.path()).await;
    assert!(matches!(to_end, Err(MatrixError::Differs(0))));
    let (mut replay, mut course, _) = Replay::open(&*bench.world, &bench.path()).await.expect("a log");
    assert_eq!(replay.compare(&mut course, 0, |_| {}).await.expect("sound").first_difference, Some(0));
}

#[tokio::test]
async fn rules_are_not_swapped_without_end() {
    let bench = Bench::new(Toy::default());
    let (mut runner, _commands) = bench.fresh(false).await;
    for _ in 0..SWITCHES_MAX {
        runner.swap(component(Law::Counts)).await.expect("it goes on").expect("the same rules fit");
    }
    let error = runner.swap(component(Law::Counts)).await.expect("it goes on").expect_err("too often");
    assert!(error.to_string().contains("100 times"), "{error}");
}
