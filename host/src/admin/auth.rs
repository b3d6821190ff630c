//! Who calls: whoever shows the token of the data folder is `local`, whoever shows one of the realm's tokens is
//! `token/NAME`, and whoever shows a certificate is known by it.

use std::fs::{self, File, OpenOptions};
use std::future::Future;
use std::io::{Read as _, Write as _};
use std::ops::Deref;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tonic::codegen::http::HeaderMap;
use tonic::{Request, Status};

use super::book::{self, Page};
use super::convert;
use super::error::{AdminError, failed};
use super::roles::Role;
use crate::clock;
use crate::ids::ClientName;

/// The token's file, in the data folder.
pub(super) const TOKEN_FILE: &str = "token";
/// Random bytes in a token that the node makes: too many to guess.
const TOKEN_BYTES: usize = 32;
/// The least characters in a token that an operator chose: 32 hexadecimal digits are 128 bits.
const TOKEN_CHARS_LEAST: usize = 32;
/// The most bytes that are read of a file with a token, a certificate or a key.
const SECRET_BYTES_MAX: u64 = 1 << 20;
/// How a caller is called who shows the token of the data folder.
const LOCAL: &str = "local";
/// What stands before the token.
const SCHEME: &str = "Bearer ";
/// How often it is looked whether a token has expired, at least: the wall clock may be set.
const EXPIRY: Duration = Duration::from_secs(60);

/// Who calls, and what the caller may do, as the gate found out: it rides on every request that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    name: ClientName,
    role: Role,
    proof: Proof,
}

/// What a caller is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Proof {
    /// The token of the data folder.
    Local,
    /// A secret with this hash.
    Secret([u8; 32]),
    /// A certificate with this fingerprint.
    Certificate(String),
    /// The word of the node that was called.
    Relayed,
}

impl Caller {
    /// Who called another node, which says so, and what the caller may do there.
    pub(super) const fn relayed(name: ClientName, role: Role) -> Self {
        Self { name, role, proof: Proof::Relayed }
    }

    /// What the caller may do.
    pub(super) const fn role(&self) -> Role {
        self.role
    }

    /// Refuses a call that needs a stronger role.
    pub(super) fn may(&self, method: &str, needs: Role) -> Result<(), Status> {
        if self.role >= needs {
            Ok(())
        } else {
            Err(convert::too_weak(method, needs, self.as_str(), self.role))
        }
    }
}

impl Deref for Caller {
    type Target = ClientName;

    fn deref(&self) -> &ClientName {
        &self.name
    }
}

/// Who makes a call.
pub(super) fn caller_of<T>(request: &Request<T>) -> Result<Caller, Status> {
    request.extensions().get::<Caller>().cloned().ok_or_else(convert::unauthenticated)
}

/// Says who made a call that another node has let in.
pub(super) fn name_caller<T>(request: &mut Request<T>, caller: Caller) {
    request.extensions_mut().insert(caller);
}

/// Lets in who shows a token, or a certificate that the TLS handshake has accepted. Only hashes are compared.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    local: blake3::Hash,
    /// What the callers with a certificate may do to whom nothing else was granted.
    certificates: Role,
    book: watch::Receiver<Arc<Page>>,
}

impl Gate {
    /// A gate that knows the token of the data folder `data`, which is made if there is none, and what the realm's
    /// book says. Certificates that it does not name have the role `certificates`. Blocks on the disk.
    pub(super) fn open(
        data: &Path,
        certificates: Role,
        book: watch::Receiver<Arc<Page>>,
    ) -> Result<Self, AdminError> {
        let path = data.join(TOKEN_FILE);
        let token = if path.exists() { read_token(&path)? } else { make_token(&path)? };
        Ok(Self { local: blake3::hash(token.as_bytes()), certificates, book })
    }

    /// Who calls with these headers, and has shown a certificate with this fingerprint.
    pub(super) fn admit(&self, headers: &HeaderMap, shown: Option<&str>) -> Result<Caller, Status> {
        let proof = match headers.get("authorization") {
            Some(header) => {
                let token = header.to_str().ok().and_then(|text| text.strip_prefix(SCHEME)).map(str::trim);
                let hash = blake3::hash(token.ok_or_else(convert::unauthenticated)?.as_bytes());
                if hash == self.local { Proof::Local } else { Proof::Secret(*hash.as_bytes()) }
            }
            None => Proof::Certificate(shown.ok_or_else(convert::unauthenticated)?.to_owned()),
        };
        self.know(proof)
    }

    /// Whom a proof stands for at this moment.
    fn know(&self, proof: Proof) -> Result<Caller, Status> {
        let page = self.book.borrow();
        let (name, role) = match &proof {
            Proof::Local => (name(LOCAL), Role::Admin),
            Proof::Secret(hash) => match page.secret(hash) {
                Some(secret) if secret.until_ms.is_none_or(|until| clock::now_ms() < until) => {
                    (book::caller_of(&secret.token), secret.role)
                }
                Some(secret) => return Err(convert::expired(&secret.token)),
                None if page.is_known() => return Err(convert::unauthenticated()),
                None => return Err(convert::book_unknown()),
            },
            // What was granted may be less than what every certificate has: that has to be known first.
            Proof::Certificate(_) if !page.is_known() => return Err(convert::book_unknown()),
            Proof::Certificate(hex) => {
                (name(&format!("cert/{hex}")), page.certificate(hex).unwrap_or(self.certificates))
            }
            Proof::Relayed => return Err(convert::unauthenticated()),
        };
        Ok(Caller { name, role, proof })
    }

    /// Waits until a caller may not go on any more with what needs the role `needs`, and says why.
    pub(super) fn until_over(
        &self,
        caller: &Caller,
        method: &'static str,
        needs: Role,
    ) -> impl Future<Output = Status> + Send + use<> {
        let (mut gate, proof) = (self.clone(), caller.proof.clone());
        async move {
            if matches!(proof, Proof::Local | Proof::Relayed) {
                return std::future::pending().await;
            }
            loop {
                gate.book.mark_unchanged();
                let now = gate.know(proof.clone()).and_then(|caller| caller.may(method, needs));
                if let Err(status) = now {
                    return status;
                }
                tokio::select! {
                    changed = gate.book.changed() => if changed.is_err() { return std::future::pending().await },
                    () = tokio::time::sleep(EXPIRY) => {}
                }
            }
        }
    }
}

/// Reads a file that nobody but its owner may read. Blocks on the disk.
pub(super) fn read_secret(path: &Path) -> Result<String, AdminError> {
    let mode = fs::metadata(path).map_err(failed("look at", path))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(AdminError::Exposed { path: path.to_owned(), mode });
    }
    read_text(path)
}

/// Reads a short text file. Blocks on the disk.
pub(super) fn read_text(path: &Path) -> Result<String, AdminError> {
    let mut text = String::new();
    let file = File::open(path).map_err(failed("open", path))?;
    file.take(SECRET_BYTES_MAX).read_to_string(&mut text).map_err(failed("read", path))?;
    Ok(text)
}

pub(super) fn read_token(path: &Path) -> Result<String, AdminError> {
    let text = read_secret(path)?;
    let token = text.trim();
    if token.len() < TOKEN_CHARS_LEAST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let problem = format!(
            "holds no token of at least {TOKEN_CHARS_LEAST} printable ASCII characters: delete it, and the \
             node makes one"
        );
        return Err(AdminError::Content { path: path.to_owned(), problem });
    }
    Ok(token.to_owned())
}

fn make_token(path: &Path) -> Result<String, AdminError> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| AdminError::Random(error.to_string()))?;
    let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(failed("make", path))?;
    writeln!(file, "{token}").and_then(|()| file.sync_all()).map_err(failed("write", path))?;
    Ok(token)
}

fn name(text: &str) -> ClientName {
    text.parse().expect("`local`, and `cert/` with hexadecimal digits, keep to the rule for names")
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn open(data: &Path) -> Result<Gate, AdminError> {
        Gate::open(data, Role::Read, watch::Sender::default().subscribe())
    }

    fn shown(gate: &Gate, authorization: Option<&str>) -> Result<String, Code> {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert("authorization", value.parse().expect("a header"));
        }
        let caller = gate.admit(&headers, None);
        caller.map(|caller| caller.to_string()).map_err(|status| status.code())
    }

    #[test]
    fn only_the_token_opens() {
        let data = tempfile::tempdir().expect("a folder");
        let gate = open(data.path()).expect("a token is made");
        let path = data.path().join("token");
        let token = fs::read_to_string(&path).expect("it is there").trim().to_owned();
        assert_eq!(
            (token.len(), fs::metadata(&path).expect("it is there").permissions().mode() & 0o777),
            (64, 0o600)
        );
        let again = open(data.path()).expect("it is read");
        assert_eq!(shown(&again, Some(&format!("Bearer {token}"))), Ok("local".to_owned()));
        for wrong in [None, Some(""), Some(token.as_str())] {
            assert_eq!(shown(&gate, wrong), Err(Code::Unauthenticated), "{wrong:?}");
        }
        // It may be one of the realm's, which are not known yet.
        let (short, long) = (format!("Bearer {}", &token[1..]), format!("Bearer {token}0"));
        for wrong in ["Bearer ", &short, &long] {
            assert_eq!(shown(&gate, Some(wrong)), Err(Code::Unavailable), "{wrong:?}");
        }
    }

    #[test]
    fn a_token_that_others_may_read_is_refused() {
        let data = tempfile::tempdir().expect("a folder");
        let path = data.path().join("token");
        fs::write(&path, "0".repeat(64)).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("ours");
        assert!(matches!(open(data.path()), Err(AdminError::Exposed { mode: 0o640, .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("ours");
        assert!(open(data.path()).is_ok());
        fs::write(&path, "short").expect("a file");
        let error = open(data.path()).expect_err("too short").to_string();
        assert!(error.contains("token") && error.contains("delete it"), "{error}");
    }

    #[test]
    fn a_request_that_did_not_pass_the_gate_has_no_caller() {
        assert_eq!(caller_of(&Request::new(())).expect_err("nobody").code(), Code::Unauthenticated);
    }

    #[test]
    fn a_caller_may_do_what_the_role_allows() {
        let caller = Caller::relayed(name("token/ci"), Role::Deploy);
        assert!(
            caller.may("Souls/Spawn", Role::Deploy).is_ok() && caller.may("Souls/Get", Role::Read).is_ok()
        );
        let refused = caller.may("Kv/Put", Role::Operate).expect_err("too weak");
        assert_eq!(refused.code(), Code::PermissionDenied);
        assert!(refused.message().contains("operate") && refused.message().contains("deploy"), "{refused}");
    }
}
