//! Souls that are asked all the time, on three nodes, and get other code all the time, while nodes are killed and paused.
//! Every message is counted once and in order; what a node uses stays as it is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use matrix_tests::realm::{Chance, Door, PATIENCE, Plan, TestRealm, Usage, until};
use matrix_tests::setting;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

/// How many messages a second are offered.
const RATE: u32 = 500;
/// Which part of them is answered at least while all is well.
const KEPT_UP: f64 = 0.9;
/// How many are under way at most.
const CLIENTS: usize = 20;
/// After what time the next Souls get other code.
const SWAP_EVERY: Duration = Duration::from_secs(2);
/// How long all is well between two faults.
const CALM: Duration = Duration::from_secs(5);
/// How long a node is away: longer than its lease lasts.
const AWAY: Duration = Duration::from_secs(4);
/// Within what time a question is answered or refused, once all nodes are there.
const ANSWER: Duration = Duration::from_secs(10);
const TURN: Duration = Duration::from_secs(5);
/// What a node may use more than after its first rounds.
const MORE: Usage = Usage { resident_kib: 64 << 10, threads: 24, files: 48, tasks: Some(200) };
/// After how many measures it is what others are held against: caches are filled then.
const SETTLED: usize = 2;

/// A Soul that is asked by one client.
#[derive(Debug, Clone)]
struct Insect {
    name: String,
    /// The last number that was answered.
    known: u64,
    /// The last that was sent.
    sent: u64,
    /// The last that is saved.
    saved: u64,
    /// Which code it has.
    code: usize,
}

impl Insect {
    /// Sends the next number; while `all_is_well`, it is counted. Whether it was.
    async fn add(&mut self, door: &Door, all_is_well: bool) -> bool {
        let next = self.known + 1;
        self.sent = self.sent.max(next);
        match door.ask(&self.name, &format!("add main {next}")).await {
            Ok(total) => {
                assert_eq!(total, next.to_string(), "{self:?}: each once, in order");
                self.known = next;
                true
            }
            Err(status) if all_is_well => panic!("{self:?}: {status}"),
            Err(status) => {
                // It was counted and not answered, or the Soul came back from what was saved.
                if let Some((_, before)) = status.message().split_once("comes after ") {
                    let before = before.trim_matches('.').parse().expect("a number");
                    assert!((self.saved..=self.sent).contains(&before), "{self:?}: {before}");
                    self.known = before;
                }
                false
            }
        }
    }

    /// What the Soul has counted, once it can be asked.
    async fn find(&mut self, door: &Door) {
        let ask = || async {
            let asked = timeout(ANSWER, door.ask(&self.name, "total")).await;
            asked.expect("a question is answered or refused").ok()?.parse().ok()
        };
        let (total, _) = until("a Soul answers", PATIENCE, ask).await;
        assert!((self.saved..=self.sent).contains(&total), "{self:?}: {total}");
        self.known = total;
    }
}

/// All that is asked, and by whom.
struct Soak {
    realm: TestRealm,
    chance: Chance,
    codes: [String; 2],
    /// Of each client.
    insects: Vec<Vec<Insect>>,
    asked: u64,
    swapped: u64,
    /// How many messages a second were answered while all was well, in each such time.
    rates: Vec<f64>,
    /// What each node used when it had settled, and how often it was measured since it was started.
    settled: [(Option<Usage>, usize); 3],
}

impl Soak {
    async fn start(souls: usize, seed: u64) -> Self {
        let settings = "[souls]\nidle_seconds = 86400".to_owned();
        let realm = TestRealm::start_with(Plan { seed, settings, metrics: true, ..Plan::default() }).await;
        let door = realm.door(0);
        let old = door.program("caterpillar").await;
        let codes = [door.program("butterfly").await, door.program("moth").await];
        let mut insects = vec![Vec::new(); CLIENTS.min(souls)];
        for number in 0..souls {
            let name = format!("insect-{number}");
            door.spawn(&name, &old, &[]).await.expect("there is room");
            door.swap(&name, &codes[0], TURN).await.expect("it takes the state up");
            let clients = insects.len();
            insects[number % clients].push(Insect { name, known: 0, sent: 0, saved: 0, code: 0 });
        }
        let (asked, swapped, settled) = (0, souls as u64, Default::default());
        Self { realm, chance: Chance::new(seed), codes, insects, asked, swapped, rates: Vec::new(), settled }
    }

    /// Asks all Souls in turn, and gives some of them other code every [`SWAP_EVERY`], for as long as `meanwhile` takes.
    async fn work(&mut self, away: Option<usize>, meanwhile: impl Future<Output = ()>) {
        let doors: Vec<_> =
            (0..3).filter(|node| Some(*node) != away).map(|node| self.realm.door(node)).collect();
        let over = AtomicBool::new(false);
        let pace = Duration::from_secs(self.insects.len() as u64) / RATE;
        let (doors, over) = (&doors, &over);
        // While all is well, who was late asks the next one at once: so many are asked, whatever a swap takes.
        let late = if away.is_none() { MissedTickBehavior::Burst } else { MissedTickBehavior::Delay };
        let clients = self.insects.iter_mut().enumerate().map(|(client, insects)| async move {
            let (mut asked, mut clock) = (0, interval(pace));
            clock.set_missed_tick_behavior(late);
            for turn in 0.. {
                clock.tick().await;
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let place = turn % insects.len();
                let counted = insects[place].add(&doors[(turn + client) % doors.len()], away.is_none()).await;
                asked += u64::from(counted);
            }
            asked
        });
        let clients = join_all(clients);
        let (asked, ()) = tokio::join!(clients, async {
            meanwhile.await;
            over.store(true, Ordering::Relaxed);
        });
        self.asked += asked.iter().sum::<u64>();
    }

    /// All is well: every message is answered, and every swap is done.
    async fn calm(&mut self, lasts: Duration) {
        let (souls, door) = (self.names(), self.realm.door(self.chance.below(3)));
        let some = souls.len().div_ceil(20);
        let first = self.chance.below(souls.len());
        let chosen: Vec<_> = souls.iter().cycle().skip(first).take(some).cloned().collect();
        let codes = self.codes.clone();
        let mut of: Vec<usize> =
            chosen.iter().map(|(client, place)| self.insects[*client][*place].code).collect();
        let names: Vec<_> =
            chosen.iter().map(|(client, place)| self.insects[*client][*place].name.clone()).collect();
        let mut swapped = 0;
        let swaps = async {
            let (end, mut clock) = (Instant::now() + lasts, interval(SWAP_EVERY));
            while Instant::now() < end {
                clock.tick().await;
                of.iter_mut().for_each(|code| *code = 1 - *code);
                let swaps = names.iter().zip(&of).map(|(name, code)| door.swap(name, &codes[*code], TURN));
                try_join_all(swaps).await.expect("all is well: code is swapped");
                swapped += names.len() as u64;
            }
        };
        let (before, began) = (self.asked, Instant::now());
        self.work(None, swaps).await;
        self.rates.push((self.asked - before) as f64 / began.elapsed().as_secs_f64());
        self.swapped += swapped;
        for ((client, place), code) in chosen.iter().zip(of) {
            self.insects[*client][*place].code = code;
        }
    }

    /// A node is killed or paused, and comes back; the others go on meanwhile.
    async fn fault(&mut self, killed: bool) -> &'static str {
        let node = self.chance.below(3);
        let door = self.realm.door((node + 1) % 3);
        for insect in self.insects.iter_mut().flatten() {
            insect.saved = insect.known;
        }
        let saves = self.insects.iter().flatten().map(|insect| door.save(&insect.name));
        try_join_all(saves).await.expect("all is well: states are saved");
        if killed {
            self.realm.kill(node).await;
            self.settled[node] = (None, 0);
        } else {
            self.realm.pause(node);
        }
        self.work(Some(node), sleep(AWAY)).await;
        if killed {
            self.realm.restart(node)
        } else {
            self.realm.resume(node)
        }
        self.realm.until_ready().await;
        for node in 0..3 {
            let linked = || async { self.realm.status(node).await.filter(|it| it.links_down == 0) };
            let (_, took) = until("all links stand", PATIENCE, linked).await;
            eprintln!("all links of node {node} stand after {took:?}");
        }
        let door = self.realm.door(node);
        join_all(self.insects.iter_mut().flatten().map(|insect| insect.find(&door))).await;
        for insect in self.insects.iter().flatten() {
            let soul = door.soul(&insect.name).await.expect("it is known");
            assert_eq!(soul.digest, self.codes[insect.code], "{insect:?}: it has the code that was told");
        }
        if killed { "killed" } else { "paused" }
    }

    /// What nodes use is what they used.
    fn measure(&mut self) {
        for (node, (settled, measures)) in self.settled.iter_mut().enumerate() {
            let now = self.realm.usage(node);
            *measures += 1;
            match settled {
                None if *measures >= SETTLED => *settled = Some(now),
                None => {}
                Some(before) => {
                    let is_flat = now.resident_kib <= before.resident_kib + MORE.resident_kib
                        && now.threads <= before.threads + MORE.threads
                        && now.files <= before.files + MORE.files
                        && now.tasks.unwrap_or(0) <= before.tasks.unwrap_or(0) + MORE.tasks.unwrap_or(0);
                    assert!(is_flat, "node {node} grows: {before:?}, then {now:?}");
                }
            }
            eprintln!("node {node}: {now:?}");
        }
    }

    fn names(&self) -> Vec<(usize, usize)> {
        let of =
            |(client, insects): (usize, &Vec<Insect>)| (0..insects.len()).map(move |place| (client, place));
        self.insects.iter().enumerate().flat_map(of).collect()
    }

    async fn end(mut self, began: Instant) {
        let door = self.realm.door(0);
        for insect in self.insects.iter_mut().flatten() {
            let known = insect.known;
            insect.find(&door).await;
            assert_eq!(
                insect.known, known,
                "{insect:?}: what was answered last is the last that was counted"
            );
        }
        for node in 0..3 {
            let said = self.realm.log(node);
            assert!(!said.contains("panicked"), "{said}");
        }
        let (rate, swapped) = (self.asked as f64 / began.elapsed().as_secs_f64(), self.swapped);
        eprintln!("{} messages, {rate:.0} a second, {swapped} swaps", self.asked);
        let rates: Vec<_> = self.rates.iter().map(|rate| format!("{rate:.0}")).collect();
        eprintln!("while all was well, messages a second: {}", rates.join(" "));
    }

    /// What was offered was answered, whatever was swapped meanwhile.
    fn assert_rate(&self) {
        let mean = self.rates.iter().sum::<f64>() / self.rates.len() as f64;
        let least = f64::from(RATE) * KEPT_UP;
        assert!(mean >= least, "{mean:.0} messages a second of {RATE} were answered while all was well");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_is_swapped_every_two_seconds_and_each_message_counts_once() {
    let mut soak = Soak::start(12, 3).await;
    let began = Instant::now();
    soak.calm(2 * SWAP_EVERY).await;
    soak.measure();
    for killed in [true, false] {
        let what = soak.fault(killed).await;
        soak.calm(SWAP_EVERY).await;
        soak.measure();
        eprintln!("a node was {what}");
    }
    soak.end(began).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: `make soak` runs it"]
async fn two_hundred_souls_outlive_swaps_kills_and_pauses_and_nodes_stay_as_they_are() {
    let seed = setting("MATRIX_SOAK_SEED").unwrap_or(1);
    let lasts = Duration::from_secs(setting("MATRIX_SOAK_SECONDS").unwrap_or(crate::schedules::SECONDS));
    eprintln!("MATRIX_SOAK_SEED={seed}");
    let mut soak = Soak::start(200, seed).await;
    let began = Instant::now();
    while began.elapsed() < lasts {
        soak.calm(CALM).await;
        soak.measure();
        let killed = soak.chance.below(2) == 0;
        let what = soak.fault(killed).await;
        eprintln!("after {:?}: a node was {what}", began.elapsed());
    }
    soak.calm(CALM).await;
    soak.measure();
    soak.assert_rate();
    soak.end(began).await;
}
