//! What a Soul handled last: a few small inputs, so that new code can be tried with them.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::super::jobs::ActRequest;
use crate::ids::{MatrixName, MessageId};
use crate::runtime::soul::Turn;
use crate::transport::envelope::{Address, Content, Envelope, TraceContext};

/// The longest body that is recorded, in bytes: what is longer would keep too much in memory.
pub(crate) const BODY_BYTES_MAX: usize = 4 * 1024;
/// The most seats of a turn that is recorded.
const SEATS_MAX: usize = 64;

/// Something that a Soul handled.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    /// A message.
    Message(Said),
    /// A turn in a Matrix.
    Turn {
        /// The Matrix.
        matrix: MatrixName,
        /// The tick.
        tick: u64,
        /// What its seats saw.
        turns: Arc<Vec<Turn>>,
        /// The time that it saw.
        now_ms: u64,
    },
}

/// A message, without whoever waits for the reply.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    id: MessageId,
    sender: Address,
    recipient: Address,
    in_reply_to: Option<MessageId>,
    content: Content,
    sent_at_ms: u64,
    hops: u16,
    trace: Option<TraceContext>,
}

impl Said {
    /// The message again, with nobody who waits for the reply.
    pub(crate) fn envelope(&self) -> Envelope {
        let said = self.clone();
        Envelope {
            in_reply_to: said.in_reply_to,
            sent_at_ms: said.sent_at_ms,
            hops: said.hops,
            trace: said.trace,
            ..Envelope::plain(said.id, said.sender, said.recipient, said.content)
        }
    }
}

/// The last inputs of a Soul.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    max: usize,
    inputs: VecDeque<Input>,
}

impl Recording {
    /// Keeps at most so many.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, inputs: VecDeque::new() }
    }

    /// Records a batch of messages: the last ones of it.
    pub(crate) fn messages(&mut self, envelopes: &[Envelope]) {
        let skipped = envelopes.len().saturating_sub(self.max);
        for envelope in &envelopes[skipped..] {
            if envelope.content.body.len() > BODY_BYTES_MAX {
                continue;
            }
            let content = Content {
                content_type: envelope.content.content_type.clone(),
                // A copy: the body may be a piece of something far larger.
                body: Bytes::copy_from_slice(&envelope.content.body),
            };
            self.push(Input::Message(Said {
                id: envelope.id,
                sender: envelope.sender.clone(),
                recipient: envelope.recipient.clone(),
                in_reply_to: envelope.in_reply_to,
                content,
                sent_at_ms: envelope.sent_at_ms,
                hops: envelope.hops,
                trace: envelope.trace,
            }));
        }
    }

    /// Records a turn in a Matrix.
    pub(crate) fn turn(&mut self, request: &ActRequest) {
        let seen: usize = request.turns.iter().map(|turn| turn.observation.len()).sum();
        if self.max == 0 || seen > BODY_BYTES_MAX || request.turns.len() > SEATS_MAX {
            return;
        }
        let (matrix, turns) = (request.matrix.clone(), request.turns.clone());
        self.push(Input::Turn { matrix, tick: request.tick, turns, now_ms: request.now_ms });
    }

    fn push(&mut self, input: Input) {
        if self.inputs.len() >= self.max {
            self.inputs.pop_front();
        }
        self.inputs.push_back(input);
    }

    /// What was recorded, oldest first.
    pub(crate) fn inputs(&self) -> Vec<Input> {
        self.inputs.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::testing::envelope;

    fn said(body: usize) -> Envelope {
        let content = Content { content_type: "text/plain".into(), body: vec![0; body].into() };
        Envelope { id: MessageId(body as u128), content, ..envelope("") }
    }

    #[test]
    fn the_last_ones_are_kept_and_large_ones_are_not() {
        let lengths = |recording: &Recording| -> Vec<usize> {
            let length = |input: &Input| match input {
                Input::Message(said) => said.envelope().content.body.len(),
                Input::Turn { .. } => usize::MAX,
            };
            recording.inputs().iter().map(length).collect()
        };
        let mut recording = Recording::new(3);
        recording.messages(&(0..10).map(said).collect::<Vec<_>>());
        assert_eq!(lengths(&recording), [7, 8, 9]);
        recording.messages(&[said(BODY_BYTES_MAX + 1), said(BODY_BYTES_MAX)]);
        assert_eq!(lengths(&recording), [8, 9, BODY_BYTES_MAX]);
        let mut none = Recording::new(0);
        none.messages(&[said(1)]);
        assert!(none.inputs().is_empty());
    }
}
