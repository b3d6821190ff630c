//! What a person reads, and what no recorder can have recorded.

use super::tape::Tape;
use crate::history::oracle::{self, Evidence};
use crate::history::{History, Kind, Named, Outcome, Reply, linearize};

/// The history of the examples: a read that shows what an acknowledged write had overwritten.
fn stale() -> History {
    let mut tape = Tape::default();
    tape.put(1, 4);
    tape.put(2, 6);
    tape.get(Some(1), 6);
    tape.history()
}

#[test]
fn the_oracle_names_the_rule_and_the_operations() {
    let violations = oracle::check(&stale(), Evidence::default()).unwrap_err();
    let expected = "\
violations: 1
- stale read: #2 shows value 1 after log index 6, written by #0, and key 1 held value 2 (from #1) after log index 6
    #2 client 2, key 1: get -> read value 1 of revision 1 at log index 6 [0.021 to 0.030 us]
    #0 client 0, key 1: put value 1 -> wrote revision 1 at log index 4 [0.001 to 0.010 us]
    #1 client 1, key 1: put value 2 -> wrote revision 2 at log index 6 [0.011 to 0.020 us]";
    assert_eq!(violations.to_string(), expected);
}

#[test]
fn two_values_at_a_time_are_told() {
    let failure = linearize::check(&stale()).unwrap_err();
    let expected = "\
key 1 is not linearizable: it holds value 1 from the answer to #0 to the call of #2
    #0 client 0, key 1: put value 1 -> wrote revision 1 at log index 4 [0.001 to 0.010 us]
    #2 client 2, key 1: get -> read value 1 of revision 1 at log index 6 [0.021 to 0.030 us]
  and cannot meanwhile be as this needs it to be
    #1 client 1, key 1: put value 2 -> wrote revision 2 at log index 6 [0.011 to 0.020 us]";
    assert_eq!(failure.to_string(), expected);
}

#[test]
fn the_search_tells_where_it_ended() {
    let mut tape = Tape::default();
    tape.put(1, 4);
    tape.get(Some(1), 4);
    tape.put(2, 5);
    let nothing = tape.get(None, 5);
    tape.get(Some(2), 5);
    // It is called before the put of value 2 is answered, so that no two values clash.
    tape.during(nothing, 25, 40);
    let failure = linearize::check(&tape.history()).unwrap_err();
    let expected = "\
key 1 is not linearizable: no order explains its 5 answers
  the longest order found explains 3, and ends with
    #0 client 0, key 1: put value 1 -> wrote revision 1 at log index 4 [0.001 to 0.010 us]
    #1 client 1, key 1: get -> read value 1 of revision 1 at log index 4 [0.011 to 0.020 us]
    #2 client 2, key 1: put value 2 -> wrote revision 2 at log index 5 [0.021 to 0.030 us]
  the key then holds value 2, and none of these can come next
    #3 client 3, key 1: get -> read nothing at log index 5 [0.025 to 0.040 us]
  because these must still find what the key holds
    #4 client 4, key 1: get -> read value 2 of revision 2 at log index 5 [0.041 to 0.050 us]";
    assert_eq!(failure.to_string(), expected);
}

/// Why the tape is no history, and the numbers of the operations named.
fn malformed(tape: &Tape) -> (&'static str, Vec<usize>) {
    let malformed = History::new(tape.operations.clone()).unwrap_err();
    (malformed.why, malformed.operations.iter().map(|Named { id, .. }| *id).collect())
}

#[test]
fn what_cannot_have_been_recorded_is_refused() {
    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.unknown(Kind::Put(1));
    assert_eq!(malformed(&tape), ("both write the same value", vec![0, 1]));

    let mut tape = Tape::default();
    tape.done(Kind::Get, 1, Reply::Wrote { revision: 1 });
    assert_eq!(malformed(&tape), ("the answer is one to another kind of operation", vec![0]));

    let mut tape = Tape::default();
    tape.put(1, 0);
    assert_eq!(malformed(&tape), ("log index 0 is never a mutation's", vec![0]));

    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.during(0, 5, 4);
    assert_eq!(malformed(&tape), ("it was answered before it was called", vec![0]));

    let mut tape = Tape::default();
    tape.get(None, 1);
    tape.get(None, 1);
    tape.operations[1].client = 0;
    tape.during(0, 1, 12);
    assert_eq!(malformed(&tape), ("the client had not yet its answer when it called again", vec![0, 1]));
    tape.operations[0].outcome = Outcome::Unknown;
    assert!(History::new(tape.operations).is_ok());
}
