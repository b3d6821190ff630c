//! A client of `Kv/Pipeline`: callers that share one get their operations sent together, and pay for one call among them.
//!
//! ```no_run
//! # async fn example(mut kv: matrix_proto::v1::kv_client::KvClient<tonic::transport::Channel>) -> Result<(), tonic::Status> {
//! use matrix_proto::pipeline::Pipeline;
//! use matrix_proto::v1::KvPutRequest;
//!
//! let (pipeline, driver) = Pipeline::open(&mut kv).await?;
//! let put = |key: &'static str| KvPutRequest { bucket: "notes".into(), key: key.into(), value: "1".into(), ..Default::default() };
//! let work = async move { tokio::join!(pipeline.put(put("a")), pipeline.put(put("b"))) };
//! let ((a, b), _) = tokio::join!(work, driver);
//! println!("revisions {} and {}", a?.revision, b?.revision);
//! # Ok(()) }
//! ```

use std::collections::HashMap;
use std::future::Future;

use prost::Message as _;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::GrpcService;
use tonic::codegen::{Body, Bytes, StdError};
use tonic::{Code, Status, Streaming};

use crate::v1;
use crate::v1::kv_client::KvClient;
use crate::v1::kv_operation::Operation;
use crate::v1::kv_outcome::Outcome;

/// The most operations that a node takes in one message; while so many are under way, it reads no more.
pub const OPERATIONS_MAX: usize = 1_024;
/// Bytes of operations after which a message is sent, whatever else waits.
const MESSAGE_BYTES: usize = 512 << 10;

type Caller = oneshot::Sender<Result<Outcome, Status>>;

/// A pipeline to a node. Clones share it; it ends when the last one is dropped and all is answered.
#[derive(Debug, Clone)]
pub struct Pipeline(mpsc::Sender<(Operation, Caller)>);

impl Pipeline {
    /// Opens a pipeline, and returns with it what carries it: a future to be polled beside its callers, on a task of its own for
    /// instance, which ends when the pipeline does, with why if it broke.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn open<T>(
        kv: &mut KvClient<T>,
    ) -> Result<(Self, impl Future<Output = Result<(), Status>> + use<T>), Status>
    where
        T: GrpcService<tonic::body::Body>,
        T::Error: Into<StdError>,
        T::ResponseBody: Body<Data = Bytes> + Send + 'static,
        <T::ResponseBody as Body>::Error: Into<StdError> + Send,
    {
        let (send, asked) = mpsc::channel(OPERATIONS_MAX);
        let (out, messages) = mpsc::channel(1);
        let answers = kv.pipeline(ReceiverStream::new(messages)).await?.into_inner();
        let driver = Driver { asked, out: Some(out), answers, waiting: HashMap::new(), next: None, last: 0 };
        Ok((Self(send), driver.run()))
    }

    /// As `Kv/Get`.
    ///
    /// # Errors
    /// Those of the operation; `UNAVAILABLE` where the pipeline has ended.
    pub async fn get(&self, request: v1::KvGetRequest) -> Result<v1::KvGetResponse, Status> {
        match self.ask(Operation::Get(request)).await? {
            Outcome::Get(found) => Ok(found),
            _ => Err(strange()),
        }
    }

    /// As `Kv/Put`.
    ///
    /// # Errors
    /// Those of the operation; `UNAVAILABLE` where the pipeline has ended: it is not known then whether it was done.
    pub async fn put(&self, request: v1::KvPutRequest) -> Result<v1::KvPutResponse, Status> {
        match self.ask(Operation::Put(request)).await? {
            Outcome::Put(done) => Ok(done),
            _ => Err(strange()),
        }
    }

    /// As `Kv/Delete`.
    ///
    /// # Errors
    /// As [`Pipeline::put`].
    pub async fn delete(&self, request: v1::KvDeleteRequest) -> Result<v1::KvDeleteResponse, Status> {
        match self.ask(Operation::Delete(request)).await? {
            Outcome::Delete(done) => Ok(done),
            _ => Err(strange()),
        }
    }

    /// As `Kv/CompareAndSwap`.
    ///
    /// # Errors
    /// As [`Pipeline::put`].
    pub async fn compare_and_swap(
        &self,
        request: v1::CompareAndSwapRequest,
    ) -> Result<v1::CompareAndSwapResponse, Status> {
        match self.ask(Operation::CompareAndSwap(request)).await? {
            Outcome::CompareAndSwap(done) => Ok(done),
            _ => Err(strange()),
        }
    }

    async fn ask(&self, operation: Operation) -> Result<Outcome, Status> {
        let (caller, answer) = oneshot::channel();
        self.0.send((operation, caller)).await.map_err(|_| ended())?;
        match answer.await.map_err(|_| ended())?? {
            Outcome::Failed(v1::KvFailure { code, message, details }) => {
                Err(Status::with_details(Code::from(code), message, details))
            }
            outcome => Ok(outcome),
        }
    }
}

fn ended() -> Status {
    Status::unavailable("the pipeline has ended")
}

fn strange() -> Status {
    Status::internal("the node answered another operation than the one that was asked for")
}

/// What carries a pipeline.
struct Driver {
    asked: mpsc::Receiver<(Operation, Caller)>,
    /// None: nothing more will be asked.
    out: Option<mpsc::Sender<v1::KvPipelineRequest>>,
    answers: Streaming<v1::KvPipelineResponse>,
    waiting: HashMap<u64, Caller>,
    /// What is to be sent next.
    next: Option<v1::KvPipelineRequest>,
    /// The number of the last operation.
    last: u64,
}

impl Driver {
    async fn run(mut self) -> Result<(), Status> {
        let broken = self.carry().await.err();
        self.asked.close();
        for (_, caller) in self.waiting.drain() {
            // Whoever asked may be gone.
            drop(caller.send(Err(broken.clone().unwrap_or_else(ended))));
        }
        broken.map_or(Ok(()), Err)
    }

    async fn carry(&mut self) -> Result<(), Status> {
        loop {
            let may_ask = self.out.is_some() && self.next.is_none() && self.waiting.len() < OPERATIONS_MAX;
            let out = self.out.clone().filter(|_| self.next.is_some());
            tokio::select! {
                answer = self.answers.message() => match answer? {
                    Some(answer) => self.tell(answer),
                    None if self.waiting.is_empty() => return Ok(()),
                    None => return Err(ended()),
                },
                place = async { out.as_ref().expect("asked below").reserve().await }, if out.is_some() => {
                    place.map_err(|_| ended())?.send(self.next.take().unwrap_or_default());
                }
                first = self.asked.recv(), if may_ask => match first {
                    Some(first) => self.gather(first),
                    None => self.out = None,
                },
            }
        }
    }

    /// Puts together what waits to be sent.
    fn gather(&mut self, first: (Operation, Caller)) {
        let (mut operations, mut bytes, mut more) = (Vec::new(), 0, Some(first));
        while let Some((operation, caller)) = more {
            self.last += 1;
            self.waiting.insert(self.last, caller);
            let operation = v1::KvOperation { id: self.last, operation: Some(operation) };
            bytes += operation.encoded_len();
            operations.push(operation);
            let has_room = bytes < MESSAGE_BYTES && self.waiting.len() < OPERATIONS_MAX;
            more = if has_room { self.asked.try_recv().ok() } else { None };
        }
        self.next = Some(v1::KvPipelineRequest { operations });
    }

    fn tell(&mut self, answer: v1::KvPipelineResponse) {
        for v1::KvOutcome { id, outcome } in answer.outcomes {
            if let Some(caller) = self.waiting.remove(&id) {
                drop(caller.send(outcome.ok_or_else(strange)));
            }
        }
    }
}
