//! One question to an HTTP server and its answer, both of bounded length, over TCP or TLS.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long a server may take to take a connection.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// Where systems keep the authorities that they trust.
const AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// Nobody is there, or not who should be.
    #[error("cannot reach {host}: {reason}")]
    Reach {
        /// The server.
        host: String,
        /// What came of it.
        reason: String,
    },
    /// The answer broke off, or is none.
    #[error("{host} broke off: {reason}")]
    Broken {
        /// The server.
        host: String,
        /// What came of it.
        reason: String,
    },
    /// The answer is longer than it may be.
    #[error("{host} answers with more than the {max} bytes that this may have")]
    TooLong {
        /// The server.
        host: String,
        /// What it may have.
        max: u64,
    },
    /// It took too long.
    #[error("{host} did not answer in time")]
    Late {
        /// The server.
        host: String,
    },
}

/// What is asked.
pub(super) struct Ask<'a> {
    /// How.
    pub(super) method: Method,
    /// What for.
    pub(super) url: &'a Uri,
    /// What else is said.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// What is sent.
    pub(super) body: Bytes,
    /// The most bytes that the answer may have.
    pub(super) answer_bytes_max: u64,
}

/// What is answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// How it went.
    pub(super) status: StatusCode,
    /// What is said beside.
    pub(super) headers: HeaderMap,
    /// What was sent.
    pub(super) body: Bytes,
}

impl Answer {
    /// A header, if it is text.
    pub(super) fn header(&self, name: impl hyper::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Asks servers.
pub(super) struct Http {
    tls: TlsConnector,
    deadline: Duration,
}

impl Http {
    /// Trusts the authorities in the file `ca`, or else those that the system does; each answer must be there whole within
    /// `deadline`.
    ///
    /// # Errors
    /// Where there are no authorities that can be read.
    pub(super) fn new(ca: Option<&std::path::Path>, deadline: Duration) -> Result<Self, String> {
        let mut roots = rustls::RootCertStore::empty();
        let files = match ca {
            Some(file) => vec![file],
            None => {
                AUTHORITIES.iter().map(std::path::Path::new).filter(|path| path.is_file()).take(1).collect()
            }
        };
        for file in files {
            let at = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
            for certificate in CertificateDer::pem_file_iter(file).map_err(|error| at(&error))? {
                // One that rustls does not understand vouches for nobody.
                let _ = roots.add(certificate.map_err(|error| at(&error))?);
            }
            if roots.is_empty() {
                return Err(at(&"it holds no certificate"));
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| error.to_string())?;
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), deadline })
    }

    /// Asks, and hears the whole answer; `told` hears how much of it has come.
    ///
    /// # Errors
    /// Where there is none, or too much.
    pub(super) async fn ask(&self, ask: Ask<'_>, told: &mut dyn FnMut(u64)) -> Result<Answer, Fault> {
        let host = ask.url.authority().map(ToString::to_string).unwrap_or_default();
        let late = || Fault::Late { host: host.clone() };
        tokio::time::timeout(self.deadline, self.exchange(ask, &host, told)).await.map_err(|_| late())?
    }

    async fn exchange(&self, ask: Ask<'_>, host: &str, told: &mut dyn FnMut(u64)) -> Result<Answer, Fault> {
        let reach =
            |error: &dyn std::fmt::Display| Fault::Reach { host: host.to_owned(), reason: error.to_string() };
        let is_tls = ask.url.scheme_str() == Some("https");
        let name = ask.url.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = ask.url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let connected = tokio::time::timeout(CONNECT_DEADLINE, TcpStream::connect((name, port))).await;
        let stream =
            connected.map_err(|_| reach(&"it takes no connection"))?.map_err(|error| reach(&error))?;
        if !is_tls {
            return converse(stream, ask, host, told).await;
        }
        let server = ServerName::try_from(name.to_owned()).map_err(|error| reach(&error))?;
        let stream = self.tls.connect(server, stream).await.map_err(|error| reach(&error))?;
        converse(stream, ask, host, told).await
    }
}

/// Asks over a connection, which serves for this one question.
async fn converse<S>(stream: S, ask: Ask<'_>, host: &str, told: &mut dyn FnMut(u64)) -> Result<Answer, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| Fault::Broken { host: host.to_owned(), reason: reason(&error) };
    let request =
        request(&ask, host).map_err(|error| Fault::Broken { host: host.to_owned(), reason: error })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let too_long = || Fault::TooLong { host: host.to_owned(), max: ask.answer_bytes_max };
    let is_head = ask.method == Method::HEAD;
    let mut answer = pin!(async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let (head, mut body) = response.into_parts();
        let length =
            head.headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()).and_then(|it| it.parse().ok());
        if !is_head && length.is_some_and(|length: u64| length > ask.answer_bytes_max) {
            return Err(too_long());
        }
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
            if (bytes.len() + data.len()) as u64 > ask.answer_bytes_max {
                return Err(too_long());
            }
            bytes.extend_from_slice(&data);
            told(bytes.len() as u64);
        }
        Ok(Answer { status: head.status, headers: head.headers, body: bytes.freeze() })
    });
    let mut connection = pin!(connection);
    let mut is_open = true;
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => return answer,
            // What went wrong with it, the answer says.
            _ = &mut connection, if is_open => is_open = false,
        }
    }
}

fn request(ask: &Ask<'_>, host: &str) -> Result<Request<Full<Bytes>>, String> {
    let path = ask.url.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder()
        .method(ask.method.clone())
        .uri(path)
        .header(HOST, host)
        .header(USER_AGENT, concat!("matrix/", env!("CARGO_PKG_VERSION")));
    for (name, value) in &ask.headers {
        request = request.header(name, value);
    }
    request.body(Full::new(ask.body.clone())).map_err(|error| error.to_string())
}

/// An error and what caused it, in a line.
fn reason(error: &hyper::Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{error}{cause}")
}
