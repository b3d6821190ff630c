//! `matrix access`.

mod audit;

use std::time::Duration;

use matrix_proto::v1::{
    Certificate, CreateTokenRequest, GrantCertificateRequest, ListCertificatesRequest, ListTokensRequest,
    NewToken, RevokeCertificateRequest, RevokeTokenRequest, Role, RotateTokenRequest, Token, WhoAmIRequest,
};
use serde_json::{Value, json};

use super::{all_pages, show_deleted};
use crate::connection::Node;
use crate::errors::Error;
use crate::request;
use crate::session::Session;
use crate::table::Table;
use crate::text;

/// What to do with those who may call.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// Shows who calls, and what the caller may do
    Whoami,
    /// Makes, lists, rotates and revokes tokens
    #[command(subcommand, visible_alias = "tokens")]
    Token(TokenCommand),
    /// Says what callers with a certificate may do
    #[command(subcommand, visible_alias = "certs")]
    Cert(CertCommand),
    /// Shows what callers changed on the node
    Audit(audit::Args),
}

/// What to do with tokens.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum TokenCommand {
    /// Makes a token, and prints its secret: this once, for a file that `--token-file` names
    Create {
        /// A name for it
        name: String,
        /// What whoever shows it may do
        #[arg(long)]
        role: RoleArg,
        /// For how long it is good, such as 30d, 12h or 90s [default: until it is revoked]
        #[arg(long, value_name = "SPAN", value_parser = text::parse_span)]
        expires: Option<Duration>,
    },
    /// Lists tokens
    #[command(visible_alias = "ls")]
    List,
    /// Gives a token a new secret, and prints that
    Rotate {
        /// Its name
        name: String,
        /// For how long the old secret stays good too, such as 1h [default: not at all]
        #[arg(long, value_name = "SPAN", value_parser = text::parse_span)]
        grace: Option<Duration>,
    },
    /// Takes a token away, on all nodes at once
    #[command(visible_alias = "rm")]
    Revoke {
        /// Its name
        name: String,
    },
}

/// What to do with certificates.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum CertCommand {
    /// Says what the caller with a certificate may do
    Grant {
        /// The SHA-256 of the certificate, as `openssl x509 -noout -fingerprint -sha256` prints it
        fingerprint: String,
        /// What the caller may do
        #[arg(long)]
        role: RoleArg,
    },
    /// Lists certificates that have a role of their own
    #[command(visible_alias = "ls")]
    List,
    /// Takes back what was granted: the caller may do what `admin.tls.role` gives every certificate
    #[command(visible_alias = "rm")]
    Revoke {
        /// The SHA-256 of the certificate
        fingerprint: String,
    },
}

/// What a caller may do; each role may do all that the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RoleArg {
    /// Looks, and changes nothing
    Read,
    /// Brings components, Souls and Matrices, and talks to them
    Deploy,
    /// Writes to the KV, moves what runs, takes nodes out
    Operate,
    /// Invites nodes, takes backups, says who may do what
    Admin,
}

impl From<RoleArg> for i32 {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Read => Role::Read,
            RoleArg::Deploy => Role::Deploy,
            RoleArg::Operate => Role::Operate,
            RoleArg::Admin => Role::Admin,
        }
        .into()
    }
}

/// Carries out a command.
pub(crate) async fn run(command: Command, session: &Session<'_>) -> Result<(), Error> {
    match command {
        Command::Whoami => whoami(session).await,
        Command::Token(command) => token(command, session).await,
        Command::Cert(command) => certificate(command, session).await,
        Command::Audit(args) => audit::run(&args, session).await,
    }
}

async fn whoami(session: &Session<'_>) -> Result<(), Error> {
    let node = session.node().await?;
    let who = async |request| node.access().who_am_i(request).await;
    let who = node.call("the caller", WhoAmIRequest {}, who).await?;
    let (caller, role) = (text::one_line(&who.caller), name(who.role()));
    session.output.show(&json!({ "caller": caller, "role": role }), |_| format!("{caller} ({role})\n"))
}

async fn token(command: TokenCommand, session: &Session<'_>) -> Result<(), Error> {
    let node = session.node().await?;
    let seconds = |span: Option<Duration>| span.map_or(0, |span| span.as_secs());
    let request_id = request::id()?;
    match command {
        TokenCommand::Create { name, role, expires } => {
            let (place, ttl_seconds) = (format!("token {name}"), seconds(expires));
            let message = CreateTokenRequest { name, role: role.into(), ttl_seconds, request_id };
            let create = async |request| node.access().create_token(request).await;
            show_secret(session, &node.call(place, message, create).await?)
        }
        TokenCommand::List => list_tokens(&node, session).await,
        TokenCommand::Rotate { name, grace } => {
            let (place, grace_seconds) = (format!("token {name}"), seconds(grace));
            let message = RotateTokenRequest { name, grace_seconds, request_id };
            let rotate = async |request| node.access().rotate_token(request).await;
            show_secret(session, &node.call(place, message, rotate).await?)
        }
        TokenCommand::Revoke { name } => {
            let message = RevokeTokenRequest { name: name.clone(), request_id };
            let revoke = async |request| node.access().revoke_token(request).await;
            node.call(format!("token {name}"), message, revoke).await?;
            show_deleted(session, "token", &name)
        }
    }
}

async fn list_tokens(node: &Node, session: &Session<'_>) -> Result<(), Error> {
    let tokens = all_pages(async |page| {
        let message = ListTokensRequest { page: Some(page) };
        let list = async |request| node.access().list_tokens(request).await;
        let page = node.call("tokens", message, list).await?;
        Ok((page.tokens, page.next_page_token))
    })
    .await?;
    let json = json!({ "tokens": tokens.iter().map(token_json).collect::<Vec<_>>() });
    session.output.show(&json, |style| {
        let mut table = Table::new(["NAME", "ROLE", "EXPIRES", "OLD SECRET UNTIL", "MADE", "BY"]);
        for token in &tokens {
            table.row([
                token.name.clone(),
                name(token.role()).to_owned(),
                text::moment(token.expires_at_ms),
                text::moment(token.previous_until_ms),
                text::moment(token.created_at_ms),
                token.created_by.clone(),
            ]);
        }
        table.render(style, "no tokens: `matrix access token create NAME --role ROLE` makes one")
    })
}

async fn certificate(command: CertCommand, session: &Session<'_>) -> Result<(), Error> {
    let node = session.node().await?;
    match command {
        CertCommand::Grant { fingerprint, role } => {
            let fingerprint = plain(&fingerprint);
            let message =
                GrantCertificateRequest { fingerprint, role: role.into(), request_id: request::id()? };
            let grant = async |request| node.access().grant_certificate(request).await;
            let granted = node.call("the certificate", message, grant).await?;
            session.output.show(&certificate_json(&granted), |style| {
                format!("{} {} {}\n", style.green("granted"), name(granted.role()), granted.fingerprint)
            })
        }
        CertCommand::List => list_certificates(&node, session).await,
        CertCommand::Revoke { fingerprint } => {
            let fingerprint = plain(&fingerprint);
            let message =
                RevokeCertificateRequest { fingerprint: fingerprint.clone(), request_id: request::id()? };
            let revoke = async |request| node.access().revoke_certificate(request).await;
            node.call("the certificate", message, revoke).await?;
            show_deleted(session, "certificate", &fingerprint)
        }
    }
}

async fn list_certificates(node: &Node, session: &Session<'_>) -> Result<(), Error> {
    let certificates = all_pages(async |page| {
        let message = ListCertificatesRequest { page: Some(page) };
        let list = async |request| node.access().list_certificates(request).await;
        let page = node.call("certificates", message, list).await?;
        Ok((page.certificates, page.next_page_token))
    })
    .await?;
    let json = json!({ "certificates": certificates.iter().map(certificate_json).collect::<Vec<_>>() });
    session.output.show(&json, |style| {
        let mut table = Table::new(["ROLE", "GRANTED", "BY", "FINGERPRINT"]);
        for certificate in &certificates {
            table.row([
                name(certificate.role()).to_owned(),
                text::moment(certificate.granted_at_ms),
                certificate.granted_by.clone(),
                certificate.fingerprint.clone(),
            ]);
        }
        table.render(style, "no certificate has a role of its own")
    })
}

/// The secret alone, so that it can be written to a file.
fn show_secret(session: &Session<'_>, made: &NewToken) -> Result<(), Error> {
    let token = made.token.clone().ok_or(Error::Answer("token"))?;
    let mut json = token_json(&token);
    json["secret"] = json!(made.secret);
    session.output.show(&json, |_| format!("{}\n", text::one_line(&made.secret)))?;
    session.output.note("this is shown once: keep it in a file that only you can read, for --token-file");
    Ok(())
}

/// A fingerprint as the interface has it: without what others write around and between its digits.
fn plain(fingerprint: &str) -> String {
    let digits = fingerprint.rsplit('=').next().unwrap_or_default().trim_start_matches("sha256:");
    digits.chars().filter(|letter| *letter != ':').map(|letter| letter.to_ascii_lowercase()).collect()
}

const fn name(role: Role) -> &'static str {
    match role {
        Role::Unspecified => "-",
        Role::Read => "read",
        Role::Deploy => "deploy",
        Role::Operate => "operate",
        Role::Admin => "admin",
    }
}

fn token_json(token: &Token) -> Value {
    json!({
        "name": token.name,
        "role": name(token.role()),
        "created_at_ms": token.created_at_ms,
        "created_by": token.created_by,
        "expires_at_ms": token.expires_at_ms,
        "previous_until_ms": token.previous_until_ms,
    })
}

fn certificate_json(certificate: &Certificate) -> Value {
    json!({
        "fingerprint": certificate.fingerprint,
        "role": name(certificate.role()),
        "granted_at_ms": certificate.granted_at_ms,
        "granted_by": certificate.granted_by,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_taken_as_others_write_them() {
        let openssl = "sha256 Fingerprint=AB:CD:0E";
        assert_eq!([plain(openssl), plain("sha256:abcd0e"), plain("abcd0e")], ["abcd0e"; 3]);
    }
}
