//! `matrixd doctor`: looks at a configuration and a data folder without starting a node, and changes nothing.

mod folder;
mod settings;
mod store;

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::config::Config;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// A node would start; whether it should is for the operator to say.
    Warn,
    /// A node would not start, or not keep what it promises.
    Error,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was looked at.
    pub about: &'static str,
    /// What was found.
    pub found: String,
    /// What to change; empty: nothing.
    pub change: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        write!(f, "{level:<6} {:<12} {}", self.about, self.found)?;
        if self.change.is_empty() { Ok(()) } else { write!(f, "\n{:<20}change: {}", "", self.change) }
    }
}

/// What was found so far.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn ok(&mut self, about: &'static str, found: impl Into<String>) {
        self.add(Level::Ok, about, found.into(), "");
    }

    fn warn(&mut self, about: &'static str, found: impl Into<String>, change: &str) {
        self.add(Level::Warn, about, found.into(), change);
    }

    fn error(&mut self, about: &'static str, found: impl Into<String>, change: &str) {
        self.add(Level::Error, about, found.into(), change);
    }

    /// What a room refuses says itself what to change.
    fn refused(&mut self, about: &'static str, error: &dyn fmt::Display) {
        self.error(about, format!("{error:#}"), "");
    }

    fn add(&mut self, level: Level, about: &'static str, found: String, change: &str) {
        self.0.push(Finding { level, about, found, change: change.to_owned() });
    }
}

/// Looks at everything, in the order in which a start would meet it. `file` is the configuration; without it,
/// `matrixd.toml` in the data folder, if there is one. Blocks on the disk.
pub fn doctor(data: &Path, file: Option<&Path>) -> Vec<Finding> {
    let mut found = Findings::default();
    let config = match Config::load(data, file) {
        Ok(config) => {
            found.ok("settings", "they can be read, and every key is known");
            config
        }
        Err(error) => {
            found.refused("settings", &error);
            // The folder can be looked at all the same.
            Config { data_dir: data.to_owned(), ..Config::default() }
        }
    };
    settings::look(&config, &mut found);
    folder::look(&config, &mut found);
    store::look(&config, &mut found);
    found.0
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn levels(found: &[Finding], about: &str) -> Vec<Level> {
        found.iter().filter(|one| one.about == about).map(|one| one.level).collect()
    }

    #[test]
    fn a_folder_that_is_not_there_is_made_at_the_start() {
        let above = tempfile::tempdir().expect("a folder");
        let data = above.path().join("data");
        let found = doctor(&data, None);
        assert!(found.iter().all(|one| one.level < Level::Error), "{found:?}");
        assert!(!data.exists(), "nothing is made");
    }

    #[test]
    fn what_a_start_would_refuse_is_an_error() {
        let data = tempfile::tempdir().expect("a folder");
        let path = data.path();
        fs::write(path.join("matrixd.toml"), "[admin]\nlisten = \"0.0.0.0:7777\"\nlisen = 1\n")
            .expect("ours");
        let unknown = doctor(path, None);
        assert!(unknown[0].level == Level::Error && unknown[0].found.contains("lisen"), "{unknown:?}");
        fs::write(path.join("matrixd.toml"), "[admin]\nlisten = \"0.0.0.0:7777\"\n[kv]\nkey_bytes_max = 0\n")
            .expect("ours");
        fs::write(path.join("token"), "0".repeat(64)).expect("ours");
        fs::set_permissions(path.join("token"), fs::Permissions::from_mode(0o644)).expect("ours");
        fs::write(path.join("key"), "short").expect("ours");
        fs::set_permissions(path.join("key"), fs::Permissions::from_mode(0o600)).expect("ours");
        fs::write(path.join("realm.json"), "{").expect("ours");
        let found = doctor(path, None);
        for about in ["door", "kv", "token", "key", "realm"] {
            assert!(levels(&found, about).contains(&Level::Error), "{about}: {found:?}");
        }
        assert!(found.iter().any(|one| one.found.contains("admin.tls")), "{found:?}");
        let shown = found.iter().find(|one| one.about == "token").expect("looked at").to_string();
        assert!(shown.starts_with("error  token") && shown.contains("600"), "{shown}");
    }
}
