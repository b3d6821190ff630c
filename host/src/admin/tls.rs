//! TLS of gRPC over TCP. The files are looked at now and then: what changed in them holds for the next connection, and
//! what is of no use leaves everything as it was.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::stream::{Stream, StreamExt as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::auth::{read_secret, read_text};
use super::config::TlsConfig;
use super::error::AdminError;
use super::serving::Peer;
use crate::ids::Digest;
use crate::tasks::Tasks;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// What is spoken over TLS.
const PROTOCOL: &[u8] = b"h2";

/// The keys that hold at the moment. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Keys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: TlsConfig,
    current: RwLock<Arc<ServerConfig>>,
}

/// By what a file is told from what it was: size, inode, and when it was changed.
type Stamp = [Option<(u64, u64, i64, i64)>; 3];

impl Keys {
    /// Reads the files. Blocks on the disk.
    ///
    /// # Errors
    /// `File`, `Exposed` or `Content`, with the file.
    pub(super) fn open(files: &TlsConfig) -> Result<Self, AdminError> {
        let current = RwLock::new(read(files)?);
        Ok(Self(Arc::new(Inner { files: files.clone(), current })))
    }

    /// Looks at the files now and then, until `tasks` are stopped.
    pub(super) fn follow(&self, tasks: &Tasks) {
        let (keys, stop) = (self.clone(), tasks.stopping());
        tasks.spawn("admin.tls", async move { stop.run_until_cancelled(keys.look()).await });
    }

    async fn look(self) {
        let every = Duration::from_secs(self.0.files.reload_seconds);
        // What changed between the first reading and now is read again.
        let mut seen = Stamp::default();
        loop {
            let keys = self.clone();
            let looked = tokio::task::spawn_blocking(move || {
                let stamp = stamp(&keys.0.files);
                if stamp != seen {
                    keys.renew(seen != Stamp::default());
                }
                stamp
            });
            seen = looked.await.unwrap_or(seen);
            tokio::time::sleep(every).await;
        }
    }

    /// Reads the files again; `told`: what comes of it is worth a line. Blocks on the disk.
    fn renew(&self, told: bool) {
        match read(&self.0.files) {
            Ok(read) => {
                *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = read;
                if told {
                    tracing::info!(cert = %self.0.files.cert.display(), "the keys of TLS were read anew");
                }
            }
            Err(error) => {
                tracing::error!(%error, "the new keys of TLS are of no use: those from before go on serving");
            }
        }
    }

    fn acceptor(&self) -> TlsAcceptor {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone().into()
    }

    /// The connections with which a handshake came to its end. At most `handshakes_max` are under way.
    pub(super) fn secure<S>(
        self,
        connections: impl Stream<Item = io::Result<S>> + Send + 'static,
        handshakes_max: usize,
    ) -> impl Stream<Item = io::Result<TlsStream<S>>> + Send + 'static
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshakes = connections.map(move |connection| {
            let acceptor = self.acceptor();
            async move {
                let shaken = tokio::time::timeout(HANDSHAKE, acceptor.accept(connection?)).await;
                shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            }
        });
        handshakes.buffer_unordered(handshakes_max).filter_map(async |shaken: io::Result<_>| {
            // Whoever knocks and is not understood is no failure of the door's.
            shaken.inspect_err(|error| tracing::debug!(%error, "a handshake of TLS failed")).ok().map(Ok)
        })
    }
}

impl<S> Peer for TlsStream<S> {
    fn fingerprint(&self) -> Option<Arc<str>> {
        let certificate = self.get_ref().1.peer_certificates()?.first()?;
        Some(Digest::of(certificate.as_ref()).hex().into())
    }
}

/// Sees whether the files can be used. Blocks on the disk.
///
/// # Errors
/// As [`Keys::open`].
pub(super) fn check(files: &TlsConfig) -> Result<(), AdminError> {
    read(files).map(drop)
}

fn stamp(files: &TlsConfig) -> Stamp {
    [Some(&files.cert), Some(&files.key), files.client_ca.as_ref()].map(|path| {
        let found = fs::metadata(path?).ok()?;
        Some((found.len(), found.ino(), found.mtime(), found.mtime_nsec()))
    })
}

fn read(files: &TlsConfig) -> Result<Arc<ServerConfig>, AdminError> {
    let chain = certificates(&files.cert)?;
    let key = PrivateKeyDer::from_pem_slice(read_secret(&files.key)?.as_bytes());
    let key = key.map_err(|error| content(&files.key, &format!("holds no key in PEM: {error}")))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| content(&files.cert, &format!("cannot be served: {error}")))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                let added = roots.add(certificate);
                added.map_err(|error| content(path, &format!("holds no authority: {error}")))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            let refused = |error| content(path, &format!("holds no authority: {error}"));
            builder.with_client_cert_verifier(verifier.map_err(refused)?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| {
        let key = files.key.display();
        content(
            &files.cert,
            &format!("cannot be used with the key `{key}`: {error}; both must be of one pair"),
        )
    })?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, AdminError> {
    let text = read_text(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(content(path, "holds no certificate in PEM")),
        Err(error) => Err(content(path, &format!("holds no certificate in PEM: {error}"))),
    }
}

fn content(path: &Path, problem: &str) -> AdminError {
    AdminError::Content { path: path.to_owned(), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::roles::Role;
    use super::*;

    #[test]
    fn keys_that_are_of_no_use_leave_those_from_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("ours");
            path
        };
        let (cert, key) = (include_str!("tests/tls/node.pem"), include_str!("tests/tls/node.key"));
        let files = TlsConfig {
            cert: put("cert", cert),
            key: put("key", key),
            client_ca: None,
            role: Role::Read,
            reload_seconds: 1,
        };
        let keys = Keys::open(&files).expect("a pair");
        let current = || keys.0.current.read().expect("nobody panicked").clone();
        let (first, stamped) = (current(), stamp(&files));
        for bad in ["", "no key", include_str!("tests/tls/client.key")] {
            put("key", bad);
            assert!(check(&files).is_err(), "{bad}");
            keys.renew(true);
            assert!(Arc::ptr_eq(&first, &current()), "{bad}");
        }
        fs::remove_file(&files.key).expect("ours");
        put("key", key);
        assert_ne!(stamp(&files), stamped);
        keys.renew(true);
        assert!(!Arc::ptr_eq(&first, &current()));
        fs::remove_file(&files.cert).expect("ours");
        keys.renew(true);
        assert!(check(&files).is_err());
    }
}
