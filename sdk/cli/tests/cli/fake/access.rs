//! Access.

use matrix_proto::audit::{Chain, Entry};
use matrix_proto::v1::access_server::Access;
use matrix_proto::v1::*;
use tonic::{Request, Response, Status};

use super::Services;
use super::services::{Answers, answers};

fn token(role: i32) -> Token {
    Token { name: "ci".to_owned(), role, created_by: "local".to_owned(), ..Token::default() }
}

#[tonic::async_trait]
impl Access for Services {
    async fn who_am_i(&self, request: Request<WhoAmIRequest>) -> Result<Response<WhoAmIResponse>, Status> {
        drop(self.enter("WhoAmI", request.get_ref())?);
        Ok(Response::new(WhoAmIResponse { caller: "local".to_owned(), role: Role::Admin.into() }))
    }

    async fn create_token(&self, request: Request<CreateTokenRequest>) -> Result<Response<NewToken>, Status> {
        drop(self.enter("CreateToken", request.get_ref())?);
        let token = Some(token(request.get_ref().role));
        Ok(Response::new(NewToken { token, secret: "matrix-token-1".to_owned() }))
    }

    async fn list_tokens(
        &self,
        request: Request<ListTokensRequest>,
    ) -> Result<Response<ListTokensResponse>, Status> {
        drop(self.enter("ListTokens", request.get_ref())?);
        let tokens = vec![token(Role::Deploy.into())];
        Ok(Response::new(ListTokensResponse { tokens, next_page_token: String::new() }))
    }

    async fn rotate_token(&self, request: Request<RotateTokenRequest>) -> Result<Response<NewToken>, Status> {
        drop(self.enter("RotateToken", request.get_ref())?);
        let token = Some(token(Role::Deploy.into()));
        Ok(Response::new(NewToken { token, secret: "matrix-token-2".to_owned() }))
    }

    async fn revoke_token(
        &self,
        request: Request<RevokeTokenRequest>,
    ) -> Result<Response<RevokeTokenResponse>, Status> {
        drop(self.enter("RevokeToken", request.get_ref())?);
        Ok(Response::new(RevokeTokenResponse {}))
    }

    async fn grant_certificate(
        &self,
        request: Request<GrantCertificateRequest>,
    ) -> Result<Response<Certificate>, Status> {
        drop(self.enter("GrantCertificate", request.get_ref())?);
        let GrantCertificateRequest { fingerprint, role, .. } = request.into_inner();
        Ok(Response::new(Certificate { fingerprint, role, ..Certificate::default() }))
    }

    async fn list_certificates(
        &self,
        request: Request<ListCertificatesRequest>,
    ) -> Result<Response<ListCertificatesResponse>, Status> {
        drop(self.enter("ListCertificates", request.get_ref())?);
        let certificates = vec![Certificate { role: Role::Operate.into(), ..Certificate::default() }];
        Ok(Response::new(ListCertificatesResponse { certificates, next_page_token: String::new() }))
    }

    async fn revoke_certificate(
        &self,
        request: Request<RevokeCertificateRequest>,
    ) -> Result<Response<RevokeCertificateResponse>, Status> {
        drop(self.enter("RevokeCertificate", request.get_ref())?);
        Ok(Response::new(RevokeCertificateResponse {}))
    }

    type AuditStream = Answers<AuditRecord>;

    async fn audit(&self, request: Request<AuditRequest>) -> Result<Response<Self::AuditStream>, Status> {
        let is_changed = self.enter("Audit", request.get_ref())?.audit_is_changed;
        let mut chain = Chain::default();
        let mut record = |call: u64, outcome: &'static str| {
            let (method, caller) = ("Kv/Put", "local");
            let mut entry = Entry {
                call,
                method: method.into(),
                caller: caller.into(),
                outcome: outcome.into(),
                ..Entry::default()
            };
            let mut text = Vec::new();
            chain.seal(&mut entry, &mut text);
            let mut line = String::from_utf8_lossy(&text).trim_end().to_owned();
            if is_changed {
                line = line.replace("\"OK\"", "\"NO\"");
            }
            AuditRecord {
                sequence: call + 1,
                call,
                method: method.into(),
                caller: caller.into(),
                outcome: outcome.into(),
                line,
                ..AuditRecord::default()
            }
        };
        answers(vec![record(0, ""), record(1, "OK")])
    }
}
