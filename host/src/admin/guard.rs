//! What every call of `matrix.v1` passes before its service: who calls, whether the caller may, and, where something is
//! to change, the audit log. What goes on for long ends when the caller may no more.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::BytesMut;
use futures::stream::{self, StreamExt as _};
use http_body::{Frame, SizeHint};
use matrix_proto::audit::Entry;
use tonic::codegen::http::HeaderMap;
use tonic::{Code, Status};

use super::audit::Attempt;
use super::auth::{Caller, Gate};
use super::convert;
use super::desk::Desk;
use super::fields::Fields;
use super::roles::{self, Method};

/// How long a client may pause before its first message is whole.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Bytes before a message of gRPC: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// What it takes to let a call through.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) gate: Gate,
    pub(super) desk: Arc<Desk>,
}

/// A call that changes something: which one, whose it is, and what is written down of it.
type Change<'a> = (&'static Method, &'a Caller, &'a Fields);

/// Lets a call through, or says why not.
pub(super) async fn guard(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    guard.pass(request, next).await.unwrap_or_else(Status::into_http)
}

impl Guard {
    async fn pass(&self, mut request: Request, next: Next) -> Result<Response, Status> {
        let caller = self.gate.admit(request.headers(), request.extensions())?;
        tracing::Span::current().record("caller", caller.as_str());
        let method = roles::method(request.uri().path()).ok_or_else(convert::unknown_method)?;
        caller.may(method.name, method.role)?;
        request.extensions_mut().insert(caller.clone());
        let change = method.audited.as_ref().map(|fields| (method, &caller, fields));
        let (response, attempt) = match change {
            Some(change) => self.audited(request, next, change).await?,
            None => (next.run(request).await, None),
        };
        if !method.streams {
            if let Some(attempt) = attempt {
                attempt.ended(Code::Ok);
            }
            return Ok(response);
        }
        let over = self.gate.until_over(&caller, method.name, method.role);
        Ok(response.map(|body| Body::new(Answers { body, over: Some(Box::pin(over)), attempt })))
    }

    /// Carries out a call that changes something, between two lines of the audit log. The second one is still to come,
    /// with the attempt, where no error is in the head of the response.
    async fn audited(
        &self,
        request: Request,
        next: Next,
        change: Change<'_>,
    ) -> Result<(Response, Option<Attempt>), Status> {
        let (request, entry) = self.read(request, change).await?;
        let attempt = self.desk.audit.attempt(entry)?;
        let response = next.run(request).await;
        match outcome(response.headers()) {
            Some(code) => {
                attempt.ended(code);
                Ok((response, None))
            }
            None => Ok((response, Some(attempt))),
        }
    }

    /// Reads what is written down of a call off its first message.
    async fn read(
        &self,
        request: Request,
        (method, caller, fields): Change<'_>,
    ) -> Result<(Request, Entry), Status> {
        let (head, body) = request.into_parts();
        let (first, body) = peek(body, self.desk.config.message_bytes_max).await?;
        Ok((Request::from_parts(head, body), entry(method, caller, fields, &first)))
    }
}

/// How a call ended, where these headers or trailers say so.
fn outcome(headers: &HeaderMap) -> Option<Code> {
    Status::from_header_map(headers).map(|status| status.code())
}

/// What is written down of a call with this request.
pub(super) fn entry(method: &Method, caller: &Caller, fields: &Fields, request: &[u8]) -> Entry {
    let (target, request_id) = fields.read(request);
    let (method, caller, role) =
        (method.name.to_owned(), caller.to_string(), caller.role().name().to_owned());
    Entry { method, caller, role, target, request_id, ..Entry::default() }
}

/// The first message of a call, and its body as if nobody had looked. A message that is longer than `bytes_max`, or
/// compressed, is not looked into: it is refused further on.
async fn peek(body: Body, bytes_max: usize) -> Result<(Bytes, Body), Status> {
    let (mut rest, mut seen) = (body.into_data_stream(), BytesMut::new());
    let length = loop {
        match seen.first_chunk::<PREFIX_BYTES>() {
            Some([0, length @ ..]) => {
                let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
                if length > bytes_max || seen.len() - PREFIX_BYTES >= length {
                    break length;
                }
            }
            Some(_) => break 0,
            None => {}
        }
        let more = tokio::time::timeout(PAUSE_MAX, rest.next()).await;
        match more.map_err(|_| convert::too_slow("the request paused for too long"))? {
            Some(Ok(more)) => seen.extend_from_slice(&more),
            Some(Err(error)) => return Err(Status::cancelled(error.to_string())),
            None => break 0,
        }
    };
    let seen = seen.freeze();
    let first =
        seen.get(PREFIX_BYTES..PREFIX_BYTES + length).map_or_else(Bytes::new, |first| seen.slice_ref(first));
    let body = Body::from_stream(stream::iter([Ok(seen)]).chain(rest));
    Ok((first, body))
}

/// A stream of answers that ends, with a status, when its caller may not have it any more.
struct Answers {
    body: Body,
    /// None: it has come to this.
    over: Option<Pin<Box<dyn Future<Output = Status> + Send>>>,
    /// What is written down of it, until it has ended.
    attempt: Option<Attempt>,
}

impl Answers {
    fn tell(&mut self, code: Code) {
        if let Some(attempt) = self.attempt.take() {
            attempt.ended(code);
        }
    }
}

impl HttpBody for Answers {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(over) = &mut self.over else { return Poll::Ready(None) };
        if let Poll::Ready(status) = over.as_mut().poll(context) {
            self.over = None;
            // What made the answers ends with it.
            self.body = Body::empty();
            self.tell(status.code());
            let mut trailers = HeaderMap::new();
            // A status that fits no header would be no worse than none: the stream ends in either case.
            drop(status.add_header(&mut trailers));
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(code) = frame.trailers_ref().and_then(outcome)
        {
            self.tell(code);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.over.is_none() || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
