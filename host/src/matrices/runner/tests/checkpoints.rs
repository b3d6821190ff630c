//! Runs that are brought back from what is kept beside their logs.

use super::super::super::checkpoint::Checkpoint;
use super::*;

/// Does some ticks, each with a checkpoint, and returns the files of these.
async fn with_checkpoints(world: Toy, ticks: u64) -> (Bench, [PathBuf; 2]) {
    let mut bench = Bench::new(world);
    bench.checkpoint_every = Duration::ZERO;
    bench.some_ticks(true, ticks).await;
    bench.stopping = CancellationToken::new();
    let files = checkpoint::files(&bench.path());
    (bench, files)
}

/// Runs to the end, and returns how many steps that took.
async fn to_the_end(bench: &Bench) -> usize {
    let before = bench.world.steps.load(Ordering::Relaxed);
    let (runner, _commands) = bench.again(true).await;
    assert!(matches!(runner.run().await, End::Finished));
    bench.world.steps.load(Ordering::Relaxed) - before
}

#[tokio::test]
async fn a_run_is_brought_back_from_its_checkpoint() {
    let (bench, [newest, _]) = with_checkpoints(Toy::default(), 6).await;
    assert!(newest.exists());
    assert_eq!(to_the_end(&bench).await as u64, TICKS - 6, "no tick is done again");
    assert_eq!(bench.state(), untroubled().await);
    assert_eq!(bench.progress.borrow().figures.signals.get("ticks"), Some(&(TICKS as f64)));
    for name in ["neo", "trinity"] {
        assert_eq!(bench.world.mind(&soul(name)).seen, played(0..=TICKS), "{name}");
    }
}

#[tokio::test]
async fn what_came_after_the_checkpoint_comes_from_the_log() {
    let (mut bench, [newest, aged]) = with_checkpoints(Toy::default(), 3).await;
    bench.checkpoint_every = Duration::MAX;
    bench.some_ticks(false, 4).await;
    bench.stopping = CancellationToken::new();
    std::fs::rename(&newest, &aged).expect("the older one serves as well");
    assert_eq!(to_the_end(&bench).await as u64, TICKS - 3);
    assert_eq!(bench.state(), untroubled().await);
}

#[tokio::test]
async fn a_checkpoint_that_is_no_good_is_passed_over() {
    let (bench, [newest, _]) = with_checkpoints(Toy::default(), 6).await;
    let good = std::fs::read(&newest).expect("a file");
    let log = std::fs::read(bench.path()).expect("a file");
    let header = header(&bench.players);
    for at in 0..good.len() {
        let mut damaged = good.clone();
        damaged[at] ^= 0x10;
        std::fs::write(&newest, &damaged).expect("written");
        assert!(Checkpoint::read(&header.run, &newest).is_err(), "byte {at}");
        assert!(Checkpoint::decode(&header.run, &good[..at]).is_err(), "cut at {at}");
    }
    assert!(Checkpoint::decode("run-2", &good).is_err());
    let (_, course, _) = Replay::to_end(&*bench.world, &bench.path()).await.expect("the log is sound");
    assert_eq!(course.figures.tick, 6);

    // The log lost its end to a power cut, and the checkpoint did not.
    std::fs::write(&newest, &good).expect("written");
    std::fs::write(bench.path(), &log[..log.len() - 1]).expect("written");
    let (_, course, _) = Replay::to_end(&*bench.world, &bench.path()).await.expect("the log is sound");
    assert_eq!(course.figures.tick, 5);
    assert_eq!(to_the_end(&bench).await as u64, TICKS);
    assert_eq!(bench.state(), untroubled().await);
}

#[tokio::test]
async fn rules_that_take_up_another_state_are_run_from_the_log() {
    let (bench, _) = with_checkpoints(Toy { forgetful: true, ..Toy::default() }, 6).await;
    assert_eq!(to_the_end(&bench).await as u64, TICKS);
    assert_eq!(bench.state(), untroubled().await);
}

#[tokio::test]
async fn who_missed_little_is_told_again_from_a_checkpoint() {
    let (bench, _) = with_checkpoints(Toy::default(), 6).await;
    let (runner, commands) = bench.again(false).await;
    let stepping = async {
        step(&commands, 2).await;
        bench.world.set_back(&soul("neo"), Some(6));
        let before = bench.world.steps.load(Ordering::Relaxed);
        step(&commands, 1).await;
        bench.stopping.cancel();
        bench.world.steps.load(Ordering::Relaxed) - before
    };
    let (_, steps) = futures::join!(runner.run(), stepping);
    assert_eq!(bench.world.mind(&soul("neo")).seen, played(0..=8));
    assert!(steps <= 9, "{steps}");
}
