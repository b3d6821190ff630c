//! `matrix:node/types`: between what travels and what guests see.

use wasmtime::component::{HasData, Linker};

use crate::ids::{self, IdError};
use crate::runtime::bindings::matrix::node::messaging::SendError as WitError;
use crate::runtime::bindings::matrix::node::types::{self, Address, Content, MessageId};
use crate::runtime::state::GuestState;
use crate::transport::envelope::{self, SendError};

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

/// A guest's content: its bytes are taken over, not copied.
pub(crate) fn content_from_guest(content: Content) -> envelope::Content {
    envelope::Content { content_type: content.content_type.into(), body: content.body.into() }
}

/// Content as guests see it: bytes that nobody else holds are taken over, not copied.
pub(crate) fn content(content: envelope::Content) -> Content {
    Content { content_type: content.content_type.to_string(), body: content.body.into() }
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
