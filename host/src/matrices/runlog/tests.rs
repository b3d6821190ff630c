use std::io::Cursor;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use proptest::prelude::*;

use super::super::testing::header;
use super::reader::{Reader, count_ticks};
use super::record::{self, Record, encode_actions};
use super::*;
use crate::ids::{Digest, MessageId};
use crate::runtime::rules::Action;
use crate::transport::envelope::Content;

type Plain = (u32, u32, Option<Vec<u8>>);

fn actions(plain: &[Plain]) -> Vec<Action> {
    let action =
        |(player, seat, choice): &Plain| Action { player: *player, seat: *seat, choice: choice.clone() };
    plain.iter().map(action).collect()
}

fn plain(actions: Vec<Action>) -> Vec<Plain> {
    actions.into_iter().map(|action| (action.player, action.seat, action.choice)).collect()
}

fn message(body: &str) -> Message {
    Message {
        id: MessageId(0x0102),
        sender: "client:local".parse().expect("an address"),
        recipient: "matrix:market".parse().expect("an address"),
        in_reply_to: Some(MessageId(7)),
        content: Content { content_type: "text/plain".into(), body: body.to_owned().into() },
        sent_at_ms: 300,
    }
}

fn switch() -> Switch {
    let (before, after) = (Digest::from_bytes([1; 32]), Digest::from_bytes([2; 32]));
    Switch { tick: 300, before, after, state: StateHash::from_bytes([3; 32]) }
}

/// A log with a header, two ticks, a message, a switch and an end, and where each record starts.
pub(crate) fn sample() -> (Vec<u8>, Vec<usize>) {
    let mut out = Vec::new();
    let mut starts = vec![0];
    record::put_header(&mut out, &header(&["neo".parse().expect("a name")]));
    starts.push(out.len());
    record::put_tick(&mut out, 0, 5, StateHash::of(b"0"), &encode_actions(&[]));
    starts.push(out.len());
    record::put_message(&mut out, &message("hello"));
    starts.push(out.len());
    let one = [(0, 0, Some(b"C".to_vec())), (0, 1, None)];
    record::put_tick(&mut out, 1, 6, StateHash::of(b"1"), &encode_actions(&actions(&one)));
    starts.push(out.len());
    record::put_switch(&mut out, &switch());
    starts.push(out.len());
    record::put_end(&mut out);
    starts.push(out.len());
    (out, starts)
}

/// Reads a log to its end: how many records follow the header, and where the whole ones end.
fn read(bytes: &[u8]) -> Result<(usize, u64), LogError> {
    let (_, mut reader) = Reader::new(Cursor::new(bytes), bytes.len() as u64, Path::new("run.log"))?;
    let mut count = 0;
    while reader.next()?.is_some() {
        count += 1;
    }
    Ok((count, reader.offset()))
}

#[test]
fn the_format_is_what_it_was() {
    let one = [(0, 0, Some(b"C".to_vec())), (0, 1, None), (1, 0, Some(b"D".to_vec())), (5, 9, Some(vec![]))];
    assert_eq!(encode_actions(&actions(&one)), [4, 2 << 2 | 1, b'C', 0, 2 << 2 | 1, b'D', 1 << 2 | 2, 5, 9]);
    let mut out = Vec::new();
    record::put_tick(&mut out, 300, 1, StateHash::from_bytes([7; 32]), &[0]);
    let mut golden = vec![37, 0, 0, 0];
    golden.extend(super::crc::crc32(&[37, 0, 0, 0]).to_le_bytes());
    let body = [&[1, 0xac, 2, 1][..], &[7; 32], &[0]].concat();
    golden.extend(super::crc::crc32(&body).to_le_bytes());
    golden.extend(&body);
    assert_eq!(out, golden);
    // As another implementation of the checksum has it.
    assert_eq!(golden[4..12], [0x10, 0x80, 0xa8, 0xb6, 0x24, 0x26, 0x49, 0x56]);
    let mut out = Vec::new();
    record::put_message(&mut out, &message("hi"));
    let text = b"\x0cclient:local\x0dmatrix:market\x0atext/plain\x02hi";
    let id = |low: [u8; 2]| [&low[..], &[0; 14]].concat();
    let body = [&[2][..], &id([2, 1]), &[1], &id([7, 0]), &[0xac, 2], text].concat();
    assert_eq!(out[record::PREFIX_BYTES..], body);
    let mut out = Vec::new();
    record::put_switch(&mut out, &switch());
    // The checksums are those of another implementation.
    let mut golden = vec![0x63, 0, 0, 0, 0xf1, 0x87, 0xd7, 8, 0x2e, 0xa1, 0x52, 0x6b, 4, 0xac, 2];
    (1..=3).for_each(|byte| golden.extend([byte; 32]));
    assert_eq!(out, golden);
}

#[test]
fn choices_of_one_byte_take_two() {
    let seats = (0..24).flat_map(|player| (0..24).map(move |seat| (player, seat, Some(b"C".to_vec()))));
    assert_eq!(encode_actions(&actions(&seats.collect::<Vec<_>>())).len(), 2 + 24 * 24 * 2);
}

#[test]
fn everything_comes_back() {
    let (bytes, _) = sample();
    let (head, mut reader) =
        Reader::new(Cursor::new(&bytes), bytes.len() as u64, Path::new("run.log")).expect("a header");
    assert_eq!(head, header(&["neo".parse().expect("a name")]));
    let mut next = || reader.next().expect("sound").expect("one more");
    assert!(matches!(next(), Record::Tick(tick) if tick.tick == 0 && tick.actions.is_empty()));
    assert!(matches!(next(), Record::Message(got) if got == message("hello")));
    let Record::Tick(tick) = next() else { panic!("a tick") };
    assert_eq!((tick.tick, tick.asked_at_ms, tick.state), (1, 6, StateHash::of(b"1")));
    assert_eq!(plain(tick.actions), [(0, 0, Some(b"C".to_vec())), (0, 1, None)]);
    assert!(matches!(next(), Record::Switch(got) if got == switch()));
    assert!(matches!(next(), Record::End));
    assert!(reader.next().expect("sound").is_none());
}

#[test]
fn wherever_it_is_cut_the_whole_records_before_remain() {
    let (bytes, starts) = sample();
    for length in starts[1]..=bytes.len() {
        let whole = starts.iter().filter(|start| **start <= length).count();
        let end = starts[whole - 1] as u64;
        assert_eq!(read(&bytes[..length]).expect("a torn tail is no damage"), (whole - 2, end), "{length}");
    }
    let zeros = [&bytes[..starts[3]], &[0; 5000]].concat();
    assert_eq!(read(&zeros).expect("zeros at the end are a torn tail").1, starts[3] as u64);
    assert!(read(&bytes[..starts[1] - 1]).is_err());
}

#[test]
fn a_flipped_bit_in_the_middle_is_found_where_it_is() {
    let (bytes, starts) = sample();
    for at in 0..starts[5] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        let start = *starts.iter().rfind(|start| **start <= at).expect("a record") as u64;
        let error = read(&damaged).expect_err("it is damaged");
        assert!(matches!(error, LogError::Damaged { offset, .. } if offset == start), "{at}: {error}");
    }
}

#[test]
fn another_format_is_refused_by_number() {
    let mut out = Vec::new();
    record::put_header(&mut out, &Header { format: 3, ..header(&[]) });
    let error = read(&out).expect_err("a format of the future").to_string();
    assert!(error.contains("its format is 3, and this node reads 2"), "{error}");
}

#[tokio::test]
async fn a_file_grows_is_cut_and_grows_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.log");
    let mut log = RunLog::create(path.clone(), &header(&[]), 1 << 20).await.expect("a new file");
    assert!(RunLog::create(path.clone(), &header(&[]), 1 << 20).await.is_err(), "never over another run");
    assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    log.tick(0, 1, StateHash::of(b""), &encode_actions(&[]));
    log.tick(1, 1, StateHash::of(b""), &encode_actions(&[]));
    assert_eq!(count_ticks(&path).expect("sound"), 0, "not handed over yet");
    log.flush().expect("room");
    assert_eq!(count_ticks(&path).expect("sound"), 1);
    assert!(log.sync_due().is_some());
    log.sync().await.expect("synced");
    assert!(log.sync_due().is_none());
    drop(log);

    let whole = std::fs::read(&path).expect("a file");
    std::fs::write(&path, [&whole[..], &[9; 7]].concat()).expect("written");
    let mut log = RunLog::resume(path.clone(), whole.len() as u64, 1 << 20).await.expect("a file");
    log.tick(2, 1, StateHash::of(b""), &encode_actions(&[]));
    log.sync().await.expect("synced");
    assert_eq!(count_ticks(&path).expect("sound"), 2);
}

#[tokio::test]
async fn a_log_that_is_too_long_is_refused_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.log");
    let mut log = RunLog::create(path.clone(), &header(&[]), 700).await.expect("a new file");
    for tick in 0..20 {
        log.tick(tick, 1, StateHash::of(b""), &encode_actions(&[]));
    }
    assert!(matches!(log.flush(), Err(LogError::Full(700))));
    assert_eq!(count_ticks(&path).expect("sound"), 0);
}

proptest! {
    #[test]
    fn actions_round_trip(
        given in proptest::collection::vec(
            (
                0u32..3,
                prop_oneof![0u32..4, Just(u32::MAX)],
                proptest::option::of(proptest::collection::vec(any::<u8>(), 0..70)),
            ),
            0..40,
        ),
        tick in any::<u64>(),
    ) {
        let mut out = Vec::new();
        record::put_tick(&mut out, tick, tick, StateHash::of(b""), &encode_actions(&actions(&given)));
        let Ok(Record::Tick(read)) = record::record(&out[record::PREFIX_BYTES..]) else { panic!("a tick") };
        prop_assert_eq!((read.tick, plain(read.actions)), (tick, given));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = (record::record(&bytes), record::header(&bytes), read(&bytes));
    }
}
