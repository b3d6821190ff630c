//! What the operator may set about the door.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::error::AdminError;
use super::roles::Role;

/// The least that a message must be allowed to have: a chunk of an upload, or a value of the KV, each
/// 1 MiB, and what is around it.
const MESSAGE_BYTES_LEAST: usize = (1 << 20) + (64 << 10);
/// The most that a message may be allowed to have: a call holds it in memory.
const MESSAGE_BYTES_MOST: usize = 64 << 20;

/// The table `[admin]` of the node's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// The Unix socket for gRPC. None, the default: `matrixd.sock` in the data folder.
    pub socket: Option<PathBuf>,
    /// The address for gRPC over TCP, or `off`. Default `127.0.0.1:7777`; any other than loopback needs
    /// `tls`.
    #[serde(deserialize_with = "address")]
    pub listen: Option<SocketAddr>,
    /// The loopback address for `/metrics`, `/livez` and `/readyz` over HTTP, or `off`. Default
    /// `127.0.0.1:7778`.
    #[serde(deserialize_with = "address")]
    pub http: Option<SocketAddr>,
    /// TLS for gRPC over TCP.
    pub tls: Option<TlsConfig>,
    /// The log of what callers changed.
    pub audit: AuditConfig,
    /// The longest message of a client, in bytes. Default 4 MiB, as stock clients have it.
    pub message_bytes_max: usize,
    /// Connections that each address takes at a time; one too many is closed at once. Default 256.
    pub connections_max: usize,
    /// Calls under way on one connection. Default 256.
    pub calls_per_connection: u32,
    /// Streams without an end (events, log lines, changes of the KV, conversations, replays) that are
    /// open at a time. Default 1,024.
    pub streams_max: usize,
    /// Mutations under way at a time. Default 256.
    pub mutations_max: usize,
    /// How long a call may take until its first answer, in seconds. Default 600: a long `Step`.
    pub call_seconds_max: u64,
    /// A connection that is silent for so many seconds is closed. Default 60; clients that live answer
    /// a ping every `keepalive_seconds`.
    pub idle_seconds: u64,
    /// How often a client is pinged, in seconds. Default 20.
    pub keepalive_seconds: u64,
    /// How long calls under way may go on when the node stops, in seconds. Default 5.
    pub shutdown_seconds: u64,
}

/// The keys of gRPC over TCP: files in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The node's certificate, and those that lead to its root.
    pub cert: PathBuf,
    /// Its key; nobody but its owner may read the file.
    pub key: PathBuf,
    /// The authority that signs clients' certificates. With it, a client needs such a certificate, and
    /// is known by it; without, it needs the token.
    pub client_ca: Option<PathBuf>,
    /// What a client with such a certificate may do, where `matrix access cert grant` has not said otherwise: `read`,
    /// the default, `deploy`, `operate` or `admin`.
    #[serde(default = "least")]
    pub role: Role,
    /// How often it is looked whether the files have changed, in seconds. Default 5. New keys hold for the next
    /// connection; where they are of no use, the old ones go on serving.
    #[serde(default = "often")]
    pub reload_seconds: u64,
}

const fn often() -> u64 {
    5
}

const fn least() -> Role {
    Role::Read
}

/// How much is kept of what callers changed: in the data folder's `audit`, the oldest file goes when there is one too
/// many.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// Bytes after which the next file is begun. Default 16 MiB: about 25,000 changes.
    pub file_bytes: u64,
    /// How many files are kept. Default 16.
    pub files: usize,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self { file_bytes: 16 << 20, files: 16 }
    }
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            socket: None,
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 7777))),
            http: Some(SocketAddr::from(([127, 0, 0, 1], 7778))),
            tls: None,
            audit: AuditConfig::default(),
            message_bytes_max: 4 << 20,
            connections_max: 256,
            calls_per_connection: 256,
            streams_max: 1_024,
            mutations_max: 256,
            call_seconds_max: 600,
            idle_seconds: 60,
            keepalive_seconds: 20,
            shutdown_seconds: 5,
        }
    }
}

impl AdminConfig {
    /// Checks what serde cannot: bounds, and that nothing is open to others in the clear.
    pub fn check(&self) -> Result<(), AdminError> {
        let within = |field, holds: bool, rule| {
            if holds { Ok(()) } else { Err(AdminError::Config { field, rule }) }
        };
        let message = MESSAGE_BYTES_LEAST..=MESSAGE_BYTES_MOST;
        within("message_bytes_max", message.contains(&self.message_bytes_max), "from 1.0625 MiB to 64 MiB")?;
        within("connections_max", (1..=65_536).contains(&self.connections_max), "from 1 to 65536")?;
        within("calls_per_connection", (1..=65_536).contains(&self.calls_per_connection), "from 1 to 65536")?;
        within("streams_max", (1..=1_000_000).contains(&self.streams_max), "from 1 to 1000000")?;
        within("mutations_max", (1..=65_536).contains(&self.mutations_max), "from 1 to 65536")?;
        within("call_seconds_max", (1..=86_400).contains(&self.call_seconds_max), "from 1 to 86400")?;
        within("keepalive_seconds", (1..=3_600).contains(&self.keepalive_seconds), "from 1 to 3600")?;
        let idle = self.keepalive_seconds * 2..=86_400;
        within("idle_seconds", idle.contains(&self.idle_seconds), "at least twice `keepalive_seconds`")?;
        within("shutdown_seconds", self.shutdown_seconds <= 3_600, "at most 3600")?;
        within(
            "audit.file_bytes",
            (65_536..=1 << 30).contains(&self.audit.file_bytes),
            "from 64 KiB to 1 GiB",
        )?;
        within("audit.files", (2..=10_000).contains(&self.audit.files), "from 2 to 10000")?;
        if let Some(tls) = &self.tls {
            within("tls.reload_seconds", (1..=86_400).contains(&tls.reload_seconds), "from 1 to 86400")?;
        }
        match (self.listen, self.http, &self.tls) {
            (Some(address), _, None) if !address.ip().is_loopback() => Err(AdminError::Open(address)),
            (_, Some(address), _) if !address.ip().is_loopback() => Err(AdminError::OpenHttp(address)),
            _ => Ok(()),
        }
    }

    pub(super) const fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }

    pub(super) const fn call(&self) -> Duration {
        Duration::from_secs(self.call_seconds_max)
    }

    pub(super) const fn shutdown(&self) -> Duration {
        Duration::from_secs(self.shutdown_seconds)
    }
}

/// An address, or `off`.
fn address<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.as_str() {
        "off" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            serde::de::Error::custom(format!(
                "`{}` is neither `off` nor an address such as `127.0.0.1:7777`",
                text.escape_debug()
            ))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<AdminConfig, String> {
        let config: AdminConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        config.check().map(|()| config).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_open_by_default() {
        let config = parse("").expect("the defaults are sound");
        assert!(config.listen.is_some_and(|address| address.ip().is_loopback()));
        assert_eq!(parse("listen = \"off\"").map(|config| config.listen), Ok(None));
    }

    #[test]
    fn what_is_open_to_others_needs_tls() {
        let error = parse("listen = \"0.0.0.0:7777\"").expect_err("open");
        assert!(error.contains("0.0.0.0:7777") && error.contains("admin.tls"), "{error}");
        assert!(parse("http = \"[::]:7778\"").expect_err("open").contains("admin.http"));
        let tls = "listen = \"0.0.0.0:7777\"\n[tls]\ncert = \"c\"\nkey = \"k\"";
        assert!(parse(tls).is_ok());
    }

    #[test]
    fn mistakes_are_named() {
        assert!(parse("lisen = \"off\"").expect_err("a wrong key").contains("lisen"));
        assert!(parse("listen = \"here\"").expect_err("no address").contains("`here`"));
        let error = parse("idle_seconds = 39").expect_err("too short");
        assert_eq!(error, "`admin.idle_seconds` is out of its bounds: at least twice `keepalive_seconds`");
    }
}
