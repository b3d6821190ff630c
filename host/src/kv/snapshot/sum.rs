//! The checksum at a snapshot's end, taken of blocks as they go to the file or come from it.

use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

/// Bytes of a checksum.
pub(super) const BYTES: usize = 32;

/// A checksum of what has come so far.
pub(super) enum Sum {
    Blake3(Box<blake3::Hasher>),
    Sha256(Sha256),
}

/// Passes bytes on, and takes their checksum.
pub(super) struct Summed<T> {
    pub(super) inner: T,
    pub(super) sum: Sum,
}

impl Sum {
    pub(super) fn blake3() -> Sum {
        Sum::Blake3(Box::default())
    }

    /// What snapshots of earlier versions end in.
    pub(super) fn sha256() -> Sum {
        Sum::Sha256(Sha256::new())
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Sum::Blake3(hasher) => {
                hasher.update(bytes);
            }
            Sum::Sha256(hasher) => hasher.update(bytes),
        }
    }

    pub(super) fn finish(self) -> [u8; BYTES] {
        match self {
            Sum::Blake3(hasher) => hasher.finalize().into(),
            Sum::Sha256(hasher) => hasher.finalize().into(),
        }
    }
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.sum.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.sum.update(&into[..read]);
        Ok(read)
    }
}
