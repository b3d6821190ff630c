//! Fewer requests to followers.

use std::pin::pin;

use futures::future::{Either, select};
use futures::stream::{self, Stream, StreamExt as _};
use openraft::raft::AppendEntriesRequest;

use crate::kv::raft::TypeConfig;
use crate::tasks::alert;

/// Leaves out requests without entries, which only tell how far all is decided, where the next one comes soon: it tells it
/// too. The next one begins where the one before ended, so that its answer is the answer to both. Raft's thread holds such
/// a request only while it has something better to do: [`alert::idle`].
pub(super) fn carried<S>(input: S) -> impl Stream<Item = AppendEntriesRequest<TypeConfig>>
where
    S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Unpin,
{
    stream::unfold(input.fuse(), async |mut input| {
        let mut request = input.next().await?;
        while request.entries.is_empty() {
            match select(input.next(), pin!(alert::idle())).await {
                Either::Left((Some(next), _)) => request = next,
                Either::Left((None, _)) | Either::Right(_) => break,
            }
        }
        Some((request, input))
    })
}

#[cfg(test)]
mod tests {
    use openraft::entry::RaftEntry as _;
    use openraft::impls::leader_id_adv::LeaderId;
    use openraft::{EntryPayload, Vote};

    use super::*;
    use crate::kv::raft::{LogEntry, LogId};

    fn id(index: u64) -> LogId {
        LogId { leader_id: LeaderId { term: 1, node_id: 1 }, index }
    }

    /// What a leader says whose log ends with `last`, of which all up to `decided` is: with an entry, or without one.
    fn request(last: u64, entry: bool, decided: u64) -> AppendEntriesRequest<TypeConfig> {
        AppendEntriesRequest {
            vote: Vote::new_committed(1, 1),
            prev_log_id: Some(id(last - u64::from(entry))),
            entries: entry.then(|| LogEntry::new(id(last), EntryPayload::Blank)).into_iter().collect(),
            leader_commit: Some(id(decided)),
        }
    }

    fn seen(requests: &[AppendEntriesRequest<TypeConfig>]) -> Vec<(usize, u64)> {
        let decided =
            |request: &AppendEntriesRequest<TypeConfig>| request.leader_commit.map_or(0, |id| id.index);
        requests.iter().map(|request| (request.entries.len(), decided(request))).collect()
    }

    #[tokio::test]
    async fn what_is_decided_goes_with_the_entries_that_are_there() {
        let all = [(1, true, 0), (1, false, 1), (2, true, 1), (3, true, 1), (3, false, 2), (3, false, 3)];
        let all = all.map(|(last, entry, decided)| request(last, entry, decided));
        let sent: Vec<_> = carried(stream::iter(all)).collect().await;
        assert_eq!(seen(&sent), [(1, 0), (1, 1), (1, 1), (0, 3)]);
    }

    #[tokio::test]
    async fn what_is_decided_goes_alone_where_the_thread_is_idle() {
        let endless = stream::iter([request(1, false, 1)]).chain(stream::pending());
        let mut sent = pin!(carried(endless));
        assert_eq!(seen(&[sent.next().await.expect("one")]), [(0, 1)]);
    }
}
