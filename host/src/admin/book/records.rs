//! The book's records, and how they change: each conditional on what was read.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::super::roles::Role;
use super::{BUCKET, Book, Page};
use crate::clock;
use crate::ids::{ClientName, StateHash, TokenName};
use crate::kv::{Consistency, Expect, KvError, Swap};

/// What the keys of tokens begin with.
pub(in crate::admin) const TOKENS: &str = "token/";
/// What the keys of certificates begin with.
pub(super) const CERTIFICATES: &str = "cert/";
/// The most tokens, and the most certificates: each node holds all of them in memory.
const RECORDS_MAX: usize = 1_000;
/// Random bytes in a secret: too many to guess.
const SECRET_BYTES: usize = 32;
/// What every secret begins with, so that one that lies around is known for what it is.
const SECRET_PREFIX: &str = "matrix-token-";

/// A token, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::admin) struct TokenRecord {
    pub(in crate::admin) name: TokenName,
    pub(in crate::admin) role: Role,
    /// Of the secret.
    pub(super) hash: StateHash,
    pub(in crate::admin) created_at_ms: u64,
    pub(in crate::admin) created_by: ClientName,
    pub(in crate::admin) expires_at_ms: Option<u64>,
    /// The secret before the last rotation.
    pub(in crate::admin) previous: Option<Previous>,
}

/// A secret that is still good for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::admin) struct Previous {
    pub(super) hash: StateHash,
    pub(in crate::admin) until_ms: u64,
}

/// What was granted to a certificate, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::admin) struct CertificateRecord {
    pub(in crate::admin) fingerprint: String,
    pub(in crate::admin) role: Role,
    pub(in crate::admin) granted_at_ms: u64,
    pub(in crate::admin) granted_by: ClientName,
}

/// Why the book was not changed.
#[derive(Debug, thiserror::Error)]
pub(in crate::admin) enum BookError {
    /// There is no such token.
    #[error("there is no token called `{0}`: see `matrix access token list`")]
    UnknownToken(TokenName),
    /// There is no such certificate.
    #[error("nothing was granted to the certificate {0}: see `matrix access cert list`")]
    UnknownCertificate(String),
    /// The name is taken.
    #[error("there is a token called `{0}`: rotate it, revoke it, or choose another name")]
    Taken(TokenName),
    /// There are too many.
    #[error("the realm has {RECORDS_MAX} of them, which is the most: revoke some")]
    TooMany,
    /// Somebody else changed it at the same time.
    #[error("`{0}` was changed at the same time by somebody else: look at it, and try again")]
    Changed(String),
    /// The system has no random bytes.
    #[error("the system gives no random bytes for a secret")]
    NoChance,
    /// The KV failed.
    #[error(transparent)]
    Kv(#[from] KvError),
}

impl Book {
    /// Makes a token, good until `expires_at_ms`. Returns it with its secret, which nobody keeps.
    ///
    /// # Errors
    /// `Taken`, `TooMany`, `NoChance` or `Kv`.
    pub(in crate::admin) async fn create(
        &self,
        name: TokenName,
        role: Role,
        expires_at_ms: Option<u64>,
        by: ClientName,
    ) -> Result<(TokenRecord, String), BookError> {
        self.room(|page| page.tokens)?;
        let (secret, hash) = fresh()?;
        let (created_at_ms, created_by, previous) = (clock::now_ms(), by, None);
        let record = TokenRecord { name, role, hash, created_at_ms, created_by, expires_at_ms, previous };
        match self.swap(&format!("{TOKENS}{}", record.name), Expect::Absent, &record).await? {
            true => Ok((record, secret)),
            false => Err(BookError::Taken(record.name)),
        }
    }

    /// Gives a token a new secret; the one that it has stays good for `grace_ms`. Returns it with the new one.
    ///
    /// # Errors
    /// `UnknownToken`, `Changed`, `NoChance` or `Kv`.
    pub(in crate::admin) async fn rotate(
        &self,
        name: TokenName,
        grace_ms: u64,
    ) -> Result<(TokenRecord, String), BookError> {
        let key = format!("{TOKENS}{name}");
        let found = self.kv.get(BUCKET, key.as_bytes(), Consistency::Linearizable).await?;
        let Some(entry) = found else { return Err(BookError::UnknownToken(name)) };
        let mut record: TokenRecord = parse(&key, &entry.value)?;
        let (secret, hash) = fresh()?;
        let before = std::mem::replace(&mut record.hash, hash);
        let until_ms = clock::now_ms().saturating_add(grace_ms);
        record.previous = (grace_ms > 0).then_some(Previous { hash: before, until_ms });
        match self.swap(&key, Expect::Revision(entry.revision), &record).await? {
            true => Ok((record, secret)),
            false => Err(BookError::Changed(key)),
        }
    }

    /// Takes a token away.
    ///
    /// # Errors
    /// `UnknownToken` or `Kv`.
    pub(in crate::admin) async fn revoke(&self, name: TokenName) -> Result<(), BookError> {
        if self.remove(&format!("{TOKENS}{name}")).await? {
            Ok(())
        } else {
            Err(BookError::UnknownToken(name))
        }
    }

    /// At most `limit` tokens after the one called `after`.
    ///
    /// # Errors
    /// `Kv`.
    pub(in crate::admin) async fn tokens(
        &self,
        after: Option<&TokenName>,
        limit: usize,
    ) -> Result<Vec<TokenRecord>, BookError> {
        self.records(TOKENS, after.map(TokenName::as_str), limit).await
    }

    /// Says what the caller with a certificate may do.
    ///
    /// # Errors
    /// `TooMany` or `Kv`.
    pub(in crate::admin) async fn grant(&self, record: &CertificateRecord) -> Result<(), BookError> {
        self.room(|page| page.certificates.len())?;
        let key = format!("{CERTIFICATES}{}", record.fingerprint);
        let put = self.kv.put(BUCKET, key.as_bytes(), json(&key, record)?, None, None).await?;
        self.until(put.revision).await;
        Ok(())
    }

    /// Takes back what was granted to a certificate.
    ///
    /// # Errors
    /// `UnknownCertificate` or `Kv`.
    pub(in crate::admin) async fn ungrant(&self, fingerprint: String) -> Result<(), BookError> {
        let removed = self.remove(&format!("{CERTIFICATES}{fingerprint}")).await?;
        if removed { Ok(()) } else { Err(BookError::UnknownCertificate(fingerprint)) }
    }

    /// At most `limit` certificates after the one with the fingerprint `after`.
    ///
    /// # Errors
    /// `Kv`.
    pub(in crate::admin) async fn certificates(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<CertificateRecord>, BookError> {
        self.records(CERTIFICATES, after, limit).await
    }

    /// Refuses one more where there are enough. Several at the same time may go beyond by as many.
    fn room(&self, has: impl Fn(&Page) -> usize) -> Result<(), BookError> {
        if has(&self.page.borrow()) < RECORDS_MAX { Ok(()) } else { Err(BookError::TooMany) }
    }

    async fn records<T: DeserializeOwned>(
        &self,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<T>, BookError> {
        // The first key after a text is that text and a zero byte.
        let start = after.map_or_else(|| kind.to_owned(), |after| format!("{kind}{after}\0"));
        let (mut start, end) = (Bytes::from(start), end_of(kind));
        let mut found = Vec::new();
        loop {
            // The KV's pages may be shorter than those of the interface.
            let left = limit - found.len();
            let page = self.kv.range(BUCKET, &start, Some(&end), left, Consistency::Linearizable).await?;
            for (key, entry) in &page.entries {
                found.push(parse(&String::from_utf8_lossy(key), &entry.value)?);
            }
            match page.next {
                Some(next) if found.len() < limit => start = next,
                _ => return Ok(found),
            }
        }
    }

    /// Stores a record, if what is there is as expected.
    async fn swap(&self, key: &str, expect: Expect, record: &TokenRecord) -> Result<bool, BookError> {
        let new = Some(json(key, record)?);
        let done = self.kv.compare_and_swap(BUCKET, key.as_bytes(), expect, new, None).await?;
        let swapped = done.value == Swap::Swapped;
        if swapped {
            self.until(done.revision).await;
        }
        Ok(swapped)
    }

    async fn remove(&self, key: &str) -> Result<bool, BookError> {
        let done = self.kv.delete(BUCKET, key.as_bytes(), None).await?;
        if done.value {
            self.until(done.revision).await;
        }
        Ok(done.value)
    }
}

/// The first key after all of a kind.
fn end_of(kind: &str) -> Vec<u8> {
    let mut end = kind.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

/// A new secret, and its hash.
fn fresh() -> Result<(String, StateHash), BookError> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|_| BookError::NoChance)?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let secret = format!("{SECRET_PREFIX}{digits}");
    let hash = StateHash::of(secret.as_bytes());
    Ok((secret, hash))
}

fn json<T: Serialize>(key: &str, record: &T) -> Result<Bytes, KvError> {
    let value = serde_json::to_vec(record);
    value.map(Bytes::from).map_err(|error| KvError::corrupt(format!("{BUCKET}/{key}"), error))
}

fn parse<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, BookError> {
    serde_json::from_slice(value).map_err(|error| KvError::corrupt(format!("{BUCKET}/{key}"), error).into())
}
