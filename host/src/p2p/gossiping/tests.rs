//! Who is believed, and what it costs not to be.

use std::sync::Mutex;

use bytes::Bytes;

use super::*;
use crate::p2p::tests::peer;

/// Answers with what the message says, and keeps it.
#[derive(Default)]
struct Judge {
    heard: Mutex<Vec<String>>,
    lost: Mutex<Vec<Lost>>,
}

impl Listener for Judge {
    fn heard(&self, _: GossipTopic, _: Peer, bytes: Bytes) -> Verdict {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let verdict = if text == "bad" { Verdict::Reject } else { Verdict::Accept };
        self.heard.lock().expect("nothing panics").push(text);
        verdict
    }

    fn lost(&self, why: Lost, _: u64) {
        self.lost.lock().expect("nothing panics").push(why);
    }
}

struct Court {
    gossiping: Gossiping,
    members: Members,
    admission: Admission,
    judge: Arc<Judge>,
}

fn court() -> Court {
    let folder = tempfile::tempdir().expect("a folder");
    let key = Key::load_or_create(&folder.path().join("key")).expect("a folder of its own");
    let admission = Admission::default();
    let mut members =
        behaviour(&key, &P2pConfig::default(), admission.clone()).expect("the settings are sound");
    let (gossip, publications) = Gossip::new(100);
    let mut gossiping = Gossiping::new(&gossip, publications);
    let judge = Arc::new(Judge::default());
    gossiping.listener = Some(judge.clone());
    gossip.enter(topic());
    gossiping.work(Work::Wishes, &mut members);
    Court { gossiping, members, admission, judge }
}

fn topic() -> GossipTopic {
    GossipTopic::new(&[1; 16], "news")
}

impl Court {
    /// Peer `from` passes a message of peer `source` on.
    fn judge(&mut self, from: u8, source: u8, number: u64, text: &str) -> Verdict {
        let message = Message {
            source: Some(peer(source).0),
            data: text.into(),
            sequence_number: Some(number),
            topic: topic().hash(),
        };
        let gossipsub = self.members.gossipsub();
        self.gossiping.judge(peer(from).0, message, gossipsub, &self.admission)
    }

    fn owes(&self, of: u8) -> f64 {
        self.gossiping.owed.get(&peer(of).0).copied().unwrap_or_default()
    }
}

#[test]
fn each_message_of_a_member_is_heard_once_and_in_order() {
    let mut court = court();
    for member in [1, 2] {
        court.admission.set(peer(member), Standing::Member);
    }
    for (number, source, text, verdict) in [
        (5, 1, "a", Verdict::Accept),
        (5, 1, "a again", Verdict::Ignore),
        (3, 1, "late", Verdict::Ignore),
        (4, 2, "b", Verdict::Accept),
        (6, 1, "c", Verdict::Accept),
    ] {
        assert_eq!(court.judge(1, source, number, text), verdict);
    }
    assert_eq!(*court.judge.heard.lock().expect("nothing panics"), ["a", "b", "c"]);
    assert_eq!(*court.judge.lost.lock().expect("nothing panics"), [Lost::Late, Lost::Late]);
    court.gossiping.met(peer(1).0);
    assert_eq!(court.judge(1, 1, 1, "its clock was set back"), Verdict::Accept);
    assert_eq!(court.judge.heard.lock().expect("nothing panics").len(), 4);
    court.gossiping.shared.take_wishes();
    Gossip(court.gossiping.shared.clone()).leave(topic());
    court.gossiping.work(Work::Wishes, &mut court.members);
    assert_eq!(court.judge(1, 1, 9, "left"), Verdict::Ignore);
}

#[test]
fn whoever_passes_on_what_no_member_says_loses_score() {
    let mut court = court();
    court.admission.set(peer(1), Standing::Member);
    court.admission.set(peer(2), Standing::Member);
    court.admission.set(peer(3), Standing::Refused("it was removed".into()));
    court.admission.set(peer(4), Standing::Client);
    for number in 0..100 {
        assert_eq!(court.judge(1, 9, number, "of a stranger"), Verdict::Reject);
    }
    // A member that knows a new one earlier is still heard.
    assert_eq!(court.owes(1), DOUBTFUL.1);
    assert!(-court.owes(1) > THRESHOLDS[1]);
    for other in [3, 4] {
        assert_eq!(court.judge(1, other, 1, "of one who is known to be none"), Verdict::Reject);
    }
    assert_eq!(court.owes(1), DOUBTFUL.1 + 2.0 * MALFORMED);
    assert_eq!(court.judge(1, 2, 1, "bad"), Verdict::Reject);
    assert_eq!((court.owes(1), court.owes(2)), (DOUBTFUL.1 + 3.0 * MALFORMED, MALFORMED));
    assert!(-court.owes(1) < THRESHOLDS[2], "and heard no more");
    assert_eq!(*court.judge.heard.lock().expect("nothing panics"), ["bad"]);
    for _ in 0..9 {
        court.gossiping.forgive(&mut court.members);
    }
    assert!(court.gossiping.owed.is_empty());
}

#[test]
fn whoever_publishes_too_much_is_not_heard_beyond_it() {
    let mut court = court();
    court.admission.set(peer(1), Standing::Member);
    court.admission.set(peer(2), Standing::Member);
    let long = "x".repeat(1 << 20);
    let most = u64::from(BYTES_PER_SECOND_MAX >> 20);
    let taken = (0..=2 * most).filter(|number| court.judge(2, 1, *number, &long) == Verdict::Accept).count();
    // Time passes while it is judged: what that brings is taken, too.
    assert!((most as usize..2 * most as usize).contains(&taken), "{taken} MiB");
    assert!(court.judge.lost.lock().expect("nothing panics").iter().all(|lost| *lost == Lost::Flood));
    assert!(court.owes(1) > 0.0 && court.owes(1) <= DOUBTFUL.1);
    assert_eq!(court.owes(2), 0.0, "it only passed them on");
    assert_eq!(court.judge(1, 2, 1, "another"), Verdict::Accept);
}

#[test]
fn whoever_is_not_understood_loses_score() {
    let mut court = court();
    let Court { gossiping, members, admission, judge } = &mut court;
    gossiping.take(Told::Malformed(peer(1).0, 5), members, admission);
    assert_eq!(*judge.lost.lock().expect("nothing panics"), [Lost::Malformed]);
    assert!(-court.owes(1) < THRESHOLDS[2]);
}

#[tokio::test]
async fn topics_are_entered_a_few_at_a_time() {
    let mut court = court();
    let gossip = Gossip(court.gossiping.shared.clone());
    (0..2 * WISHES.0).for_each(|n| gossip.enter(GossipTopic::new(&[1; 16], &n.to_string())));
    let began = court.gossiping.looked;
    for looks in 1..=2 {
        let work = court.gossiping.next().await;
        assert!(matches!(work, Work::Wishes) && began.elapsed() >= looks * WISHES.1);
        court.gossiping.work(work, &mut court.members);
        assert_eq!(court.gossiping.topics.len(), 1 + looks as usize * WISHES.0);
    }
}
