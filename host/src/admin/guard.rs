//! What every call of `matrix.v1` passes before its service: who calls, whether the caller may, and, where something is
//! to change, the audit log. What goes on for long ends when the caller may no more.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use matrix_proto::audit::Entry;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::{Code, Status};

use super::audit::Attempt;
use super::auth::{Caller, Gate};
use super::convert;
use super::desk::Desk;
use super::fields::Fields;
use super::front::Answer;
use super::roles::Method;

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

impl Guard {
    /// Lets a call through to what answers it, or says why not.
    pub(super) async fn pass(
        &self,
        caller: Caller,
        method: Option<&'static Method>,
        mut request: Request<Body>,
        answer: &Answer,
    ) -> Result<Response<Body>, Status> {
        let method = method.ok_or_else(convert::unknown_method)?;
        caller.may(method.name, method.role)?;
        request.extensions_mut().insert(caller.clone());
        let change = method.audited.as_ref().map(|fields| (method, &caller, fields));
        let (response, attempt) = match change {
            Some(change) => self.audited(request, answer, change).await?,
            None => {
                let Ok(response) = answer(request).await;
                (response, None)
            }
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
        request: Request<Body>,
        answer: &Answer,
        (method, caller, fields): Change<'_>,
    ) -> Result<(Response<Body>, Option<Attempt>), Status> {
        let (head, body) = request.into_parts();
        let (first, body) = peek(body, self.desk.config.message_bytes_max).await?;
        let attempt = self.desk.audit.attempt(entry(method, caller, fields, &first)).await?;
        let Ok(response) = answer(Request::from_parts(head, Body::new(body))).await;
        match outcome(response.headers()) {
            Some(code) => {
                attempt.ended(code);
                Ok((response, None))
            }
            None => Ok((response, Some(attempt))),
        }
    }
}

/// How a call ended, where these headers or trailers say so.
fn outcome(headers: &HeaderMap) -> Option<Code> {
    Status::from_header_map(headers).map(|status| status.code())
}

/// What is written down of a call with this request.
pub(super) fn entry(method: &Method, caller: &Caller, fields: &Fields, request: &[u8]) -> Entry {
    let (target, request_id) = fields.read(request);
    let (method, caller, role) = (method.name.into(), caller.to_string(), caller.role().name().into());
    Entry { method, caller, role, target, request_id, ..Entry::default() }
}

/// The first message of a call, and its body as if nobody had looked. A message that is longer than `bytes_max`, or
/// compressed, is not looked into: it is refused further on.
async fn peek(mut rest: Body, bytes_max: usize) -> Result<(Bytes, Peeked), Status> {
    let (mut whole, mut joined) = (Bytes::new(), BytesMut::new());
    let length = loop {
        let seen: &[u8] = if joined.is_empty() { &whole } else { &joined };
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
        let more =
            tokio::time::timeout(PAUSE_MAX, poll_fn(|context| Pin::new(&mut rest).poll_frame(context))).await;
        let more = match more.map_err(|_| convert::too_slow("the request paused for too long"))? {
            Some(Ok(frame)) => frame.into_data(),
            Some(Err(error)) => return Err(Status::cancelled(error.message())),
            None => break 0,
        };
        // Requests of gRPC have no trailers.
        let Ok(more) = more else { break 0 };
        if whole.is_empty() {
            whole = more;
            continue;
        }
        // Most messages come whole, and are not copied.
        if joined.is_empty() {
            joined.extend_from_slice(&whole);
        }
        joined.extend_from_slice(&more);
    };
    let seen = if joined.is_empty() { whole } else { joined.freeze() };
    let first =
        seen.get(PREFIX_BYTES..PREFIX_BYTES + length).map_or_else(Bytes::new, |first| seen.slice_ref(first));
    Ok((first, Peeked { seen, rest }))
}

/// A body that was looked into.
struct Peeked {
    /// What was read of it already.
    seen: Bytes,
    rest: Body,
}

impl HttpBody for Peeked {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.seen.is_empty() {
            return Pin::new(&mut self.rest).poll_frame(context);
        }
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.seen)))))
    }

    fn is_end_stream(&self) -> bool {
        self.seen.is_empty() && self.rest.is_end_stream()
    }
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
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
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
#[cfg(test)]
mod tests {
    use super::*;

    /// A body that comes in these pieces.
    struct Pieces(Vec<Bytes>);

    impl HttpBody for Pieces {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Ready((!self.0.is_empty()).then(|| Ok(Frame::data(self.0.remove(0)))))
        }
    }

    #[tokio::test]
    async fn the_first_message_is_seen_however_it_comes_and_none_of_the_body_is_lost() {
        let body = [&[0, 0, 0, 0, 3][..], b"abc", &[0, 0, 0, 0, 1], b"d"].concat();
        for cuts in [(0, 0), (0, 3), (2, 5), (5, 8), (6, 10), (8, 8), (8, 14)] {
            let pieces = [&body[..cuts.0], &body[cuts.0..cuts.1], &body[cuts.1..]];
            let pieces = Pieces(pieces.map(Bytes::copy_from_slice).to_vec());
            let (first, mut peeked) = peek(Body::new(pieces), 3).await.expect("it is there");
            let mut read = Vec::new();
            while let Some(frame) = poll_fn(|context| Pin::new(&mut peeked).poll_frame(context)).await {
                read.extend(frame.expect("it comes").into_data().expect("data"));
            }
            assert_eq!((&first[..], &read), (&b"abc"[..], &body), "{cuts:?}");
        }
        // The rest of what is too long is not waited for.
        let cut = Body::new(Pieces(vec![Bytes::copy_from_slice(&body[..7])]));
        assert!(peek(cut, 2).await.is_ok_and(|(first, _)| first.is_empty()));
    }
}
