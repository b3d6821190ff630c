//! What can be seen of the door without opening it.

use std::io;
use std::path::Path;

use bytes::Bytes;

use super::audit;
use super::auth;
pub use super::book::BUCKET as ACCESS_BUCKET;
use super::book::{self, TokenRecord};
use super::config::TlsConfig;
use super::error::AdminError;
use super::roles::Role;
use super::tls;
use crate::ids::ClientName;

/// What was given to somebody who shows a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who that is.
    pub caller: ClientName,
    /// What the caller may do.
    pub role: Role,
    /// Milliseconds since the Unix epoch at which it ends; none: never.
    pub expires_at_ms: Option<u64>,
}

/// What the records in [`ACCESS_BUCKET`] give to tokens; what cannot be read gives nothing.
pub fn grants(records: Vec<(Bytes, Bytes)>) -> Vec<Grant> {
    let tokens = records.into_iter().filter(|(key, _)| key.starts_with(book::TOKENS.as_bytes()));
    let records = tokens.filter_map(|(_, value)| serde_json::from_slice::<TokenRecord>(&value).ok());
    let grant = |record: TokenRecord| Grant {
        caller: book::caller_of(&record.name),
        role: record.role,
        expires_at_ms: record.expires_at_ms,
    };
    records.map(grant).collect()
}

/// Sees whether the token of the data folder `data` can be used; false: there is none. Blocks on the disk.
///
/// # Errors
/// `Exposed`, `Content` or `File`.
pub fn check_token(data: &Path) -> Result<bool, AdminError> {
    let path = data.join(auth::TOKEN_FILE);
    if path.exists() { auth::read_token(&path).map(|_| true) } else { Ok(false) }
}

/// Sees whether the keys of TLS can be used. Blocks on the disk.
///
/// # Errors
/// `Exposed`, `Content` or `File`.
pub fn check_tls(files: &TlsConfig) -> Result<(), AdminError> {
    tls::check(files)
}

/// Reckons the chain of the audit log of the data folder `data` anew. Returns how many lines there are, and the hash of
/// the last one; or the first line that is wrong, and why. Blocks on the disk.
///
/// # Errors
/// What the system says.
pub fn check_audit(data: &Path) -> io::Result<Result<(u64, String), String>> {
    let folder = audit::folder(data);
    if folder.exists() { audit::check(&folder) } else { Ok(Ok((0, String::new()))) }
}
