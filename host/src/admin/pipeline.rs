//! `Kv/Pipeline`: many reads and writes over one stream, each answered when it is done. What a call of its own costs, in
//! headers, a stream and its place among others, is paid once.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{self, FuturesUnordered, Stream, StreamExt as _};
use matrix_proto::audit::Entry;
use matrix_proto::pipeline::OPERATIONS_MAX;
use matrix_proto::v1;
use matrix_proto::v1::kv_operation::Operation;
use matrix_proto::v1::kv_outcome::Outcome;
use prost::Message as _;
use tonic::{Code, Status, Streaming};

use super::audit::Attempt;
use super::auth::Caller;
use super::convert;
use super::desk::Desk;
use super::fields::shown;
use super::kv::{compare_and_swap, delete, get, put};
use super::paging::PAGE_BYTES;

/// Carries out what is asked, until nothing more is and all is answered.
pub(super) fn answers(
    desk: Arc<Desk>,
    caller: Caller,
    asked: Streaming<v1::KvPipelineRequest>,
) -> impl Stream<Item = Result<v1::KvPipelineResponse, Status>> {
    let pipeline =
        Pipeline { desk, caller: Arc::new(caller), asked: Some(asked), under_way: FuturesUnordered::new() };
    stream::try_unfold(pipeline, |mut pipeline| async move {
        let answer = pipeline.next().await?;
        Ok(answer.map(|answer| (answer, pipeline)))
    })
}

struct Pipeline {
    desk: Arc<Desk>,
    caller: Arc<Caller>,
    /// None: nothing more is asked.
    asked: Option<Streaming<v1::KvPipelineRequest>>,
    under_way: FuturesUnordered<BoxFuture<'static, v1::KvOutcome>>,
}

impl Pipeline {
    /// The next outcomes: at least one, and whatever else is done by then. None: all is answered.
    async fn next(&mut self) -> Result<Option<v1::KvPipelineResponse>, Status> {
        while self.asked.is_some() || !self.under_way.is_empty() {
            let has_room = self.under_way.len() < OPERATIONS_MAX;
            let asked = async {
                match &mut self.asked {
                    Some(asked) if has_room => asked.message().await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(outcome) = self.under_way.next() => return Ok(Some(self.gather(outcome))),
                asked = asked => match asked? {
                    Some(request) => self.begin(request.operations)?,
                    None => self.asked = None,
                },
            }
        }
        Ok(None)
    }

    /// An outcome with all others that are there, as far as one message holds them.
    fn gather(&mut self, first: v1::KvOutcome) -> v1::KvPipelineResponse {
        let mut bytes = first.encoded_len();
        let mut outcomes = vec![first];
        while bytes < PAGE_BYTES
            && let Some(Some(outcome)) = self.under_way.next().now_or_never()
        {
            bytes += outcome.encoded_len();
            outcomes.push(outcome);
        }
        v1::KvPipelineResponse { outcomes }
    }

    fn begin(&mut self, operations: Vec<v1::KvOperation>) -> Result<(), Status> {
        if operations.len() > OPERATIONS_MAX {
            let many = format!(
                "are {}, and a message has at most {OPERATIONS_MAX}: send them in several",
                operations.len()
            );
            return Err(convert::bad_field("operations", &many));
        }
        let caller = &self.caller;
        let writes = operations.iter().filter_map(|one| entry(caller, one.operation.as_ref()?));
        let mut attempts = self.desk.audit.attempts(writes.collect()).map(Vec::into_iter);
        for v1::KvOperation { id, operation } in operations {
            let is_write = !matches!(operation, None | Some(Operation::Get(_)));
            let attempt = is_write.then(|| match &mut attempts {
                Ok(left) => Ok(left.next().expect("there is one for each write")),
                Err(status) => Err(status.clone()),
            });
            let (desk, caller) = (self.desk.clone(), caller.clone());
            self.under_way.push(Box::pin(async move {
                let done = carried_out(&desk, &caller, operation, attempt).await;
                v1::KvOutcome { id, outcome: Some(done.unwrap_or_else(failed)) }
            }));
        }
        Ok(())
    }
}

/// Carries out one operation; a write after its `attempt` was written down, and with its outcome.
async fn carried_out(
    desk: &Desk,
    caller: &Caller,
    operation: Option<Operation>,
    attempt: Option<Result<Attempt, Status>>,
) -> Result<Outcome, Status> {
    let attempt = attempt.transpose()?;
    let done = match operation {
        Some(Operation::Get(request)) => get(desk, request).await.map(Outcome::Get),
        Some(Operation::Put(request)) => put(desk, caller, request).await.map(Outcome::Put),
        Some(Operation::Delete(request)) => delete(desk, caller, request).await.map(Outcome::Delete),
        Some(Operation::CompareAndSwap(request)) => {
            compare_and_swap(desk, caller, request).await.map(Outcome::CompareAndSwap)
        }
        None => Err(convert::missing("operations.operation")),
    };
    if let Some(attempt) = attempt {
        attempt.ended(done.as_ref().map_or_else(Status::code, |_| Code::Ok));
    }
    done
}

/// What is written down of a write, as of a call of its own; none: it is a read.
fn entry(caller: &Caller, operation: &Operation) -> Option<Entry> {
    let (method, bucket, key, request_id) = match operation {
        Operation::Get(_) => return None,
        Operation::Put(put) => ("Kv/Put", &put.bucket, &put.key, &put.request_id),
        Operation::Delete(delete) => ("Kv/Delete", &delete.bucket, &delete.key, &delete.request_id),
        Operation::CompareAndSwap(swap) => ("Kv/CompareAndSwap", &swap.bucket, &swap.key, &swap.request_id),
    };
    Some(Entry {
        method: method.into(),
        caller: caller.to_string(),
        role: caller.role().name().into(),
        target: format!("{}/{}", shown(bucket.as_bytes()), shown(key)),
        request_id: shown(request_id.as_bytes()),
        ..Entry::default()
    })
}

fn failed(status: Status) -> Outcome {
    let (code, message) = (status.code().into(), status.message().to_owned());
    Outcome::Failed(v1::KvFailure { code, message, details: status.details().to_vec().into() })
}
