//! An invitation as one word, to be handed from one person to another.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use data_encoding::BASE32_NOPAD;
use matrix_proto::wire;
use prost::Message as _;

use super::records::RealmId;
use crate::p2p::Contact;

/// What every invitation begins with: what it is, and its version.
const PREFIX: &str = "matrix1";
/// The longest invitation, in bytes.
const BYTES_MAX: usize = 8 * 1024;
/// The most nodes that an invitation names.
pub(super) const CONTACTS_MAX: usize = 5;

/// An invitation: which realm, by which proof, and whom to ask. Whoever has it may bring one node into the realm.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The realm.
    pub realm: RealmId,
    /// Which invitation.
    pub number: u64,
    /// Its proof.
    pub secret: [u8; 16],
    /// Nodes that may be asked.
    pub contacts: Vec<Contact>,
}

/// A text is no invitation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no invitation: it must begin with `{PREFIX}` and be whole; get one by `matrix cluster invite`"
)]
pub struct TokenError;

/// Without the secret: invitations end up in logs.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token {} of realm {} by {:?}", self.number, self.realm, self.contacts)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let invitation = wire::Invitation {
            realm: Bytes::copy_from_slice(&self.realm.0),
            number: self.number,
            secret: Bytes::copy_from_slice(&self.secret),
            contacts: self.contacts.iter().take(CONTACTS_MAX).map(|contact| to_wire(contact, 0)).collect(),
        };
        write!(f, "{PREFIX}{}", BASE32_NOPAD.encode(&invitation.encode_to_vec()).to_ascii_lowercase())
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let digits = text.strip_prefix(PREFIX).filter(|_| text.len() <= BYTES_MAX).ok_or(TokenError)?;
        let bytes = BASE32_NOPAD.decode(digits.to_ascii_uppercase().as_bytes()).map_err(|_| TokenError)?;
        let invitation = wire::Invitation::decode(&bytes[..]).map_err(|_| TokenError)?;
        let contacts: Option<Vec<_>> =
            invitation.contacts.iter().take(CONTACTS_MAX).map(|contact| Some(of_wire(contact)?.1)).collect();
        let contacts = contacts.filter(|contacts| !contacts.is_empty()).ok_or(TokenError)?;
        Ok(Self {
            realm: RealmId(invitation.realm[..].try_into().map_err(|_| TokenError)?),
            number: invitation.number,
            secret: invitation.secret[..].try_into().map_err(|_| TokenError)?,
            contacts,
        })
    }
}

/// A contact as it travels; `node` is 0 where that is not said.
pub(super) fn to_wire(contact: &Contact, node: u64) -> wire::Contact {
    let addresses = contact.addresses.iter().map(ToString::to_string).collect();
    wire::Contact { peer: contact.peer.to_string(), addresses, node }
}

/// A contact as it came, with its node's number; none: its peer is none.
pub(super) fn of_wire(contact: &wire::Contact) -> Option<(u64, Contact)> {
    let peer = contact.peer.parse().ok()?;
    Some((contact.node, Contact::from_texts(peer, contact.addresses.iter().map(String::as_str))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        let peer = "12D3KooWK3hKXVqa5yDezTdL6LFtgeZVv5JAEM8HkRXkvTt3cYpA".parse().expect("a peer");
        let contacts = vec![Contact::from_texts(peer, ["/ip4/127.0.0.1/tcp/4001"])];
        Token { realm: RealmId([7; 16]), number: 9, secret: [3; 16], contacts }
    }

    #[test]
    fn an_invitation_is_one_word_that_comes_back() {
        let text = token().to_string();
        assert!(
            text.starts_with("matrix1") && text.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            "{text}"
        );
        assert_eq!(format!(" {text}\n").parse(), Ok(token()));
        assert_eq!(text.to_uppercase().replace("MATRIX1", "matrix1").parse(), Ok(token()));
        assert!(!format!("{:?}", token()).contains("3, 3"), "its secret is not shown");
    }

    #[test]
    fn what_is_no_invitation_is_refused() {
        let text = token().to_string();
        for wrong in ["", "matrix1", "matrix1!", &text[..text.len() - 9], &text[7..], &format!("{text}aaaa")]
        {
            assert_eq!(wrong.parse::<Token>(), Err(TokenError), "{wrong}");
        }
        assert_eq!(format!("matrix1{}", "a".repeat(BYTES_MAX)).parse::<Token>(), Err(TokenError));
        let nobody = Token { contacts: Vec::new(), ..token() };
        assert_eq!(nobody.to_string().parse::<Token>(), Err(TokenError));
    }
}
