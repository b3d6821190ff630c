//! `wasi:io` for guests that send requests: they may wait for streams, and no longer than a request may take.

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::io::{error, poll, streams};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, StreamError, StreamResult};
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;

use crate::runtime::state::GuestState;

/// One call's view of the guest.
pub(crate) struct View<'a>(&'a mut GuestState);

struct Waiting;

impl HasData for Waiting {
    type Data<'a> = View<'a>;
}

struct Errors;

impl HasData for Errors {
    type Data<'a> = &'a mut ResourceTable;
}

/// Lets components import the interfaces.
pub(crate) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    error::add_to_linker::<_, Errors>(linker, |state| &mut state.table)?;
    poll::add_to_linker::<_, Waiting>(linker, |state| View(state))?;
    streams::add_to_linker::<_, Waiting>(linker, |state| View(state))
}

/// Why a body ended that this node ends, as `http-error-code` of the standard looks for it.
fn told(error: StreamError) -> StreamError {
    let StreamError::LastOperationFailed(error) = error else { return error };
    let code = match error.downcast_ref() {
        Some(Error::HttpResponseBodySize(size)) => ErrorCode::HttpResponseBodySize(*size),
        Some(Error::HttpResponseTimeout) => ErrorCode::HttpResponseTimeout,
        _ => return StreamError::LastOperationFailed(error),
    };
    StreamError::LastOperationFailed(code.into())
}

/// Waits for something on the guest's behalf: the time does not count against its budget, and ends.
macro_rules! wait {
    ($view:expr, $table:ident => $future:expr) => {{
        let state = &mut *$view.0;
        let most = state.capabilities.http.as_ref().map(|http| http.patience()).unwrap_or_default();
        state.budget.pause();
        let $table = &mut state.table;
        let waited = tokio::time::timeout(most, $future).await;
        state.budget.resume();
        state.time_passed();
        waited
            .map_err(|_| wasmtime::Error::msg("waited for longer than a request may take: `http.timeout_ms`"))
    }};
}

impl poll::Host for View<'_> {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        wait!(self, table => poll::Host::poll(table, pollables))?
    }
}

impl poll::HostPollable for View<'_> {
    async fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        poll::HostPollable::ready(&mut self.0.table, pollable).await
    }

    async fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        wait!(self, table => poll::HostPollable::block(table, pollable))?
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll::HostPollable::drop(&mut self.0.table, pollable)
    }
}

impl streams::Host for View<'_> {
    fn convert_stream_error(&mut self, error: StreamError) -> wasmtime::Result<streams::StreamError> {
        streams::Host::convert_stream_error(&mut self.0.table, told(error))
    }
}

impl streams::HostInputStream for View<'_> {
    fn read(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<Vec<u8>> {
        streams::HostInputStream::read(&mut self.0.table, stream, len)
    }

    async fn blocking_read(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<Vec<u8>> {
        wait!(self, table => streams::HostInputStream::blocking_read(table, stream, len))
            .map_err(StreamError::Trap)?
    }

    fn skip(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<u64> {
        streams::HostInputStream::skip(&mut self.0.table, stream, len)
    }

    async fn blocking_skip(&mut self, stream: Resource<DynInputStream>, len: u64) -> StreamResult<u64> {
        wait!(self, table => streams::HostInputStream::blocking_skip(table, stream, len))
            .map_err(StreamError::Trap)?
    }

    fn subscribe(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        streams::HostInputStream::subscribe(&mut self.0.table, stream)
    }

    async fn drop(&mut self, stream: Resource<DynInputStream>) -> wasmtime::Result<()> {
        wait!(self, table => streams::HostInputStream::drop(table, stream))?
    }
}

impl streams::HostOutputStream for View<'_> {
    fn check_write(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<u64> {
        streams::HostOutputStream::check_write(&mut self.0.table, stream)
    }

    fn write(&mut self, stream: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        streams::HostOutputStream::write(&mut self.0.table, stream, bytes)
    }

    async fn blocking_write_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        bytes: Vec<u8>,
    ) -> StreamResult<()> {
        let written = wait!(self, table => {
            streams::HostOutputStream::blocking_write_and_flush(table, stream, bytes)
        });
        written.map_err(StreamError::Trap)?
    }

    async fn blocking_write_zeroes_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        len: u64,
    ) -> StreamResult<()> {
        let written = wait!(self, table => {
            streams::HostOutputStream::blocking_write_zeroes_and_flush(table, stream, len)
        });
        written.map_err(StreamError::Trap)?
    }

    fn subscribe(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<Resource<DynPollable>> {
        streams::HostOutputStream::subscribe(&mut self.0.table, stream)
    }

    fn write_zeroes(&mut self, stream: Resource<DynOutputStream>, len: u64) -> StreamResult<()> {
        let len = len.min(super::super::io::WRITE_BYTES_MAX);
        streams::HostOutputStream::write_zeroes(&mut self.0.table, stream, len)
    }

    fn flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        streams::HostOutputStream::flush(&mut self.0.table, stream)
    }

    async fn blocking_flush(&mut self, stream: Resource<DynOutputStream>) -> StreamResult<()> {
        let flushed = wait!(self, table => streams::HostOutputStream::blocking_flush(table, stream));
        flushed.map_err(StreamError::Trap)?
    }

    fn splice(
        &mut self,
        to: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        len: u64,
    ) -> StreamResult<u64> {
        streams::HostOutputStream::splice(&mut self.0.table, to, from, len)
    }

    async fn blocking_splice(
        &mut self,
        to: Resource<DynOutputStream>,
        from: Resource<DynInputStream>,
        len: u64,
    ) -> StreamResult<u64> {
        let spliced = wait!(self, table => streams::HostOutputStream::blocking_splice(table, to, from, len));
        spliced.map_err(StreamError::Trap)?
    }

    async fn drop(&mut self, stream: Resource<DynOutputStream>) -> wasmtime::Result<()> {
        wait!(self, table => streams::HostOutputStream::drop(table, stream))?
    }
}
