//! The names of artifacts: `HOST[:PORT]/REPOSITORY[:TAG][@sha256:…]`. Pure.

use std::fmt;
use std::str::FromStr;

/// The most bytes in the name of a repository.
const REPOSITORY_BYTES_MAX: usize = 255;
/// The most bytes in a tag.
const TAG_BYTES_MAX: usize = 128;
/// Hexadecimal digits of SHA-256.
const DIGEST_DIGITS: usize = 64;

/// An artifact of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The registry, with its port if that is an unusual one.
    pub(crate) host: String,
    /// What the registry calls it.
    pub(crate) repository: String,
    /// Which of its versions, as its publisher calls it.
    pub(crate) tag: Option<String>,
    /// Which of its versions, to the byte.
    pub(crate) digest: Option<String>,
}

impl Reference {
    /// What the registry is asked for: the digest, or else the tag.
    pub(crate) fn wanted(&self) -> Option<&str> {
        self.digest.as_deref().or(self.tag.as_deref())
    }

    /// The same artifact, to the byte.
    pub(crate) fn pinned(&self, digest: &str) -> String {
        format!("{}/{}@{digest}", self.host, self.repository)
    }

    /// The last part of the repository's name.
    pub(crate) fn last_name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or(&self.repository)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.host, self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(out, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(out, "@{digest}"))
    }
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("oci://").unwrap_or(text);
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (rest, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err("after `@` stands `sha256:` and 64 hexadecimal digits".to_owned());
        }
        let (host, path) = rest.split_once('/').ok_or("write HOST/REPOSITORY:TAG")?;
        // A repository without a host would be looked for at somebody's favourite registry.
        let names_a_host = host == "localhost" || host.contains(['.', ':']);
        if !names_a_host || !host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c)) {
            return Err(format!(
                "`{host}` is no host: write HOST/REPOSITORY:TAG, such as ghcr.io/me/greeter:1.0.0"
            ));
        }
        let (repository, tag) = match path.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (path, None),
        };
        if !is_repository(repository) {
            return Err(format!(
                "`{repository}` is no repository: its parts are of a-z, 0-9, and `.`, `_`, `-` between"
            ));
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err("a tag is of letters, digits, `_`, `.` and `-`, and has at most 128".to_owned());
        }
        Ok(Self {
            host: host.to_owned(),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }
}

/// Whether it is a digest as they are written here.
pub(super) fn is_digest(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:").unwrap_or_default();
    digits.len() == DIGEST_DIGITS && digits.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
}

/// Whether it can be a tag.
pub(crate) fn is_tag(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    starts
        && text.len() <= TAG_BYTES_MAX
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

fn is_repository(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_part = |part: &str| {
        part.starts_with(is_plain)
            && part.ends_with(is_plain)
            && part.chars().all(|c| is_plain(c) || "._-".contains(c))
            && !part.contains("..")
    };
    text.len() <= REPOSITORY_BYTES_MAX && text.split('/').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let full = format!("localhost:5000/team/greeter:1.0.0@{digest}");
        let it: Reference = full.parse().expect("a reference");
        assert_eq!((it.host.as_str(), it.repository.as_str()), ("localhost:5000", "team/greeter"));
        assert_eq!((it.tag.as_deref(), it.wanted()), (Some("1.0.0"), Some(digest.as_str())));
        assert_eq!((it.to_string(), it.last_name()), (full, "greeter"));
        assert_eq!(it.pinned(&digest), format!("localhost:5000/team/greeter@{digest}"));
        let it: Reference = "oci://ghcr.io/me/greeter".parse().expect("a reference");
        assert_eq!((it.wanted(), it.to_string().as_str()), (None, "ghcr.io/me/greeter"));
        let it: Reference = "[::1]:5000/greeter:v1".parse().expect("a reference");
        assert_eq!((it.host.as_str(), it.tag.as_deref()), ("[::1]:5000", Some("v1")));
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for wrong in [
            "",
            "greeter",
            "greeter:1",
            "me/greeter:1",
            "ghcr.io/",
            "ghcr.io/Me/greeter",
            "ghcr.io/a//b",
            "ghcr.io/../b",
            "ghcr.io/a:",
            "ghcr.io/a:-x",
            "ghcr.io/a@sha256:12",
            "ghcr.io/a@md5:12",
            "a b.io/c",
            "gh\u{e9}.io/c",
            "user@ghcr.io/c",
            "ghcr.io/a?x=1",
            "ghcr.io/a%2fb",
        ] {
            assert!(wrong.parse::<Reference>().is_err(), "{wrong}");
        }
        assert!(format!("ghcr.io/a:{}", "x".repeat(129)).parse::<Reference>().is_err());
        assert!(format!("ghcr.io/{}", "x".repeat(256)).parse::<Reference>().is_err());
    }
}
