//! A client of gRPC that costs little: unary calls over HTTP/2 itself, without the layers of a channel (its queue, its
//! time limits, its connecting anew). The processors that it takes are those of the servers that are measured, and what it
//! costs makes them look more alike than they are.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use h2::client::{Builder, SendRequest};
use prost::Message;
use tokio::net::TcpStream;
use tonic::Status;
use tonic::codegen::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, TE};
use tonic::codegen::http::uri::{Authority, PathAndQuery, Scheme};
use tonic::codegen::http::{Method, Request, Uri};

/// Bytes that a server may send ahead, on a connection and for an answer.
const WINDOW_BYTES: u32 = 1 << 20;
/// What stands before a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
/// Where the status of a call stands.
const STATUS: &str = "grpc-status";

/// A connection that callers share. Clones are the same one, which ends with the last of them.
#[derive(Clone)]
pub(crate) struct Caller {
    send: SendRequest<Bytes>,
    authority: Authority,
    token: Option<HeaderValue>,
}

impl Caller {
    /// Connects to a port of this machine; none: nobody listens. The token goes with each call.
    pub(crate) async fn open(port: u16, token: Option<HeaderValue>) -> Option<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let mut settings = Builder::new();
        settings.initial_window_size(WINDOW_BYTES).initial_connection_window_size(WINDOW_BYTES);
        let (send, connection) = settings.handshake(stream).await.ok()?;
        #[expect(clippy::disallowed_methods, reason = "it ends with the last of its callers")]
        tokio::spawn(connection);
        let authority = Authority::try_from(format!("127.0.0.1:{port}")).ok()?;
        Some(Self { send, authority, token })
    }

    /// Calls a method, named as `/package.Service/Method`.
    ///
    /// # Errors
    /// What the server answers; `UNAVAILABLE` where the connection broke, `INTERNAL` where the answer is none.
    pub(crate) async fn call<Q, A>(&self, method: &'static str, question: &Q) -> Result<A, Status>
    where
        Q: Message,
        A: Message + Default,
    {
        let answer =
            self.exchange(method, question).await.map_err(|error| Status::unavailable(error.to_string()));
        let (mut answer, status) = answer?;
        status?;
        let is_whole =
            answer.len() >= PREFIX_BYTES && answer.get_u8() == 0 && answer.get_u32() as usize == answer.len();
        let read = is_whole.then(|| A::decode(answer).ok()).flatten();
        read.ok_or_else(|| Status::internal("the answer is no message"))
    }

    /// The bytes of the answer, and how the call ended.
    async fn exchange<Q: Message>(
        &self,
        method: &'static str,
        question: &Q,
    ) -> Result<(Bytes, Result<(), Status>), h2::Error> {
        let mut send = self.send.clone().ready().await?;
        let (answer, mut body) = send.send_request(self.request(method), false)?;
        body.send_data(framed(question), true)?;
        let (head, mut body) = answer.await?.into_parts();
        let mut bytes = BytesMut::new();
        let mut only = None;
        while let Some(part) = body.data().await {
            let part = part?;
            body.flow_control().release_capacity(part.len())?;
            // Most answers come in one part, which is not copied.
            match only.take() {
                None if bytes.is_empty() => only = Some(part),
                before => {
                    bytes.extend_from_slice(&before.unwrap_or_default());
                    bytes.extend_from_slice(&part);
                }
            }
        }
        let trailers = body.trailers().await?.unwrap_or(head.headers);
        let status = match trailers.get(STATUS) {
            Some(code) if code == "0" => Ok(()),
            _ => {
                Err(Status::from_header_map(&trailers).unwrap_or_else(|| Status::internal("no status came")))
            }
        };
        Ok((only.unwrap_or_else(|| bytes.freeze()), status))
    }

    fn request(&self, method: &'static str) -> Request<()> {
        let mut uri = Uri::default().into_parts();
        (uri.scheme, uri.authority) = (Some(Scheme::HTTP), Some(self.authority.clone()));
        uri.path_and_query = Some(PathAndQuery::from_static(method));
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_parts(uri).expect("scheme, authority and path are there");
        let headers = request.headers_mut();
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        if let Some(token) = &self.token {
            headers.insert(AUTHORIZATION, token.clone());
        }
        request
    }
}

/// A message with its prefix.
fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + length);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(length).expect("messages are short"));
    message.encode(&mut framed).expect("there is room");
    framed.freeze()
}
