//! Between Raft's types and those of the wire. What comes from the wire is checked here.

use bytes::Bytes;
use matrix_proto::wire;
use openraft::impls::leader_id_adv::LeaderId;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, VoteRequest, VoteResponse,
};

use crate::kv::codec::{Malformed, Reader, Writer};
use crate::kv::command::Proposal;
use crate::kv::raft::{LogEntry, LogId, TypeConfig, Vote, size_in_memory};

pub(super) fn ballot(vote: &Vote) -> wire::Ballot {
    wire::Ballot { term: vote.leader_id.term, node: vote.leader_id.node_id, committed: vote.committed }
}

pub(super) fn vote(ballot: Option<wire::Ballot>) -> Result<Vote, Malformed> {
    let wire::Ballot { term, node, committed } = ballot.ok_or(Malformed)?;
    Ok(Vote { leader_id: LeaderId { term, node_id: node }, committed })
}

pub(super) fn place(id: LogId) -> wire::LogPlace {
    wire::LogPlace { term: id.leader_id.term, node: id.leader_id.node_id, index: id.index }
}

pub(super) fn log_id(place: wire::LogPlace) -> LogId {
    LogId { leader_id: LeaderId { term: place.term, node_id: place.node }, index: place.index }
}

pub(super) fn append(request: &AppendEntriesRequest<TypeConfig>) -> wire::Append {
    let mut writer = Writer::with_capacity(request.entries.iter().map(size_in_memory).sum());
    let end = |entry: &LogEntry| {
        // It fails only for a membership that is no JSON, of which there is none.
        let written = writer.log_entry(entry);
        debug_assert!(written.is_ok(), "every entry has its bytes");
        writer.0.len()
    };
    let ends: Vec<_> = request.entries.iter().map(end).collect();
    wire::Append {
        vote: Some(ballot(&request.vote)),
        previous: request.prev_log_id.map(place),
        entries: apart(&writer.0.into(), ends).collect(),
        committed: request.leader_commit.map(place),
    }
}

/// What lies together, apart, given where each ends.
fn apart(together: &Bytes, ends: Vec<usize>) -> impl Iterator<Item = Bytes> {
    ends.into_iter().scan(0, |start, end| Some(together.slice(std::mem::replace(start, end)..end)))
}

pub(super) fn read_append(append: wire::Append) -> Result<AppendEntriesRequest<TypeConfig>, Malformed> {
    // One copy for all, which leave memory at about the same time: a small entry must not keep a large buffer of the
    // network alive.
    let mut together = Vec::with_capacity(append.entries.iter().map(Bytes::len).sum());
    let end = |entry: &Bytes| {
        together.extend_from_slice(entry);
        together.len()
    };
    let ends = append.entries.iter().map(end).collect();
    Ok(AppendEntriesRequest {
        vote: vote(append.vote)?,
        prev_log_id: append.previous.map(log_id),
        entries: apart(&together.into(), ends)
            .map(|entry| Reader(entry).log_entry())
            .collect::<Result<_, _>>()?,
        leader_commit: append.committed.map(log_id),
    })
}

pub(super) fn appended(response: &AppendEntriesResponse<TypeConfig>, disk_full: bool) -> wire::Appended {
    use wire::appended::Kind;
    let kind = match response {
        AppendEntriesResponse::Success => Kind::All(wire::Nothing {}),
        AppendEntriesResponse::PartialSuccess(upto) => Kind::UpTo(wire::Reached { place: upto.map(place) }),
        AppendEntriesResponse::Conflict => Kind::Conflict(wire::Nothing {}),
        AppendEntriesResponse::HigherVote(vote) => Kind::Higher(ballot(vote)),
    };
    wire::Appended { kind: Some(kind), disk_full }
}

pub(super) fn read_appended(
    appended: wire::Appended,
) -> Result<AppendEntriesResponse<TypeConfig>, Malformed> {
    use wire::appended::Kind;
    Ok(match appended.kind.ok_or(Malformed)? {
        Kind::All(_) => AppendEntriesResponse::Success,
        Kind::UpTo(reached) => AppendEntriesResponse::PartialSuccess(reached.place.map(log_id)),
        Kind::Conflict(_) => AppendEntriesResponse::Conflict,
        Kind::Higher(higher) => AppendEntriesResponse::HigherVote(vote(Some(higher))?),
    })
}

pub(super) fn vote_question(request: &VoteRequest<TypeConfig>) -> wire::VoteQuestion {
    wire::VoteQuestion {
        vote: Some(ballot(&request.vote)),
        last: request.last_log_id.map(place),
        transfer: request.leadership_transfer,
    }
}

pub(super) fn read_vote_question(question: wire::VoteQuestion) -> Result<VoteRequest<TypeConfig>, Malformed> {
    let last = question.last.map(log_id);
    let mut request = VoteRequest::new(vote(question.vote)?, last);
    request.leadership_transfer = question.transfer;
    Ok(request)
}

pub(super) fn vote_answer(response: &VoteResponse<TypeConfig>) -> wire::VoteAnswer {
    let last = response.last_log_id.map(place);
    wire::VoteAnswer { vote: Some(ballot(&response.vote)), granted: response.vote_granted, last }
}

pub(super) fn read_vote_answer(answer: wire::VoteAnswer) -> Result<VoteResponse<TypeConfig>, Malformed> {
    Ok(VoteResponse::new(vote(answer.vote)?, answer.last.map(log_id), answer.granted))
}

pub(super) fn transfer(request: &TransferLeaderRequest<TypeConfig>) -> wire::Transfer {
    wire::Transfer {
        vote: Some(ballot(request.from_leader())),
        to: *request.to_node_id(),
        last: request.last_log_id().copied().map(place),
    }
}

pub(super) fn read_transfer(
    transfer: wire::Transfer,
) -> Result<TransferLeaderRequest<TypeConfig>, Malformed> {
    Ok(TransferLeaderRequest::new(vote(transfer.vote)?, transfer.to, transfer.last.map(log_id)))
}

/// A command of the log that a peer proposes: checked before it enters the log, which all would have to read.
pub(super) fn read_proposal(bytes: &Bytes) -> Result<Proposal, Malformed> {
    let proposal = Proposal(Bytes::copy_from_slice(bytes));
    crate::kv::command::Command::decode(&proposal)?;
    Ok(proposal)
}

#[cfg(test)]
mod tests {
    use openraft::EntryPayload;
    use openraft::entry::RaftEntry as _;
    use prost::Message as _;

    use super::*;

    fn id(term: u64, index: u64) -> LogId {
        LogId { leader_id: LeaderId { term, node_id: 2 }, index }
    }

    fn cast(term: u64, committed: bool) -> Vote {
        Vote { leader_id: LeaderId { term, node_id: 2 }, committed }
    }

    #[test]
    fn appends_come_back_as_they_went() {
        let entries = vec![
            LogEntry::new(id(3, 7), EntryPayload::Blank),
            LogEntry::new(id(3, 8), EntryPayload::Normal(Proposal(Bytes::from("command")))),
        ];
        let request = AppendEntriesRequest::<TypeConfig> {
            vote: cast(3, true),
            prev_log_id: Some(id(2, 6)),
            entries,
            leader_commit: None,
        };
        let bytes = append(&request).encode_to_vec();
        let back = read_append(wire::Append::decode(&bytes[..]).expect("its own bytes")).expect("sound");
        assert_eq!(format!("{back:?}"), format!("{request:?}"));
        assert_eq!(&bytes[..10], b"\x0a\x06\x08\x03\x10\x02\x18\x01\x12\x06", "golden");
        let without_vote = wire::Append { vote: None, ..append(&request) };
        assert!(read_append(without_vote).is_err());
        let broken = wire::Append { entries: vec![Bytes::from("\x01")], ..append(&request) };
        assert!(read_append(broken).is_err());
    }

    #[test]
    fn answers_come_back_as_they_went() {
        let answers = [
            AppendEntriesResponse::Success,
            AppendEntriesResponse::PartialSuccess(None),
            AppendEntriesResponse::PartialSuccess(Some(id(1, 1))),
            AppendEntriesResponse::Conflict,
            AppendEntriesResponse::HigherVote(cast(9, false)),
        ];
        for answer in answers {
            assert_eq!(read_appended(appended(&answer, true)), Ok(answer));
        }
        assert!(read_appended(wire::Appended { kind: None, disk_full: false }).is_err());
        let question = VoteRequest::<TypeConfig>::new(cast(4, false), Some(id(3, 9)));
        assert_eq!(read_vote_question(vote_question(&question)), Ok(question));
        let answer = VoteResponse::<TypeConfig>::new(cast(4, false), None, true);
        assert_eq!(read_vote_answer(vote_answer(&answer)), Ok(answer));
        let hand_over = TransferLeaderRequest::<TypeConfig>::new(cast(4, true), 3, Some(id(3, 9)));
        assert_eq!(read_transfer(transfer(&hand_over)), Ok(hand_over));
    }

    #[test]
    fn what_is_no_command_never_enters_the_log() {
        assert!(read_proposal(&Bytes::from("\x07nonsense")).is_err());
        assert!(read_proposal(&Bytes::new()).is_err());
    }
}
