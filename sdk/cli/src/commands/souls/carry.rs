//! `matrix souls export` and `matrix souls import`.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use matrix_proto::soul_file::{Decoder, Sealed, SoulFileError, seal};
use matrix_proto::v1::import_soul_request::Part;
use matrix_proto::v1::{ExportSoulRequest, ImportSoulHeader, ImportSoulRequest, Soul};
use serde_json::json;

use super::super::components::sign;
use super::parse_name;
use crate::connection::Node;
use crate::errors::Error;
use crate::session::Session;
use crate::{request, text};

/// The bytes in a piece of an import.
const PIECE_BYTES: usize = 256 << 10;
/// The most bytes in a file that is read.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// What a file's name ends with until it is whole.
const UNFINISHED: &str = "unfinished";

/// Which Soul, and what of it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ExportArgs {
    /// The Soul's name
    #[arg(value_parser = parse_name)]
    name: String,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// With the state that the Soul came to by this lesson, and not the present one
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    lesson: Option<u64>,
    /// Leave out what it remembers
    #[arg(long)]
    without_memory: bool,
    /// Also what it learns from
    #[arg(long)]
    with_experience: bool,
    /// Leave out its component: where the Soul goes, that must be known
    #[arg(long)]
    without_component: bool,
    /// Sign the file with this key, which `matrix components keygen` made
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// Which file, and what its Soul is called.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ImportArgs {
    /// The file
    file: PathBuf,
    /// What the Soul is called here, instead of what the file says
    #[arg(long, value_parser = parse_name)]
    name: Option<String>,
    /// Only if it is signed with this key: `ed25519:` and 64 digits
    #[arg(long, value_name = "KEY")]
    signed_by: Option<matrix_proto::signature::PublicKey>,
}

/// Writes a Soul into a file. Under its name there is never a part of one.
pub(crate) async fn export(node: &Node, args: ExportArgs, session: &Session<'_>) -> Result<(), Error> {
    let secret = args.key.as_deref().map(sign::secret).transpose()?;
    let path = &args.out;
    let mut unfinished = path.clone().into_os_string();
    unfinished.push(format!(".{UNFINISHED}"));
    let unfinished = PathBuf::from(unfinished);
    let written = receive(node, &args, secret, &unfinished).await.and_then(|written| {
        let failed = |error| Error::file("cannot write the file", path, error);
        std::fs::rename(&unfinished, path).map_err(failed)?;
        Ok(written)
    });
    // What failed is told; that its remains cannot be removed either would only hide it.
    let (sealed, bytes) = written.inspect_err(|_| drop(std::fs::remove_file(&unfinished)))?;
    let (file, hash) = (path.display().to_string(), matrix_proto::signature::hex(&sealed.hash));
    let shown =
        json!({ "soul": args.name, "file": file, "bytes": bytes, "hash": hash, "signed_by": sealed.key });
    session.output.show(&shown, |style| format!("{} {file} ({})\n", style.green("wrote"), text::bytes(bytes)))
}

async fn receive(
    node: &Node,
    args: &ExportArgs,
    secret: Option<[u8; 32]>,
    path: &Path,
) -> Result<(Sealed, u64), Error> {
    let place = format!("soul {}", args.name);
    let message = ExportSoulRequest {
        name: args.name.clone(),
        lesson: args.lesson.unwrap_or(0),
        without_memory: args.without_memory,
        with_experience: args.with_experience,
        without_component: args.without_component,
    };
    let mut pieces = node.stream(&place, message, async |request| node.souls().export(request).await).await?;
    let failed = |error| Error::file("cannot write the file", path, error);
    let mut options = OpenOptions::new();
    // Whoever reads it reads all that the Soul knows.
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path).map_err(failed)?;
    let mut decoder = Decoder::default();
    while let Some(piece) = pieces.message().await.map_err(|status| Error::node(status, &place))? {
        file.write_all(&piece.data).map_err(failed)?;
        feed(&mut decoder, &piece.data).map_err(|error| Error::file("what came is no Soul", path, error))?;
    }
    let sealed = decoder.finish().map_err(|error| Error::file("what came is no Soul", path, error))?;
    let key = secret.as_ref().map(matrix_proto::signature::public_of);
    if secret.is_some() {
        let signed = seal(sealed.hash, secret.as_ref());
        file.set_len(sealed.at).map_err(failed)?;
        std::os::unix::fs::FileExt::write_all_at(&file, &signed, sealed.at).map_err(failed)?;
    }
    file.sync_all().map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    Ok((Sealed { key, ..sealed }, bytes))
}

fn feed(decoder: &mut Decoder, bytes: &[u8]) -> Result<(), SoulFileError> {
    decoder.push(bytes);
    while decoder.next_record()?.is_some() {}
    Ok(())
}

/// Lets the Soul of a file live.
pub(crate) async fn import(node: &Node, args: ImportArgs) -> Result<Soul, Error> {
    let path = &args.file;
    let pieces = read(path, args.signed_by)?;
    let place = format!("file {}", path.display());
    let header = ImportSoulHeader { name: args.name.unwrap_or_default(), request_id: request::id()? };
    let deadline = node.deadline(super::super::components::UPLOAD_DEADLINE);
    let call = request::retried((), deadline, async |empty| {
        let first = ImportSoulRequest { part: Some(Part::Header(header.clone())) };
        let rest = pieces.clone().into_iter().map(|data| ImportSoulRequest { part: Some(Part::Data(data)) });
        node.souls().import(empty.map(|()| tokio_stream::iter(std::iter::once(first).chain(rest)))).await
    });
    call.await.map_err(|status| Error::node(status, place))
}

/// The pieces of a file that is whole, and signed by whom it has to be.
fn read(path: &Path, by: Option<matrix_proto::signature::PublicKey>) -> Result<Vec<Bytes>, Error> {
    let failed = |error| Error::file("cannot read the file", path, error);
    let useless =
        |error: &dyn std::fmt::Display| Error::file("this file is of no use", path, error.to_string());
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(useless(&format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    let mut decoder = Decoder::default();
    for piece in bytes.chunks(PIECE_BYTES) {
        feed(&mut decoder, piece).map_err(|error| useless(&error))?;
    }
    let sealed = decoder.finish().map_err(|error| useless(&error))?;
    match (by, sealed.key) {
        (Some(by), Some(key)) if by != key => return Err(useless(&format!("it is signed by {key}"))),
        (Some(_), None) => return Err(useless(&"nobody signed it")),
        _ => {}
    }
    let bytes = Bytes::from(bytes);
    let piece = |start: usize| bytes.slice(start..bytes.len().min(start + PIECE_BYTES));
    Ok((0..bytes.len()).step_by(PIECE_BYTES).map(piece).collect())
}
