//! `matrix components keygen` and `matrix components sign`.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use matrix_proto::signature::{PublicKey, Signature, hex, public_of, unhex};
use serde_json::json;

use super::LocalComponent;
use crate::content::read_file;
use crate::errors::Error;
use crate::outside::Outside;
use crate::session::Session;

/// What the name of a signature's file ends with, after that of its component.
const SUFFIX: &str = "sig";
/// The most bytes in a signature, or in a key.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Makes a key, and prints its public part.
pub(super) fn keygen(session: &Session<'_>, path: &Path) -> Result<(), Error> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|error| Error::local("cannot make a key", "the system's random source", error))?;
    let failed = |error| Error::file("cannot write the key", path, error);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    writeln!(file, "{}", hex(&secret)).and_then(|()| file.sync_all()).map_err(failed)?;
    let key = public_of(&secret);
    session
        .output
        .show(&json!({ "file": path.display().to_string(), "public_key": key }), |_| format!("{key}\n"))?;
    session.output.note("name it in `components.trusted_keys` of each node's configuration");
    Ok(())
}

/// Signs a component, beside its file.
pub(super) fn sign(session: &Session<'_>, path: &Path, key: &Path, name: &str) -> Result<(), Error> {
    let component = LocalComponent::read(path)?;
    let outside =
        Outside::of(&component.bytes).map_err(|error| Error::file("this is no component", path, error))?;
    let imports = BTreeSet::from_iter(outside.imports);
    let signature = Signature::sign(&secret(key)?, &component.digest, name, imports);
    let file = beside(path);
    let text = serde_json::to_string_pretty(&signature)
        .map_err(|error| Error::file("cannot write the signature", &file, error))?;
    std::fs::write(&file, text + "\n")
        .map_err(|error| Error::file("cannot write the signature", &file, error))?;
    let json =
        json!({ "file": file.display().to_string(), "digest": component.digest, "signature": signature });
    session.output.show(&json, |style| {
        let mut shown =
            format!("{} {name} {} with {}\n", style.green("signed"), component.digest, signature.key);
        for import in &signature.imports {
            shown += &format!("  may import {import}\n");
        }
        shown
    })
}

/// The signature beside a component's file, if there is one.
pub(super) fn found(path: &Path) -> Result<Option<Signature>, Error> {
    let file = beside(path);
    if !file.exists() {
        return Ok(None);
    }
    let bytes = read_file(&file, FILE_BYTES_MAX)?;
    let read = serde_json::from_slice(&bytes);
    read.map(Some).map_err(|error| Error::file("this is no signature of a component", &file, error))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(SUFFIX);
    name.into()
}

/// The secret key in a file that only its owner may read.
pub(in crate::commands) fn secret(path: &Path) -> Result<[u8; 32], Error> {
    let failed = |error| Error::file("cannot read the key", path, error);
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let why = format!("others may read it (mode {mode:o}): set it to 600, and replace it if it was read");
        return Err(Error::file("cannot use the key", path, why));
    }
    let text = read_file(path, FILE_BYTES_MAX)?;
    let bytes = std::str::from_utf8(&text).ok().and_then(|text| unhex(text.trim()));
    let secret = bytes.and_then(|bytes| bytes.try_into().ok());
    secret.ok_or_else(|| {
        Error::file("cannot use the key", path, "it is none that `matrix components keygen` made")
    })
}

/// A signature as the interface has it.
pub(super) fn to_wire(signature: &Signature) -> matrix_proto::v1::ComponentSignature {
    let PublicKey(key) = signature.key;
    matrix_proto::v1::ComponentSignature {
        key: bytes::Bytes::copy_from_slice(&key),
        name: signature.name.clone(),
        imports: signature.imports.iter().cloned().collect(),
        signature: unhex(&signature.signature).unwrap_or_default().into(),
    }
}
