use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const RUN: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
const MAX: u64 = 1000;

fn holder() -> (TempDir, Holder) {
    let folder = tempfile::tempdir().expect("a folder");
    let holder = Holder::new(folder.path().to_owned(), MAX, Disk::default());
    (folder, holder)
}

fn stand(generation: u64, length: u64) -> Kind {
    Kind::Stand(RunStand { run: RUN.into(), generation, length, rules: String::new() })
}

fn piece(generation: u64, offset: u64, data: &'static [u8]) -> RunPiece {
    let (file, data) = (RunFile::Log.into(), Bytes::from_static(data));
    RunPiece { run: RUN.into(), generation, file, offset, data, seals: false }
}

fn part(file: RunFile, offset: u64, length: u32) -> Kind {
    Kind::Part(RunPart { run: RUN.into(), file: file.into(), offset, length })
}

#[test]
fn a_copy_grows_is_compared_and_read() {
    let (_folder, holder) = holder();
    let none = holder.answer(&stand(1, 0)).expect("none");
    assert_eq!((none.length, &none.digest[..]), (0, &blake3::hash(b"").as_bytes()[..]));
    assert_eq!(holder.answer(&Kind::Piece(piece(1, 0, b"first "))).expect("kept").length, 6);
    let last = RunPiece { seals: true, ..piece(1, 6, b"second") };
    assert_eq!(holder.answer(&Kind::Piece(last)).expect("kept").length, 12);
    let whole = holder.answer(&stand(1, 12)).expect("there");
    assert_eq!((whole.length, &whole.digest[..]), (12, &blake3::hash(b"first second").as_bytes()[..]));
    let read = holder.answer(&part(RunFile::Log, 6, 3)).expect("there");
    assert_eq!((read.length, &read.data[..]), (12, &b"sec"[..]));
    assert_eq!(holder.answer(&part(RunFile::Log, u64::MAX, u32::MAX)).expect("none").data, Bytes::new());
}

#[test]
fn what_nobody_was_told_of_is_cut_off() {
    let (_folder, holder) = holder();
    holder.answer(&Kind::Piece(piece(1, 0, b"told, untold"))).expect("kept");
    assert_eq!(holder.answer(&stand(2, 4)).expect("there").length, 4);
    // So is what is said again, otherwise.
    holder.answer(&Kind::Piece(piece(2, 4, b"!!"))).expect("kept");
    holder.answer(&Kind::Piece(piece(2, 4, b"?"))).expect("kept");
    assert_eq!(holder.answer(&part(RunFile::Log, 0, 99)).expect("there").data, &b"told?"[..]);
}

#[test]
fn a_node_that_ran_it_before_changes_nothing() {
    let (_folder, holder) = holder();
    holder.answer(&Kind::Piece(piece(2, 0, b"new"))).expect("kept");
    let refused = |question| holder.answer(&question).expect_err("refused");
    assert!(refused(Kind::Piece(piece(1, 0, b"old"))).contains("another node"));
    assert!(refused(stand(1, 0)).contains("another node"));
    holder.seal(RUN, 3);
    assert!(refused(Kind::Piece(piece(2, 3, b"!"))).contains("another node"));
    assert_eq!(holder.answer(&part(RunFile::Log, 0, 9)).expect("there").data, &b"new"[..]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (folder, holder) = holder();
    let refused = |piece: RunPiece| holder.answer(&Kind::Piece(piece)).expect_err("refused");
    assert!(refused(piece(1, 1, b"gap")).contains("only 0 bytes"));
    assert!(refused(piece(1, MAX - 1, b"ab")).contains("run_log_bytes_max"));
    assert!(refused(piece(1, u64::MAX, b"ab")).contains("run_log_bytes_max"));
    let long = Bytes::from(vec![0; PIECE_BYTES as usize + 1]);
    assert!(refused(RunPiece { data: long, ..piece(1, 0, b"") }).contains("262144"));
    let path = format!("../{RUN}");
    assert!(refused(RunPiece { run: path, ..piece(1, 0, b"x") }).contains("names no run"));
    let other = RunPart { run: "../../etc/passwd".into(), ..RunPart::default() };
    assert!(holder.answer(&Kind::Part(other)).is_err());
    assert_eq!(std::fs::metadata(folder.path().join(format!("{RUN}.log"))).map_or(0, |file| file.len()), 0);
}

#[test]
fn a_checkpoint_takes_its_place_once_it_is_whole() {
    let (_folder, holder) = holder();
    let checkpoint = |offset, data, seals| {
        let file = RunFile::Checkpoint.into();
        holder.answer(&Kind::Piece(RunPiece { file, seals, ..piece(1, offset, data) })).expect("kept")
    };
    let there = || holder.answer(&part(RunFile::Checkpoint, 0, 99)).map(|answer| answer.data);
    checkpoint(0, b"one", false);
    assert!(there().is_err());
    checkpoint(3, b"...", true);
    assert_eq!(there().expect("there"), &b"one..."[..]);
    // Another begins anew, and does not harm the one that is there.
    checkpoint(0, b"two", false);
    assert_eq!(there().expect("there"), &b"one..."[..]);
    checkpoint(3, b"", true);
    assert_eq!(there().expect("there"), &b"two"[..]);
}

#[test]
fn runs_are_counted() {
    let (_folder, holder) = holder();
    {
        let mut runs = holder.runs.lock().expect("mine");
        let run = |number: usize| MessageId(number as u128);
        runs.extend((0..RUNS_MAX).map(|number| (run(number), Arc::default())));
    }
    assert!(holder.answer(&stand(1, 0)).expect_err("refused").contains("no more"));
}

proptest! {
    #[test]
    fn however_pieces_come_a_copy_begins_like_its_log(
        log in prop::collection::vec(any::<u8>(), 1..200),
        cuts in prop::collection::vec((0_usize..200, 0_usize..200), 1..20),
    ) {
        let (_folder, holder) = holder();
        for (from, to) in cuts {
            let (from, to) = (from.min(to).min(log.len()), from.max(to).min(log.len()));
            let data = Bytes::copy_from_slice(&log[from..to]);
            // A gap is refused.
            let _ = holder.answer(&Kind::Piece(RunPiece { data, ..piece(1, from as u64, b"") }));
            let there = holder.answer(&part(RunFile::Log, 0, 999)).map(|answer| answer.data).unwrap_or_default();
            prop_assert!(log.starts_with(&there));
        }
    }
}
