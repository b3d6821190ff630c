//! Requests to hosts outside the realm, by `wasi:http`. It takes the grant `http`, an operator who lets the node reach the host,
//! and the feature `http` of this crate; and it is there while a message is handled or a tick is played.
//!
//! ```no_run
//! use matrix_sdk::http::Request;
//!
//! fn price(of: &str) -> Result<String, String> {
//!     let answer = Request::get(&format!("https://api.example.org/prices/{of}")).send()?;
//!     if answer.status == 200 { answer.text() } else { Err(format!("{}: no price", answer.status)) }
//! }
//! ```
//!
//! Nobody follows a redirect but the Soul itself, by another request. What else speaks `wasi:http` works as well.

use std::time::Duration;

/// A request, made step by step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    method: String,
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    timeout: Option<Duration>,
}

impl Request {
    /// A request by any method for a URL: `https://HOST[:PORT]/PATH`, or `http://…`.
    pub fn new(method: &str, url: &str) -> Self {
        let (method, url) = (method.to_owned(), url.to_owned());
        Self { method, url, headers: Vec::new(), body: Vec::new(), timeout: None }
    }

    /// Asks for what is there.
    pub fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    /// Hands something over.
    pub fn post(url: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", url).body(body)
    }

    /// One more header. `host`, `connection` and the like are the node's to set.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// What is sent along.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Waits for the answer to begin no longer than this; less, where the operator or the deadline of the message has it.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Sends it, and waits for the whole answer. The Soul receives nothing else meanwhile.
    ///
    /// # Errors
    /// Where there is no answer; one with any status is an answer.
    pub fn send(&self) -> Result<Response, Error> {
        let place = Place::of(&self.url).ok_or_else(|| Error::Url(self.url.clone()))?;
        sent(self, &place)
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Such as 200, or 404.
    pub status: u16,
    /// Its headers, their names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// What it says.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of this name, in lower case, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name)?;
        std::str::from_utf8(value).ok()
    }

    /// The body as text.
    ///
    /// # Errors
    /// Where it is not UTF-8.
    pub fn text(&self) -> Result<String, String> {
        String::from_utf8(self.body.clone()).map_err(|_| "the answer is not text in UTF-8".to_owned())
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The URL is none, or not of a scheme that there is.
    Url(String),
    /// A header that may not be set.
    Header(String),
    /// The Soul may not: no grant, or the operator does not let the node; why stands in the Soul's log.
    Denied,
    /// The name has no address that may be reached.
    Prohibited,
    /// It took too long.
    Timeout,
    /// The body, or the answer, is larger than the operator lets it be.
    TooLarge,
    /// Whatever else went wrong, in words.
    Failed(String),
}

/// What went wrong, for people: so `?` makes it the failure of a message.
impl From<Error> for String {
    fn from(error: Error) -> Self {
        match error {
            Error::Url(url) => format!("`{url}` is no URL: write `https://HOST/PATH`"),
            Error::Header(name) => format!("the header `{name}` cannot be set so"),
            Error::Denied => "the request was denied: why stands in the Soul's log".to_owned(),
            Error::Prohibited => "the host has no address that may be reached (`http.private`)".to_owned(),
            Error::Timeout => "the host took too long".to_owned(),
            Error::TooLarge => "it is larger than the node lets it be".to_owned(),
            Error::Failed(why) => why,
        }
    }
}

/// The parts of a URL.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    tls: bool,
    authority: String,
    path: String,
}

impl Place {
    fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let tls = match scheme {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        (!authority.is_empty()).then(|| Self { tls, authority: authority.to_owned(), path })
    }
}

#[cfg(not(target_family = "wasm"))]
fn sent(_: &Request, _: &Place) -> Result<Response, Error> {
    panic!("requests are sent inside a node only")
}

#[cfg(target_family = "wasm")]
fn sent(request: &Request, place: &Place) -> Result<Response, Error> {
    wasi::sent(request, place)
}

/// Between this module and the standard.
#[cfg(target_family = "wasm")]
mod wasi {
    use wasip2::http::outgoing_handler::handle;
    use wasip2::http::types::{
        ErrorCode, Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
    };
    use wasip2::io::streams::StreamError;

    use super::{Error, Place, Request, Response};

    /// How much is written, and read, at a time.
    const CHUNK_BYTES: usize = 4096;

    pub(super) fn sent(request: &Request, place: &Place) -> Result<Response, Error> {
        let headers = Fields::new();
        for (name, value) in &request.headers {
            headers.append(name, value).map_err(|_| Error::Header(name.clone()))?;
        }
        // Without it an empty body would be sent in chunks, which not every host reads.
        if !request.body.is_empty() || ["POST", "PUT", "PATCH"].contains(&request.method.as_str()) {
            let length = request.body.len().to_string();
            let _ = headers.set("content-length", &[length.into_bytes()]);
        }
        let outgoing = OutgoingRequest::new(headers);
        let scheme = if place.tls { Scheme::Https } else { Scheme::Http };
        let wrong = |()| Error::Url(request.url.clone());
        let no_method = |()| Error::Failed(format!("`{}` is no method", request.method));
        outgoing.set_method(&method(&request.method)).map_err(no_method)?;
        outgoing.set_scheme(Some(&scheme)).map_err(wrong)?;
        outgoing.set_authority(Some(place.authority.as_str())).map_err(wrong)?;
        outgoing.set_path_with_query(Some(place.path.as_str())).map_err(wrong)?;
        let options = request.timeout.map(|timeout| {
            let options = RequestOptions::new();
            let nanoseconds = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
            let _ = options.set_connect_timeout(Some(nanoseconds));
            let _ = options.set_first_byte_timeout(Some(nanoseconds));
            options
        });
        let body = outgoing.body().map_err(wrong)?;
        let answer = handle(outgoing, options).map_err(failed)?;
        // Where the node has let go of it, the answer says why.
        let _ = write(body, &request.body);
        answer.subscribe().block();
        let answer =
            answer.get().and_then(Result::ok).ok_or_else(|| Error::Failed("no answer came".to_owned()))?;
        let answer = answer.map_err(failed)?;
        let headers = answer.headers().entries();
        let body = answer.consume().map_err(|()| Error::Failed("the answer has no body".to_owned()))?;
        Ok(Response { status: answer.status(), headers, body: read(&body)? })
    }

    fn write(body: OutgoingBody, bytes: &[u8]) -> Result<(), StreamError> {
        let Ok(stream) = body.write() else { return Err(StreamError::Closed) };
        for chunk in bytes.chunks(CHUNK_BYTES) {
            stream.blocking_write_and_flush(chunk)?;
        }
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
        Ok(())
    }

    fn read(body: &IncomingBody) -> Result<Vec<u8>, Error> {
        let closed = |()| Error::Failed("the answer was read before".to_owned());
        let (stream, mut bytes) = (body.stream().map_err(closed)?, Vec::new());
        loop {
            match stream.blocking_read(CHUNK_BYTES as u64) {
                Ok(more) => bytes.extend(more),
                Err(StreamError::Closed) => return Ok(bytes),
                Err(StreamError::LastOperationFailed(error)) => {
                    let code = wasip2::http::types::http_error_code(&error);
                    let text = || error.to_debug_string().lines().next().unwrap_or_default().to_owned();
                    return Err(code.map_or_else(|| Error::Failed(text()), failed));
                }
            }
        }
    }

    fn method(name: &str) -> Method {
        match name {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            "PATCH" => Method::Patch,
            other => Method::Other(other.to_owned()),
        }
    }

    fn failed(code: ErrorCode) -> Error {
        match code {
            ErrorCode::HttpRequestDenied => Error::Denied,
            ErrorCode::DestinationIpProhibited => Error::Prohibited,
            ErrorCode::ConnectionTimeout
            | ErrorCode::ConnectionReadTimeout
            | ErrorCode::ConnectionWriteTimeout
            | ErrorCode::HttpResponseTimeout => Error::Timeout,
            ErrorCode::HttpRequestBodySize(_)
            | ErrorCode::HttpResponseBodySize(_)
            | ErrorCode::HttpResponseHeaderSectionSize(_) => Error::TooLarge,
            other => Error::Failed(format!("{other:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_its_parts() {
        let place = |url| Place::of(url).map(|place| (place.tls, place.authority, place.path));
        let parts = |tls, authority: &str, path: &str| Some((tls, authority.to_owned(), path.to_owned()));
        assert_eq!(place("https://a.org"), parts(true, "a.org", "/"));
        assert_eq!(place("http://a.org:8080/b?c=d#e"), parts(false, "a.org:8080", "/b?c=d"));
        assert_eq!(place("https://a.org?q"), parts(true, "a.org", "/?q"));
        for wrong in ["", "a.org", "ftp://a.org", "https://", "https:///path"] {
            assert_eq!(place(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_request_is_made_step_by_step() {
        let request = Request::post("https://a.org", "x").header("accept", "text/plain");
        assert_eq!((request.method.as_str(), request.body.as_slice()), ("POST", b"x".as_slice()));
        assert_eq!(request.headers, [("accept".to_owned(), b"text/plain".to_vec())]);
        let answer = Response { status: 200, headers: request.headers, body: vec![0xff] };
        assert_eq!((answer.header("accept"), answer.text().is_err()), (Some("text/plain"), true));
        assert!(Request::get("nowhere").send().is_err_and(|error| String::from(error).contains("`nowhere`")));
    }
}
