//! What goes into the Raft log ([`Command`], carried as a [`Proposal`]) and what comes back ([`Answer`]).

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::codec::{Malformed, Reader, Writer};
use super::types::{Condition, Entry, Expect, LeaseId, Mutation, RequestId, Txn};

/// Version of the encoding; the first byte of every command.
const FORMAT: u8 = 2;
/// The version before, whose commands may stand in a log: it knew no last index.
const FORMAT_BEFORE: u8 = 1;

/// One entry of the log, as the state machine sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) request: Option<RequestId>,
    /// The last index of the log at which it may be applied. What is retried carries one, so that it is never applied
    /// after its request id has been forgotten.
    pub(super) last_index: Option<u64>,
    pub(super) op: Op,
}

/// What a command does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Mutate(Mutation),
    Swap {
        condition: Condition,
        new: Option<Bytes>,
    },
    Txn(Txn),
    /// A mutation, if the condition holds; it answers as the mutation alone does.
    Fenced {
        fence: Condition,
        mutation: Mutation,
    },
    GrantLease {
        ttl_ms: u64,
    },
    /// Ends a lease, by request or because it ran out. Deletes a bounded number of its keys; repeated until none
    /// is left, so that no single entry of the log holds up all others.
    EndLease {
        lease: LeaseId,
    },
}

/// What the state machine answers to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) log_index: u64,
    pub(super) revision: u64,
    pub(super) outcome: Outcome,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing to say (also for entries that carry no command).
    Done,
    Deleted {
        existed: bool,
    },
    Number(u64),
    Swapped,
    /// It holds what is there instead; apart, so that all other answers stay small: many are remembered.
    Conflict {
        current: Option<Box<Entry>>,
    },
    Unmet {
        condition: u64,
    },
    Granted(LeaseId),
    LeaseEnded {
        more: bool,
    },
    NotANumber,
    Overflow,
    NoSuchLease,
    TooManyLeases,
    /// It came after its last index, and was not applied.
    TooLate,
    /// The log holds bytes that this version cannot read. All replicas answer the same, and change nothing.
    Unreadable,
}

impl Command {
    pub(super) fn encode(&self) -> Proposal {
        let mut writer = Writer::with_capacity(48 + self.op.size());
        writer.u8(FORMAT);
        writer.request(self.request);
        writer.option(self.last_index, Writer::number);
        match &self.op {
            Op::Mutate(mutation) => {
                writer.u8(0);
                write_mutation(&mut writer, mutation);
            }
            Op::Swap { condition, new } => {
                writer.u8(1);
                write_condition(&mut writer, condition);
                writer.option(new.as_ref(), |writer, new| writer.bytes(new));
            }
            Op::Txn(txn) => {
                writer.u8(2);
                writer.number(txn.require.len() as u64);
                txn.require.iter().for_each(|condition| write_condition(&mut writer, condition));
                writer.number(txn.then.len() as u64);
                txn.then.iter().for_each(|mutation| write_mutation(&mut writer, mutation));
            }
            Op::GrantLease { ttl_ms } => {
                writer.u8(3);
                writer.number(*ttl_ms);
            }
            Op::EndLease { lease } => {
                writer.u8(4);
                writer.number(lease.0);
            }
            Op::Fenced { fence, mutation } => {
                writer.u8(5);
                write_condition(&mut writer, fence);
                write_mutation(&mut writer, mutation);
            }
        }
        Proposal(writer.0.into())
    }

    pub(super) fn decode(proposal: &Proposal) -> Result<Command, Malformed> {
        let mut reader = Reader(proposal.0.clone());
        let format = reader.u8()?;
        if format != FORMAT && format != FORMAT_BEFORE {
            return Err(Malformed);
        }
        let request = reader.request()?;
        let last_index = if format == FORMAT { reader.option(Reader::number)? } else { None };
        let op = match reader.u8()? {
            0 => Op::Mutate(read_mutation(&mut reader)?),
            1 => Op::Swap { condition: read_condition(&mut reader)?, new: reader.option(Reader::bytes)? },
            2 => Op::Txn(Txn {
                require: read_list(&mut reader, read_condition)?,
                then: read_list(&mut reader, read_mutation)?,
            }),
            3 => Op::GrantLease { ttl_ms: reader.number()? },
            4 => Op::EndLease { lease: LeaseId(reader.number()?) },
            5 => {
                let fence = read_condition(&mut reader)?;
                Op::Fenced { fence, mutation: read_mutation(&mut reader)? }
            }
            _ => return Err(Malformed),
        };
        reader.end()?;
        Ok(Command { request, last_index, op })
    }
}

impl Op {
    /// About how many bytes the operation takes in the log and, at most, adds to the state.
    pub(super) fn size(&self) -> usize {
        match self {
            Op::Mutate(mutation) => mutation_size(mutation),
            Op::Swap { condition, new } => condition_size(condition) + new.as_ref().map_or(0, Bytes::len),
            Op::Txn(txn) => {
                txn.require.iter().map(condition_size).sum::<usize>()
                    + txn.then.iter().map(mutation_size).sum::<usize>()
            }
            Op::Fenced { fence, mutation } => condition_size(fence) + mutation_size(mutation),
            Op::GrantLease { .. } | Op::EndLease { .. } => 0,
        }
    }

    /// Whether the operation can make the state larger.
    pub(super) fn grows(&self) -> bool {
        let mutation_grows = |mutation: &Mutation| !matches!(mutation, Mutation::Delete { .. });
        match self {
            Op::Mutate(mutation) | Op::Fenced { mutation, .. } => mutation_grows(mutation),
            Op::Swap { new, .. } => new.is_some(),
            Op::Txn(txn) => txn.then.iter().any(mutation_grows),
            Op::GrantLease { .. } => true,
            Op::EndLease { .. } => false,
        }
    }
}

fn mutation_size(mutation: &Mutation) -> usize {
    match mutation {
        Mutation::Put { path, value, .. } => path.bytes().len() + value.len(),
        Mutation::Delete { path } | Mutation::Increment { path, .. } => path.bytes().len(),
    }
}

fn condition_size(condition: &Condition) -> usize {
    let expected = if let Expect::Value(value) = &condition.expect { value.len() } else { 0 };
    condition.path.bytes().len() + expected
}

fn write_mutation(writer: &mut Writer, mutation: &Mutation) {
    match mutation {
        Mutation::Put { path, value, lease } => {
            writer.u8(0);
            writer.bytes(path.bytes());
            writer.bytes(value);
            writer.lease(*lease);
        }
        Mutation::Delete { path } => {
            writer.u8(1);
            writer.bytes(path.bytes());
        }
        Mutation::Increment { path, delta } => {
            writer.u8(2);
            writer.bytes(path.bytes());
            writer.number(*delta);
        }
    }
}

fn read_mutation(reader: &mut Reader) -> Result<Mutation, Malformed> {
    let tag = reader.u8()?;
    let path = reader.path()?;
    match tag {
        0 => Ok(Mutation::Put { path, value: reader.bytes()?, lease: reader.lease()? }),
        1 => Ok(Mutation::Delete { path }),
        2 => Ok(Mutation::Increment { path, delta: reader.number()? }),
        _ => Err(Malformed),
    }
}

fn write_condition(writer: &mut Writer, condition: &Condition) {
    writer.bytes(condition.path.bytes());
    match &condition.expect {
        Expect::Absent => writer.u8(0),
        Expect::Revision(revision) => {
            writer.u8(1);
            writer.number(*revision);
        }
        Expect::Value(value) => {
            writer.u8(2);
            writer.bytes(value);
        }
    }
}

fn read_condition(reader: &mut Reader) -> Result<Condition, Malformed> {
    let path = reader.path()?;
    let expect = match reader.u8()? {
        0 => Expect::Absent,
        1 => Expect::Revision(reader.number()?),
        2 => Expect::Value(reader.bytes()?),
        _ => return Err(Malformed),
    };
    Ok(Condition { path, expect })
}

fn read_list<T>(
    reader: &mut Reader,
    read: impl Fn(&mut Reader) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let count = reader.count()?;
    (0..count).map(|_| read(reader)).collect()
}

impl Answer {
    pub(super) fn write(&self, writer: &mut Writer) {
        writer.number(self.log_index);
        writer.number(self.revision);
        match &self.outcome {
            Outcome::Done => writer.u8(0),
            Outcome::Deleted { existed } => {
                writer.u8(1);
                writer.u8(u8::from(*existed));
            }
            Outcome::Number(number) => {
                writer.u8(2);
                writer.number(*number);
            }
            Outcome::Swapped => writer.u8(3),
            Outcome::Conflict { current } => {
                writer.u8(4);
                writer.option(current.as_deref(), Writer::entry);
            }
            Outcome::Unmet { condition } => {
                writer.u8(5);
                writer.number(*condition);
            }
            Outcome::Granted(lease) => {
                writer.u8(6);
                writer.number(lease.0);
            }
            Outcome::LeaseEnded { more } => {
                writer.u8(7);
                writer.u8(u8::from(*more));
            }
            Outcome::NotANumber => writer.u8(8),
            Outcome::Overflow => writer.u8(9),
            Outcome::NoSuchLease => writer.u8(10),
            Outcome::TooManyLeases => writer.u8(11),
            Outcome::Unreadable => writer.u8(12),
            Outcome::TooLate => writer.u8(13),
        }
    }

    pub(super) fn read(reader: &mut Reader) -> Result<Answer, Malformed> {
        let log_index = reader.number()?;
        let revision = reader.number()?;
        let outcome = match reader.u8()? {
            0 => Outcome::Done,
            1 => Outcome::Deleted { existed: reader.u8()? != 0 },
            2 => Outcome::Number(reader.number()?),
            3 => Outcome::Swapped,
            4 => Outcome::Conflict { current: reader.option(Reader::entry)?.map(Box::new) },
            5 => Outcome::Unmet { condition: reader.number()? },
            6 => Outcome::Granted(LeaseId(reader.number()?)),
            7 => Outcome::LeaseEnded { more: reader.u8()? != 0 },
            8 => Outcome::NotANumber,
            9 => Outcome::Overflow,
            10 => Outcome::NoSuchLease,
            11 => Outcome::TooManyLeases,
            12 => Outcome::Unreadable,
            13 => Outcome::TooLate,
            _ => return Err(Malformed),
        };
        Ok(Answer { log_index, revision, outcome })
    }

    /// About how many bytes the answer holds on to.
    pub(super) fn size(&self) -> usize {
        let value = match &self.outcome {
            Outcome::Conflict { current: Some(entry) } => size_of::<Entry>() + entry.value.len(),
            _ => 0,
        };
        size_of::<Answer>() + value
    }
}

/// An encoded [`Command`]: encoded once where it is proposed, shared by log, network and state machine.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Proposal(pub(super) Bytes);

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proposal({} bytes)", self.0.len())
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Serialize for Proposal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Proposal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Proposal, D::Error> {
        Vec::<u8>::deserialize(deserializer).map(|bytes| Proposal(bytes.into()))
    }
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut writer = Writer::default();
        self.write(&mut writer);
        serializer.serialize_bytes(&writer.0)
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Answer, D::Error> {
        let mut reader = Reader(Vec::<u8>::deserialize(deserializer)?.into());
        Answer::read(&mut reader).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "answer at {} (revision {})", self.log_index, self.revision)
    }
}
