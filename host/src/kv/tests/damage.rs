//! What is damaged is refused by name, and what is only cut off is not; and any order of operations.

use proptest::prelude::*;

use super::disk::FaultyDisk;
use super::journal::{Journal, Life, Op};
use crate::kv::KvError;

/// Three segments: one that is full, one with a truncation, and the newest with two small frames at its end.
fn written() -> (FaultyDisk, Journal) {
    let (disk, mut journal) = (FaultyDisk::default(), Journal::default());
    let mut life = Life::open(&disk).unwrap();
    let big = [Op::Append(2, 3_000), Op::Append(1, 2_000), Op::Vote, Op::Append(2, 2_500), Op::Truncate(1)];
    let small = [Op::Append(1, 4_000), Op::Append(1, 100), Op::Append(1, 60)];
    for op in big.iter().chain(&small) {
        journal.tell(&mut life, op).unwrap();
        journal.flush(&life).unwrap();
    }
    drop(life);
    (disk, journal)
}

fn segments(disk: &FaultyDisk) -> Vec<String> {
    let mut names = crate::kv::wal::Disk::list(disk).unwrap();
    names.retain(|name| name.ends_with(".wal"));
    names
}

/// Bytes of a segment up to its last one that is not zero.
fn used(disk: &FaultyDisk, name: &str) -> usize {
    disk.damage(name, |bytes| bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1)
}

#[track_caller]
fn refused(disk: &FaultyDisk, name: &str, damage: &str) {
    match Life::open(disk).err() {
        Some(KvError::Corrupt { what, .. }) if what == name => {}
        other => panic!("{damage} in {name}: {other:?}"),
    }
}

#[test]
fn damage_is_refused_by_name() {
    let (disk, journal) = written();
    let names = segments(&disk);
    assert_eq!(names.len(), 3);
    let (mut right, mut wrong) = (0, 0);
    for name in &names {
        let is_newest = name == names.last().unwrap();
        let used = used(&disk, name);
        for at in (0..used).step_by(7) {
            let damaged = disk.copy();
            damaged.damage(name, |bytes| bytes[at] ^= 0x10);
            match Life::open(&damaged) {
                // Zeros between frames; or the last frame, which cannot be told from one that was cut.
                Ok(mut life) => {
                    let found = life.observe();
                    let missing = journal.acknowledged.entries.len() - found.entries.len();
                    assert!(missing == 0 || is_newest && missing == 1 && at > used - 160, "{name} at {at}");
                    right += 1;
                }
                Err(KvError::Corrupt { what, .. }) => {
                    let before = names.iter().position(|other| other == name).map(|at| at + 1);
                    let next = before.and_then(|at| names.get(at));
                    assert!(what == *name || Some(&what) == next, "{what} instead of {name}");
                    wrong += 1;
                }
                Err(other) => panic!("{name} at {at}: {other}"),
            }
        }
    }
    assert!(wrong > 20 * right, "{wrong} refused, {right} opened");
}

#[test]
fn a_missing_or_cut_segment_is_refused_by_name() {
    let (disk, _) = written();
    for name in segments(&disk) {
        let damaged = disk.copy();
        crate::kv::wal::Disk::remove(&damaged, &name).unwrap();
        refused(&damaged, &name, "nothing");
        let damaged = disk.copy();
        damaged.damage(&name, |bytes| bytes.truncate(10));
        refused(&damaged, &name, "ten bytes");
        let damaged = disk.copy();
        damaged.damage(&name, |bytes| bytes.fill(0));
        refused(&damaged, &name, "zeros");
    }
    // One segment in the place of another, whole as it is.
    let names = segments(&disk);
    let first = disk.damage(&names[0], |bytes| bytes.clone());
    disk.damage(&names[2], |bytes| *bytes = first);
    refused(&disk, &names[2], "another segment");
}

#[test]
fn a_frame_that_was_cut_off_is_not_there() {
    let (disk, mut journal) = written();
    let newest = segments(&disk).pop().unwrap();
    journal.acknowledged.entries.pop_last().unwrap();
    journal.acknowledged.last = journal.acknowledged.entries.last_key_value().map(|(_, (id, _))| *id);
    let end = used(&disk, &newest);
    for bytes_lost in 1..80 {
        let torn = disk.copy();
        torn.damage(&newest, |bytes| bytes[end - bytes_lost..end].fill(0));
        let mut life = Life::open(&torn).unwrap();
        let mut after = Journal::of(journal.acknowledged.clone());
        after.check(&mut life, "cut off");
        // What is written in its place is there.
        after.tell(&mut life, &Op::Append(1, 10)).unwrap();
        after.flush(&life).unwrap();
        drop(life);
        after.check(&mut Life::open(&torn).unwrap(), "written in its place");
    }
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (1u64..5, 0usize..900).prop_map(|(entries, bytes)| Op::Append(entries, bytes)),
        1 => (1u64..3, 3_000usize..20_000).prop_map(|(entries, bytes)| Op::Append(entries, bytes)),
        1 => Just(Op::Vote),
        2 => (0u64..9).prop_map(Op::Truncate),
        2 => (0u64..12).prop_map(Op::Purge),
        1 => (0u64..5).prop_map(Op::Replace),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_log_follows_the_model(ops in prop::collection::vec((op(), any::<bool>(), 0u8..8), 1..60)) {
        let (disk, mut journal) = (FaultyDisk::default(), Journal::default());
        let mut life = Life::open(&disk).unwrap();
        for (op, flushes, reopens) in ops {
            journal.tell(&mut life, &op).unwrap();
            if flushes {
                journal.flush(&life).unwrap();
            }
            if reopens == 0 {
                journal.flush(&life).unwrap();
                drop(life);
                life = Life::open(&disk).unwrap();
                journal.check(&mut life, "opened again");
            }
        }
        journal.flush(&life).unwrap();
        prop_assert_eq!(&life.observe(), &journal.acknowledged);
    }
}
