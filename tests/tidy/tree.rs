//! The files of the project.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that nobody writes in: what builds and tools leave behind, and what others wrote.
const FOREIGN: [&str; 5] = ["target", "node_modules", "dist", "build", "__pycache__"];

/// A file, and its place in the project, with `/` between folders.
pub(crate) struct File {
    /// Such as `host/src/ids.rs`.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
}

impl File {
    /// A finding in line `line`, the first being 1.
    pub(crate) fn finding(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

/// The project's folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the project").to_owned()
}

/// A file that must be there.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files below `folders` whose names end in one of `endings`, in order. A folder that is not there
/// has none.
pub(crate) fn files(folders: &[&str], endings: &[&str]) -> Vec<File> {
    let mut found = vec![];
    for folder in folders {
        let prefix = if *folder == "." { String::new() } else { format!("{folder}/") };
        collect(&root().join(folder), &prefix, endings, &mut found);
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(folder: &Path, prefix: &str, endings: &[&str], found: &mut Vec<File>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.starts_with('.') || FOREIGN.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            collect(&path, &format!("{prefix}{name}/"), endings, found);
        } else if endings.iter().any(|ending| name == *ending || name.ends_with(&format!(".{ending}"))) {
            let text = fs::read(&path).unwrap_or_else(|error| panic!("{prefix}{name}: {error}"));
            found.push(File { path: format!("{prefix}{name}"), text: String::from_utf8_lossy(&text).into() });
        }
    }
}

/// Whether `folder` holds the Rust module `name`.
pub(crate) fn has_module(folder: &str, name: &str) -> bool {
    let folder = root().join(folder);
    folder.join(format!("{name}.rs")).is_file() || folder.join(name).join("mod.rs").is_file()
}

/// Fails with every finding and what to do about them.
#[track_caller]
pub(crate) fn assert_none(found: Vec<String>, what_to_do: &str) {
    assert!(found.is_empty(), "\n{}\n→ {what_to_do}\n", found.join("\n"));
}

/// A file for a rule's sample.
#[cfg(test)]
pub(crate) fn sample(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned() }
}
