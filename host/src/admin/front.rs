//! The way of a call to its service: its method is looked up once, [`observe`](super::observe) traces and counts it, and
//! [`guard`](super::guard) lets it through.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::server::NamedService;
use tonic::service::Routes;
use tracing::Instrument as _;

use super::convert;
use super::guard::Guard;
use super::observe::Observer;
use super::roles;
use crate::tasks::{alert, post};

/// A call that is being answered: what goes wrong is in the answer.
pub(super) type Answering = BoxFuture<'static, Result<Response<Body>, Infallible>>;

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
    within: Duration,
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front").finish_non_exhaustive()
    }
}

impl Front {
    /// `within` is how long a call may take until it begins to answer.
    pub(super) fn new(
        services: Services,
        open: Routes,
        guard: Guard,
        observer: Observer,
        within: Duration,
    ) -> Self {
        Self(Arc::new(Rooms { services, open: open.prepare(), guard, observer: Arc::new(observer), within }))
    }

    /// Answers a call on a connection whose peer has shown a certificate with this fingerprint.
    pub(super) fn call(&self, request: Request<Body>, shown: Option<&str>) -> Answering {
        alert::stir();
        let rooms = Arc::clone(&self.0);
        let path = request.uri().path();
        let method = roles::method(path);
        let guarded = rooms
            .services
            .of(path)
            .map(|answer| rooms.guard.gate.admit(request.headers(), shown).map(|caller| (caller, answer)));
        let caller = guarded.as_ref().and_then(|guarded| guarded.as_ref().ok()).map(|(caller, _)| caller);
        let (span, count) = rooms.observer.watch(method, caller, request.headers());
        let within = asked_within(request.headers()).map_or(rooms.within, |asked| asked.min(rooms.within));
        let answered = async move {
            let answering = async {
                match guarded {
                    Some(Ok((caller, answer))) => {
                        let passed = rooms.guard.pass(caller, method, request, &*answer).await;
                        passed.unwrap_or_else(Status::into_http)
                    }
                    Some(Err(refused)) => refused.into_http(),
                    None => {
                        let Ok(response) = rooms.open.clone().call(request).await;
                        response
                    }
                }
            };
            let response = tokio::time::timeout(within, answering).await;
            let response = response.unwrap_or_else(|_| convert::too_late(within).into_http());
            count.answered(&response);
            Ok(response)
        };
        Box::pin(post::by_post(answered).instrument(span))
    }
}

/// How long the caller waits for an answer, as the header `grpc-timeout` says it: up to eight digits and a unit
/// (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>). None: as long as it takes, or nobody understands it.
fn asked_within(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let count = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(3_600 * count)),
        "M" => Some(Duration::from_secs(60 * count)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_a_caller_waits_is_read_as_grpc_has_it() {
        let read = |text: &str| {
            asked_within(&HeaderMap::from_iter([(
                tonic::codegen::http::HeaderName::from_static("grpc-timeout"),
                text.parse().expect("a header"),
            )]))
        };
        let sound =
            [("2H", 7_200_000), ("3M", 180_000), ("99999999S", 99_999_999_000), ("42m", 42), ("5000u", 5)];
        for (text, millis) in sound {
            assert_eq!(read(text), Some(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(read("7n"), Some(Duration::from_nanos(7)));
        for nonsense in ["", "S", "5", "5s", "-5S", "+5S", "5 S", "100000000S", "5é"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
        assert_eq!(asked_within(&HeaderMap::new()), None);
    }
}
