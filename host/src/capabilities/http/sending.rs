//! One request: the name is resolved, the address judged, and that address connected to and no other.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, timeout_at};
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::config::{HttpConfig, HttpError};
use super::hosts::{Target, is_public};
use crate::capabilities::messaging::Waits;
use crate::telemetry::instruments::OutsideMetrics;

/// What becomes of a request: its answer, and what goes on as long as the answer is read.
type Answer = (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);
/// A request under way.
pub(super) type Sending = Box<dyn Future<Output = Result<Answer, Error>> + Send>;

/// How a node sends requests. Clones are the same.
#[derive(Debug, Clone)]
pub struct Hosts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: HttpConfig,
    tls: Option<Arc<ClientConfig>>,
    slots: Arc<Semaphore>,
    /// None: nobody sends anything.
    metrics: Option<OutsideMetrics>,
}

impl Default for Hosts {
    fn default() -> Self {
        let config = HttpConfig::default();
        let slots = Arc::new(Semaphore::new(config.requests_max));
        Self(Arc::new(Inner { config, tls: None, slots, metrics: None }))
    }
}

/// A request that may be sent.
pub(super) struct Call {
    pub(super) request: http::Request<WasiBody>,
    pub(super) options: RequestOptions,
    pub(super) target: Target,
    pub(super) until: Instant,
    pub(super) held: [OwnedSemaphorePermit; 2],
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Hosts {
    /// Reads what the configuration names, and connects to nobody. Blocks on the disk.
    ///
    /// # Errors
    /// Names the setting that is of no use.
    pub fn open(config: &HttpConfig, metrics: &OutsideMetrics) -> Result<Self, HttpError> {
        let (tls, slots) = (config.open()?, Arc::new(Semaphore::new(config.requests_max)));
        let (config, metrics) = (config.clone(), Some(metrics.clone()));
        Ok(Self(Arc::new(Inner { config, tls, slots, metrics })))
    }

    pub(super) fn config(&self) -> &HttpConfig {
        &self.0.config
    }

    /// A place among the requests that are under way; none: there is none.
    pub(super) fn slot(&self) -> Option<OwnedSemaphorePermit> {
        self.0.slots.clone().try_acquire_owned().ok()
    }

    /// Sends a request.
    pub(super) fn send(&self, call: Call, waits: Waits) -> Sending {
        let hosts = self.clone();
        Box::new(async move {
            let (start, until): (_, tokio::time::Instant) = (Instant::now(), call.until.into());
            let host = hosts.0.config.covering(&call.target).map(|host| host.to_string().into());
            let answered = tokio::select! {
                sent = timeout_at(until, hosts.make(call)) => sent.unwrap_or(Err(Error::HttpResponseTimeout)),
                why = waits.ended() => Err(Error::InternalError(Some(why.to_owned()))),
            };
            if let (Some(metrics), Some(host)) = (&hosts.0.metrics, host) {
                metrics.asked(&host, class(&answered), start.elapsed());
            }
            answered
        })
    }

    async fn make(&self, call: Call) -> Result<Answer, Error> {
        let Call { mut request, options, target, until, held } = call;
        let most = |asked: Option<Duration>| asked.unwrap_or(self.0.config.timeout());
        let stream = tokio::time::timeout(most(options.connect_timeout), self.connect(&target)).await;
        let stream = stream.map_err(|_| Error::ConnectionTimeout)??;
        let mut builder = http1::Builder::new();
        builder.max_buf_size(self.0.config.headers_bytes_max).max_headers(128);
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        // What a proxy would need stands in the header `host` already.
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse().map_err(|_| Error::HttpRequestUriInvalid)?;
        let request = request.map(|body| {
            Bounded::new(body, self.0.config.request_bytes_max, until, Error::HttpRequestBodySize)
                .boxed_unsync()
        });
        let mut connection = Some(Box::pin(connection));
        let answered = tokio::time::timeout(most(options.first_byte_timeout), sender.send_request(request));
        let mut answered = Box::pin(answered);
        let answer = std::future::poll_fn(|context| -> Poll<Result<http::Response<Incoming>, Error>> {
            if let Poll::Ready(answer) = answered.as_mut().poll(context) {
                return Poll::Ready(answer.map_err(|_| Error::ConnectionReadTimeout)?.map_err(Error::from));
            }
            let Some(open) = connection.as_mut() else { return Poll::Pending };
            let ended = ready!(open.as_mut().poll(context));
            connection = None;
            match ended {
                // The answer may lie there already.
                Ok(()) => answered
                    .as_mut()
                    .poll(context)
                    .map(|answer| answer.map_err(|_| Error::ConnectionReadTimeout)?.map_err(Error::from)),
                Err(error) => Poll::Ready(Err(error.into())),
            }
        });
        let answer = answer.await?;
        let limit = self.0.config.response_bytes_max;
        let answer = answer.map(|body| {
            let body = body.map_err(Error::from).boxed_unsync();
            Bounded { held: Some(held), ..Bounded::new(body, limit, until, Error::HttpResponseBodySize) }
                .boxed_unsync()
        });
        let rest = async move {
            match connection {
                Some(open) => open.await.map_err(Error::from),
                None => Ok(()),
            }
        };
        Ok((answer, Box::new(rest)))
    }

    /// Connects to an address of the host that may be reached.
    async fn connect(&self, target: &Target) -> Result<Box<dyn Stream>, Error> {
        let unknown =
            |error: std::io::Error| Error::DnsError { rcode: Some(error.to_string()), info_code: None };
        let found = tokio::net::lookup_host((target.host.as_str(), target.port)).await.map_err(unknown)?;
        let is_private = self.0.config.is_private(&target.host);
        let allowed: Vec<SocketAddr> =
            found.filter(|address| is_private || is_public(address.ip())).collect();
        if allowed.is_empty() {
            return Err(Error::DestinationIpProhibited);
        }
        let stream = TcpStream::connect(&allowed[..]).await.map_err(Error::Connect)?;
        if !target.tls {
            return Ok(Box::new(stream));
        }
        let tls = self.0.tls.clone().ok_or(Error::ConfigurationError)?;
        let name = ServerName::try_from(target.host.clone()).map_err(|_| Error::HttpRequestUriInvalid)?;
        let secured = tokio_rustls::TlsConnector::from(tls).connect(name, stream).await;
        Ok(Box::new(secured.map_err(Error::Tls)?))
    }
}

/// What came of a request, in few words.
fn class(answered: &Result<Answer, Error>) -> &'static str {
    match answered {
        Ok((answer, _)) => match answer.status().as_u16() {
            ..200 => "1xx",
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            500.. => "5xx",
        },
        Err(_) => "failed",
    }
}

/// A body that ends with an error where it is too large, or takes too long.
struct Bounded {
    body: WasiBody,
    sent: u64,
    limit: u64,
    until: Pin<Box<Sleep>>,
    too_large: fn(Option<u64>) -> Error,
    held: Option<[OwnedSemaphorePermit; 2]>,
}

impl Bounded {
    fn new(body: WasiBody, limit: u64, until: Instant, too_large: fn(Option<u64>) -> Error) -> Self {
        let until = Box::pin(tokio::time::sleep_until(until.into()));
        Self { body, sent: 0, limit, until, too_large, held: None }
    }
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.until.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(Error::HttpResponseTimeout)));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame {
            self.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
            if self.sent > self.limit {
                return Poll::Ready(Some(Err((self.too_large)(Some(self.limit)))));
            }
        }
        if frame.is_none() {
            self.held = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
