//! Who calls: whoever shows the token is `local`, whoever shows a certificate is known by it.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use tonic::service::Interceptor;
use tonic::{Request, Status};

use super::convert;
use super::error::{AdminError, failed};
use crate::ids::{ClientName, Digest};

/// The token's file, in the data folder.
const TOKEN_FILE: &str = "token";
/// Random bytes in a token that the node makes: too many to guess.
const TOKEN_BYTES: usize = 32;
/// The least characters in a token that an operator chose: 32 hexadecimal digits are 128 bits.
const TOKEN_CHARS_LEAST: usize = 32;
/// The most bytes that are read of a file with a token, a certificate or a key.
const SECRET_BYTES_MAX: u64 = 1 << 20;
/// How a caller is called who shows the token.
const LOCAL: &str = "local";
/// What stands before the token.
const SCHEME: &str = "Bearer ";

/// Who calls, as the gate found out: it rides on every request that passed.
#[derive(Debug, Clone)]
pub(super) struct Caller(ClientName);

/// Who makes a call.
pub(super) fn caller_of<T>(request: &Request<T>) -> Result<ClientName, Status> {
    let caller = request.extensions().get::<Caller>();
    caller.map(|caller| caller.0.clone()).ok_or_else(convert::unauthenticated)
}

/// Says who made a call that another node has let in.
pub(super) fn name_caller<T>(request: &mut Request<T>, caller: ClientName) {
    request.extensions_mut().insert(Caller(caller));
}

/// Lets in who shows the token, or a certificate that the TLS handshake has accepted. Only hashes are
/// compared, in a time that does not depend on where they differ.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    token: blake3::Hash,
}

impl Gate {
    /// A gate that knows the token of the data folder `data`, which is made if there is none. Blocks on
    /// the disk.
    pub(super) fn open(data: &Path) -> Result<Self, AdminError> {
        let path = data.join(TOKEN_FILE);
        let token = if path.exists() { read_token(&path)? } else { make_token(&path)? };
        Ok(Self { token: blake3::hash(token.as_bytes()) })
    }

    fn admit<T>(&self, request: &Request<T>) -> Result<ClientName, Status> {
        if let Some(shown) = request.metadata().get("authorization") {
            let token = shown.to_str().ok().and_then(|text| text.strip_prefix(SCHEME));
            return match token {
                Some(token) if blake3::hash(token.trim().as_bytes()) == self.token => Ok(name(LOCAL)),
                _ => Err(convert::unauthenticated()),
            };
        }
        let certificates = request.peer_certs();
        let certificate = certificates.as_ref().and_then(|chain| chain.first());
        let fingerprint = certificate.map(|certificate| Digest::of(certificate.as_ref()).hex());
        fingerprint.map(|hex| name(&format!("cert/{hex}"))).ok_or_else(convert::unauthenticated)
    }
}

impl Interceptor for Gate {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let caller = self.admit(&request)?;
        tracing::Span::current().record("caller", caller.as_str());
        request.extensions_mut().insert(Caller(caller));
        Ok(request)
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

fn read_token(path: &Path) -> Result<String, AdminError> {
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

    fn shown(gate: &Gate, authorization: Option<&str>) -> Result<String, Code> {
        let mut request = Request::new(());
        if let Some(value) = authorization {
            request.metadata_mut().insert("authorization", value.parse().expect("a header"));
        }
        let passed = gate.clone().call(request).and_then(|request| caller_of(&request));
        passed.map(String::from).map_err(|status| status.code())
    }

    #[test]
    fn only_the_token_opens() {
        let data = tempfile::tempdir().expect("a folder");
        let gate = Gate::open(data.path()).expect("a token is made");
        let path = data.path().join("token");
        let token = fs::read_to_string(&path).expect("it is there").trim().to_owned();
        assert_eq!(
            (token.len(), fs::metadata(&path).expect("it is there").permissions().mode() & 0o777),
            (64, 0o600)
        );
        let again = Gate::open(data.path()).expect("it is read");
        assert_eq!(shown(&again, Some(&format!("Bearer {token}"))), Ok("local".to_owned()));
        let (short, long) = (format!("Bearer {}", &token[1..]), format!("Bearer {token}0"));
        for wrong in [None, Some(""), Some("Bearer "), Some(token.as_str()), Some(&*short), Some(&*long)] {
            assert_eq!(shown(&gate, wrong), Err(Code::Unauthenticated), "{wrong:?}");
        }
    }

    #[test]
    fn a_token_that_others_may_read_is_refused() {
        let data = tempfile::tempdir().expect("a folder");
        let path = data.path().join("token");
        fs::write(&path, "0".repeat(64)).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("ours");
        assert!(matches!(Gate::open(data.path()), Err(AdminError::Exposed { mode: 0o640, .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("ours");
        assert!(Gate::open(data.path()).is_ok());
        fs::write(&path, "short").expect("a file");
        let error = Gate::open(data.path()).expect_err("too short").to_string();
        assert!(error.contains("token") && error.contains("delete it"), "{error}");
    }

    #[test]
    fn a_request_that_did_not_pass_the_gate_has_no_caller() {
        assert_eq!(caller_of(&Request::new(())).expect_err("nobody").code(), Code::Unauthenticated);
    }
}
