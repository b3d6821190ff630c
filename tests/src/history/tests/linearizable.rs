//! What the search must find or exclude with operations that overlap or whose outcome is unknown.

use super::tape::Tape;
use crate::history::linearize::{self, Failure};
use crate::history::{Expect, History, Kind};

fn swap(expect: Expect, new: Option<u64>) -> Kind {
    Kind::Cas { expect, new }
}

#[test]
fn what_overlaps_may_be_seen_in_any_order_but_in_one_only() {
    let mut tape = Tape::default();
    let (one, two) = (tape.put(1, 2), tape.put(2, 1));
    tape.during(one, 1, 100).during(two, 1, 100);
    let (first, second) = (tape.get(Some(2), 1), tape.get(Some(1), 2));
    tape.during(first, 10, 20).during(second, 30, 40);
    assert!(tape.is_linearizable());
    tape.get(Some(2), 2);
    tape.during(4, 50, 60);
    assert!(!tape.is_linearizable());
}

#[test]
fn an_answer_at_the_very_time_of_a_call_is_no_order() {
    let mut tape = Tape::default();
    let (write, read) = (tape.put(1, 1), tape.get(None, 0));
    tape.during(write, 1, 10).during(read, 10, 20);
    assert!(tape.is_linearizable());
    tape.during(read, 11, 20);
    assert!(!tape.is_linearizable());
}

#[test]
fn an_unknown_write_may_come_late_or_never_but_once() {
    let mut tape = Tape::default();
    tape.unknown(Kind::Put(1));
    tape.put(2, 1);
    tape.get(Some(2), 1);
    assert!(tape.is_linearizable());
    tape.get(Some(1), 2);
    assert!(tape.is_linearizable());
    tape.put(3, 3);
    tape.get(Some(1), 4);
    assert!(!tape.is_linearizable());
}

#[test]
fn an_unknown_write_does_not_come_before_its_call() {
    let mut tape = Tape::default();
    tape.get(Some(1), 1);
    tape.unknown(Kind::Put(1));
    assert!(!tape.is_linearizable());
}

#[test]
fn unknown_swaps_form_chains() {
    let mut tape = Tape::default();
    tape.unknown(swap(Expect::Value(2), Some(3)));
    tape.unknown(swap(Expect::Absent, Some(1)));
    tape.unknown(swap(Expect::Value(1), Some(2)));
    tape.get(None, 0);
    tape.get(Some(3), 9);
    assert!(tape.is_linearizable());
    assert_eq!(tape.broken(), []);
    tape.get(Some(2), 10);
    assert!(!tape.is_linearizable());
}

#[test]
fn a_chain_cannot_leave_out_a_value_that_somebody_reads() {
    let mut tape = Tape::default();
    tape.unknown(Kind::Put(1));
    tape.unknown(swap(Expect::Value(1), Some(2)));
    let (one, two) = (tape.get(Some(1), 1), tape.get(Some(2), 2));
    assert!(tape.is_linearizable());
    tape.during(one, 50, 60).during(two, 30, 40);
    assert!(!tape.is_linearizable());
}

#[test]
fn a_delete_finds_what_an_unknown_write_left() {
    let mut tape = Tape::default();
    tape.unknown(Kind::Put(1));
    tape.get(None, 1);
    tape.delete(true, 5, 5);
    assert!(tape.is_linearizable());
    assert_eq!(tape.broken(), []);
    tape.delete(true, 7, 7);
    assert!(!tape.is_linearizable());
    assert!(!tape.broken().is_empty());
}

#[test]
fn each_unknown_delete_deletes_once() {
    let mut tape = Tape::default();
    tape.unknown(Kind::Delete);
    tape.unknown(swap(Expect::Value(3), None));
    for (value, index) in [(1, 1), (3, 3), (5, 5)] {
        tape.put(value, index);
        tape.get(None, index + 1);
        let possible = value < 5;
        assert_eq!(tape.is_linearizable(), possible, "after value {value}");
        assert_eq!(tape.broken().is_empty(), possible, "after value {value}");
    }
}

#[test]
fn a_swap_may_expect_a_revision_that_no_answer_told() {
    let mut tape = Tape::default();
    tape.unknown(Kind::Put(1));
    tape.swap(Expect::Revision(1), 2, 5);
    assert!(tape.is_linearizable());
    assert_eq!(tape.broken(), []);
    tape.swap(Expect::Revision(1), 3, 6);
    assert!(!tape.is_linearizable());
    assert!(!tape.broken().is_empty());
}

#[test]
fn what_is_too_large_is_refused() {
    let mut tape = Tape::default();
    for _ in 0..=linearize::OPERATIONS_MAX {
        tape.get(None, 0);
    }
    let operations = linearize::OPERATIONS_MAX + 1;
    assert_eq!(linearize::check(&tape.history()), Err(Failure::TooManyOperations { key: 1, operations }));
    tape.operations.truncate(linearize::CLIENTS_MAX + 1);
    for (client, operation) in (0..).zip(&mut tape.operations) {
        operation.client = client;
    }
    let clients = linearize::CLIENTS_MAX + 1;
    assert_eq!(linearize::check(&tape.history()), Err(Failure::TooManyClients { key: 1, clients }));
}

#[test]
fn the_search_is_bounded() {
    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.get(Some(1), 1);
    let exceeded = Failure::StepsExceeded { key: 1, steps: 2 };
    assert_eq!(linearize::check_within(&tape.history(), 2), Err(exceeded));
    assert!(linearize::check_within(&tape.history(), 100).is_ok());
}

#[test]
fn nothing_is_linearizable() {
    let nothing = History::new(Vec::new()).unwrap();
    assert_eq!(linearize::check(&nothing), Ok(linearize::Checked::default()));
}
