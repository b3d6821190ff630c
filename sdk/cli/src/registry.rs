//! Registries of OCI, to which components are published and from which they are fetched.
//!
//! A registry is not trusted: what it answers is bounded, what it gives must have the digest by which it was asked for, and a
//! password goes to nobody but it and whom it names as the giver of its tokens, never in the clear but on this machine.

pub(crate) mod artifact;
mod auth;
pub(crate) mod credentials;
mod http;
pub(crate) mod reference;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, WWW_AUTHENTICATE,
};
use hyper::{Method, StatusCode, Uri};

use artifact::{Artifact, Blob, MANIFEST, layer_of};
use auth::Challenge;
use credentials::Credentials;
use http::{Answer, Ask, Fault, Http};
use reference::Reference;

use crate::errors::{Error, Exit};
use crate::text;

/// The most bytes in a manifest.
const MANIFEST_BYTES_MAX: u64 = 4 << 20;
/// The most bytes in any other answer that is no component.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// How often one is sent on with one question.
const REDIRECTS_MAX: u32 = 5;
/// The most characters of what a registry says that an error repeats.
const SAID_CHARS_MAX: usize = 200;
/// Where a registry says what it takes a digest to be.
const DIGEST_HEADER: &str = "docker-content-digest";

/// How a registry is reached.
pub(crate) struct Way<'a> {
    /// Who one is, if anybody.
    pub(crate) credentials: Option<Credentials>,
    /// A file of authorities, in place of the system's.
    pub(crate) ca: Option<&'a Path>,
    /// Without TLS, also to another machine.
    pub(crate) in_the_clear: bool,
    /// How long one answer may take.
    pub(crate) deadline: Duration,
}

/// A registry, as far as one repository is concerned.
pub(crate) struct Registry<'a> {
    http: Http,
    reference: &'a Reference,
    base: Uri,
    credentials: Option<Credentials>,
    in_the_clear: bool,
    /// What one wants to do, as tokens have it.
    actions: &'static str,
    /// What is shown, once it was asked for.
    authorization: Option<HeaderValue>,
}

/// A component that was fetched.
pub(crate) struct Fetched {
    /// The digest of its manifest.
    pub(crate) digest: String,
    /// The component.
    pub(crate) component: Blob,
}

impl<'a> Registry<'a> {
    /// The registry of an artifact, from which one reads, or to which one also writes.
    ///
    /// # Errors
    /// Where it cannot be reached in this way.
    pub(crate) fn new(reference: &'a Reference, way: Way<'_>, writes: bool) -> Result<Self, Error> {
        let http = Http::new(way.ca, way.deadline)
            .map_err(|why| Error::local("cannot use the authorities", "--registry-ca", why))?;
        let is_plain = way.in_the_clear || is_loopback(&reference.host) && way.ca.is_none();
        let scheme = if is_plain { "http" } else { "https" };
        let base: Uri = format!("{scheme}://{}/v2/{}/", reference.host, reference.repository)
            .parse()
            .map_err(|_| Error::usage(format!("`{}` is no host", reference.host), "write HOST:PORT"))?;
        let actions = if writes { "pull,push" } else { "pull" };
        let (credentials, in_the_clear) = (way.credentials, way.in_the_clear);
        Ok(Self { http, reference, base, credentials, in_the_clear, actions, authorization: None })
    }

    /// Fetches the component, of at most so many bytes; `told` hears how much of it has come, of how much.
    ///
    /// # Errors
    /// Where there is none, or not the one that was asked for.
    pub(crate) async fn fetch(
        &mut self,
        component_bytes_max: u64,
        told: &mut dyn FnMut(u64, u64),
    ) -> Result<Fetched, Error> {
        let wanted = self.reference.wanted().unwrap_or("latest").to_owned();
        let url = self.at(&format!("manifests/{wanted}"))?;
        let accepted = [(ACCEPT, HeaderValue::from_static(MANIFEST))];
        let answer =
            self.call(Method::GET, url, &accepted, Bytes::new(), MANIFEST_BYTES_MAX, &mut |_| ()).await?;
        let answer = self.expect(answer, &[StatusCode::OK], "there is no such artifact")?;
        let said = answer.header(DIGEST_HEADER).map(str::to_owned);
        let manifest = Blob::of(answer.body);
        for expected in self.reference.digest.iter().chain(&said) {
            self.same(expected, &manifest.digest, "its manifest")?;
        }
        let layer =
            layer_of(&manifest.bytes).map_err(|why| self.wrong(why, "name the artifact of a component"))?;
        if layer.size > component_bytes_max {
            let what = format!(
                "it has {}, and a component may have {}",
                text::bytes(layer.size),
                text::bytes(component_bytes_max)
            );
            return Err(self.fault(what, "fetch a smaller one", Exit::Exhausted));
        }
        let url = self.at(&format!("blobs/{}", layer.digest))?;
        let size = layer.size;
        let answer =
            self.call(Method::GET, url, &[], Bytes::new(), size, &mut |done| told(done, size)).await?;
        let answer =
            self.expect(answer, &[StatusCode::OK], "the artifact is there, but not its component")?;
        let component = Blob::of(answer.body);
        self.same(&layer.digest, &component.digest, "its component")?;
        Ok(Fetched { digest: manifest.digest, component })
    }

    /// Publishes an artifact under a tag; what the registry has already is not sent again.
    ///
    /// # Errors
    /// Where the registry does not take it.
    pub(crate) async fn publish(&mut self, artifact: &Artifact, tag: &str) -> Result<(), Error> {
        for blob in [&artifact.layer, &artifact.config] {
            self.put_blob(blob).await?;
        }
        let url = self.at(&format!("manifests/{tag}"))?;
        let (kind, body) =
            ([(CONTENT_TYPE, HeaderValue::from_static(MANIFEST))], artifact.manifest.bytes.clone());
        let answer = self.call(Method::PUT, url, &kind, body, ANSWER_BYTES_MAX, &mut |_| ()).await?;
        let answer =
            self.expect(answer, &[StatusCode::CREATED, StatusCode::OK], "it takes no such artifact")?;
        match answer.header(DIGEST_HEADER) {
            Some(digest) => self.same(&artifact.manifest.digest, digest, "what it says it took"),
            None => Ok(()),
        }
    }

    async fn put_blob(&mut self, blob: &Blob) -> Result<(), Error> {
        let url = self.at(&format!("blobs/{}", blob.digest))?;
        let answer = self.call(Method::HEAD, url, &[], Bytes::new(), ANSWER_BYTES_MAX, &mut |_| ()).await?;
        if answer.status == StatusCode::OK {
            return Ok(());
        }
        self.expect(answer, &[StatusCode::NOT_FOUND], "")?;
        let url = self.at("blobs/uploads/")?;
        let answer =
            self.call(Method::POST, url.clone(), &[], Bytes::new(), ANSWER_BYTES_MAX, &mut |_| ()).await?;
        let answer =
            self.expect(answer, &[StatusCode::ACCEPTED], "it takes no uploads to this repository")?;
        let place = self.next(&url, &answer)?;
        // The bytes, and whatever proves who one is, go nowhere else.
        if !self.is_own(&place) {
            let what = format!("it sends the upload on to {}", shown_host(&place));
            return Err(self.wrong(what, "name the registry that takes the upload itself"));
        }
        let joint = if place.query().is_some() { '&' } else { '?' };
        let place: Uri = format!("{place}{joint}digest={}", blob.digest)
            .parse()
            .map_err(|_| self.wrong("it names no place for the upload", "ask whoever runs it"))?;
        let kind = [(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))];
        let answer =
            self.call(Method::PUT, place, &kind, blob.bytes.clone(), ANSWER_BYTES_MAX, &mut |_| ()).await?;
        self.expect(answer, &[StatusCode::CREATED], "it does not take what was uploaded").map(drop)
    }

    /// Asks, shows who one is where that is asked for, and goes where one is sent on to.
    async fn call(
        &mut self,
        method: Method,
        url: Uri,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
        answer_bytes_max: u64,
        told: &mut dyn FnMut(u64),
    ) -> Result<Answer, Error> {
        let (mut url, mut has_shown, mut redirects) = (url, false, 0);
        loop {
            let mut headers = headers.to_vec();
            if self.is_own(&url) {
                headers.extend(self.authorization.clone().map(|shown| (AUTHORIZATION, shown)));
            }
            let ask = Ask {
                method: method.clone(),
                url: &url,
                headers,
                body: body.clone(),
                // What an error says may be longer than what is asked for.
                answer_bytes_max: answer_bytes_max.max(ANSWER_BYTES_MAX),
            };
            let answer = self.http.ask(ask, told).await.map_err(|fault| self.broken(fault))?;
            if answer.status == StatusCode::UNAUTHORIZED && self.is_own(&url) && !has_shown {
                self.authorize(&answer).await?;
                has_shown = true;
                continue;
            }
            let is_sent_on = answer.status.is_redirection() && answer.header(LOCATION).is_some();
            if !is_sent_on || !matches!(method, Method::GET | Method::HEAD) {
                return Ok(answer);
            }
            redirects += 1;
            let next = self.next(&url, &answer)?;
            if redirects > REDIRECTS_MAX {
                return Err(self.wrong("it sends one on and on", "ask whoever runs the registry"));
            }
            url = next;
        }
    }

    /// Gets what the registry wants to be shown.
    async fn authorize(&mut self, refused: &Answer) -> Result<(), Error> {
        let challenges = refused.headers.get_all(WWW_AUTHENTICATE);
        let challenges: Vec<&str> = challenges.iter().filter_map(|it| it.to_str().ok()).collect();
        let basic = self.credentials.as_ref().map(Credentials::header);
        let shown = match Challenge::read(challenges.iter().copied()) {
            Some(Challenge::Bearer { realm, service }) => {
                let url = auth::token_url(&realm, &service, &self.reference.repository, self.actions)
                    .filter(|url| self.may_go(&self.base, url))
                    .ok_or_else(|| {
                        let what =
                            format!("it gives its tokens at `{}`, which is not safe to ask", clamp(&realm));
                        self.wrong(what, "use a registry with https")
                    })?;
                let headers = basic.and_then(|basic| secret(&basic)).map(|basic| (AUTHORIZATION, basic));
                let ask = Ask {
                    method: Method::GET,
                    url: &url,
                    headers: headers.into_iter().collect(),
                    body: Bytes::new(),
                    answer_bytes_max: ANSWER_BYTES_MAX,
                };
                let answer = self.http.ask(ask, &mut |_| ()).await.map_err(|fault| self.broken(fault))?;
                let answer = self.expect(answer, &[StatusCode::OK], "it gives no tokens")?;
                auth::token(&answer.body).map(|token| format!("Bearer {token}"))
            }
            Some(Challenge::Basic) => basic,
            None => None,
        };
        let shown = shown.and_then(|shown| secret(&shown)).ok_or_else(|| self.denied(refused))?;
        self.authorization = Some(shown);
        Ok(())
    }

    /// Where an answer sends one on to.
    fn next(&self, from: &Uri, answer: &Answer) -> Result<Uri, Error> {
        let location = answer.header(LOCATION).unwrap_or_default();
        let next = match location {
            path if path.starts_with('/') && !path.starts_with("//") => {
                let (scheme, authority) = (from.scheme_str().unwrap_or("https"), from.authority());
                format!("{scheme}://{}{path}", authority.map_or("", |it| it.as_str())).parse().ok()
            }
            other => other.parse::<Uri>().ok().filter(|url| url.host().is_some()),
        };
        let next = next.filter(|url| self.may_go(from, url));
        next.ok_or_else(|| {
            let what = format!("it sends one on to `{}`, which is not safe to follow", clamp(location));
            self.wrong(what, "use a registry that keeps to https")
        })
    }

    /// Whether one may go from one address to another: never from TLS to none, and without TLS on this machine alone, unless
    /// that was allowed.
    fn may_go(&self, from: &Uri, to: &Uri) -> bool {
        match to.scheme_str() {
            Some("https") => true,
            Some("http") => {
                let is_here = to.host().is_some_and(is_loopback);
                from.scheme_str() == Some("http") && (self.in_the_clear || is_here)
            }
            _ => false,
        }
    }

    /// Whether an address is the registry's.
    fn is_own(&self, url: &Uri) -> bool {
        (url.scheme(), url.authority()) == (self.base.scheme(), self.base.authority())
    }

    fn at(&self, path: &str) -> Result<Uri, Error> {
        let url = format!("{}{path}", self.base).parse();
        url.map_err(|_| self.wrong("its address cannot be written", "name it as HOST/REPOSITORY:TAG"))
    }

    /// The answer, if it went as it should; `missing` is what it means where nothing is found.
    fn expect(&self, answer: Answer, statuses: &[StatusCode], missing: &str) -> Result<Answer, Error> {
        if statuses.contains(&answer.status) {
            return Ok(answer);
        }
        match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.denied(&answer)),
            StatusCode::NOT_FOUND => {
                let what = format!("{missing}{}", said(&answer));
                Err(self.fault(what, "look at its name and its tag", Exit::NotFound))
            }
            StatusCode::TOO_MANY_REQUESTS => Err(self.fault(
                format!("it was asked too often{}", said(&answer)),
                "try again later",
                Exit::Exhausted,
            )),
            status => {
                let what = format!("it answers {status}{}", said(&answer));
                Err(self.fault(what, "ask whoever runs the registry", Exit::Unavailable))
            }
        }
    }

    fn same(&self, expected: &str, found: &str, what: &str) -> Result<(), Error> {
        if expected == found {
            return Ok(());
        }
        let what = format!("{what} is not the one: it is {found}, and should be {}", clamp(expected));
        Err(self.fault(what, "do not use it, and ask whoever runs the registry", Exit::Conflict))
    }

    fn denied(&self, answer: &Answer) -> Error {
        let change = match self.credentials {
            None => "say --username NAME --password-file FILE, or `docker login` before",
            Some(_) => "look at the name and the password, and at what they may do there",
        };
        self.fault(format!("it does not let this be done{}", said(answer)), change, Exit::Denied)
    }

    fn wrong(&self, what: impl Into<String>, change: &str) -> Error {
        self.fault(what, change, Exit::Failure)
    }

    fn broken(&self, fault: Fault) -> Error {
        let (exit, change) = match fault {
            Fault::Reach { .. } => (Exit::Unavailable, "look at the address; without TLS: --plain-http"),
            Fault::Broken { .. } => (Exit::Unavailable, "try again"),
            Fault::TooLong { .. } => (Exit::Exhausted, "ask whoever runs the registry"),
            Fault::Late { .. } => (Exit::Deadline, "give it longer: --timeout SECONDS"),
        };
        self.fault(fault.to_string(), change, exit)
    }

    fn fault(&self, what: impl Into<String>, change: &str, exit: Exit) -> Error {
        let place = format!("registry artifact {}", self.reference);
        Error::Registry { what: what.into(), place, change: change.to_owned(), exit }
    }
}

/// A header that is not shown where headers are.
fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Whether a host, with or without its port, is this machine. What cannot be told is elsewhere.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn shown_host(url: &Uri) -> String {
    clamp(url.authority().map_or("nowhere", |it| it.as_str()))
}

/// What a registry says of an error, made safe to show.
fn said(answer: &Answer) -> String {
    #[derive(serde::Deserialize)]
    struct Said {
        errors: Vec<One>,
    }
    #[derive(serde::Deserialize)]
    struct One {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let said: Option<Said> = serde_json::from_slice(&answer.body).ok();
    let first = said.as_ref().and_then(|said| said.errors.first());
    first.map(|it| format!(": {}", clamp(&format!("{} {}", it.code, it.message)))).unwrap_or_default()
}

fn clamp(text: &str) -> String {
    text::one_line(text.trim()).chars().take(SAID_CHARS_MAX).collect()
}
