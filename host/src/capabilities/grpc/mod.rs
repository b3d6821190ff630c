//! `matrix:node/grpc`: services outside the realm, by the names that the node's operator gave them.
//!
//! A call is granted twice: by the Soul's manifest, which names endpoints, and by the node's configuration, which says what an
//! endpoint is and which of its methods may be called. It is made at once, and nothing takes it back: a turn in which one
//! was made is not tried again by itself, also where turns are kept.

mod codec;
mod config;
mod endpoint;
mod files;
mod headers;
mod refusal;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wasmtime::component::{HasData, Linker};

pub use self::config::{EndpointConfig, GrpcConfig, HeaderConfig, TlsConfig};
use self::endpoint::{Call, Endpoint};
pub use self::endpoint::{Endpoints, STATUS_BYTES_MAX};
pub use self::refusal::SetupError;
use self::refusal::{Refusal, shown};
use super::grants::Grants;
use super::messaging::Waits;
use super::quota::Quota;
use super::rehearsal::Deed;
use crate::runtime::bindings::matrix::node::grpc::{self as wit, Status};
use crate::runtime::limits::Limits;
use crate::runtime::state::GuestState;
use crate::telemetry::metrics::TotalBy;
use crate::transport::envelope::TraceContext;

/// What this guest may call.
#[derive(Debug)]
pub struct Ctx {
    endpoints: Endpoints,
    grants: Arc<Grants>,
    quota: Quota,
    waits: Waits,
}

impl Ctx {
    /// For a Soul that is about to be born, and waits for answers as long as `waits` lets it.
    pub fn new(
        endpoints: Endpoints,
        grants: Arc<Grants>,
        limits: &Limits,
        refused: &TotalBy,
        waits: Waits,
    ) -> Self {
        let quota = Quota::new("grpc_per_second", limits.grpc_per_second, refused);
        Self { endpoints, grants, quota, waits }
    }

    /// Whether this guest may make one more call to an endpoint.
    fn allow(&mut self, endpoint: &str) -> Result<(), Refusal> {
        if !self.quota.take() {
            return Err(Refusal::exhausted("the quota is used up: raise `limits.grpc_per_second`"));
        }
        self.grants.may_call(endpoint).map_err(Refusal::denied)
    }
}

/// One call's view of the guest.
pub struct View<'a>(&'a mut GuestState);

struct OfSouls;

impl HasData for OfSouls {
    type Data<'a> = View<'a>;
}

/// Lets components import the interface.
pub(crate) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    wit::add_to_linker::<_, OfSouls>(linker, |state| View(state))
}

/// A call that may be made.
struct Ready {
    endpoint: Arc<Endpoint>,
    timeout: Duration,
    trace: Option<TraceContext>,
    waits: Waits,
}

impl View<'_> {
    fn ready(
        &mut self,
        name: &str,
        method: &str,
        request: &Bytes,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<Ready, Refusal>> {
        let moment = self.0.moment;
        let none = || wasmtime::Error::msg("services are for Souls only");
        let ctx = self.0.capabilities.grpc.as_mut().ok_or_else(none)?;
        let (endpoints, waits) = (ctx.endpoints.clone(), ctx.waits.clone());
        let allowed = ctx.allow(name).and_then(|()| {
            if moment.now_ms == 0 {
                return Err(Refusal::not_now());
            }
            let called = || Deed::Call(shown(name), shown(method), request.clone());
            if let Some(noted) = self.0.noted(called) {
                return Err(Refusal::rehearsed(noted));
            }
            let endpoint = endpoints.find(name)?;
            endpoint.admits(method, request.len())?;
            let timeout = moment.at_most(endpoint.timeout(timeout_ms)).map_err(Refusal::late)?;
            Ok(Ready { endpoint, timeout, trace: moment.trace, waits })
        });
        Ok(allowed)
    }
}

impl wit::Host for View<'_> {
    async fn call(
        &mut self,
        endpoint: String,
        method: String,
        request: Vec<u8>,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, Status>> {
        let request = Bytes::from(request);
        let called = match self.ready(&endpoint, &method, &request, timeout_ms)? {
            Err(refusal) => Err(refusal),
            Ok(Ready { endpoint, timeout, trace, waits }) => match endpoint.slot() {
                Err(refusal) => Err(refusal),
                Ok(slot) => {
                    (self.0.acted, self.0.called) = (true, true);
                    self.0.usage.called();
                    let call = Call { method, request, timeout, trace };
                    let answer = self.0.wait(endpoint.call(call, waits)).await;
                    drop(slot);
                    return Ok(answer.map(Vec::from));
                }
            },
        };
        self.0.usage.refused();
        Ok(called.map_err(Refusal::into))
    }
}
