//! What one direction between two hosts does to packets: what it is told to do ([`Link`]), what it did
//! ([`Counts`]), and the decision about each packet ([`Line`]), which touches neither clock nor device.

use std::time::{Duration, Instant};

/// How long a packet picked by [`Link::reorder`] is held back beyond its time: what is sent meanwhile
/// overtakes it.
pub const HELD_BACK: Duration = Duration::from_millis(2);
/// How many packets a link keeps at most; what comes beyond is dropped.
pub const QUEUED_PACKETS_MAX: usize = 4096;
/// How many bytes a link keeps at most, IP headers included; what comes beyond is dropped.
pub const QUEUED_BYTES_MAX: usize = 4 << 20;
/// How long a packet waits at most for those before it to be sent, where a link sends [`Link::bandwidth`] bytes a second;
/// one that would wait for longer is dropped, as a router does.
pub const BACKLOG_MAX: Duration = Duration::from_millis(200);
/// The most that [`Link::delay`] and [`Link::jitter`] may be together.
pub const DELAY_MAX: Duration = Duration::from_secs(60);

/// What happens to the packets from one host to another. The default does nothing to them.
///
/// The chances are each from 0 to 1, and drawn for every packet on its own.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Link {
    /// Drops every packet, also those that wait for their time.
    pub cut: bool,
    /// How many bytes are sent a second, IP headers included; 0: as many as there are.
    pub bandwidth: u32,
    /// How long a packet takes at least.
    pub delay: Duration,
    /// Up to how much longer it takes, evenly spread. Packets keep their order all the same.
    pub jitter: Duration,
    /// The chance that a packet is dropped.
    pub loss: f64,
    /// The chance that a packet arrives twice.
    pub duplicate: f64,
    /// The chance that a packet is held back by [`HELD_BACK`], and those behind it are not.
    pub reorder: f64,
    /// The chance that a bit of what a packet carries by TCP is flipped, and its checksum made right.
    pub flip: f64,
}

impl Link {
    /// Checks the chances and the delay.
    ///
    /// # Panics
    /// Where a chance is not from 0 to 1, or the delay more than [`DELAY_MAX`].
    #[track_caller]
    pub(super) fn assert_sound(&self) {
        for chance in [self.loss, self.duplicate, self.reorder, self.flip] {
            assert!((0.0..=1.0).contains(&chance), "a chance is from 0 to 1: {self:?}");
        }
        assert!(self.delay.saturating_add(self.jitter) <= DELAY_MAX, "over {DELAY_MAX:?}: {self:?}");
    }
}

/// What became of the packets from one host to another since the network began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Given to the host that they were sent to, second copies included.
    pub delivered: u64,
    /// Second copies among those delivered.
    pub duplicated: u64,
    /// Delivered after one that was sent later.
    pub reordered: u64,
    /// Packets with a flipped bit, second copies left out.
    pub flipped: u64,
    /// Dropped because the link was cut.
    pub cut: u64,
    /// Dropped by chance.
    pub lost: u64,
    /// Dropped because too much was waiting.
    pub overflowed: u64,
    /// Dropped because the host did not take them: its device is down, or it has no memory.
    pub refused: u64,
}

impl Counts {
    /// How many packets did not arrive, for whatever reason.
    pub fn dropped(&self) -> u64 {
        self.cut + self.lost + self.overflowed + self.refused
    }
}

/// What to do with a packet now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing: it is dropped, and counted.
    Drop,
    /// Deliver it, so many times.
    Deliver(Passage),
    /// Keep it until then; it counts as queued until [`Line::release`].
    Keep(Instant, Passage),
}

/// What a packet carries along until it is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Passage {
    /// Its place among those of its line, in the order in which they were sent.
    pub(super) sequence: u64,
    /// Whether it arrives twice.
    pub(super) twice: bool,
    /// Whether others may overtake it.
    pub(super) held_back: bool,
    /// Which of its bits is flipped, by chance; none: it stays as it is.
    pub(super) flip: Option<u32>,
}

/// One direction between two hosts.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) link: Link,
    pub(super) counts: Counts,
    chance: Chance,
    /// How many packets were let through to the queue or the host: the next one's sequence.
    admitted: u64,
    /// The highest sequence delivered, plus one.
    newest: u64,
    queued_packets: usize,
    queued_bytes: usize,
    /// How many of the queued keep their order: no later one may pass them.
    queued_in_order: usize,
    /// When the last packet that keeps its order is due.
    last_due: Option<Instant>,
    /// When the last packet has been sent, where [`Link::bandwidth`] says how long that takes.
    sent: Option<Instant>,
}

impl Line {
    /// A line whose decisions follow from `seed` and the packets alone.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            link: Link::default(),
            counts: Counts::default(),
            chance: Chance(seed),
            admitted: 0,
            newest: 0,
            queued_packets: 0,
            queued_bytes: 0,
            queued_in_order: 0,
            last_due: None,
            sent: None,
        }
    }

    /// Decides about a packet of `length` bytes that is sent at `now`.
    pub(super) fn admit(&mut self, now: Instant, length: usize) -> Verdict {
        // Every packet draws the same number of times: changing one chance leaves the others' draws alone.
        let [loss, duplicate, reorder, jitter, flip, bit] = std::array::from_fn(|_| self.chance.draw());
        let link = self.link;
        if link.cut {
            self.counts.cut += 1;
            return Verdict::Drop;
        }
        if loss < link.loss {
            self.counts.lost += 1;
            return Verdict::Drop;
        }
        let begins = self.sent.map_or(now, |sent| sent.max(now));
        if link.bandwidth > 0 && begins - now > BACKLOG_MAX {
            self.counts.overflowed += 1;
            return Verdict::Drop;
        }
        let sent = match link.bandwidth {
            0 => now,
            bandwidth => begins + Duration::from_secs_f64(length as f64 / f64::from(bandwidth)),
        };
        self.sent = Some(sent);
        let held_back = reorder < link.reorder;
        let due = sent + link.delay + link.jitter.mul_f64(jitter);
        let due = self.last_due.map_or(due, |last| due.max(last));
        let keep = held_back || due > now || self.queued_in_order > 0;
        let full = self.queued_packets >= QUEUED_PACKETS_MAX || self.queued_bytes + length > QUEUED_BYTES_MAX;
        if keep && full {
            self.counts.overflowed += 1;
            return Verdict::Drop;
        }
        let (sequence, twice) = (self.admitted, duplicate < link.duplicate);
        let flip = (flip < link.flip).then_some((bit * f64::from(u32::MAX)) as u32);
        let passage = Passage { sequence, twice, held_back, flip };
        self.admitted += 1;
        if !held_back {
            self.last_due = Some(due);
        }
        if !keep {
            return Verdict::Deliver(passage);
        }
        self.queued_packets += 1;
        self.queued_bytes += length;
        self.queued_in_order += usize::from(!held_back);
        Verdict::Keep(if held_back { due + HELD_BACK } else { due }, passage)
    }

    /// Takes a packet of `length` bytes that was kept out of the queue; whether it is to be delivered.
    pub(super) fn release(&mut self, passage: Passage, length: usize) -> bool {
        self.queued_packets -= 1;
        self.queued_bytes -= length;
        self.queued_in_order -= usize::from(!passage.held_back);
        self.counts.cut += u64::from(self.link.cut);
        !self.link.cut
    }

    /// Counts a packet that the host took, or did not.
    pub(super) fn arrived(&mut self, passage: Passage, second: bool, taken: bool) {
        if !taken {
            self.counts.refused += 1;
            return;
        }
        self.counts.delivered += 1;
        self.counts.duplicated += u64::from(second);
        self.counts.reordered += u64::from(!second && passage.sequence < self.newest);
        self.newest = self.newest.max(passage.sequence + 1);
    }
}

/// A source of chance: SplitMix64, of Steele, Lea and Flood, "Fast splittable pseudorandom number generators"
/// (OOPSLA 2014).
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    /// At least 0 and less than 1.
    fn draw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mixed = mixed ^ (mixed >> 31);
        // A float holds 53 bits exactly.
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: usize = 100;

    /// What a line with `seed` decides about `count` packets sent at once.
    fn verdicts(seed: u64, link: Link, count: usize) -> (Vec<Verdict>, Line) {
        let (now, mut line) = (Instant::now(), Line::new(seed));
        line.link = link;
        let all = (0..count).map(|_| line.admit(now, LENGTH));
        (all.collect(), line)
    }

    #[test]
    fn nothing_is_done_by_default() {
        let (all, line) = verdicts(1, Link::default(), 3);
        assert!(all.iter().all(|verdict| matches!(verdict, Verdict::Deliver(passage) if !passage.twice)));
        assert_eq!(line.counts, Counts::default());
    }

    #[test]
    fn decisions_follow_from_the_seed() {
        let lossy = Link { loss: 0.5, duplicate: 0.5, ..Link::default() };
        assert_eq!(verdicts(7, lossy, 200).0, verdicts(7, lossy, 200).0);
        assert_ne!(verdicts(7, lossy, 200).0, verdicts(8, lossy, 200).0);
        // The same packets are lost where another chance is changed.
        let lost = |link| {
            let all = verdicts(7, link, 200).0;
            all.iter().map(|verdict| *verdict == Verdict::Drop).collect::<Vec<_>>()
        };
        assert_eq!(lost(lossy), lost(Link { duplicate: 0.0, ..lossy }));
    }

    #[test]
    fn chances_are_kept() {
        let (_, line) = verdicts(3, Link { loss: 0.3, ..Link::default() }, 10_000);
        assert!((2_700..3_300).contains(&line.counts.lost), "{:?}", line.counts);
    }

    #[test]
    fn jitter_keeps_the_order_and_a_shorter_delay_does_not_overtake() {
        let (now, mut line) = (Instant::now(), Line::new(5));
        line.link = Link { delay: DELAY_MAX / 2, jitter: DELAY_MAX / 2, ..Link::default() };
        let mut last = now;
        let mut next = |line: &mut Line| {
            let Verdict::Keep(due, passage) = line.admit(now, LENGTH) else { panic!("it is delayed") };
            assert!(due >= last && due >= now + DELAY_MAX / 2 && due <= now + DELAY_MAX);
            last = due;
            passage
        };
        let passages: Vec<_> = (0..100).map(|_| next(&mut line)).collect();
        line.link = Link::default();
        let behind = next(&mut line);
        for passage in passages.into_iter().chain([behind]) {
            assert!(line.release(passage, LENGTH));
        }
        assert!(matches!(line.admit(last, LENGTH), Verdict::Deliver(_)));
    }

    #[test]
    fn packets_are_sent_one_after_another_and_not_kept_for_long() {
        let narrow = Link { bandwidth: 10_000, delay: Duration::from_millis(5), ..Link::default() };
        let (now, mut line) = (Instant::now(), Line::new(1));
        line.link = narrow;
        let each = Duration::from_millis(10);
        for place in 1..=21 {
            let Verdict::Keep(due, _) = line.admit(now, LENGTH) else { panic!("it takes a while") };
            assert_eq!(due, now + each * place + narrow.delay);
        }
        assert_eq!(line.admit(now, LENGTH), Verdict::Drop);
        assert_eq!(line.counts.overflowed, 1);
        let later = now + each * 30;
        assert!(
            matches!(line.admit(later, LENGTH), Verdict::Keep(due, _) if due == later + each + narrow.delay)
        );
    }

    #[test]
    fn the_queue_has_bounds() {
        let slow = Link { delay: DELAY_MAX, ..Link::default() };
        let (all, mut line) = verdicts(1, slow, QUEUED_PACKETS_MAX + 5);
        assert_eq!(line.counts.overflowed, 5);
        let Verdict::Keep(_, first) = all[0] else { panic!("it is delayed") };
        assert!(line.release(first, LENGTH));
        assert!(matches!(line.admit(Instant::now(), LENGTH), Verdict::Keep(..)));
        let mut line = Line { link: slow, ..Line::new(1) };
        let big = QUEUED_BYTES_MAX / 2;
        for fits in [true, true, false] {
            assert_eq!(line.admit(Instant::now(), big) != Verdict::Drop, fits);
        }
    }

    #[test]
    fn a_cut_takes_what_is_on_its_way() {
        let (all, mut line) = verdicts(1, Link { delay: DELAY_MAX, ..Link::default() }, 1);
        let Verdict::Keep(_, passage) = all[0] else { panic!("it is delayed") };
        line.link.cut = true;
        assert!(!line.release(passage, LENGTH));
        assert_eq!((line.counts.cut, line.counts.dropped()), (1, 1));
    }

    #[test]
    #[should_panic(expected = "a chance is from 0 to 1")]
    fn an_impossible_chance_is_refused() {
        Link { loss: 1.5, ..Link::default() }.assert_sound();
    }
}
