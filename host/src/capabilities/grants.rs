//! What a guest may reach. Nothing is reachable without a grant, and a denial names the missing one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::http::HostPattern;
use crate::ids::{IdError, TopicName};
use crate::transport::envelope::Address;

/// The most grants of one kind in a manifest.
pub const GRANTS_MAX: usize = 256;

/// An exact text, or all that start alike: `soul:neo`, `soul:shop-*`, `*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    text: String,
    prefix: bool,
}

impl Pattern {
    /// Whether `text` is granted.
    pub fn matches(&self, text: &str) -> bool {
        if self.prefix { text.starts_with(&self.text) } else { text == self.text }
    }
}

impl FromStr for Pattern {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        let (body, prefix) = text.strip_suffix('*').map_or((text, false), |body| (body, true));
        let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_./:".contains(&b);
        if text.is_empty() || body.len() > 160 || !body.bytes().all(known) {
            return Err(GrantError::Pattern(text.chars().take(80).flat_map(char::escape_default).collect()));
        }
        Ok(Self { text: body.to_owned(), prefix })
    }
}

impl TryFrom<String> for Pattern {
    type Error = GrantError;

    fn try_from(text: String) -> Result<Self, GrantError> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.to_string()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, if self.prefix { "*" } else { "" })
    }
}

/// A grant for a bucket of the KV: `NAME:r` or `NAME:rw`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BucketGrant {
    /// The bucket.
    pub bucket: String,
    /// Whether it may be written too.
    pub write: bool,
}

impl FromStr for BucketGrant {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        let refuse = || GrantError::Bucket(text.chars().take(80).flat_map(char::escape_default).collect());
        let (bucket, access) = text.rsplit_once(':').ok_or_else(refuse)?;
        let write = match access {
            "r" => false,
            "rw" => true,
            _ => return Err(refuse()),
        };
        // The rule for topics is the KV's rule for buckets too.
        let _: TopicName = bucket.parse().map_err(|_: IdError| refuse())?;
        Ok(Self { bucket: bucket.to_owned(), write })
    }
}

impl TryFrom<String> for BucketGrant {
    type Error = GrantError;

    fn try_from(text: String) -> Result<Self, GrantError> {
        text.parse()
    }
}

impl From<BucketGrant> for String {
    fn from(grant: BucketGrant) -> String {
        format!("{}:{}", grant.bucket, if grant.write { "rw" } else { "r" })
    }
}

/// Why a text is no grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// Not an address or a prefix.
    #[error("`{0}` is no grant: it must be an address such as `soul:neo`, or a prefix such as `soul:shop-*`")]
    Pattern(String),
    /// Not a bucket with its access.
    #[error(
        "`{0}` is no grant for a bucket: it must be `NAME:r` or `NAME:rw`, NAME of [a-z0-9._/-]{{1,128}}"
    )]
    Bucket(String),
}

/// All grants of one Soul, as its manifest gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grants {
    /// Whom it may send to.
    pub send: Vec<Pattern>,
    /// Whom it may ask.
    pub ask: Vec<Pattern>,
    /// Topics that it may subscribe to.
    pub subscribe: Vec<Pattern>,
    /// Buckets that it may use, besides its own.
    pub buckets: Vec<BucketGrant>,
    /// Whether it may publish events.
    pub events: bool,
    /// Whether it has a memory. Left out where it has none, so that nodes of an earlier version read the record.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub memory: bool,
    /// gRPC endpoints that it may call. Left out where there are none, as `memory` is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub grpc: Vec<Pattern>,
    /// Hosts that it may send requests to. Left out where there are none, too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<HostPattern>,
}

impl Grants {
    /// Whether `to` may be sent to; if not, which grant is missing.
    pub(crate) fn may_send(&self, to: &Address) -> Result<(), String> {
        permit(&self.send, &to.to_string(), "send")
    }

    /// Whether `to` may be asked; if not, which grant is missing.
    pub(crate) fn may_ask(&self, to: &Address) -> Result<(), String> {
        permit(&self.ask, &to.to_string(), "ask")
    }

    /// Whether `topic` may be subscribed to; if not, which grant is missing.
    pub(crate) fn may_subscribe(&self, topic: &TopicName) -> Result<(), String> {
        permit(&self.subscribe, topic.as_str(), "subscribe")
    }

    /// Whether the gRPC endpoint `name` may be called; if not, which grant is missing.
    pub(crate) fn may_call(&self, name: &str) -> Result<(), String> {
        let name: String = name.chars().take(80).flat_map(char::escape_default).collect();
        permit(&self.grpc, &name, "grpc")
    }
}

fn permit(patterns: &[Pattern], text: &str, field: &str) -> Result<(), String> {
    if patterns.iter().any(|pattern| pattern.matches(text)) {
        return Ok(());
    }
    Err(format!("no grant: add \"{text}\" to `grants.{field}` of the Soul's manifest"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_granted_by_default_and_a_denial_names_the_grant() {
        let neo: Address = "soul:neo".parse().expect("an address");
        let denial = Grants::default().may_send(&neo).expect_err("nothing is granted");
        assert_eq!(denial, "no grant: add \"soul:neo\" to `grants.send` of the Soul's manifest");
        let grants = Grants { send: vec!["soul:n*".parse().expect("a pattern")], ..Default::default() };
        assert!(grants.may_send(&neo).is_ok() && grants.may_ask(&neo).is_err());
        assert!(grants.may_send(&"soul:smith".parse().expect("an address")).is_err());
    }

    #[test]
    fn a_prefix_is_not_an_exact_name() {
        let exact: Pattern = "soul:neo".parse().expect("a pattern");
        assert!(!exact.matches("soul:neo-2") && exact.matches("soul:neo"));
        for wrong in ["", "soul:N", "a b", "so*ul", "soul:\u{0}"] {
            assert!(wrong.parse::<Pattern>().is_err(), "{wrong:?}");
        }
        let all: Pattern = "*".parse().expect("a pattern");
        assert!(all.matches("soul:anybody"));
    }

    #[test]
    fn bucket_grants_round_trip() {
        let grant: BucketGrant = "scores:rw".parse().expect("a grant");
        assert!(grant.write && String::from(grant) == "scores:rw");
        for wrong in ["scores", "scores:w", ":r", "a b:r", "S:r"] {
            assert!(wrong.parse::<BucketGrant>().is_err(), "{wrong:?}");
        }
    }
}
