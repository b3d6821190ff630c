//! The way of a call to its service: its method is looked up once, [`observe`](super::observe) traces and counts it, and
//! [`guard`](super::guard) lets it through.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{Request, Response};
use tonic::server::NamedService;
use tonic::service::Routes;
use tracing::Instrument as _;

use super::guard::Guard;
use super::observe::Observer;
use super::roles;
use crate::tasks::{alert, post};

/// A call that is being answered: what goes wrong is in the answer.
type Answering = BoxFuture<'static, Result<Response<Body>, Infallible>>;

/// What answers the calls of one service.
pub(super) type Answer = dyn Fn(Request<Body>) -> Answering + Send + Sync;

/// The services that only those reach whom the guard lets through, by their full names.
#[derive(Default)]
pub(super) struct Services(HashMap<&'static str, Arc<Answer>>);

impl Services {
    pub(super) fn add<S>(&mut self, service: S)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answering>,
        S: NamedService + Clone + Send + Sync + 'static,
    {
        self.0.insert(S::NAME, Arc::new(move |request| service.clone().call(request)));
    }

    /// The one behind the path of a request, such as `/matrix.v1.Souls/Get`.
    fn of(&self, path: &str) -> Option<Arc<Answer>> {
        let (name, _) = path.strip_prefix('/')?.split_once('/')?;
        self.0.get(name).cloned()
    }
}

/// Takes every call of the door. It is cheap to clone.
#[derive(Clone)]
pub(super) struct Front(Arc<Rooms>);

/// What is behind the front.
struct Rooms {
    services: Services,
    /// What is open to all.
    open: Routes,
    guard: Guard,
    observer: Arc<Observer>,
}

impl Front {
    pub(super) fn new(services: Services, open: Routes, guard: Guard, observer: Observer) -> Self {
        Self(Arc::new(Rooms { services, open: open.prepare(), guard, observer: Arc::new(observer) }))
    }
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front").finish_non_exhaustive()
    }
}

impl Service<Request<Body>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        alert::stir();
        let rooms = Arc::clone(&self.0);
        let path = request.uri().path();
        let method = roles::method(path);
        let guarded =
            rooms.services.of(path).map(|answer| rooms.guard.admit(&request).map(|caller| (caller, answer)));
        let caller = guarded.as_ref().and_then(|guarded| guarded.as_ref().ok()).map(|(caller, _)| caller);
        let (span, count) = Observer::watch(&rooms.observer, method, caller, request.headers());
        let answered = async move {
            let response = match guarded {
                Some(Ok((caller, answer))) => {
                    let passed = rooms.guard.pass(caller, method, request, &*answer).await;
                    passed.unwrap_or_else(Status::into_http)
                }
                Some(Err(refused)) => refused.into_http(),
                None => {
                    let Ok(response) = rooms.open.clone().call(request).await;
                    response
                }
            };
            count.answered(&response);
            Ok(response)
        };
        Box::pin(post::by_post(answered).instrument(span))
    }
}
