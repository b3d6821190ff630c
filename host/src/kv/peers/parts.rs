//! A snapshot that comes in parts: into one file, whole or not at all.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;

use bytes::Bytes;
use matrix_proto::wire;

use crate::kv::raft::Vote;
use crate::kv::snapshot::{Meta, SUFFIX_UNFINISHED, SnapshotFile};

/// The name of the file, which is removed as all unfinished ones are.
const FILE: &str = "incoming";
/// The largest snapshot that is taken, in bytes: far above what the budget of the state lets one grow to.
const BYTES_MAX: u64 = 64 << 30;

/// The snapshot that is coming in.
#[derive(Debug)]
pub(super) struct Incoming {
    folder: PathBuf,
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    vote: Vote,
    meta: Bytes,
    file: File,
    length: u64,
}

impl Incoming {
    /// None yet; parts will be kept in `folder`.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, begun: None }
    }

    /// Takes a part; with the last one, the snapshot. Parts must come in order, of one snapshot at a time: a first part
    /// begins anew. Blocks on the disk.
    pub(super) fn take(
        &mut self,
        vote: Vote,
        part: &wire::SnapshotPart,
    ) -> io::Result<Option<(Meta, SnapshotFile)>> {
        if blake3::hash(&part.data).as_bytes()[..] != part.checksum[..] {
            return Err(io::Error::other("a part of a snapshot does not have its checksum"));
        }
        if part.offset == 0 {
            let path = self.folder.join(FILE).with_extension(SUFFIX_UNFINISHED);
            let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
            self.begun = Some(Begun { vote, meta: part.meta.clone(), file, length: 0 });
        }
        let begun = self.begun.as_mut().filter(|begun| {
            begun.vote == vote
                && begun.meta == part.meta
                && begun.length == part.offset
                && begun.length < BYTES_MAX
        });
        let begun =
            begun.ok_or_else(|| io::Error::other("a part of a snapshot does not follow the one before"))?;
        begun.file.write_all(&part.data)?;
        begun.length += part.data.len() as u64;
        if !part.last {
            return Ok(None);
        }
        let meta = serde_json::from_slice(&begun.meta).map_err(io::Error::other)?;
        Ok(self.begun.take().map(|begun| (meta, SnapshotFile { file: begun.file })))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _, SeekFrom};

    use openraft::impls::leader_id_adv::LeaderId;

    use super::*;

    fn part(offset: u64, data: &'static str, last: bool) -> wire::SnapshotPart {
        let meta = serde_json::to_vec(&Meta::default()).expect("it has a form in JSON");
        let checksum = Bytes::copy_from_slice(blake3::hash(data.as_bytes()).as_bytes());
        wire::SnapshotPart { vote: None, meta: meta.into(), offset, data: data.into(), checksum, last }
    }

    #[test]
    fn parts_make_the_snapshot_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let vote = |term| Vote { leader_id: LeaderId { term, node_id: 1 }, committed: true };
        let mut incoming = Incoming::new(folder.path().to_owned());
        assert!(incoming.take(vote(1), &part(0, "abc", false)).expect("the first").is_none());
        let mut flipped = part(3, "def", true);
        flipped.data = "dee".into();
        assert!(incoming.take(vote(1), &flipped).is_err(), "a flipped bit");
        assert!(incoming.take(vote(1), &part(4, "def", true)).is_err(), "a gap");
        assert!(incoming.take(vote(2), &part(3, "def", true)).is_err(), "of another leader");
        let (meta, file) = incoming.take(vote(1), &part(3, "def", true)).expect("it follows").expect("whole");
        assert_eq!(meta, Meta::default());
        let (mut text, mut file) = (String::new(), file.file);
        file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut text)).expect("our own file");
        assert_eq!(text, "abcdef");
        assert!(incoming.take(vote(1), &part(6, "", true)).is_err(), "none is begun");
        assert!(incoming.take(vote(1), &part(0, "x", true)).expect("a new one").is_some());
    }
}
