//! What is asked and answered about run logs (`proto/matrix/wire/v1/runs.proto`).

use std::fs::File;
use std::io::{self, Read as _};
use std::time::Duration;

use bytes::Bytes;
use matrix_proto::wire;
use matrix_proto::wire::runs_question::Kind;
use prost::Message as _;

use crate::p2p::rpc::{CallError, Rpc};
use crate::p2p::{Lane, Peer};

/// The lane.
pub(super) const LANE: Lane = Lane::new("/matrix/runs/1");
/// Bytes of one piece.
pub(super) const PIECE_BYTES: u64 = 256 << 10;
/// How long a node that is alive may take to open its lanes.
pub(super) const OPENING: Duration = Duration::from_secs(3);
/// How long a piece may take: whoever has not answered by then holds every tick up.
const PIECE: Duration = Duration::from_secs(2);
/// How long a node may take to read its whole copy.
const STAND: Duration = Duration::from_secs(60);

/// Asks a node something about a run.
pub(super) async fn ask(rpc: &Rpc, peer: Peer, kind: Kind) -> Result<wire::RunsAnswer, CallError> {
    let patience = if matches!(kind, Kind::Stand(_)) { STAND } else { PIECE };
    let question = wire::RunsQuestion { kind: Some(kind) }.encode_to_vec();
    let answer = rpc.call(peer, question.into(), patience).await?;
    wire::RunsAnswer::decode(answer).map_err(|_| CallError::Refused(peer, "its answer makes no sense".into()))
}

/// Asks a node for a piece of its run log, from an offset on.
pub(super) async fn part(
    rpc: &Rpc,
    peer: Peer,
    run: &str,
    offset: u64,
) -> Result<wire::RunsAnswer, CallError> {
    let (file, length) = (wire::RunFile::Log.into(), PIECE_BYTES as u32);
    ask(rpc, peer, Kind::Part(wire::RunPart { run: run.to_owned(), file, offset, length })).await
}

/// BLAKE3 of the first `length` bytes of a file that was just opened. Blocks on the disk.
pub(super) fn digest(file: &File, length: u64) -> io::Result<Bytes> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file.take(length))?;
    Ok(Bytes::copy_from_slice(hasher.finalize().as_bytes()))
}

/// What a question asks; none: it makes no sense.
pub(super) fn read(question: Bytes) -> Option<Kind> {
    wire::RunsQuestion::decode(question).ok()?.kind
}
