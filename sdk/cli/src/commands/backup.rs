//! `matrix cluster backup`.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use matrix_proto::backup::{BackupError, Reader};
use matrix_proto::v1::BackupRequest;
use matrix_proto::wire::{BackupEnd, BackupHeader};
use serde_json::{Value, json};

use crate::errors::Error;
use crate::output::Style;
use crate::progress::{Progress, Unit};
use crate::session::Session;
use crate::{table, text};

/// What a backup's name ends with until it is whole.
const UNFINISHED: &str = "unfinished";

/// Writes a backup. Under its name there is never a part of one.
pub(super) async fn take(session: &Session<'_>, path: &Path) -> Result<(), Error> {
    let unfinished = unfinished(path)?;
    let taken = receive(session, &unfinished, path).await;
    // What failed is told; that its remains cannot be removed either would only hide it.
    let found = taken.inspect_err(|_| drop(std::fs::remove_file(&unfinished)))?;
    show(session, path, &found)
}

/// Checks a backup.
pub(super) fn verify(session: &Session<'_>, path: &Path) -> Result<(), Error> {
    show(session, path, &check(path)?)
}

async fn receive(session: &Session<'_>, unfinished: &Path, path: &Path) -> Result<Found, Error> {
    let node = session.node().await?;
    let place = "the realm";
    let rpc = async |request| node.cluster().backup(request).await;
    let mut pieces = node.stream(place, BackupRequest {}, rpc).await?;
    let failed = |error| Error::file("cannot write the backup", unfinished, error);
    // Whoever reads it reads everything.
    let mut options = OpenOptions::new();
    let mut file =
        options.write(true).create(true).truncate(true).mode(0o600).open(unfinished).map_err(failed)?;
    let progress = Progress::start(session.output, "Taking a backup".to_owned(), Unit::Bytes, None);
    let mut bytes = 0;
    while let Some(piece) = pieces.message().await.map_err(|status| Error::node(status, place))? {
        file.write_all(&piece.data).map_err(failed)?;
        bytes += piece.data.len() as u64;
        progress.set(bytes, None);
    }
    progress.finish(bytes);
    file.sync_all().map_err(failed)?;
    let found = check(unfinished)?;
    std::fs::rename(unfinished, path).map_err(failed)?;
    File::open(folder(path)).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(found)
}

/// What a backup holds, and its length.
struct Found {
    header: BackupHeader,
    end: BackupEnd,
    bytes: u64,
}

fn check(path: &Path) -> Result<Found, Error> {
    let failed = |error: BackupError| Error::file("this backup is of no use", path, error);
    let file = File::open(path).map_err(|error| Error::file("cannot read the backup", path, error))?;
    let bytes = file.metadata().map_err(|error| failed(BackupError::Io(error)))?.len();
    let reader = Reader::open(BufReader::with_capacity(1 << 20, file)).map_err(failed)?;
    let (header, end) = reader.verify().map_err(failed)?;
    Ok(Found { header, end, bytes })
}

fn show(session: &Session<'_>, path: &Path, found: &Found) -> Result<(), Error> {
    session.output.show(&json(path, found), |style| human(style, path, found))
}

fn json(path: &Path, Found { header, end, bytes }: &Found) -> Value {
    json!({
        "file": path.display().to_string(),
        "bytes": bytes,
        "realm": header.realm,
        "node": header.node,
        "version": header.version,
        "index": header.index,
        "revision": header.revision,
        "at_ms": header.at_ms,
        "components": end.components,
        "runs": end.runs,
        "missing": end.missing,
    })
}

fn human(style: &Style, path: &Path, Found { header, end, bytes }: &Found) -> String {
    let mut shown = table::fields(
        style,
        [
            ("backup", path.display().to_string()),
            ("size", text::bytes(*bytes)),
            ("realm", text::one_line(&header.realm)),
            ("taken", format!("{}, by node {}", text::moment(header.at_ms), header.node)),
            ("index", header.index.to_string()),
            ("components", end.components.to_string()),
            ("run logs", end.runs.to_string()),
        ],
    );
    for what in &end.missing {
        shown.push_str(&format!("{} {}\n", style.yellow("missing"), text::one_line(what)));
    }
    shown
}

fn unfinished(path: &Path) -> Result<PathBuf, Error> {
    let name = path.file_name().filter(|_| !path.is_dir());
    let name = name.ok_or_else(|| Error::usage("a backup is one file", "name a file, not a folder"))?;
    let mut name = name.to_owned();
    name.push(format!(".{UNFINISHED}"));
    Ok(path.with_file_name(name))
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
