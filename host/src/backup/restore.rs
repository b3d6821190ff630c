//! Making a new realm from a backup: the file is read twice, once to see that it is whole, and once to take out what it
//! holds. Until all of that is on disk it stands in a folder of its own, so that a restore that fails leaves nothing.

use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use matrix_proto::backup::{BackupError, Item, Reader};
use matrix_proto::wire::{BackupFileKind, BackupHeader};

use crate::ids::{Digest, MessageId};
use crate::kv::{Import, KvConfig, KvError};
use crate::matrices::restored as matrices;
use crate::realm::{self, Identity, IdentityError, RealmId};
use crate::runtime::components::ComponentsConfig;
use crate::runtime::store::{ComponentStore, StoreError, Upload};
use crate::souls::placed::{self, Placed};

/// Where the new realm stands until it is whole, in the data folder.
const UNFINISHED: &str = "restoring";
/// The KV's state on its way in, in that folder.
const STATE: &str = "state";
/// The number of the node that the new realm begins with.
const FIRST_NODE: u64 = 1;

/// Where a realm is restored to, and within which bounds.
#[derive(Debug)]
pub struct Place<'a> {
    /// The data folder: empty, or not there yet.
    pub folder: &'a Path,
    /// The names in it of the KV's folder and of the folder of run logs.
    pub names: [&'a str; 2],
    /// The KV's settings; their folder does not count.
    pub kv: &'a KvConfig,
    /// The components' settings.
    pub components: &'a ComponentsConfig,
}

/// A realm that was made from a backup.
#[derive(Debug)]
pub struct Restored {
    /// The backup.
    pub from: BackupHeader,
    /// The new realm.
    pub realm: RealmId,
    /// Components in it.
    pub components: u64,
    /// Run logs in it.
    pub runs: u64,
    /// What the backup does not hold, in words.
    pub missing: Vec<String>,
}

/// Why a realm cannot be restored. Nothing is left of the attempt.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The folder holds something.
    #[error("{0} is not empty: a backup is restored into an empty folder, never over another realm")]
    NotEmpty(PathBuf),
    /// The file cannot be used.
    #[error("{0}: {1}")]
    Backup(PathBuf, #[source] BackupError),
    /// Something in it is not what it should be.
    #[error("the backup holds {0}, which is none: it was not written by a node; use another copy")]
    Strange(String),
    /// It cannot be written.
    #[error("cannot write {0}: {1}")]
    Io(PathBuf, #[source] io::Error),
    /// The KV cannot be made.
    #[error(transparent)]
    Kv(#[from] KvError),
    /// A component cannot be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The new identity cannot be had.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Makes a new realm of one node from the backup in `file`. Blocks on the disk.
///
/// # Errors
/// Whatever [`RestoreError`] names; the folder is then as empty as before.
pub async fn restore(file: &Path, place: Place<'_>) -> Result<Restored, RestoreError> {
    let folder = place.folder;
    let mut make = DirBuilder::new();
    make.recursive(true).mode(0o700).create(folder).map_err(failed(folder))?;
    if std::fs::read_dir(folder).map_err(failed(folder))?.next().is_some() {
        return Err(RestoreError::NotEmpty(folder.to_owned()));
    }
    let unusable = |error| RestoreError::Backup(file.to_owned(), error);
    open(file)?.verify().map_err(unusable)?;
    let unfinished = folder.join(UNFINISHED);
    make.create(&unfinished).map_err(failed(&unfinished))?;
    let restored = unpack(file, &place, &unfinished).await.and_then(|restored| {
        settle(&unfinished, folder)?;
        Ok(restored)
    });
    // What failed is told; that its remains cannot be removed either would only hide it.
    restored.inspect_err(|_| drop(std::fs::remove_dir_all(&unfinished)))
}

fn open(file: &Path) -> Result<Reader<BufReader<File>>, RestoreError> {
    let unusable = |error| RestoreError::Backup(file.to_owned(), error);
    let opened = File::open(file).map_err(|error| unusable(BackupError::Io(error)))?;
    Reader::open(BufReader::with_capacity(1 << 20, opened)).map_err(unusable)
}

/// Takes everything out of the backup, into the folder `to`.
async fn unpack(file: &Path, place: &Place<'_>, to: &Path) -> Result<Restored, RestoreError> {
    let [kv, runs] = place.names;
    let mut reader = open(file)?;
    let mut unpacked = Unpacked::new(place, to, &to.join(runs))?;
    let end = loop {
        match reader.next_item().map_err(|error| RestoreError::Backup(file.to_owned(), error))? {
            Item::Kv(piece) => unpacked.state.write_all(&piece).map_err(failed(to))?,
            Item::File { kind, name, .. } => unpacked.begin(kind, name).await?,
            Item::Data(piece) => unpacked.write(piece).await?,
            Item::End(end) => break end,
        }
    };
    unpacked.finish().await?;
    let config = KvConfig { dir: to.join(kv), node_id: FIRST_NODE, ..place.kv.clone() };
    let mut import = Import::read(&mut unpacked.state, &config)?;
    change(&mut import, &unpacked.runs)?;
    import.found(&config)?;
    drop(unpacked);
    std::fs::remove_file(to.join(STATE)).map_err(failed(to))?;
    // It has a log, if not one that it wrote: it must not begin another realm where that is lost.
    let identity = Identity { took_part: true, ..Identity::found()? };
    identity.save(to)?;
    let (from, realm) = (reader.header().clone(), identity.realm);
    Ok(Restored { from, realm, components: end.components, runs: end.runs, missing: end.missing })
}

/// Makes of the old realm's state the new one's.
fn change(import: &mut Import, runs: &HashSet<String>) -> Result<(), RestoreError> {
    for bucket in realm::BUCKETS {
        import.clear(bucket)?;
    }
    for (key, value) in import.values(placed::BUCKET) {
        let strange = |_| RestoreError::Strange(format!("{} as a Soul's place", value.escape_ascii()));
        let placed: Placed = serde_json::from_slice(&value).map_err(strange)?;
        import.put(placed::BUCKET, &key, placed.restored(FIRST_NODE).value())?;
    }
    for (key, value) in import.values(matrices::BUCKET) {
        let has_log = matrices::run_of(&value).is_some_and(|(_, run)| runs.contains(&run));
        let strange = || RestoreError::Strange(format!("{} as a Matrix", key.escape_ascii()));
        let record = matrices::restored(&value, FIRST_NODE, has_log).ok_or_else(strange)?;
        import.put(matrices::BUCKET, &key, record)?;
    }
    Ok(())
}

/// Gives everything its place: last of all the identity, which makes a folder a node's.
fn settle(from: &Path, to: &Path) -> Result<(), RestoreError> {
    let names = std::fs::read_dir(from).map_err(failed(from))?;
    let names = names.map(|file| Ok(file?.file_name())).collect::<io::Result<Vec<_>>>();
    let (last, first): (Vec<_>, Vec<_>) =
        names.map_err(failed(from))?.into_iter().partition(|name| name == realm::IDENTITY_FILE);
    let moved = first.iter().chain(&last).try_for_each(|name| {
        std::fs::rename(from.join(name), to.join(name))?;
        File::open(to)?.sync_all()
    });
    if let Err(error) = moved {
        for name in first.iter().chain(&last) {
            let path = to.join(name);
            // It may be a file or a folder, or not have been moved.
            drop(std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path)));
        }
        return Err(RestoreError::Io(to.to_owned(), error));
    }
    std::fs::remove_dir(from).map_err(failed(from))
}

/// What has been taken out so far.
struct Unpacked {
    state: File,
    store: ComponentStore,
    folder: PathBuf,
    runs: HashSet<String>,
    present: Option<Present>,
}

/// The file that is being written.
enum Present {
    Component(Upload),
    Run(PathBuf, File),
}

impl Unpacked {
    fn new(place: &Place<'_>, to: &Path, runs: &Path) -> Result<Self, RestoreError> {
        let path = to.join(STATE);
        let mut options = OpenOptions::new();
        let state = options.read(true).write(true).create_new(true).mode(0o600).open(&path);
        DirBuilder::new().mode(0o700).create(runs).map_err(failed(runs))?;
        Ok(Self {
            state: state.map_err(failed(&path))?,
            store: ComponentStore::open(place.components.store(to))?,
            folder: runs.to_owned(),
            runs: HashSet::new(),
            present: None,
        })
    }

    async fn begin(&mut self, kind: BackupFileKind, name: String) -> Result<(), RestoreError> {
        self.finish().await?;
        let strange = |what| RestoreError::Strange(format!("{} as {what}", name.escape_default()));
        self.present = Some(match kind {
            BackupFileKind::Component => {
                let digest: Digest = name.parse().map_err(|_| strange("a component's digest"))?;
                Present::Component(self.store.begin_upload(None, Some(digest)).await?)
            }
            BackupFileKind::Run => {
                // A name that leads elsewhere is none.
                let run: MessageId = name.parse().map_err(|_| strange("a run"))?;
                let path = self.folder.join(format!("{run}.log"));
                let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
                let file = file.map_err(failed(&path))?;
                self.runs.insert(run.to_string());
                Present::Run(path, file)
            }
            BackupFileKind::Unspecified => return Err(strange("a file of no kind")),
        });
        Ok(())
    }

    async fn write(&mut self, piece: Bytes) -> Result<(), RestoreError> {
        match &mut self.present {
            Some(Present::Component(upload)) => Ok(upload.write(piece).await?),
            Some(Present::Run(path, file)) => file.write_all(&piece).map_err(failed(path)),
            None => Err(RestoreError::Strange("bytes as a file without a name".to_owned())),
        }
    }

    /// Makes the present file durable, if there is one.
    async fn finish(&mut self) -> Result<(), RestoreError> {
        match self.present.take() {
            Some(Present::Component(upload)) => drop(upload.finish().await?),
            Some(Present::Run(path, file)) => file.sync_all().map_err(failed(&path))?,
            None => {}
        }
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed(&self.folder))
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> RestoreError + use<> {
    let path = path.to_owned();
    move |error| RestoreError::Io(path, error)
}
