//! `wasi:http`, outgoing: hosts outside the realm that a Soul may send requests to.
//!
//! A request is granted twice: by the Soul's manifest, and by the node's configuration; and the address that it goes to is one
//! that everybody may reach, or the operator named the host. It is made at once, and nothing takes it back, as with
//! [`grpc`](super::grpc). Redirects are answers: nobody follows them but the guest, by another request.

mod config;
mod hosts;
pub(super) mod io;
mod sending;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::Linker;
use wasmtime_wasi_http::p2::bindings::{LinkOptions, http as wit};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttp, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks,
};

pub use self::config::{HttpConfig, HttpError};
use self::hosts::Target;
pub use self::hosts::{HostError, HostPattern};
pub use self::sending::Hosts;
use self::sending::{Call, Sending};
use super::grants::Grants;
use super::logging::GuestLog;
use super::messaging::Waits;
use super::quota::Quota;
use super::rehearsal::{Deed, Rehearsal};
use crate::runtime::limits::Limits;
use crate::runtime::state::{GuestState, Moment};
use crate::runtime::usage::Usage;
use crate::telemetry::logs::LogLevel;
use crate::telemetry::metrics::TotalBy;

/// Requests of one guest that are under way.
pub const REQUESTS_OF_ONE_MAX: usize = 8;
/// What a guest may hand over of a body at a time, in bytes; so much of it waits to be sent.
const CHUNK_BYTES: usize = 16 << 10;
/// How much longer than a request may take a guest waits for its end.
const GRACE: Duration = Duration::from_secs(1);

/// What this guest may send, and where to.
pub struct Ctx {
    wasi: WasiHttpCtx,
    outside: Outside,
}

/// What decides over each request.
struct Outside {
    hosts: Hosts,
    grants: Arc<Grants>,
    /// None: it may send nothing.
    quota: Option<Quota>,
    waits: Waits,
    /// Why it is refused something; none: nobody hears that.
    log: Option<Arc<GuestLog>>,
    slots: Arc<Semaphore>,
    /// What the guest knows of the moment, as of its last call.
    moment: Moment,
    /// Where it is written down what it asks, while it is only tried.
    rehearsal: Option<Rehearsal>,
    /// It sent a request in this entry.
    called: bool,
    usage: Arc<Usage>,
}

impl std::fmt::Debug for Ctx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ctx").field("hosts", &self.outside.hosts).finish_non_exhaustive()
    }
}

impl Ctx {
    /// For a Soul that is about to be born, and waits for answers as long as `waits` lets it. Why it is refused something
    /// stands in its `log`.
    pub fn new(
        hosts: Hosts,
        grants: Arc<Grants>,
        limits: &Limits,
        refused: &TotalBy,
        (waits, log): (Waits, Arc<GuestLog>),
    ) -> Self {
        let quota = Quota::new("http_per_second", limits.http_per_second, refused);
        Self::of(hosts, grants, Some(quota), (waits, Some(log)))
    }

    /// For a guest that may send nothing.
    fn nobody() -> Self {
        Self::of(Hosts::default(), Arc::default(), None, (Waits::default(), None))
    }

    fn of(
        hosts: Hosts,
        grants: Arc<Grants>,
        quota: Option<Quota>,
        (waits, log): (Waits, Option<Arc<GuestLog>>),
    ) -> Self {
        let mut wasi = WasiHttpCtx::new();
        wasi.set_field_size_limit(hosts.config().headers_bytes_max);
        let outside = Outside {
            hosts,
            grants,
            quota,
            waits,
            log,
            slots: Arc::new(Semaphore::new(REQUESTS_OF_ONE_MAX)),
            moment: Moment::default(),
            rehearsal: None,
            called: false,
            usage: Arc::default(),
        };
        Self { wasi, outside }
    }

    /// Whether the guest sent a request since it was entered last.
    pub(crate) fn has_called(&self) -> bool {
        self.outside.called
    }

    /// The guest is entered.
    pub(crate) fn enter(&mut self) {
        self.outside.called = false;
    }

    /// The longest that the guest may wait for anything here: longer than any request takes, so that it hears of the
    /// request's end and is not ended itself.
    fn patience(&self) -> Duration {
        self.outside.hosts.config().timeout() + GRACE
    }
}

/// Lets components import the interfaces, and with them a `wasi:io` that waits.
pub(crate) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    let options = LinkOptions::default();
    wit::outgoing_handler::add_to_linker::<_, WasiHttp>(linker, view)?;
    wit::types::add_to_linker::<_, WasiHttp>(linker, &options.into(), view)
}

fn view(state: &mut GuestState) -> WasiHttpCtxView<'_> {
    let ctx = state.capabilities.http.get_or_insert_with(|| Box::new(Ctx::nobody()));
    ctx.outside.moment = state.moment;
    ctx.outside.rehearsal.clone_from(&state.rehearsal);
    if !Arc::ptr_eq(&ctx.outside.usage, &state.usage) {
        ctx.outside.usage = state.usage.clone();
    }
    WasiHttpCtxView { hooks: &mut ctx.outside, table: &mut state.table, ctx: &mut ctx.wasi }
}

/// A request that may be sent, and what is held for it until its answer has ended.
struct Ready {
    target: Target,
    until: Instant,
    held: [OwnedSemaphorePermit; 2],
}

impl Outside {
    fn allow(&mut self, request: &http::Request<WasiBody>) -> Result<Ready, (Error, String)> {
        let denied = |why: String| (Error::HttpRequestDenied, why);
        if !self.quota.as_mut().is_some_and(Quota::take) {
            let why = "the quota is used up: raise `limits.http_per_second`";
            return Err((Error::ConnectionLimitReached, why.to_owned()));
        }
        let target = Target::of(request.uri()).ok_or_else(|| {
            (Error::HttpRequestUriInvalid, "a request must be for a host, by `http` or `https`".to_owned())
        })?;
        if !self.grants.http.iter().any(|host| host.covers(&target)) {
            return Err(denied(format!(
                "no grant: add \"{target}\" to `grants.http` of the Soul's manifest"
            )));
        }
        if self.moment.now_ms == 0 {
            return Err(denied(
                "nothing happens to the Soul: it sends requests while it handles a message or plays a tick"
                    .into(),
            ));
        }
        if let Some(rehearsal) = &self.rehearsal {
            let noted = rehearsal.note(Deed::Request(format!("{} {}", request.method(), request.uri())));
            let why = if noted { "no request is sent" } else { "no more than this is written down" };
            return Err(denied(format!("this is a rehearsal, in which {why}")));
        }
        if self.hosts.config().covering(&target).is_none() {
            return Err(denied(format!("`{target}` is not among `http.hosts` of the node's configuration")));
        }
        let timeout = self.moment.at_most(self.hosts.config().timeout());
        let timeout = timeout.map_err(|late| (Error::HttpResponseTimeout, late.to_string()))?;
        let full =
            |what: &str| (Error::ConnectionLimitReached, format!("{what} are under way, and no more may be"));
        let own = self.slots.clone().try_acquire_owned();
        let own = own.map_err(|_| full(&format!("{REQUESTS_OF_ONE_MAX} requests of this Soul")))?;
        let all = self.hosts.slot().ok_or_else(|| full("`http.requests_max` requests of this node"))?;
        Ok(Ready { target, until: Instant::now() + timeout, held: [own, all] })
    }
}

impl WasiHttpHooks for Outside {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Sending {
        match self.allow(&request) {
            Ok(Ready { target, until, held }) => {
                self.called = true;
                self.usage.called();
                let call = Call { request, options: options.unwrap_or_default(), target, until, held };
                self.hosts.send(call, self.waits.clone())
            }
            Err((error, why)) => {
                self.usage.refused();
                if let Some(log) = &self.log {
                    log.write(LogLevel::Warn, &format!("a request was refused: {why}"));
                }
                Box::new(async move { Err(error) })
            }
        }
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_BYTES
    }

    fn p2_error_from_hyper(&mut self, error: &hyper::Error) -> wit::types::ErrorCode {
        // What this node's own bodies end with.
        let own = std::error::Error::source(error).and_then(|own| own.downcast_ref::<Error>());
        match own {
            Some(Error::HttpRequestBodySize(size)) => {
                return wit::types::ErrorCode::HttpRequestBodySize(*size);
            }
            Some(Error::HttpResponseTimeout) => return wit::types::ErrorCode::HttpResponseTimeout,
            _ => {}
        }
        if error.is_parse_too_large() {
            wit::types::ErrorCode::HttpResponseHeaderSectionSize(None)
        } else if error.is_incomplete_message() {
            wit::types::ErrorCode::HttpResponseIncomplete
        } else {
            wit::types::ErrorCode::HttpProtocolError
        }
    }

    fn p2_error_from_connect(&mut self, _: &std::io::Error) -> wit::types::ErrorCode {
        wit::types::ErrorCode::ConnectionRefused
    }

    fn p2_error_from_tls(&mut self, _: &std::io::Error) -> wit::types::ErrorCode {
        wit::types::ErrorCode::TlsCertificateError
    }
}
