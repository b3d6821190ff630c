//! Why a Soul was not taken, or not taken up.

use tonic::{Code, Status};

use super::Failure;
use crate::portable::PortableError;

impl From<PortableError> for Status {
    fn from(error: PortableError) -> Self {
        let failure = |code, reason| Failure::new(code, reason, &error).status();
        match &error {
            PortableError::TooLarge(..) => failure(Code::ResourceExhausted, "SOUL_TOO_LARGE"),
            PortableError::Busy => failure(Code::ResourceExhausted, "SOUL_FILE_BUSY"),
            PortableError::Component(..) => failure(Code::FailedPrecondition, "COMPONENT_UNUSABLE"),
            PortableError::Seal(_) => failure(Code::FailedPrecondition, "SIGNATURE_REFUSED"),
            PortableError::File(_) => failure(Code::InvalidArgument, "SOUL_FILE_DAMAGED"),
            PortableError::Wrong(..) => failure(Code::InvalidArgument, "SOUL_FILE_INVALID"),
            PortableError::Soul(_)
            | PortableError::Learning(_)
            | PortableError::Kv(_)
            | PortableError::Store(_) => within(error),
        }
    }
}

/// What befell a room below.
fn within(error: PortableError) -> Status {
    match error {
        PortableError::Soul(error) => error.into(),
        PortableError::Learning(error) => error.into(),
        PortableError::Kv(error) => error.into(),
        PortableError::Store(error) => error.into(),
        other => super::internal(&other),
    }
}
