//! `wasi:filesystem`: a guest has no files. Language runtimes import the interfaces all the same, so
//! they are there: no folder is open, and whatever is tried on one traps.

use wasmtime::component::{Linker, Resource, ResourceType, types};

use crate::runtime::state::GuestState;

/// A file or folder, of which there is none.
pub struct NoDescriptor;

/// A listing of a folder, of which there is none.
pub struct NoEntries;

/// The open folders, of which there is none.
type Folders = Vec<(Resource<NoDescriptor>, String)>;

/// The functions of `wasi:filesystem/types` (github.com/WebAssembly/WASI, 0.2).
const FUNCTIONS: [&str; 29] = [
    "[method]descriptor.read-via-stream",
    "[method]descriptor.write-via-stream",
    "[method]descriptor.append-via-stream",
    "[method]descriptor.advise",
    "[method]descriptor.sync-data",
    "[method]descriptor.get-flags",
    "[method]descriptor.get-type",
    "[method]descriptor.set-size",
    "[method]descriptor.set-times",
    "[method]descriptor.read",
    "[method]descriptor.write",
    "[method]descriptor.read-directory",
    "[method]descriptor.sync",
    "[method]descriptor.create-directory-at",
    "[method]descriptor.stat",
    "[method]descriptor.stat-at",
    "[method]descriptor.set-times-at",
    "[method]descriptor.link-at",
    "[method]descriptor.open-at",
    "[method]descriptor.readlink-at",
    "[method]descriptor.remove-directory-at",
    "[method]descriptor.rename-at",
    "[method]descriptor.symlink-at",
    "[method]descriptor.unlink-file-at",
    "[method]descriptor.is-same-object",
    "[method]descriptor.metadata-hash",
    "[method]descriptor.metadata-hash-at",
    "[method]directory-entry-stream.read-directory-entry",
    "filesystem-error-code",
];

/// Lets components import the interfaces.
pub(crate) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    let mut files = linker.instance("wasi:filesystem/types@0.2.12")?;
    files.resource("descriptor", ResourceType::host::<NoDescriptor>(), |_, _| Ok(()))?;
    files.resource("directory-entry-stream", ResourceType::host::<NoEntries>(), |_, _| Ok(()))?;
    for name in FUNCTIONS {
        files.func_new(name, |_, _: types::ComponentFunc, _, _| {
            Err(wasmtime::Error::msg("a guest has no files: use wasi:keyvalue for what must be kept"))
        })?;
    }
    linker
        .instance("wasi:filesystem/preopens@0.2.12")?
        .func_wrap("get-directories", |_, (): ()| -> wasmtime::Result<(Folders,)> { Ok((Vec::new(),)) })
}
