use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use super::*;

const PLAN: Plan = Plan { canary_percent: 10, watch: Duration::from_millis(1), batch: 8, failures_max: 0 };

/// Users that are numbers, and what is wrong with some of them.
#[derive(Default)]
struct Numbers {
    refuse: BTreeSet<u32>,
    gone: BTreeSet<u32>,
    /// Fail once so many have the new code.
    crash: BTreeMap<u32, usize>,
    stuck: BTreeSet<u32>,
    unsettled: bool,
    new: Mutex<Vec<u32>>,
    back: Mutex<Vec<u32>>,
}

impl Numbers {
    fn came(&self) -> Vec<u32> {
        self.new.lock().expect("no test panics with it").clone()
    }

    fn went_back(&self) -> Vec<u32> {
        self.back.lock().expect("no test panics with it").clone()
    }
}

impl Users for Numbers {
    type User = u32;
    type Before = u32;

    async fn renew(&self, user: &u32) -> Result<Option<u32>, String> {
        if self.refuse.contains(user) {
            return Err("it refuses".to_owned());
        }
        if self.gone.contains(user) {
            return Ok(None);
        }
        self.new.lock().expect("no test panics with it").push(*user);
        Ok(Some(user + 1_000))
    }

    async fn failure(&self, user: &u32, before: &u32) -> Option<String> {
        assert_eq!(*before, user + 1_000, "what was before is that user's");
        let when = self.crash.get(user)?;
        (self.came().len() >= *when).then(|| "it crashed".to_owned())
    }

    async fn take_back(&self, user: &u32, before: &u32) -> Result<(), String> {
        assert_eq!(*before, user + 1_000, "what was before is that user's");
        if self.stuck.contains(user) {
            return Err("it is stuck".to_owned());
        }
        self.back.lock().expect("no test panics with it").push(*user);
        Ok(())
    }

    async fn settle(&self) -> Result<(), String> {
        if self.unsettled { Err("nobody listens".to_owned()) } else { Ok(()) }
    }
}

async fn rolled(users: &Numbers, total: u32, plan: Plan) -> Vec<Step> {
    let (tell, mut told) = mpsc::channel(8);
    let hears = async {
        let mut steps = Vec::new();
        while let Some(step) = told.recv().await {
            steps.push(step);
        }
        steps
    };
    tokio::join!(roll_out(users, (0..total).collect(), plan, tell), hears).1
}

fn cuts(plan: Plan, total: usize) -> Vec<(usize, bool)> {
    let stages = stages(&plan, total);
    let starts: Vec<_> = stages.iter().map(|stage| stage.users.start).collect();
    let ends = std::iter::once(0).chain(stages.iter().map(|stage| stage.users.end));
    assert_eq!(starts, ends.take(stages.len()).collect::<Vec<_>>(), "nobody is left out, or comes twice");
    stages.iter().map(|stage| (stage.users.end, stage.watched)).collect()
}

#[test]
fn a_few_come_first_and_the_others_in_batches() {
    let cut = |canary_percent, batch, total| cuts(Plan { canary_percent, batch, ..PLAN }, total);
    assert_eq!(cut(10, 8, 30), [(3, true), (11, false), (19, false), (27, false), (30, true)]);
    assert_eq!(cut(1, 8, 5), [(1, true), (5, true)], "one at least");
    assert_eq!(cut(100, 2, 3), [(2, false), (3, true)], "all of them may come first");
    assert_eq!(cut(500, 0, 2), [(1, false), (2, true)], "a share is at most all, a batch at least one");
    assert_eq!(cut(50, usize::MAX, 2_050), [(1_024, false), (1_025, true), (2_049, false), (2_050, true)]);
    assert_eq!(cut(10, 8, 0), []);
}

#[tokio::test]
async fn who_fails_while_it_is_watched_stops_it_before_the_others_come() {
    let users = Numbers { crash: BTreeMap::from([(1, 3)]), ..Numbers::default() };
    let (began, plan) = (Instant::now(), Plan { watch: Duration::from_secs(60), ..PLAN });
    let steps = rolled(&users, 30, plan).await;
    assert!(began.elapsed() < plan.watch, "it is not watched to the end");
    let tally = Tally { total: 30, swapped: 3, failed: 1, rolled_back: 3 };
    assert_eq!(
        steps[1..],
        [
            Step::Failed("1".to_owned(), "it crashed".to_owned()),
            Step::TakingBack("1 failed, and 0 may".to_owned()),
            Step::Ended(false, tally)
        ]
    );
    assert_eq!((users.came(), users.went_back()), (vec![0, 1, 2], vec![2, 1, 0]));
}

#[tokio::test]
async fn who_came_first_is_looked_at_again_at_the_end() {
    let users = Numbers { crash: BTreeMap::from([(0, 30)]), ..Numbers::default() };
    let steps = rolled(&users, 30, PLAN).await;
    let tally = Tally { total: 30, swapped: 30, failed: 1, rolled_back: 30 };
    assert_eq!(steps.last(), Some(&Step::Ended(false, tally)));
    // Where one may fail, that is no reason, and it is told once.
    let users = Numbers { crash: BTreeMap::from([(0, 1)]), ..Numbers::default() };
    let steps = rolled(&users, 30, Plan { failures_max: 1, ..PLAN }).await;
    assert_eq!(steps.iter().filter(|step| matches!(step, Step::Failed(..))).count(), 1);
    let tally = Tally { total: 30, swapped: 30, failed: 1, rolled_back: 0 };
    assert_eq!(steps.last(), Some(&Step::Ended(false, tally)));
}

#[tokio::test]
async fn who_refuses_keeps_what_it_has_and_who_is_gone_does_not_count() {
    let users = Numbers { refuse: BTreeSet::from([20]), gone: BTreeSet::from([4]), ..Numbers::default() };
    let steps = rolled(&users, 30, PLAN).await;
    // The batch from 19 to 26 is the last one that came.
    let tally = Tally { total: 29, swapped: 25, failed: 1, rolled_back: 25 };
    assert_eq!(steps.last(), Some(&Step::Ended(false, tally)));
    assert!(!users.went_back().contains(&20) && !users.came().contains(&27));
}

#[tokio::test]
async fn what_cannot_be_taken_back_is_told_and_the_others_are() {
    let users = Numbers { unsettled: true, stuck: BTreeSet::from([1]), ..Numbers::default() };
    let steps = rolled(&users, 3, PLAN).await;
    assert!(steps.contains(&Step::TakingBack("nobody listens".to_owned())), "{steps:?}");
    assert!(steps.contains(&Step::Failed("1".to_owned(), "it is stuck".to_owned())), "{steps:?}");
    let tally = Tally { total: 3, swapped: 3, failed: 0, rolled_back: 2 };
    assert_eq!(steps.last(), Some(&Step::Ended(false, tally)));
}

#[tokio::test]
async fn it_stops_where_nobody_listens_and_takes_nothing_back() {
    let users = Numbers::default();
    let (tell, mut told) = mpsc::channel(1);
    let hears = async move {
        told.recv().await.expect("it begins");
        told.recv().await.expect("some have come");
    };
    tokio::join!(roll_out(&users, (0..30).collect(), PLAN, tell), hears);
    assert!(users.came().len() < 30 && users.went_back().is_empty(), "{:?}", users.came());
}
