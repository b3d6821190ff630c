//! Who may do what in the realm, beside those who have a node's data folder: tokens, by the hashes of their secrets,
//! and certificates. It stands in the KV, which every node follows: what changes holds on all of them at once.

mod records;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use records::CERTIFICATES;
pub(super) use records::TOKENS;
pub(super) use records::{BookError, CertificateRecord, TokenRecord};

use super::roles::Role;
use crate::ids::{ClientName, TokenName};
use crate::kv::{Consistency, Following, Kv, KvError, Made};
use crate::tasks::Tasks;

/// The bucket of the KV that holds the book.
pub const BUCKET: &str = "sys/access";
/// How many records are read at once.
const PAGE: usize = 500;
/// How long whoever changes the book waits until the change holds on the node that was asked.
const HOLDING: Duration = Duration::from_secs(5);

/// What a node knows of the book.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// The KV's revision that it shows; none: it is not known yet.
    revision: Option<u64>,
    /// By the hashes of their secrets.
    secrets: HashMap<[u8; 32], Secret>,
    tokens: usize,
    certificates: HashMap<String, Role>,
}

/// A secret that opens the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Secret {
    /// Its token.
    pub(super) token: TokenName,
    /// What whoever shows it may do.
    pub(super) role: Role,
    /// Milliseconds since the Unix epoch until which it is good; none: until it is revoked.
    pub(super) until_ms: Option<u64>,
}

impl Page {
    /// Whether the book has been read.
    pub(super) const fn is_known(&self) -> bool {
        self.revision.is_some()
    }

    /// The secret with this hash, also where it has expired.
    pub(super) fn secret(&self, hash: &[u8; 32]) -> Option<&Secret> {
        self.secrets.get(hash)
    }

    /// What was granted to a certificate.
    pub(super) fn certificate(&self, fingerprint: &str) -> Option<Role> {
        self.certificates.get(fingerprint).copied()
    }

    fn add_token(&mut self, record: TokenRecord) {
        self.tokens += 1;
        let TokenRecord { name, role, hash, expires_at_ms, previous, .. } = record;
        let until = |until_ms| Secret { token: name.clone(), role, until_ms };
        if let Some(previous) = previous {
            let until_ms = expires_at_ms.map_or(previous.until_ms, |end| end.min(previous.until_ms));
            self.secrets.insert(*previous.hash.as_bytes(), until(Some(until_ms)));
        }
        self.secrets.insert(*hash.as_bytes(), until(expires_at_ms));
    }

    fn add(&mut self, key: &[u8], value: &[u8]) {
        // A record that a later version wrote gives nobody anything.
        let refused = |error| {
            tracing::error!(%error, key = %String::from_utf8_lossy(key), "a record of who may do what is damaged");
        };
        if key.starts_with(TOKENS.as_bytes()) {
            serde_json::from_slice(value).map_or_else(refused, |record| self.add_token(record));
        } else if key.starts_with(CERTIFICATES.as_bytes()) {
            let add = |record: CertificateRecord| {
                self.certificates.insert(record.fingerprint, record.role);
            };
            serde_json::from_slice(value).map_or_else(refused, add);
        }
    }
}

/// The book of the realm, on this node. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Book {
    kv: Kv,
    page: watch::Sender<Arc<Page>>,
}

impl Book {
    /// Reads the book, and follows it from then on. Where it cannot be read yet, nobody is known by it.
    pub(super) async fn open(kv: Kv, tasks: &Tasks) -> Self {
        let book = Self { kv, page: watch::Sender::default() };
        let following = Following::begin(book.kv.clone(), BUCKET, b"", book.clone()).await;
        let stop = tasks.stopping();
        tasks.spawn("access.follow", async move { stop.run_until_cancelled(following.go_on()).await });
        book
    }

    /// What this node knows, as it changes.
    pub(super) fn page(&self) -> watch::Receiver<Arc<Page>> {
        self.page.subscribe()
    }

    async fn read(&self, consistency: Consistency) -> Result<Page, KvError> {
        let (mut read, mut start) = (Page::default(), bytes::Bytes::new());
        loop {
            let page = self.kv.range(BUCKET, &start, None, PAGE, consistency).await?;
            // The oldest that it shows: a later one is read again, when the watch tells of it.
            read.revision = Some(read.revision.map_or(page.revision, |before| before.min(page.revision)));
            page.entries.iter().for_each(|(key, entry)| read.add(key, &entry.value));
            match page.next {
                Some(next) => start = next,
                None => return Ok(read),
            }
        }
    }

    /// Waits until this node knows of a change, for a while: who made it may make use of it at once.
    async fn until(&self, revision: u64) {
        let mut page = self.page.subscribe();
        let known = page.wait_for(|page| page.revision.is_some_and(|known| known >= revision));
        // Where it takes longer, it holds soon.
        let _ = tokio::time::timeout(HOLDING, known).await;
    }
}

impl Made for Book {
    /// Where it cannot be read, what was known before holds.
    async fn renew(&self, consistency: Consistency) -> bool {
        match self.read(consistency).await {
            Ok(page) => {
                self.page.send_replace(Arc::new(page));
                true
            }
            Err(error) => {
                tracing::info!(%error, "who may do what is not known at the moment");
                false
            }
        }
    }
}

/// How a caller is called who shows a token.
pub(super) fn caller_of(token: &TokenName) -> ClientName {
    format!("token/{token}").parse().expect("a token's name is part of a client's")
}

#[cfg(test)]
mod tests {
    use super::records::Previous;
    use super::*;
    use crate::ids::StateHash;

    fn record(hash: &[u8]) -> TokenRecord {
        TokenRecord {
            name: "ci".parse().expect("a name"),
            role: Role::Deploy,
            hash: StateHash::of(hash),
            created_at_ms: 1,
            created_by: "local".parse().expect("a name"),
            expires_at_ms: Some(50),
            previous: Some(Previous { hash: StateHash::of(b"old"), until_ms: 90 }),
        }
    }

    #[test]
    fn an_old_secret_is_good_no_longer_than_its_token() {
        let mut page = Page::default();
        page.add(b"token/ci", &serde_json::to_vec(&record(b"new")).expect("plain data"));
        let until = |secret: &[u8]| page.secret(StateHash::of(secret).as_bytes()).map(|found| found.until_ms);
        assert_eq!((until(b"new"), until(b"old"), until(b"other")), (Some(Some(50)), Some(Some(50)), None));
    }

    #[test]
    fn what_cannot_be_read_gives_nobody_anything() {
        let mut page = Page::default();
        for (key, value) in [(&b"token/ci"[..], &b"{}"[..]), (b"cert/ab", b"admin"), (b"other", b"{}")] {
            page.add(key, value);
        }
        assert_eq!(page, Page::default());
        page.add(
            b"cert/ab",
            br#"{"fingerprint":"ab","role":"operate","granted_at_ms":1,"granted_by":"local"}"#,
        );
        assert_eq!((page.certificate("ab"), page.certificate("cd")), (Some(Role::Operate), None));
    }
}
