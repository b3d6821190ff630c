//! Who vouches for a component: an Ed25519 signature (RFC 8032) over its digest, its name, and the interfaces that it may
//! import. It is here because one program makes it and the other checks it.
//!
//! What is signed are lines, each with a line feed at its end: `matrix component signature 1`, the digest as `sha256:` and
//! 64 hexadecimal digits, the name, and then the interfaces, sorted and each once.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

/// The first line of what is signed.
const WHAT: &str = "matrix component signature 1";
/// What stands before the digits of a public key.
const KEY_PREFIX: &str = "ed25519:";

/// A public key, written `ed25519:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(pub [u8; 32]);

/// A text is no public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no public key: it must be `{KEY_PREFIX}` and 64 hexadecimal digits, as `matrix components keygen` prints it"
)]
pub struct KeyError;

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{KEY_PREFIX}{}", hex(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let digits = text.strip_prefix(KEY_PREFIX).ok_or(KeyError)?;
        let bytes = unhex(digits).and_then(|bytes| bytes.try_into().ok()).ok_or(KeyError)?;
        // Not every 32 bytes are a key.
        VerifyingKey::from_bytes(&bytes).map(|_| Self(bytes)).map_err(|_| KeyError)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

/// A component's signature, with what it says beside the digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Whose it is.
    pub key: PublicKey,
    /// The name that the component goes by.
    pub name: String,
    /// The interfaces that it may import.
    pub imports: BTreeSet<String>,
    /// The signature itself: 128 hexadecimal digits.
    pub signature: String,
}

impl Signature {
    /// Signs, with the 32 bytes of a secret key, that the component with this digest goes by `name` and may import
    /// `imports`.
    pub fn sign(secret: &[u8; 32], digest: &str, name: &str, imports: BTreeSet<String>) -> Self {
        let key = SigningKey::from_bytes(secret);
        let signature = hex(&key.sign(&message(digest, name, &imports)).to_bytes());
        Self { key: PublicKey(key.verifying_key().to_bytes()), name: name.to_owned(), imports, signature }
    }

    /// Whether its key made it for the component with this digest.
    pub fn holds(&self, digest: &str) -> bool {
        // Lines that hold line feeds could be read as other lines.
        let is_line = |text: &str| !text.contains('\n');
        let signature = unhex(&self.signature).and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
        let (Some(signature), Ok(key)) = (signature, VerifyingKey::from_bytes(&self.key.0)) else {
            return false;
        };
        let signed = message(digest, &self.name, &self.imports);
        is_line(digest)
            && is_line(&self.name)
            && self.imports.iter().all(|import| is_line(import))
            && key.verify_strict(&signed, &ed25519_dalek::Signature::from_bytes(&signature)).is_ok()
    }
}

/// The public key of the 32 bytes of a secret one.
pub fn public_of(secret: &[u8; 32]) -> PublicKey {
    PublicKey(SigningKey::from_bytes(secret).verifying_key().to_bytes())
}

fn message(digest: &str, name: &str, imports: &BTreeSet<String>) -> Vec<u8> {
    let lines = [WHAT, digest, name].into_iter().chain(imports.iter().map(String::as_str));
    lines.flat_map(|line| [line, "\n"]).collect::<String>().into_bytes()
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that lower-case hexadecimal digits stand for.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).filter(|_| !byte.is_ascii_uppercase());
    let pair = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:00";

    fn imports(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_signature_holds_for_what_was_signed_and_nothing_else() {
        let signed = Signature::sign(&[7; 32], DIGEST, "greeter", imports(&["b", "a"]));
        assert!(signed.holds(DIGEST) && !signed.holds("sha256:01"));
        let other = |change: fn(&mut Signature)| {
            let mut other = signed.clone();
            change(&mut other);
            other.holds(DIGEST)
        };
        assert!(!other(|signed| signed.name = "other".into()));
        assert!(!other(|signed| assert!(signed.imports.insert("c".into()))));
        assert!(!other(|signed| signed.imports.clear()));
        assert!(!other(|signed| signed.key = public_of(&[8; 32])));
        assert!(!other(|signed| signed.signature.truncate(64)));
        // The same lines, taken apart differently.
        let mut moved = signed.clone();
        (moved.name, moved.imports) = ("greeter\na".into(), imports(&["b"]));
        assert!(!moved.holds(DIGEST));
    }

    #[test]
    fn keys_are_read_as_they_are_written() {
        // RFC 8032, section 7.1, test 1.
        let secret =
            unhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").expect("digits");
        let key = public_of(&secret.try_into().expect("32 bytes"));
        let text = "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!((key.to_string().as_str(), text.parse()), (text, Ok(key)));
        for wrong in ["", "ed25519:", &text[8..], &text[..70], &text.to_uppercase()] {
            assert!(wrong.parse::<PublicKey>().is_err(), "{wrong}");
        }
        assert_eq!((unhex("0g"), unhex("0"), unhex("AB")), (None, None, None));
    }
}
