//! What the operator may set: `[grpc]`, and an endpoint each in `[grpc.endpoints.NAME]`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tonic::codegen::http::Uri;

use super::refusal::SetupError;

/// The most that a message may be set to: what a guest hands over in one call is bounded too.
const MESSAGE_BYTES_MAX: usize = 2 << 20;
/// The longest name of an endpoint.
const NAME_BYTES_MAX: usize = 63;

/// Services outside the realm that Souls of this node may be granted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcConfig {
    /// They, by the names that `grants.grpc` of manifests has.
    pub endpoints: BTreeMap<String, EndpointConfig>,
    /// The longest that a call may take, in milliseconds, where the endpoint says nothing.
    pub timeout_ms: u32,
    /// The largest request, in bytes, where the endpoint says nothing.
    pub request_bytes_max: usize,
    /// The largest answer, in bytes, where the endpoint says nothing.
    pub response_bytes_max: usize,
    /// How many calls to one endpoint may be under way, where it says nothing.
    pub calls_max: usize,
}

impl Default for GrpcConfig {
    fn default() -> Self {
        Self {
            endpoints: BTreeMap::new(),
            timeout_ms: 10_000,
            request_bytes_max: 1 << 20,
            response_bytes_max: 1 << 20,
            calls_max: 64,
        }
    }
}

/// One service.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EndpointConfig {
    /// Where it is: `https://HOST:PORT`, or `http://HOST:PORT` without TLS.
    pub url: String,
    /// What may be called: `package.Service/Method`, or `package.Service/*`.
    pub methods: Vec<String>,
    /// How it is known over `https`.
    pub tls: Option<TlsConfig>,
    /// What is sent along with each call, by name: a token, most often.
    pub headers: BTreeMap<String, HeaderConfig>,
    /// Instead of `grpc.timeout_ms`.
    pub timeout_ms: Option<u32>,
    /// Instead of `grpc.request_bytes_max`.
    pub request_bytes_max: Option<usize>,
    /// Instead of `grpc.response_bytes_max`.
    pub response_bytes_max: Option<usize>,
    /// Instead of `grpc.calls_max`.
    pub calls_max: Option<usize>,
}

/// Whom a node trusts to be a service, and as whom it appears there. The files are read when the node starts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// Certificates of the authorities that may have signed the service's, in PEM. For public services the system's bundle,
    /// on Debian `/etc/ssl/certs/ca-certificates.crt`.
    pub ca: PathBuf,
    /// The node's certificate for this service, in PEM, where it wants one; with `key`.
    #[serde(default)]
    pub cert: Option<PathBuf>,
    /// Its key, in PEM, in a file that only its owner may read.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// The name that the service's certificate must have, where it is not the URL's.
    #[serde(default)]
    pub server_name: Option<String>,
}

/// What is sent along: `value`, or what `file` holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeaderConfig {
    /// What it says, where that is no secret.
    pub value: Option<String>,
    /// A file that only its owner may read, which holds what it says; read again now and then.
    pub file: Option<PathBuf>,
    /// What stands before it, such as `Bearer `.
    pub prefix: String,
}

/// What bounds the calls of one endpoint.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) timeout: Duration,
    pub(super) request_bytes: usize,
    pub(super) response_bytes: usize,
    pub(super) calls: usize,
}

impl GrpcConfig {
    /// Whether all of it makes sense; files are not looked at.
    ///
    /// # Errors
    /// `Setting`, the first that is of no use.
    pub fn check(&self) -> Result<(), SetupError> {
        let all = [
            ("timeout_ms", self.timeout_ms as usize, u32::MAX as usize),
            ("request_bytes_max", self.request_bytes_max, MESSAGE_BYTES_MAX),
            ("response_bytes_max", self.response_bytes_max, MESSAGE_BYTES_MAX),
            ("calls_max", self.calls_max, u16::MAX.into()),
        ];
        all.iter().try_for_each(|(setting, value, most)| within(setting, *value, *most))?;
        self.endpoints.iter().try_for_each(|(name, endpoint)| endpoint.check(name))
    }

    /// What an operator should think twice about.
    pub fn doubts(&self) -> Vec<String> {
        let plain = |(name, endpoint): (&String, &EndpointConfig)| {
            let uri: Uri = endpoint.url.parse().ok()?;
            let is_plain = uri.scheme_str() == Some("http") && !is_loopback(uri.host()?);
            is_plain.then(|| format!("`grpc.endpoints.{name}` is called without TLS, at {}", endpoint.url))
        };
        self.endpoints.iter().filter_map(plain).collect()
    }

    pub(super) fn bounds(&self, endpoint: &EndpointConfig) -> Bounds {
        Bounds {
            timeout: Duration::from_millis(endpoint.timeout_ms.unwrap_or(self.timeout_ms).into()),
            request_bytes: endpoint.request_bytes_max.unwrap_or(self.request_bytes_max),
            response_bytes: endpoint.response_bytes_max.unwrap_or(self.response_bytes_max),
            calls: endpoint.calls_max.unwrap_or(self.calls_max),
        }
    }
}

impl EndpointConfig {
    fn check(&self, name: &str) -> Result<(), SetupError> {
        let at = |part: &str| format!("endpoints.{name}{part}");
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(plain) {
            return wrong(at(""), "is no name: write 1 to 63 of a-z, 0-9 and -");
        }
        let uri: Option<Uri> = self.url.parse().ok();
        let scheme = uri.as_ref().filter(|uri| uri.host().is_some()).and_then(Uri::scheme_str);
        match (scheme, &self.tls) {
            (Some("http"), None) => {}
            (Some("https"), Some(tls)) if tls.cert.is_some() != tls.key.is_some() => {
                return wrong(at(".tls"), "names one of `cert` and `key`: name both, or none");
            }
            (Some("https"), Some(_)) => {}
            (Some("http"), Some(_)) => {
                return wrong(at(".tls"), "is of no use for `http`: set `url` to `https://…`");
            }
            (Some("https"), None) => {
                return wrong(
                    at(".tls.ca"),
                    "is missing: name a file of the authorities that are trusted, in PEM",
                );
            }
            _ => return wrong(at(".url"), &format!("is `{}`: write `https://HOST:PORT`", self.url)),
        }
        if self.methods.is_empty() {
            return wrong(
                at(".methods"),
                "names none, so that none can be called: write `package.Service/*`",
            );
        }
        if let Some(method) = self.methods.iter().find(|method| Method::parse(method).is_none()) {
            let problem = format!("has `{method}`: write `package.Service/Method`, or `package.Service/*`");
            return wrong(at(".methods"), &problem);
        }
        for (header, config) in &self.headers {
            if config.value.is_some() == config.file.is_some() {
                return wrong(at(&format!(".headers.{header}")), "must have one of `value` and `file`");
            }
        }
        let all = [
            (".timeout_ms", self.timeout_ms.map(|ms| ms as usize), u32::MAX as usize),
            (".request_bytes_max", self.request_bytes_max, MESSAGE_BYTES_MAX),
            (".response_bytes_max", self.response_bytes_max, MESSAGE_BYTES_MAX),
            (".calls_max", self.calls_max, u16::MAX.into()),
        ];
        let mut set =
            all.iter().filter_map(|(setting, value, most)| value.map(|value| (setting, value, most)));
        set.try_for_each(|(setting, value, most)| within(&at(setting), value, *most))
    }
}

/// What may be called: one method, or all of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Method {
    service: String,
    /// None: all of them.
    name: Option<String>,
}

impl Method {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (service, name) = text.split_once('/')?;
        let name = if name == "*" { None } else { Some(name) };
        let is_sound = is_service(service) && name.is_none_or(is_word);
        is_sound.then(|| Self { service: service.to_owned(), name: name.map(str::to_owned) })
    }

    /// Whether this method of this service is meant.
    pub(super) fn covers(&self, service: &str, name: &str) -> bool {
        self.service == service && self.name.as_deref().is_none_or(|own| own == name)
    }
}

/// Service and method of `package.Service/Method`; none: it is none.
pub(super) fn parts(method: &str) -> Option<(&str, &str)> {
    let (service, name) = method.split_once('/').filter(|_| method.len() <= 256)?;
    (is_service(service) && is_word(name)).then_some((service, name))
}

fn is_service(text: &str) -> bool {
    text.split('.').all(is_word)
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn within(setting: &str, value: usize, most: usize) -> Result<(), SetupError> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    wrong(setting.to_owned(), &format!("is {value}: it must be from 1 to {most}"))
}

fn wrong(setting: String, problem: &str) -> Result<(), SetupError> {
    Err(SetupError::Setting { setting, problem: problem.to_owned() })
}
