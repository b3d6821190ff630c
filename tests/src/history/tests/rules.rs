//! One history for each rule. Each says what the oracle finds without the log, and whether an order exists.

use super::tape::{Tape, broken};
use crate::history::oracle::{Applied, Evidence};
use crate::history::{Expect, Held, Kind, Outcome, Reply, Rule};

fn put(value: u64) -> Kind {
    Kind::Put(value)
}

fn swap(expect: Expect, new: Option<u64>) -> Kind {
    Kind::Cas { expect, new }
}

#[test]
fn a_sound_history_is_accepted() {
    let mut tape = Tape::default();
    tape.get(None, 1);
    tape.put(2, 2);
    tape.get(Some(2), 2);
    tape.swap(Expect::Value(2), 3, 3);
    tape.conflict((Expect::Absent, 90), Some(3), 4);
    tape.swap(Expect::Revision(3), 4, 5);
    tape.delete(true, 5, 6);
    tape.delete(false, 5, 7);
    tape.conflict((Expect::Revision(4), 91), None, 8);
    tape.swap(Expect::Absent, 6, 9);
    tape.refused(put(92));
    assert_eq!(tape.broken_scan(Some(6), 9), []);
    let log = [(2, 2, Some(2)), (3, 3, Some(3)), (5, 4, Some(4)), (6, 5, None), (9, 6, Some(6))];
    assert_eq!(tape.broken_log(&log), []);
    assert!(tape.is_linearizable());
}

#[test]
fn a_stale_read() {
    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.put(2, 2);
    tape.get(Some(1), 2);
    assert_eq!(tape.broken(), [Rule::StaleRead]);
    assert_eq!(tape.broken_log(&[(1, 1, Some(1)), (2, 2, Some(2))]), [Rule::StaleRead]);
    assert!(!tape.is_linearizable());
}

#[test]
fn a_stale_read_that_owns_up_to_its_log_index() {
    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.put(2, 2);
    tape.get(Some(1), 1);
    assert_eq!(tape.broken(), [Rule::RealTime]);
    assert!(!tape.is_linearizable());
}

#[test]
fn a_stale_read_of_another_keys_moment_has_an_order_and_breaks_real_time() {
    let mut tape = Tape::default();
    let other = tape.put(1, 5);
    tape.operations[other].key = 2;
    tape.get(None, 4);
    assert_eq!(tape.broken(), [Rule::RealTime]);
    assert!(tape.is_linearizable());
}

#[test]
fn a_write_at_a_log_index_that_had_been_told() {
    let mut tape = Tape::default();
    tape.get(None, 5);
    let write = tape.put(1, 5);
    tape.operations[write].key = 2;
    assert_eq!(tape.broken(), [Rule::RealTime]);
    assert!(tape.is_linearizable());
}

#[test]
fn a_lost_update() {
    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.swap(Expect::Value(1), 2, 2);
    tape.swap(Expect::Value(1), 3, 3);
    assert_eq!(tape.broken(), [Rule::WrongSwap]);
    assert_eq!(tape.broken_log(&[(1, 1, Some(1)), (2, 2, Some(2)), (3, 3, Some(3))]), [Rule::WrongSwap]);
    assert!(!tape.is_linearizable());
}

#[test]
fn a_lost_update_by_revision() {
    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.swap(Expect::Revision(1), 2, 2);
    tape.swap(Expect::Revision(1), 3, 3);
    assert_eq!(tape.broken(), [Rule::WrongSwap]);
    assert!(!tape.is_linearizable());
}

#[test]
fn a_phantom() {
    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.get(Some(7), 1);
    assert_eq!(tape.broken(), [Rule::Phantom]);
    assert_eq!(tape.broken_log(&[(1, 1, Some(1))]), [Rule::Phantom]);
    assert!(!tape.is_linearizable());
}

#[test]
fn a_value_of_another_key_is_a_phantom() {
    let mut tape = Tape::default();
    let other = tape.put(1, 1);
    tape.operations[other].key = 2;
    tape.get(Some(1), 1);
    assert_eq!(tape.broken(), [Rule::Phantom]);
    assert!(!tape.is_linearizable());
}

#[test]
fn a_refused_write_that_is_read() {
    let mut tape = Tape::default();
    tape.refused(put(1));
    tape.get(Some(1), 1);
    assert_eq!(tape.broken(), [Rule::RefusedApplied]);
    assert_eq!(tape.broken_log(&[(1, 1, Some(1))]), [Rule::RefusedApplied]);
    assert!(!tape.is_linearizable());
}

#[test]
fn a_conflict_that_writes_all_the_same() {
    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.conflict((Expect::Absent, 2), Some(1), 2);
    tape.get(Some(2), 2);
    assert_eq!(tape.broken(), [Rule::RefusedApplied]);
    assert!(!tape.is_linearizable());
}

#[test]
fn a_write_applied_twice_shows_in_its_revision() {
    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.done(Kind::Get, 2, Reply::Read(Some(Held { value: 1, revision: 2 })));
    assert_eq!(tape.broken(), [Rule::AppliedTwice]);
    assert_eq!(tape.broken_log(&[(1, 1, Some(1)), (2, 2, Some(1))]), [Rule::AppliedTwice]);
    assert!(tape.is_linearizable());
}

#[test]
fn a_write_applied_twice_over_another() {
    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.put(2, 2);
    let log = [(1, 1, Some(1)), (2, 2, Some(2)), (3, 3, Some(1))];
    assert_eq!(tape.broken(), [], "nobody looked");
    assert_eq!(tape.broken_log(&log), [Rule::AppliedTwice]);
    tape.done(Kind::Get, 3, Reply::Read(Some(Held { value: 1, revision: 3 })));
    assert_eq!(tape.broken(), [Rule::AppliedTwice, Rule::StaleRead]);
    assert!(!tape.is_linearizable());
}

#[test]
fn a_write_lost() {
    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.put(2, 2);
    assert_eq!(tape.broken_scan(Some(1), 2), [Rule::FinalScan]);
    assert_eq!(tape.broken_scan(None, 2), [Rule::FinalScan]);
    assert_eq!(tape.broken_scan(Some(2), 2), []);
    assert_eq!(tape.broken_log(&[(1, 1, Some(1))]), [Rule::AcknowledgedMissing]);
    tape.get(None, 2);
    assert_eq!(tape.broken(), [Rule::LostValue]);
    assert!(!tape.is_linearizable());
}

#[test]
fn a_final_scan_that_is_too_early() {
    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.put(2, 2);
    assert_eq!(tape.broken_scan(Some(1), 1), [Rule::RealTime]);
}

#[test]
fn two_operations_at_one_log_index() {
    let mut tape = Tape::default();
    let first = tape.put(1, 1);
    let second = tape.put(2, 1);
    tape.operations[second].key = 2;
    tape.during(first, 1, 30).during(second, 1, 30);
    assert_eq!(tape.broken(), [Rule::OneIndex]);
    assert!(tape.is_linearizable());
}

#[test]
fn no_log_index_is_left_for_what_must_have_been_applied() {
    let mut tape = Tape::default();
    let other = tape.put(2, 2);
    tape.operations[other].key = 2;
    tape.unknown(put(9));
    tape.during(1, 1, 0);
    let (none, some) = (tape.get(None, 1), tape.get(Some(9), 2));
    tape.during(none, 1, 60).during(some, 2, 60);
    assert_eq!(tape.broken(), [Rule::OneIndex]);
    assert!(tape.is_linearizable());
}

#[test]
fn reads_at_one_log_index_that_disagree() {
    let mut tape = Tape::default();
    tape.unknown(put(1));
    let (none, some) = (tape.get(None, 3), tape.get(Some(1), 3));
    assert_eq!(tape.broken(), [Rule::Disagree]);
    assert!(tape.is_linearizable());
    tape.during(none, 50, 60).during(some, 20, 30);
    assert_eq!(tape.broken(), [Rule::Disagree]);
    assert!(!tape.is_linearizable());
}

#[test]
fn revisions_against_the_log() {
    let mut tape = Tape::default();
    tape.put(2, 1);
    tape.put(1, 2);
    assert_eq!(tape.broken(), [Rule::RevisionOrder]);
    assert!(tape.is_linearizable());
}

#[test]
fn reads_that_go_back() {
    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.unknown(put(2));
    tape.get(Some(2), 4);
    tape.get(Some(1), 5);
    assert_eq!(tape.broken(), [Rule::StaleRead]);
    assert_eq!(tape.broken_log(&[(1, 1, Some(1)), (3, 2, Some(2))]), [Rule::StaleRead]);
    assert!(!tape.is_linearizable());
}

#[test]
fn a_read_after_a_delete() {
    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.delete(true, 2, 2);
    tape.get(Some(1), 2);
    assert_eq!(tape.broken(), [Rule::StaleRead]);
    assert_eq!(tape.broken_log(&[(1, 1, Some(1)), (2, 2, None)]), [Rule::StaleRead]);
    assert!(!tape.is_linearizable());
}

#[test]
fn a_read_of_what_is_written_later() {
    let mut tape = Tape::default();
    tape.get(Some(1), 1);
    tape.put(1, 2);
    assert_eq!(tape.broken(), [Rule::RevisionOrder, Rule::FutureRead], "it knows the revision, too");
    assert!(!tape.is_linearizable());
    let mut tape = Tape::default();
    tape.get(Some(1), 1);
    tape.unknown(put(1));
    assert_eq!(tape.broken(), [Rule::FutureRead]);
    assert!(!tape.is_linearizable());
}

#[test]
fn conflicts_that_should_not_be() {
    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.conflict((Expect::Value(1), 2), Some(1), 2);
    assert_eq!(tape.broken(), [Rule::WrongConflict]);
    assert!(!tape.is_linearizable());
    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.put(2, 2);
    tape.conflict((Expect::Absent, 3), Some(1), 3);
    assert_eq!(tape.broken(), [Rule::WrongConflict], "it tells what the key held before");
    assert!(!tape.is_linearizable());
}

#[test]
fn swaps_that_should_not_be() {
    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.swap(Expect::Absent, 2, 2);
    assert_eq!(tape.broken(), [Rule::WrongSwap]);
    assert!(!tape.is_linearizable());
    let mut tape = Tape::default();
    tape.put(2, 2);
    tape.swap(Expect::Revision(1), 3, 3);
    assert_eq!(tape.broken(), [Rule::WrongSwap]);
    assert!(!tape.is_linearizable());
}

#[test]
fn deletes_that_are_wrong() {
    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.delete(false, 1, 2);
    assert_eq!(tape.broken(), [Rule::WrongDelete]);
    assert!(!tape.is_linearizable());
    let mut tape = Tape::default();
    tape.delete(true, 1, 1);
    assert_eq!(tape.broken(), [Rule::WrongDelete]);
    assert!(!tape.is_linearizable());
}

#[test]
fn an_unknown_swap_cannot_have_succeeded_without_its_expectation() {
    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.put(2, 2);
    tape.unknown(swap(Expect::Value(1), Some(3)));
    tape.get(Some(3), 5);
    assert_eq!(tape.broken(), [Rule::WrongSwap]);
    assert_eq!(tape.broken_log(&[(1, 1, Some(1)), (2, 2, Some(2)), (4, 3, Some(3))]), [Rule::WrongSwap]);
    assert!(!tape.is_linearizable());
}

#[test]
fn a_deletion_by_nobody() {
    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.get(None, 2);
    assert_eq!(tape.broken(), [Rule::LostValue]);
    assert_eq!(tape.broken_log(&[(1, 1, Some(1)), (2, 2, None)]), [Rule::PhantomDelete]);
    assert!(!tape.is_linearizable());
}

#[test]
fn a_delete_applied_twice() {
    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.unknown(Kind::Delete);
    tape.put(4, 4);
    tape.get(None, 5);
    assert_eq!(tape.broken(), [], "it was called before, and can come late");
    let log = [(1, 1, Some(1)), (2, 2, None), (4, 4, Some(4)), (5, 5, None)];
    assert_eq!(tape.broken_log(&log), [Rule::PhantomDelete]);
    assert!(tape.is_linearizable());
    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.unknown(Kind::Delete);
    tape.get(None, 3);
    tape.put(4, 4);
    tape.get(None, 5);
    assert_eq!(tape.broken(), [Rule::LostValue]);
    assert!(!tape.is_linearizable());
}

#[test]
fn a_log_that_goes_back() {
    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.put(2, 2);
    assert_eq!(tape.broken_log(&[(2, 2, Some(2)), (1, 1, Some(1))]), [Rule::LogOrder]);
}

#[test]
fn a_log_needs_no_log_indexes_of_its_own() {
    let mut tape = Tape::default();
    tape.put(1, 1);
    tape.unknown(put(2));
    tape.put(5, 5);
    tape.get(Some(5), 5);
    let change = |revision, left| Applied { revision, log_index: None, key: 1, left };
    let mut log = vec![change(1, Some(1)), change(2, Some(2)), change(5, Some(5))];
    let found = |log: &[Applied]| broken(&tape.history(), Evidence { scan: None, applied: Some(log) });
    assert_eq!(found(&log), []);
    log.push(change(6, Some(2)));
    assert_eq!(found(&log), [Rule::AppliedTwice]);
    log.truncate(2);
    assert_eq!(found(&log), [Rule::Phantom, Rule::AcknowledgedMissing]);
}

#[test]
fn a_client_that_gave_up() {
    let mut tape = Tape::default();
    tape.add(put(1), |_| Outcome::GaveUp);
    tape.get(Some(1), 1);
    assert_eq!(tape.broken(), [Rule::GaveUp]);
    assert!(tape.is_linearizable(), "it may have been applied, as any other of unknown outcome");
}
