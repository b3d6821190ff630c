//! How what is promised to be on disk comes there.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::kv::OnFatal;

/// The disk under the run logs. A sync that fails is not tried again: the next one would succeed, because the system
/// marks as clean what it could not write, and what was lost would be taken for kept. So the node ends. Another that
/// holds a copy goes on; this one finds out at its next start what its files still have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(OnFatal);

impl Disk {
    /// `on_fatal` ends the node.
    pub(crate) fn new(on_fatal: OnFatal) -> Self {
        Self(on_fatal)
    }

    /// Brings to disk what was written to the file at `path`.
    ///
    /// # Errors
    /// The disk's: the node is ending then.
    pub(crate) fn sync(&self, file: &File, path: &Path) -> io::Result<()> {
        file.sync_data().inspect_err(|error| {
            (self.0.0)(format!("{} cannot be made durable: {error}", path.display()));
        })
    }
}
