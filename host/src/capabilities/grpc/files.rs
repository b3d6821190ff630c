//! Files that endpoints need. All of this blocks on the disk.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::refusal::SetupError;

/// The longest file: a bundle of all public authorities has a quarter of it.
const BYTES_MAX: u64 = 1 << 20;

/// Reads a text that may be public.
///
/// # Errors
/// `File`.
pub(super) fn read(setting: &str, path: &Path) -> Result<String, SetupError> {
    let failed = |source| SetupError::File { setting: setting.to_owned(), path: path.to_owned(), source };
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// Reads a text that nobody else may read.
///
/// # Errors
/// `File` or `Exposed`.
pub(super) fn read_secret(setting: &str, path: &Path) -> Result<String, SetupError> {
    let failed = |source| SetupError::File { setting: setting.to_owned(), path: path.to_owned(), source };
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SetupError::Exposed { setting: setting.to_owned(), path: path.to_owned(), mode });
    }
    read(setting, path)
}
