//! What a registry wants to be shown: its challenge, and the token that one gets by it. Pure.

use hyper::Uri;
use serde::Deserialize;

/// What a registry asks for (`WWW-Authenticate`).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password.
    Basic,
    /// A token, which `realm` gives for `service`.
    Bearer {
        /// The address that gives tokens.
        realm: String,
        /// What the token is for.
        service: String,
    },
}

impl Challenge {
    /// Reads headers; the first that is understood counts, and a token comes before a password.
    pub(super) fn read<'a>(headers: impl Iterator<Item = &'a str> + Clone) -> Option<Self> {
        let token = headers.clone().find_map(|header| {
            let values = after(header, "bearer ")?;
            Some(Self::Bearer {
                realm: value(values, "realm")?,
                service: value(values, "service").unwrap_or_default(),
            })
        });
        token.or_else(|| {
            headers.into_iter().any(|header| after(header, "basic").is_some()).then_some(Self::Basic)
        })
    }
}

/// What follows a scheme, whose letters may be large or small.
fn after<'a>(header: &'a str, scheme: &str) -> Option<&'a str> {
    let (start, rest) = header.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// The value of `name="…"`.
fn value(values: &str, name: &str) -> Option<String> {
    let mut rest = values;
    loop {
        let (key, tail) = rest.split_once("=\"")?;
        let (value, tail) = tail.split_once('"')?;
        if key.trim_matches([' ', ',']).eq_ignore_ascii_case(name) {
            return Some(value.to_owned());
        }
        rest = tail;
    }
}

/// Where a token is asked for that lets one do `actions` with a repository.
pub(super) fn token_url(realm: &str, service: &str, repository: &str, actions: &str) -> Option<Uri> {
    let joint = if realm.contains('?') { '&' } else { '?' };
    let scope = format!("repository:{repository}:{actions}");
    let service = if service.is_empty() { String::new() } else { format!("service={}&", encoded(service)) };
    format!("{realm}{joint}{service}scope={}", encoded(&scope)).parse().ok()
}

/// A text as part of a query.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/,".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The token in an answer.
pub(super) fn token(answer: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        token: Option<String>,
        access_token: Option<String>,
    }
    let answer: Answer = serde_json::from_slice(answer).ok()?;
    answer.token.or(answer.access_token).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[&'static str]) -> Option<Challenge> {
        Challenge::read(headers.iter().copied())
    }

    #[test]
    fn challenges_are_read() {
        let bearer = r#"Bearer realm="https://auth.example.org/token",service="registry.example.org",scope="repository:a/b:pull""#;
        let expected = Challenge::Bearer {
            realm: "https://auth.example.org/token".to_owned(),
            service: "registry.example.org".to_owned(),
        };
        assert_eq!(read(&["Basic realm=\"x\"", bearer]), Some(expected));
        assert_eq!(read(&["BASIC realm=\"x\""]), Some(Challenge::Basic));
        assert_eq!(read(&["Negotiate", "Bearer service=\"x\""]), None);
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn a_token_is_asked_for_one_repository() {
        let url = token_url("https://auth.example.org/token?a=b", "a b", "me/greeter", "pull,push")
            .expect("an address");
        let expected =
            "https://auth.example.org/token?a=b&service=a%20b&scope=repository:me/greeter:pull,push";
        assert_eq!(url.to_string(), expected);
        assert_eq!(token_url("not an address", "", "a", "pull"), None);
    }

    #[test]
    fn tokens_are_found_under_both_names() {
        assert_eq!(token(br#"{ "token": "a", "access_token": "b" }"#).as_deref(), Some("a"));
        assert_eq!(token(br#"{ "access_token": "b", "expires_in": 300 }"#).as_deref(), Some("b"));
        assert_eq!((token(b"{}"), token(br#"{ "token": "" }"#), token(b"<html>")), (None, None, None));
    }
}
