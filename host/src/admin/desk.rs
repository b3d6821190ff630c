//! What every service of the door shares: the rooms below, and the bounds of what is under way.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use futures::stream::{self, Stream, StreamExt as _};
use prost::Message;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::audit::Audit;
use super::auth::{Caller, caller_of};
use super::config::AdminConfig;
use super::convert;
use super::relay::Relay;
use super::replay::{Key, Replays};
use crate::backup::Backups;
use crate::kv::Kv;
use crate::learning::Learning;
use crate::matrices::Matrices;
use crate::portable::Portables;
use crate::realm::Realm;
use crate::runtime::catalog::Catalog;
use crate::runtime::interceptors::Interceptors;
use crate::runtime::limits::Limit;
use crate::souls::Fleet;
use crate::tasks::Tasks;
use crate::telemetry::instruments::AdminMetrics;
use crate::telemetry::logs::LogRing;
use crate::transport::bus::Bus;
use crate::transport::envelope::SendError;
use crate::transport::router::Router;

/// The rooms that the door opens to, and what it tells of the node.
#[derive(Debug, Clone)]
pub struct AdminHost {
    /// The node's id in its realm.
    pub node_id: String,
    /// The data folder: the token is there, and, unless configured otherwise, the socket.
    pub data_dir: PathBuf,
    /// Living Souls.
    pub souls: Fleet,
    /// Running Matrices.
    pub matrices: Matrices,
    /// Souls that learn.
    pub learning: Learning,
    /// Components.
    pub catalog: Catalog,
    /// What judges messages.
    pub interceptors: Interceptors,
    /// The threads on which it does.
    pub guests: Tasks,
    /// The replicated KV.
    pub kv: Kv,
    /// The nodes that share it.
    pub realm: Realm,
    /// Messages.
    pub router: Router,
    /// Events.
    pub bus: Bus,
    /// Backups of the realm.
    pub backups: Backups,
    /// Souls that begin as others are.
    pub portables: Portables,
    /// Log lines.
    pub logs: LogRing,
    /// All limits, as they hold here.
    pub limits: Arc<[Limit]>,
    /// What the door counts.
    pub metrics: AdminMetrics,
}

impl AdminHost {
    /// Sends, or asks: on the threads of the guests where they judge what is said, so that none of them keeps the
    /// operator out. What its caller no longer waits for is given up.
    pub(super) async fn say<T, F>(&self, saying: F) -> Result<T, SendError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, SendError>> + Send + 'static,
    {
        if !self.router.passage().is_held() {
            return saying.await;
        }
        let given_up = CancellationToken::new();
        let _caller = given_up.clone().drop_guard();
        let said = async move { given_up.run_until_cancelled(saying).await };
        let said = self.guests.spawn("message.said", said).await;
        said.ok().flatten().unwrap_or_else(|| Err(SendError::Failed("the node is stopping".into())))
    }
}

/// Whether the node accepts work, and why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Readiness {
    pub(super) ready: bool,
    pub(super) reason: String,
}

/// A stream of answers.
pub(super) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Shared by all services.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) host: AdminHost,
    pub(super) config: AdminConfig,
    /// Where the node listens.
    pub(super) addresses: Vec<String>,
    pub(super) readiness: watch::Sender<Readiness>,
    pub(super) started: Instant,
    /// The way to the doors of other nodes.
    pub(super) relay: Relay,
    /// What callers change is written down here.
    pub(super) audit: Audit,
    tasks: Tasks,
    replays: Replays,
    mutations: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Desk {
    pub(super) fn new(
        host: AdminHost,
        config: AdminConfig,
        addresses: Vec<String>,
        audit: Audit,
        tasks: Tasks,
    ) -> Self {
        let starting = Readiness { ready: false, reason: "the node is starting".to_owned() };
        Self {
            mutations: Arc::new(Semaphore::new(config.mutations_max)),
            streams: Arc::new(Semaphore::new(config.streams_max)),
            readiness: watch::Sender::new(starting),
            started: Instant::now(),
            replays: Replays::default(),
            relay: Relay::default(),
            audit,
            host,
            config,
            addresses,
            tasks,
        }
    }

    /// What runs for the door.
    pub(super) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Carries out a mutation once for its request id. It goes on to its end when its caller goes away:
    /// half of a mutation would be worse than one that nobody waits for.
    pub(super) async fn mutate<T, F>(self: &Arc<Self>, key: Option<Key>, work: F) -> Result<T, Status>
    where
        T: Message + Default + 'static,
        F: Future<Output = Result<T, Status>> + Send + 'static,
    {
        let max = self.config.mutations_max;
        let permit = Arc::clone(&self.mutations).try_acquire_owned();
        let permit = permit.map_err(|_| convert::busy("admin.mutations_max", max))?;
        let desk = Arc::clone(self);
        let task = self.tasks.spawn("admin.mutation", async move {
            let _held = permit;
            desk.repeatable(key, work).await
        });
        task.await.unwrap_or_else(|error| Err(convert::internal(&error)))
    }

    /// Answers once for a request id, on the caller's task: for what leaves nothing behind when it is
    /// given up halfway.
    pub(super) async fn repeatable<T, F>(&self, key: Option<Key>, work: F) -> Result<T, Status>
    where
        T: Message + Default,
        F: Future<Output = Result<T, Status>> + Send,
    {
        match key {
            Some(key) => self.replays.once(key, work).await,
            None => work.await,
        }
    }

    /// A place for one more stream without an end.
    pub(super) fn stream(&self) -> Result<OwnedSemaphorePermit, Status> {
        let max = self.config.streams_max;
        let place = Arc::clone(&self.streams).try_acquire_owned();
        place.map_err(|_| convert::busy("admin.streams_max", max))
    }

    /// The answer that sends `items` until they end, or until the node stops: then it ends with
    /// `UNAVAILABLE`.
    pub(super) fn answers<T: Send + 'static>(
        &self,
        place: OwnedSemaphorePermit,
        items: impl Stream<Item = Result<T, Status>> + Send + 'static,
    ) -> Response<Answers<T>> {
        let stopping = self.tasks.stopping();
        let stopped = stopping.clone();
        let farewell = stream::once(async move { stopped.is_cancelled().then(|| Err(convert::stopping())) });
        let items = items.take_until(stopping.cancelled_owned()).map(move |item| {
            let _held = &place;
            item
        });
        Response::new(Box::pin(items.chain(farewell.filter_map(std::future::ready))))
    }
}

/// Who makes a call, and what it says.
pub(super) fn open<T>(request: Request<T>) -> Result<(Caller, T), Status> {
    Ok((caller_of(&request)?, request.into_inner()))
}
