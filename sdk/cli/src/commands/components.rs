//! `matrix components`.

mod label;
mod registry;
pub(super) mod sign;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use matrix_proto::signature::Signature;
use matrix_proto::v1::upload_request::Part;
use matrix_proto::v1::{
    Component, ComponentKind, DeleteComponentRequest, DownloadRequest, GetComponentRequest,
    ListComponentsRequest, UploadHeader, UploadRequest, UploadResponse,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{all_pages, show_deleted};
use crate::connection::Node;
use crate::content::read_file;
use crate::errors::Error;
use crate::output::{Output, Style};
use crate::progress::{Progress, Unit};
use crate::registry::reference::Reference;
use crate::session::Session;
use crate::table::{self, Table};
use crate::{request, text};

/// Bytes in a chunk of an upload: small enough for a smooth bar, large enough for speed.
const CHUNK_BYTES: usize = 64 << 10;

/// The most bytes in a component that is read: far more than a node accepts, little enough to hold.
const COMPONENT_BYTES_MAX: u64 = 256 << 20;

/// How long the node may take to take in and compile a component.
pub(super) const UPLOAD_DEADLINE: Duration = Duration::from_secs(300);

/// What to do with components.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// Makes a key to sign components with, and prints its public part
    Keygen {
        /// Where to keep the key; it must not be there yet
        file: PathBuf,
    },
    /// Signs a component: its bytes, its name, and what it imports. The signature lies beside it, and is pushed with it
    Sign {
        /// The component's file
        file: PathBuf,
        /// The key, from `matrix components keygen`
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The name that it is to be pushed under [default: from the file's name]
        #[arg(long)]
        name: Option<String>,
    },
    /// Shows what a component's file says of itself, and adds to it
    Label {
        /// The component's file
        file: PathBuf,
        /// What to add, such as version=1.2.0; it is part of the bytes, so label before you sign
        #[arg(long = "set", value_name = "KEY=TEXT", value_parser = label::parse)]
        set: Vec<(String, String)>,
        /// What it is to run, where it is an interpreter (`matrix:node/program`)
        #[arg(long, value_name = "FILE")]
        program: Option<PathBuf>,
    },
    /// Uploads a component, with the signature beside it, if there is one
    Push {
        /// The component's file
        file: PathBuf,
        /// A name for it [default: from the file's name]
        #[arg(long)]
        name: Option<String>,
    },
    /// Lists components
    #[command(visible_alias = "ls")]
    List,
    /// Shows one component
    Show {
        /// Its digest or name
        #[arg(value_name = "COMPONENT")]
        reference: String,
    },
    /// Gives all that use a component new code, a few first: Souls, Matrices, interceptors
    Rollout(super::rollout::Args),
    /// Deletes a component that nothing uses
    Rm {
        /// Its digest or name
        #[arg(value_name = "COMPONENT")]
        reference: String,
    },
    /// Downloads a component
    Pull {
        /// Its digest or name
        #[arg(value_name = "COMPONENT")]
        reference: String,
        /// Where to write it [default: stdout]
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Publishes a component in a registry of OCI, as a Wasm artifact, and prints its digest
    Publish {
        /// A file (`out/greeter.wasm`), or a component of the node, by digest or name
        #[arg(value_name = "COMPONENT")]
        what: String,
        /// Where to: HOST/REPOSITORY:TAG [default tag: the version that the component says it has]
        to: Reference,
        #[command(flatten)]
        registry: registry::Args,
    },
    /// Fetches a component from a registry of OCI into the node, or to a file
    Fetch {
        /// HOST/REPOSITORY:TAG, or HOST/REPOSITORY@sha256:… for the same bytes each time
        from: Reference,
        /// Where to write it [default: the node takes it]
        #[arg(short, long, value_name = "FILE", conflicts_with = "name")]
        out: Option<PathBuf>,
        /// A name for it on the node [default: the last part of the repository's]
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        registry: registry::Args,
    },
}

/// A component on this machine.
#[derive(Debug, Clone)]
pub(crate) struct LocalComponent {
    /// `sha256:` and 64 hexadecimal digits.
    pub(crate) digest: String,
    bytes: Bytes,
    /// What lies beside it.
    signature: Option<Signature>,
}

impl LocalComponent {
    /// How many bytes it has.
    pub(crate) fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Reads and hashes a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let bytes = read_file(path, COMPONENT_BYTES_MAX)?;
        let hex: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { digest: format!("sha256:{hex}"), bytes, signature: sign::found(path)? })
    }
}

/// Carries out a command.
pub(crate) async fn run(command: Command, session: &Session<'_>) -> Result<(), Error> {
    let output = session.output;
    match command {
        Command::Keygen { file } => sign::keygen(session, &file),
        Command::Sign { file, key, name } => {
            let name = name.unwrap_or_else(|| name_of(&file));
            sign::sign(session, &file, &key, &name)
        }
        Command::Label { file, set, program } => label::label(session, &file, &set, program.as_deref()),
        Command::Push { file, name } => {
            let name = name.unwrap_or_else(|| name_of(&file));
            let component = LocalComponent::read(&file)?;
            let done = upload(&session.node().await?, output, &component, &name).await?;
            output.show(&pushed_json(&done), |style| pushed_human(style, &done))
        }
        Command::List => list(session).await,
        Command::Show { reference } => {
            let component = get(&session.node().await?, &reference).await?;
            output.show(&json(&component), |style| human(style, &component))
        }
        Command::Rollout(args) => super::rollout::run(args, session).await,
        Command::Rm { reference } => {
            let node = session.node().await?;
            let message = DeleteComponentRequest { reference: reference.clone(), request_id: request::id()? };
            let place = format!("component {reference}");
            node.call(place, message, async |request| node.components().delete(request).await).await?;
            show_deleted(session, "component", &reference)
        }
        Command::Pull { reference, out } => pull(session, &reference, out.as_deref()).await,
        Command::Publish { what, to, registry } => registry::publish(session, &what, &to, &registry).await,
        Command::Fetch { from, out, name, registry } => {
            registry::fetch(session, &from, out.as_deref(), name, &registry).await
        }
    }
}

/// Asks for a component by digest or name.
pub(crate) async fn get(node: &Node, reference: &str) -> Result<Component, Error> {
    let message = GetComponentRequest { reference: reference.to_owned() };
    let place = format!("component {reference}");
    node.call(place, message, async |request| node.components().get(request).await).await
}

/// Uploads a component under `name`, with a bar.
pub(crate) async fn upload(
    node: &Node,
    output: &Output,
    component: &LocalComponent,
    name: &str,
) -> Result<UploadResponse, Error> {
    let size = component.bytes.len() as u64;
    let progress = Progress::start(output, format!("Uploading {name}"), Unit::Bytes, Some(size));
    let header = UploadHeader {
        name: name.to_owned(),
        size,
        digest: component.digest.clone(),
        request_id: request::id()?,
        signature: component.signature.as_ref().map(sign::to_wire),
    };
    let deadline = node.deadline(UPLOAD_DEADLINE);
    let (sent, count) = tokio::sync::watch::channel(0u64);
    let call = request::retried((), deadline, async |empty| {
        let parts = tokio_stream::iter(parts(&header, &component.bytes, sent.clone()));
        node.components().upload(empty.map(|()| parts)).await
    });
    let watch = async {
        let mut count = count.clone();
        while count.changed().await.is_ok() {
            progress.set(*count.borrow_and_update(), None);
        }
        std::future::pending().await
    };
    let done = tokio::select! {
        done = call => done,
        done = watch => done,
    };
    let done = done.map_err(|status| Error::node(status, format!("component {name}")))?;
    progress.finish(size);
    Ok(done)
}

/// The messages of an upload: the header, then the bytes. Each tells `sent` how far it goes.
fn parts(
    header: &UploadHeader,
    bytes: &Bytes,
    sent: tokio::sync::watch::Sender<u64>,
) -> impl Iterator<Item = UploadRequest> + Send + use<> {
    let (head, bytes) = (UploadRequest { part: Some(Part::Header(header.clone())) }, bytes.clone());
    let chunks = (0..bytes.len()).step_by(CHUNK_BYTES).map(move |start| {
        let end = bytes.len().min(start + CHUNK_BYTES);
        sent.send_replace(end as u64);
        UploadRequest { part: Some(Part::Chunk(bytes.slice(start..end))) }
    });
    std::iter::once(head).chain(chunks)
}

async fn list(session: &Session<'_>) -> Result<(), Error> {
    let node = session.node().await?;
    let components = all_pages(async |page| {
        let message = ListComponentsRequest { page: Some(page) };
        let list = async |request| node.components().list(request).await;
        let page = node.call("components", message, list).await?;
        Ok((page.components, page.next_page_token))
    })
    .await?;
    let json = json!({ "components": components.iter().map(json).collect::<Vec<_>>() });
    session.output.show(&json, |style| {
        let mut table = Table::new(["NAME", "VERSION", "KIND", "SIZE", "BLOCKS", "UPLOADED", "DIGEST"]);
        for component in &components {
            table.row([
                component.name.clone(),
                component.label.as_ref().map(|label| label.version.clone()).unwrap_or_default(),
                kind_name(component.kind()).to_owned(),
                text::bytes(component.size),
                if component.can_block { "yes" } else { "no" }.to_owned(),
                text::moment(component.uploaded_at_ms),
                text::short_digest(&component.digest),
            ]);
        }
        table.render(style, "no components: `matrix components push FILE` uploads one")
    })
}

async fn pull(session: &Session<'_>, reference: &str, out: Option<&Path>) -> Result<(), Error> {
    if out.is_none() && session.output.stdout_is_terminal() {
        return Err(Error::usage("a component is not for the terminal", "name a file: -o FILE"));
    }
    let node = session.node().await?;
    let component = get(&node, reference).await?;
    let bytes = download(session, &node, &component, reference).await?;
    let Some(path) = out else { return session.output.raw(&bytes) };
    std::fs::write(path, &bytes).map_err(|error| Error::file("cannot write the file", path, error))?;
    session.output.show(&json(&component), |style| {
        let size = text::bytes(bytes.len() as u64);
        format!("{} {} ({size})\n", style.green("wrote"), path.display())
    })
}

/// Downloads a component that was asked for by `reference`, with a bar.
async fn download(
    session: &Session<'_>,
    node: &Node,
    component: &Component,
    reference: &str,
) -> Result<Vec<u8>, Error> {
    let place = format!("component {reference}");
    // By digest: the name may mean something else by now.
    let message = DownloadRequest { reference: component.digest.clone() };
    let mut chunks =
        node.stream(&place, message, async |request| node.components().download(request).await).await?;
    let what = format!("Downloading {reference}");
    let progress = Progress::start(session.output, what, Unit::Bytes, Some(component.size));
    let mut bytes = Vec::new();
    while let Some(part) = chunks.message().await.map_err(|status| Error::node(status, &place))? {
        bytes.extend_from_slice(&part.chunk);
        if bytes.len() as u64 > COMPONENT_BYTES_MAX {
            return Err(Error::local("cannot take it", &place, "the node sends too much"));
        }
        progress.set(bytes.len() as u64, None);
    }
    progress.finish(bytes.len() as u64);
    let hex: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if component.digest != format!("sha256:{hex}") {
        return Err(Error::local("what arrived is not the component", &place, "its digest differs"));
    }
    Ok(bytes)
}

/// The name that a file's name suggests.
pub(crate) fn name_of(path: &Path) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
    stem.replace(['_', '.', ' '], "-")
}

fn json(component: &Component) -> Value {
    json!({
        "digest": component.digest,
        "name": component.name,
        "size": component.size,
        "kind": kind_name(component.kind()),
        "imports": component.imports,
        "exports": component.exports,
        "can_block": component.can_block,
        "uploaded_at_ms": component.uploaded_at_ms,
        "signed_by": component.signed_by,
        "label": component.label.as_ref().map(label::json_of),
    })
}

fn human(style: &Style, component: &Component) -> String {
    let read = [
        ("name", component.name.clone()),
        ("digest", component.digest.clone()),
        ("kind", kind_name(component.kind()).to_owned()),
        ("size", text::bytes(component.size)),
        ("imports", component.imports.join(", ")),
        ("exports", component.exports.join(", ")),
        ("blocks", if component.can_block { "yes" } else { "no" }.to_owned()),
        ("uploaded", text::moment(component.uploaded_at_ms)),
        ("signed by", component.signed_by.clone()),
    ];
    let said = component.label.iter().flat_map(|label| {
        let called = Some(label.name.clone()).filter(|name| *name != component.name).unwrap_or_default();
        std::iter::once(("called", called)).chain(label::fields(label))
    });
    table::fields(style, read.into_iter().chain(said))
}

fn pushed_json(done: &UploadResponse) -> Value {
    let component = done.component.clone().unwrap_or_default();
    json!({ "component": json(&component), "existed": done.existed, "compile_us": done.compile_us })
}

fn pushed_human(style: &Style, done: &UploadResponse) -> String {
    let component = done.component.clone().unwrap_or_default();
    let word = if done.existed { style.dim("unchanged") } else { style.green("created") };
    let time = match done.compile_us {
        0 => String::new(),
        us => format!(", compiled in {}", text::duration(us / 1000)),
    };
    let kind = kind_name(component.kind());
    let (name, digest) = (text::one_line(&component.name), text::one_line(&component.digest));
    format!("{word} {kind} {name} {digest} ({}{time})\n", text::bytes(component.size))
}

const fn kind_name(kind: ComponentKind) -> &'static str {
    match kind {
        ComponentKind::Unspecified => "-",
        ComponentKind::Soul => "soul",
        ComponentKind::Rules => "rules",
        ComponentKind::Transport => "transport",
    }
}
