//! The window of recent request ids: part of the replicated state, so that a retry is recognised by whichever node
//! leads.

use std::collections::{HashMap, VecDeque};

use super::command::Answer;
use super::types::RequestId;

/// Ids remembered. A constant and no setting, because all replicas must forget the same ids: some seconds of
/// writes at full speed, hours at a quiet pace.
pub(super) const WINDOW_REQUESTS: usize = 1 << 16;
/// Bytes of answers remembered; only answers to failed swaps hold values.
const WINDOW_BYTES: usize = 32 << 20;

/// Recent request ids, oldest first, each with its answer.
#[derive(Default)]
pub(super) struct Requests {
    answers: VecDeque<(RequestId, Answer)>,
    /// Where an id stands, counted from the first ever remembered.
    places: HashMap<RequestId, u64>,
    forgotten: u64,
    bytes: usize,
}

impl Requests {
    pub(super) fn get(&self, request: &RequestId) -> Option<&Answer> {
        let place = self.places.get(request)? - self.forgotten;
        self.answers.get(usize::try_from(place).ok()?).map(|(_, answer)| answer)
    }

    /// Remembers an answer to an id that is not in the window, and forgets the oldest beyond the bounds.
    pub(super) fn insert(&mut self, request: RequestId, answer: Answer) {
        self.bytes += answer.size();
        self.places.insert(request, self.forgotten + self.answers.len() as u64);
        self.answers.push_back((request, answer));
        while self.answers.len() > WINDOW_REQUESTS || (self.bytes > WINDOW_BYTES && self.answers.len() > 1) {
            let Some((oldest, answer)) = self.answers.pop_front() else { break };
            self.places.remove(&oldest);
            self.forgotten += 1;
            self.bytes -= answer.size();
        }
    }

    /// All that is remembered, oldest first: what a snapshot keeps.
    pub(super) fn answers(&self) -> &VecDeque<(RequestId, Answer)> {
        &self.answers
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::kv::command::Outcome;
    use crate::kv::types::Entry;

    fn id(number: u64) -> RequestId {
        RequestId((u128::from(number)).to_be_bytes())
    }

    #[test]
    fn forgets_the_oldest_first() {
        let mut requests = Requests::default();
        for number in 0..WINDOW_REQUESTS as u64 + 10 {
            requests.insert(id(number), Answer { log_index: number, revision: 0, outcome: Outcome::Done });
        }
        assert_eq!(requests.get(&id(9)), None);
        assert_eq!(requests.get(&id(10)).map(|answer| answer.log_index), Some(10));
        let last = WINDOW_REQUESTS as u64 + 9;
        assert_eq!(requests.get(&id(last)).map(|answer| answer.log_index), Some(last));
    }

    #[test]
    fn an_answer_that_holds_no_value_is_small() {
        assert_eq!(size_of::<(RequestId, Answer)>(), 48);
    }

    #[test]
    fn is_bounded_in_bytes() {
        let mut requests = Requests::default();
        let value = Bytes::from(vec![0; 1 << 20]);
        for number in 0..100 {
            let entry =
                Entry { value: value.clone(), revision: 1, created_revision: 1, version: 1, lease: None };
            let outcome = Outcome::Conflict { current: Some(Box::new(entry)) };
            requests.insert(id(number), Answer { log_index: number, revision: 0, outcome });
        }
        assert!(requests.answers().len() <= WINDOW_BYTES >> 20);
        assert!(requests.get(&id(99)).is_some());
    }
}
