//! `matrix:node/types`: between what travels and what guests see.

use std::sync::Arc;

use wasmtime::component::{HasData, Linker};

use crate::ids::{self, IdError};
use crate::runtime::bindings::matrix::node::messaging::SendError as WitError;
use crate::runtime::bindings::matrix::node::types::{self, Address, Content, Message, MessageId};
use crate::runtime::state::GuestState;
use crate::transport::envelope::{self, SendError};
use crate::transport::router::Answer;

/// One call's view of the guest: the interface has types only.
pub struct View;

struct Types;

impl HasData for Types {
    type Data<'a> = View;
}

/// Lets components import the interface.
pub(crate) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    types::add_to_linker::<_, Types>(linker, |_| View)
}

impl types::Host for View {}

/// The id in four parts, most significant first.
pub(crate) fn message_id(id: ids::MessageId) -> MessageId {
    let part = |shift: u32| (id.0 >> shift & 0xffff_ffff) as u32;
    MessageId { a: part(96), b: part(64), c: part(32), d: part(0) }
}

/// A guest's address, its name checked.
pub(crate) fn address_from_guest(address: Address) -> Result<envelope::Address, IdError> {
    Ok(match address {
        Address::Soul(name) => envelope::Address::Soul(name.parse()?),
        Address::Matrix(name) => envelope::Address::Matrix(name.parse()?),
        Address::Topic(name) => envelope::Address::Topic(name.parse()?),
        Address::Client(name) => envelope::Address::Client(name.parse()?),
    })
}

/// An address as guests see it.
pub(crate) fn address(address: &envelope::Address) -> Address {
    match address {
        envelope::Address::Soul(name) => Address::Soul(name.as_str().to_owned()),
        envelope::Address::Matrix(name) => Address::Matrix(name.as_str().to_owned()),
        envelope::Address::Topic(name) => Address::Topic(name.as_str().to_owned()),
        envelope::Address::Client(name) => Address::Client(name.as_str().to_owned()),
    }
}

/// The media types that nearly all messages have, so that these need no memory of their own.
pub(crate) fn media_type(text: &str) -> Arc<str> {
    thread_local! {
        static COMMON: [Arc<str>; 3] = [
            Arc::from("text/plain"),
            Arc::from("application/json"),
            Arc::from("application/octet-stream"),
        ];
    }
    COMMON.with(|common| {
        common.iter().find(|known| known.as_ref() == text).cloned().unwrap_or_else(|| Arc::from(text))
    })
}

/// A guest's content: its bytes are taken over, not copied.
pub(crate) fn content_from_guest(content: Content) -> envelope::Content {
    envelope::Content { content_type: media_type(&content.content_type), body: content.body.into() }
}

/// Content as guests see it: bytes that nobody else holds are taken over, not copied.
pub(crate) fn content(content: envelope::Content) -> Content {
    Content { content_type: content.content_type.as_ref().to_owned(), body: content.body.into() }
}

/// The reply to a guest's question. A recipient that had nothing to say gives an empty one.
pub(crate) fn reply(
    id: ids::MessageId,
    from: envelope::Address,
    to: envelope::Address,
    answer: Answer,
    sent_at: u64,
) -> Message {
    let said = answer.content.map(content);
    let said = said.unwrap_or_else(|| Content { content_type: String::new(), body: Vec::new() });
    Message {
        id: message_id(id),
        sender: address(&from),
        recipient: address(&to),
        in_reply_to: Some(message_id(answer.question)),
        content_type: said.content_type,
        body: said.body,
        sent_at,
    }
}

/// The same error in the guest's words.
pub(crate) fn send_error(error: SendError) -> WitError {
    match error {
        SendError::UnknownRecipient(_) => WitError::UnknownRecipient,
        SendError::Denied(reason) => WitError::Denied(reason),
        SendError::MailboxFull => WitError::MailboxFull,
        SendError::Unreachable => WitError::Unreachable,
        SendError::TooLarge { limit } => WitError::TooLarge(limit),
        SendError::DeadlineExceeded => WitError::DeadlineExceeded,
        SendError::QuotaExceeded => WitError::QuotaExceeded,
        SendError::TooManyHops { .. } => WitError::TooManyHops,
        SendError::Failed(reason) => WitError::Failed(reason),
    }
}
