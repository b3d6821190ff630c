//! What the operator may set: `[http]`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};

use super::hosts::{HostPattern, Target};

/// Hosts outside the realm that Souls of this node may be granted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// They: `api.example.org`, `*.example.org:8443`, `http://api.example.org`. None may be reached unless it is here.
    pub hosts: Vec<HostPattern>,
    /// Names of hosts that may have addresses of this machine and of private networks. All others must have public ones.
    pub private: Vec<String>,
    /// Certificates of the authorities that may have signed a host's, in PEM; on Debian the public ones are
    /// `/etc/ssl/certs/ca-certificates.crt`. Read when the node starts. Without it no host is reached over TLS.
    pub ca: Option<PathBuf>,
    /// The longest that a request may take, to the end of its answer, in milliseconds.
    pub timeout_ms: u32,
    /// The largest body of a request, in bytes.
    pub request_bytes_max: u64,
    /// The largest body of an answer, in bytes.
    pub response_bytes_max: u64,
    /// The headers of a request, and of an answer, in bytes.
    pub headers_bytes_max: usize,
    /// How many requests of the node may be under way.
    pub requests_max: usize,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            private: Vec::new(),
            ca: None,
            timeout_ms: 10_000,
            request_bytes_max: 1 << 20,
            response_bytes_max: 4 << 20,
            headers_bytes_max: 16 << 10,
            requests_max: 64,
        }
    }
}

/// Why a node cannot send requests.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// A setting of no use.
    #[error("`http.{setting}` is {value}: it must be from {least} to {most}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What it is.
        value: u64,
        /// The least that it may be.
        least: u64,
        /// The most that it may be.
        most: u64,
    },
    /// The authorities cannot be read.
    #[error("`http.ca`: {path}: {problem}", path = path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl HttpConfig {
    /// Reads the authorities. None: no host is reached over TLS. Blocks on the disk.
    ///
    /// # Errors
    /// Names the setting that is of no use.
    pub(super) fn open(&self) -> Result<Option<Arc<ClientConfig>>, HttpError> {
        for (setting, value, least, most) in [
            ("timeout_ms", self.timeout_ms.into(), 1, u32::MAX.into()),
            ("request_bytes_max", self.request_bytes_max, 1, 1 << 30),
            ("response_bytes_max", self.response_bytes_max, 1, 1 << 30),
            // The library reads no less at a time.
            ("headers_bytes_max", self.headers_bytes_max as u64, 8 << 10, 256 << 10),
            ("requests_max", self.requests_max as u64, 1, u16::MAX.into()),
        ] {
            if !(least..=most).contains(&value) {
                return Err(HttpError::Setting { setting, value, least, most });
            }
        }
        let Some(path) = &self.ca else { return Ok(None) };
        let wrong = |problem: String| HttpError::Authorities { path: path.clone(), problem };
        let mut roots = RootCertStore::empty();
        let text = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        for certificate in CertificateDer::pem_slice_iter(&text) {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            roots.add_parsable_certificates([certificate]);
        }
        if roots.is_empty() {
            return Err(wrong("it holds no certificate in PEM".into()));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| wrong(error.to_string()))?;
        Ok(Some(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
    }

    /// Sees whether a node could start with it. Blocks on the disk.
    ///
    /// # Errors
    /// Names what is of no use.
    pub fn check(&self) -> Result<(), HttpError> {
        self.open().map(drop)
    }

    /// Whether hosts are meant to be reached over TLS, and nobody is trusted to have signed for them.
    pub fn lacks_authorities(&self) -> bool {
        self.ca.is_none() && self.hosts.iter().any(HostPattern::takes_tls)
    }

    /// What an operator should think twice about.
    pub fn doubts(&self) -> Vec<String> {
        let plain = self.hosts.iter().filter(|host| host.is_plain());
        plain.map(|host| format!("`http.hosts` has `{host}`: requests may go there without TLS")).collect()
    }

    /// By which of `hosts` the operator lets a request go there, if by any.
    pub(super) fn covering(&self, target: &Target) -> Option<&HostPattern> {
        self.hosts.iter().find(|host| host.covers(target))
    }

    /// Whether this host may have a private address.
    pub(super) fn is_private(&self, host: &str) -> bool {
        self.private.iter().any(|name| name.eq_ignore_ascii_case(host))
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.into())
    }
}
