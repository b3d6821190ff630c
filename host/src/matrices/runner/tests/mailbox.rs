//! What becomes of messages that wait when a run ends on this node and goes on elsewhere, or later.

use super::*;

#[tokio::test]
async fn a_move_cuts_a_tick_off_and_keeps_what_waits() {
    let world = Toy::default();
    world.set(&soul("neo"), Manner::Silent);
    let bench = Bench::new(world);
    let (mut runner, _commands) = bench.fresh(true).await;
    runner.table.deadline = Duration::from_secs(3600);
    let moving = async {
        tokio::task::yield_now().await;
        bench.router.send(draft()).expect("it takes messages while it is asking");
        bench.moved.cancel();
    };
    let (end, ()) = futures::join!(runner.run(), moving);
    assert!(matches!(end, End::Moved), "{end:?}");
    assert_eq!(bench.state().0, 0);
    bench.router.send(draft()).expect("it takes messages until it is known where they go");
    let mut waiting = Vec::new();
    bench.kept.take().expect("its mailbox is kept").drain(&mut waiting, 9);
    assert_eq!(waiting.len(), 2);
}

#[tokio::test]
async fn a_node_that_stops_writes_down_what_waits() {
    let world = Toy::default();
    world.set(&soul("neo"), Manner::Silent);
    let mut bench = Bench::new(world);
    let (mut runner, _commands) = bench.fresh(true).await;
    runner.table.deadline = Duration::from_secs(3600);
    let asking = bench.router.ask(draft(), Duration::from_secs(60));
    let stopping = async {
        tokio::task::yield_now().await;
        bench.router.send(draft()).expect("it takes messages while it is asking");
        bench.stopping.cancel();
    };
    let (end, asked, ()) = futures::join!(runner.run(), asking, stopping);
    assert!(matches!(end, End::Stopping), "{end:?}");
    assert!(matches!(asked, Err(SendError::Failed(_))), "{asked:?}");
    assert!(bench.router.send(draft()).is_err(), "it takes no more");
    bench.stopping = CancellationToken::new();
    let (mut runner, _commands) = bench.again(false).await;
    assert_eq!(view(&mut runner.rules).await.expect("a view").body, "hello", "what was sent, and once");
}
