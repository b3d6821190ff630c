//! Files of runs that no Matrix names: what a node leaves that is killed while it creates or deletes one.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::checkpoint;
use super::runlog::{LogError, blocking, failed};
use crate::ids::MessageId;

/// How the names of logs end that were fetched for a while.
const FETCHED: &str = "fetched";

/// Removes every file of a run that is not in `named`. Only what this node writes is touched: a run log, and what is
/// kept beside it, named after a run.
///
/// # Errors
/// `Io` if the folder cannot be read; what cannot be removed is told, and left.
pub(crate) async fn sweep(folder: &Path, named: HashSet<String>) -> Result<(), LogError> {
    let folder = folder.to_owned();
    blocking(move || {
        for entry in std::fs::read_dir(&folder).map_err(failed("read", &folder))? {
            let entry = entry.map_err(failed("read", &folder))?;
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_file()) && is_left(&path, &named) {
                remove(&path);
            }
        }
        Ok(())
    })
    .await
}

/// Where the log of a run of another node lies while it is gone through here; no two are alike.
pub(crate) fn fetched(folder: &Path, run: &str, number: MessageId) -> PathBuf {
    folder.join(format!("{run}.{number}.{FETCHED}"))
}

fn is_left(path: &Path, named: &HashSet<String>) -> bool {
    if path.extension().is_some_and(|end| end == FETCHED) {
        return true;
    }
    let Some(run) = path.file_stem().and_then(|stem| stem.to_str()) else { return false };
    let ours = checkpoint::files_of(&path.with_extension("log")).iter().any(|file| file == path);
    ours && run.parse::<MessageId>().is_ok() && !named.contains(run)
}

fn remove(path: &PathBuf) {
    let shown = path.display();
    let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    match std::fs::remove_file(path) {
        Ok(()) => tracing::warn!(path = %shown, bytes, "a file of a run that no Matrix names was removed"),
        Err(error) => {
            tracing::warn!(path = %shown, %error, "a file of a run that no Matrix names cannot be removed")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_files_of_runs_that_nobody_names_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let named = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        let left = "01BX5ZZKBKACTAV9WEVGEMMVRZ";
        let ends = ["log", "checkpoint", "checkpoint-aged", "checkpoint-new"];
        let files = |run: &str| ends.map(|end| folder.path().join(format!("{run}.{end}")));
        let others = ["notes.log", "01BX5ZZKBKACTAV9WEVGEMMVRZ.txt", "01BX5ZZKBKACTAV9WEVGEMMVRZ"];
        let others = others.map(|name| folder.path().join(name));
        let begun = fetched(folder.path(), named, "01BX5ZZKBKACTAV9WEVGEMMVRX".parse().expect("a number"));
        std::fs::write(&begun, b"x").expect("written");
        let kept: Vec<_> = files(named).into_iter().chain(others).collect();
        for path in files(left).iter().chain(&kept) {
            std::fs::write(path, b"x").expect("written");
        }
        let dir = folder.path().join("01BX5ZZKBKACTAV9WEVGEMMVRY.log");
        std::fs::create_dir(&dir).expect("made");
        sweep(folder.path(), HashSet::from([named.to_owned()])).await.expect("readable");
        assert!(files(left).iter().chain([&begun]).all(|path| !path.exists()));
        assert!(kept.iter().chain([&dir]).all(|path| path.exists()));
        assert!(sweep(&folder.path().join("none"), HashSet::new()).await.is_err());
    }
}
