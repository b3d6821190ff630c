//! Why the store cannot do its work, and where its disk work is done.

use std::io;
use std::path::{Path, PathBuf};

use crate::ids::Digest;

/// Why a component was not stored, or not found.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No component has this digest.
    #[error("this node has no component {0}: upload it")]
    Unknown(Digest),
    /// One component is too long.
    #[error("the component is longer than {0} bytes (limit `component_bytes_max`): make it smaller")]
    TooLarge(u64),
    /// More came than was announced.
    #[error("more than the announced {0} bytes came: announce the right size")]
    Longer(u64),
    /// Less came than was announced.
    #[error("{found} of the announced {expected} bytes came: upload it again, whole")]
    Shorter {
        /// How many bytes were announced.
        expected: u64,
        /// How many came.
        found: u64,
    },
    /// Something else came than was announced.
    #[error("what came is {found}, and {expected} was announced: upload it again, unchanged")]
    Different {
        /// The digest that was announced.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// There is no room for more.
    #[error("the components fill {0} bytes (limit `total_bytes_max`): delete some first")]
    Full(u64),
    /// There are too many.
    #[error("there are {0} components (limit `components_max`): delete some first")]
    TooMany(usize),
    /// Too many are being uploaded.
    #[error("{0} uploads go on already (limit `uploads_max`): try again later")]
    Busy(usize),
    /// An earlier write to this upload failed, or was given up halfway.
    #[error("a part of this upload was lost: begin it anew")]
    Broken,
    /// The file is not what was stored.
    #[error(
        "`{}` is not {digest} any more: delete the component, upload it again, and look after the disk",
        .path.display()
    )]
    Damaged {
        /// What the file should be.
        digest: Digest,
        /// The file.
        path: PathBuf,
    },
    /// A file or folder could not be used.
    #[error("cannot {what} `{}`: {source}; look after the disk and the folder's owner", .path.display())]
    File {
        /// What was to be done.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

pub(super) fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::File { what, path, source }
}

/// Runs what blocks, or takes long, off the asynchronous workers. A panic goes on in the caller.
pub(in crate::runtime) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is being shut down, and nobody will ask again.
            Err(_) => std::future::pending().await,
        },
    }
}
