//! Roles, tokens, certificates.

use std::fmt::Display;

use matrix_proto::v1;
use tonic::{Code, Status};

use super::super::book::{BookError, CertificateRecord, TokenRecord};
use super::super::roles::Role;
use super::{Failure, bad_field};

impl From<Role> for v1::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Read => Self::Read,
            Role::Deploy => Self::Deploy,
            Role::Operate => Self::Operate,
            Role::Admin => Self::Admin,
        }
    }
}

/// The role that a request names.
pub(in crate::admin) fn role(given: i32) -> Result<Role, Status> {
    match v1::Role::try_from(given) {
        Ok(v1::Role::Read) => Ok(Role::Read),
        Ok(v1::Role::Deploy) => Ok(Role::Deploy),
        Ok(v1::Role::Operate) => Ok(Role::Operate),
        Ok(v1::Role::Admin) => Ok(Role::Admin),
        Ok(v1::Role::Unspecified) | Err(_) => {
            Err(bad_field("role", "is none: say `read`, `deploy`, `operate` or `admin`"))
        }
    }
}

/// A token, without its secret.
pub(in crate::admin) fn token(record: &TokenRecord) -> v1::Token {
    v1::Token {
        name: record.name.to_string(),
        role: v1::Role::from(record.role).into(),
        created_at_ms: record.created_at_ms,
        created_by: record.created_by.to_string(),
        expires_at_ms: record.expires_at_ms.unwrap_or(0),
        previous_until_ms: record.previous.as_ref().map_or(0, |previous| previous.until_ms),
    }
}

/// What was granted to a certificate.
pub(in crate::admin) fn certificate(record: &CertificateRecord) -> v1::Certificate {
    v1::Certificate {
        fingerprint: record.fingerprint.clone(),
        role: v1::Role::from(record.role).into(),
        granted_at_ms: record.granted_at_ms,
        granted_by: record.granted_by.to_string(),
    }
}

/// Nobody is known who shows no token, or a wrong one.
pub(in crate::admin) fn unauthenticated() -> Status {
    let message = "who calls is not known: send `authorization: Bearer TOKEN`, with the token in the file `token` of \
                   the node's data folder, or one that `matrix access token create` made";
    Failure::new(Code::Unauthenticated, "TOKEN_INVALID", &message).status()
}

/// A token is good no longer.
pub(in crate::admin) fn expired(token: &dyn Display) -> Status {
    let message =
        format!("the token `{token}`, or this secret of it, has expired: have a new one made or rotated");
    Failure::new(Code::Unauthenticated, "TOKEN_EXPIRED", &message).status()
}

/// Nobody can be known by the book as long as it has not been read.
pub(in crate::admin) fn book_unknown() -> Status {
    let message = "this node does not know yet who may do what in the realm: try again, or use the token of its data \
                   folder";
    Failure::new(Code::Unavailable, "ACCESS_UNKNOWN", &message).status()
}

/// The caller may not do this.
pub(in crate::admin) fn too_weak(method: &str, needs: Role, caller: &str, has: Role) -> Status {
    let remedy = match caller.strip_prefix("cert/") {
        Some(hex) => format!(
            "an administrator grants it by `matrix access cert grant {hex} --role {needs}`, or to every certificate of \
             the node's `admin.tls.client_ca` by `admin.tls.role`"
        ),
        None => format!("show a token that has it, made by `matrix access token create NAME --role {needs}`"),
    };
    let message =
        format!("`{method}` needs the role `{needs}`, and `{caller}` has the role `{has}`: {remedy}");
    let mut failure = Failure::new(Code::PermissionDenied, "ROLE_TOO_WEAK", &message);
    let metadata = [("method", method), ("needs", needs.name()), ("has", has.name())];
    failure.tell(metadata.map(|(name, value)| (name.to_owned(), value.to_owned())));
    failure.status()
}

/// What cannot be written down is not done.
pub(in crate::admin) fn audit_failed(why: &dyn Display) -> Status {
    let message = format!(
        "the audit log in the node's data folder cannot be written ({why}), and nothing is changed without it: make \
         room on its disk, or look after the folder `audit`"
    );
    Failure::new(Code::ResourceExhausted, "AUDIT_FAILED", &message).limit("audit").status()
}

/// There is no such method, or none that anybody may call.
pub(in crate::admin) fn unknown_method() -> Status {
    Failure::new(Code::Unimplemented, "METHOD_UNKNOWN", &"this node has no such method").status()
}

impl From<BookError> for Status {
    fn from(error: BookError) -> Self {
        let failure = |code, reason| Failure::new(code, reason, &error);
        match &error {
            BookError::UnknownToken(name) => failure(Code::NotFound, "TOKEN_UNKNOWN").resource("token", name),
            BookError::UnknownCertificate(fingerprint) => {
                failure(Code::NotFound, "CERTIFICATE_UNKNOWN").resource("certificate", fingerprint)
            }
            BookError::Taken(name) => failure(Code::AlreadyExists, "TOKEN_TAKEN").resource("token", name),
            BookError::TooMany => failure(Code::ResourceExhausted, "ACCESS_TOO_MANY"),
            BookError::Changed(_) => failure(Code::Aborted, "ACCESS_CHANGED"),
            BookError::NoChance => failure(Code::Internal, "NO_CHANCE"),
            BookError::Kv(error) => return error.clone().into(),
        }
        .status()
    }
}
