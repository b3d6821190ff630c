//! `matrix.v1.Access`.

use std::sync::Arc;

use futures::stream;
use matrix_proto::v1;
use matrix_proto::v1::access_server::Access;
use tonic::{Request, Response, Status};

use super::audit::{Filter, LAST_MAX};
use super::auth::caller_of;
use super::book::{Book, CertificateRecord};
use super::convert;
use super::desk::{Answers, Desk, open};
use super::paging::Page;
use super::replay::Key;
use crate::clock;
use crate::ids::TokenName;

/// The longest that a token may be good, in seconds, where it expires: ten years.
const TTL_SECONDS_MAX: u64 = 315_360_000;
/// The longest that an old secret may stay good beside a new one, in seconds: 30 days.
const GRACE_SECONDS_MAX: u64 = 2_592_000;

/// The service.
#[derive(Debug)]
pub(super) struct AccessService {
    pub(super) desk: Arc<Desk>,
    pub(super) book: Book,
}

#[tonic::async_trait]
impl Access for AccessService {
    async fn who_am_i(
        &self,
        request: Request<v1::WhoAmIRequest>,
    ) -> Result<Response<v1::WhoAmIResponse>, Status> {
        let caller = caller_of(&request)?;
        let role = v1::Role::from(caller.role()).into();
        Ok(Response::new(v1::WhoAmIResponse { caller: caller.to_string(), role }))
    }

    async fn create_token(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::NewToken>, Status> {
        let (caller, request) = open(request)?;
        let key = Key::new(&caller, "Access/CreateToken", &request.request_id)?;
        let (name, role) = (name(&request.name)?, convert::role(request.role)?);
        let ttl = seconds("ttl_seconds", request.ttl_seconds, TTL_SECONDS_MAX)?;
        let expires_at_ms = (ttl > 0).then(|| clock::now_ms() + ttl * 1_000);
        let (book, by) = (self.book.clone(), (*caller).clone());
        let created = async move { Ok(fresh(book.create(name, role, expires_at_ms, by).await?)) };
        self.desk.mutate(key, created).await.map(Response::new)
    }

    async fn list_tokens(
        &self,
        request: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        let page = Page::<TokenName>::parse(request.into_inner().page)?;
        let found = self.book.tokens(page.after.as_ref(), page.look_up()).await?;
        let (tokens, next_page_token) = page.cut(found, |record| record.name.clone(), convert::token);
        Ok(Response::new(v1::ListTokensResponse { tokens, next_page_token }))
    }

    async fn rotate_token(
        &self,
        request: Request<v1::RotateTokenRequest>,
    ) -> Result<Response<v1::NewToken>, Status> {
        let (caller, request) = open(request)?;
        let key = Key::new(&caller, "Access/RotateToken", &request.request_id)?;
        let name = name(&request.name)?;
        let grace = seconds("grace_seconds", request.grace_seconds, GRACE_SECONDS_MAX)?;
        let book = self.book.clone();
        let rotated = async move { Ok(fresh(book.rotate(name, grace * 1_000).await?)) };
        self.desk.mutate(key, rotated).await.map(Response::new)
    }

    async fn revoke_token(
        &self,
        request: Request<v1::RevokeTokenRequest>,
    ) -> Result<Response<v1::RevokeTokenResponse>, Status> {
        let (caller, request) = open(request)?;
        let key = Key::new(&caller, "Access/RevokeToken", &request.request_id)?;
        let (name, book) = (name(&request.name)?, self.book.clone());
        let revoked = async move {
            book.revoke(name).await?;
            Ok(v1::RevokeTokenResponse {})
        };
        self.desk.mutate(key, revoked).await.map(Response::new)
    }

    async fn grant_certificate(
        &self,
        request: Request<v1::GrantCertificateRequest>,
    ) -> Result<Response<v1::Certificate>, Status> {
        let (caller, request) = open(request)?;
        let key = Key::new(&caller, "Access/GrantCertificate", &request.request_id)?;
        let record = CertificateRecord {
            fingerprint: fingerprint(&request.fingerprint)?,
            role: convert::role(request.role)?,
            granted_at_ms: clock::now_ms(),
            granted_by: (*caller).clone(),
        };
        let book = self.book.clone();
        let granted = async move {
            book.grant(&record).await?;
            Ok(convert::certificate(&record))
        };
        self.desk.mutate(key, granted).await.map(Response::new)
    }

    async fn list_certificates(
        &self,
        request: Request<v1::ListCertificatesRequest>,
    ) -> Result<Response<v1::ListCertificatesResponse>, Status> {
        // A fingerprint is a text of the kind that a name of a client is.
        let page = Page::<crate::ids::ClientName>::parse(request.into_inner().page)?;
        let after = page.after.as_ref().map(crate::ids::ClientName::as_str);
        let found = self.book.certificates(after, page.look_up()).await?;
        let name = |record: &CertificateRecord| record.fingerprint.parse().expect("64 hexadecimal digits");
        let (certificates, next_page_token) = page.cut(found, name, convert::certificate);
        Ok(Response::new(v1::ListCertificatesResponse { certificates, next_page_token }))
    }

    async fn revoke_certificate(
        &self,
        request: Request<v1::RevokeCertificateRequest>,
    ) -> Result<Response<v1::RevokeCertificateResponse>, Status> {
        let (caller, request) = open(request)?;
        let key = Key::new(&caller, "Access/RevokeCertificate", &request.request_id)?;
        let (fingerprint, book) = (fingerprint(&request.fingerprint)?, self.book.clone());
        let revoked = async move {
            book.ungrant(fingerprint).await?;
            Ok(v1::RevokeCertificateResponse {})
        };
        self.desk.mutate(key, revoked).await.map(Response::new)
    }

    type AuditStream = Answers<v1::AuditRecord>;

    async fn audit(&self, request: Request<v1::AuditRequest>) -> Result<Response<Self::AuditStream>, Status> {
        let v1::AuditRequest { caller, method, last } = request.into_inner();
        let last = last as usize;
        if last > LAST_MAX {
            return Err(convert::bad_field("last", &format!("is {last}: ask for at most {LAST_MAX}")));
        }
        let place = self.desk.stream()?;
        let records = self.desk.audit.read(Filter { caller, method, last });
        let records = stream::unfold(records, |mut records| async { Some((records.recv().await?, records)) });
        Ok(self.desk.answers(place, records))
    }
}

fn fresh((record, secret): (super::book::TokenRecord, String)) -> v1::NewToken {
    v1::NewToken { token: Some(convert::token(&record)), secret }
}

fn name(text: &str) -> Result<TokenName, Status> {
    text.parse().map_err(|error| convert::bad_id("name", &error))
}

fn seconds(field: &str, given: u64, max: u64) -> Result<u64, Status> {
    if given <= max {
        Ok(given)
    } else {
        Err(convert::bad_field(field, &format!("is {given}: use at most {max}")))
    }
}

fn fingerprint(text: &str) -> Result<String, Status> {
    let sound = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let rule = "is no fingerprint: send the SHA-256 of the certificate's DER encoding, 64 lower-case hexadecimal digits";
    if sound { Ok(text.to_owned()) } else { Err(convert::bad_field("fingerprint", rule)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_digests_and_times_are_bounded() {
        assert!(fingerprint(&"a0".repeat(32)).is_ok());
        for wrong in ["", "a0", &"A0".repeat(32), &"g0".repeat(32)] {
            assert!(fingerprint(wrong).is_err(), "{wrong}");
        }
        assert_eq!((seconds("s", 5, 5).ok(), seconds("s", 6, 5).ok()), (Some(5), None));
    }
}
