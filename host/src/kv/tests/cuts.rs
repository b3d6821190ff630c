//! The log on a disk that fails: nothing acknowledged is ever lost, and nothing else is there but what was under way.

use std::sync::atomic::Ordering;

use super::disk::{Chance, FaultyDisk};
use super::journal::{Journal, Life, Op};
use crate::kv::KvError;

/// Cuts of the power; `make soak` makes many.
const CUTS: u64 = if cfg!(feature = "soak") { 10_000 } else { 400 };
/// Restarts of one disk, each ended by a cut.
const LIVES: u64 = 10;
/// Operations of the disk within which a life is cut, and the most that are asked of the log: opening it takes some
/// twenty of the disk's.
const OPERATIONS: u64 = 150;

fn chosen(chance: &mut Chance) -> Op {
    match chance.below(16) {
        0 => Op::Vote,
        1 => Op::Truncate(chance.below(6)),
        2 => Op::Purge(chance.below(8)),
        3 if chance.below(4) == 0 => Op::Replace(chance.below(5)),
        4 => Op::Append(1, 5_000),
        5 => Op::Append(1 + chance.below(3), 12_000),
        _ => Op::Append(1 + chance.below(4), chance.below(700) as usize),
    }
}

/// Opens the log and writes to it until something fails, or until the process is killed. Whether it opened.
fn live(disk: &FaultyDisk, chance: &mut Chance, journal: &mut Journal, what: &str) -> bool {
    let mut life = match Life::open(disk) {
        Ok(life) => life,
        Err(error) => {
            assert!(!matches!(error, KvError::Corrupt { .. }), "{what}: {error}");
            return false;
        }
    };
    journal.check(&mut life, what);
    let mut has_failed = false;
    for _ in 0..OPERATIONS {
        let op = chosen(chance);
        let done = journal.tell(&mut life, &op);
        let done = if chance.below(3) == 0 { done.and_then(|()| journal.flush(&life)) } else { done };
        has_failed = done.is_err();
        if has_failed {
            break;
        }
    }
    assert_eq!(life.fatal.load(Ordering::Relaxed), u64::from(has_failed), "{what}");
    if has_failed {
        // Whatever the disk would do now: nothing more is acknowledged.
        disk.restart_process();
        let before = journal.acknowledged.clone();
        assert!(journal.tell(&mut life, &Op::Vote).is_err() && journal.flush(&life).is_err(), "{what}");
        assert_eq!(journal.acknowledged, before, "{what}");
        assert_eq!(life.fatal.load(Ordering::Relaxed), 1, "{what}");
    }
    // A process that was killed closes nothing.
    disk.cut_after(Some(0));
    true
}

#[test]
fn no_cut_loses_what_was_acknowledged() {
    let (mut cuts, mut opened) = (0, 0);
    for seed in 0..CUTS / LIVES {
        let mut chance = Chance(seed);
        let (disk, mut journal) = (FaultyDisk::default(), Journal::default());
        for number in 0..LIVES {
            let what = format!("seed {seed}, life {number}");
            disk.cut_after(Some(chance.below(OPERATIONS)));
            opened += u64::from(live(&disk, &mut chance, &mut journal, &what));
            cuts += 1;
            if chance.below(4) == 0 {
                disk.restart_process();
            } else {
                disk.restart_machine(&mut chance);
            }
        }
        let mut life = Life::open(&disk).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        journal.check(&mut life, &format!("seed {seed}, at last"));
    }
    assert!(cuts >= CUTS && opened > cuts / 2 && opened < cuts, "{opened} of {cuts} opened");
}

#[test]
fn a_failed_sync_ends_the_store_and_loses_nothing() {
    for seed in 0..CUTS / LIVES {
        let mut chance = Chance(seed);
        let (disk, mut journal) = (FaultyDisk::default(), Journal::default());
        for number in 0..LIVES {
            let what = format!("seed {seed}, life {number}");
            disk.fail_sync_after(Some(chance.below(60)));
            live(&disk, &mut chance, &mut journal, &what);
            disk.restart_process();
            // What is read now may be in the system's memory only.
            if let Ok(mut life) = Life::open(&disk) {
                journal.check(&mut life, &what);
            }
            disk.restart_machine(&mut chance);
        }
        let mut life = Life::open(&disk).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        journal.check(&mut life, &format!("seed {seed}, at last"));
    }
}

#[test]
fn a_full_disk_is_known_before_it_is_needed() {
    let (disk, mut journal) = (FaultyDisk::default(), Journal::default());
    let mut life = Life::open(&disk).unwrap();
    disk.leave_room(Some(0));
    life.log.prepare().expect("half of the segment is free");
    for _ in 0..5 {
        journal.tell(&mut life, &Op::Append(1, 1_000)).unwrap();
        journal.flush(&life).unwrap();
    }
    let error = life.log.prepare().expect_err("there is no room for the next segment");
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    // Going on all the same, until this one is full, ends the store; what was acknowledged is there.
    while journal.tell(&mut life, &Op::Append(1, 1_000)).and_then(|()| journal.flush(&life)).is_ok() {}
    assert_eq!(life.fatal.load(Ordering::Relaxed), 1);
    drop(life);
    disk.leave_room(None);
    let mut life = Life::open(&disk).unwrap();
    journal.check(&mut life, "with room again");
    for _ in 0..20 {
        life.log.prepare().unwrap();
        journal.tell(&mut life, &Op::Append(1, 1_000)).unwrap();
        journal.flush(&life).unwrap();
    }
    drop(life);
    journal.check(&mut Life::open(&disk).unwrap(), "opened again");
}
