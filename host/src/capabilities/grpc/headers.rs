//! What is sent along with each call of an endpoint.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};

use super::config::HeaderConfig;
use super::files;
use super::refusal::SetupError;

/// After how long the files of headers are read again.
const HEADERS_AGE: Duration = Duration::from_secs(10);

/// What is sent along with each call.
#[derive(Debug)]
pub(super) struct Headers {
    sources: Vec<Source>,
    held: Mutex<(Instant, MetadataMap)>,
}

/// A header whose value lies in a file, and where that is set.
#[derive(Debug, Clone)]
struct Source {
    setting: String,
    key: AsciiMetadataKey,
    file: PathBuf,
    prefix: String,
}

impl Headers {
    /// Reads the files. Blocks on the disk.
    ///
    /// # Errors
    /// Names the setting or the file that is of no use.
    pub(super) fn open(
        config: &BTreeMap<String, HeaderConfig>,
        setting: &dyn Fn(&str) -> String,
    ) -> Result<Self, SetupError> {
        let (mut sources, mut map) = (Vec::new(), MetadataMap::new());
        for (name, header) in config {
            let setting = setting(&format!("headers.{name}"));
            let key = name.to_ascii_lowercase().parse::<AsciiMetadataKey>();
            let key = key.ok().filter(|key| !key.as_str().starts_with("grpc-"));
            let key = key.ok_or_else(|| SetupError::Setting {
                setting: setting.clone(),
                problem: "is no name of a header that may be sent along".to_owned(),
            })?;
            match (&header.value, &header.file) {
                (_, Some(file)) => {
                    let source = Source { setting, key, file: file.clone(), prefix: header.prefix.clone() };
                    map.insert(source.key.clone(), source.read()?);
                    sources.push(source);
                }
                (value, None) => {
                    let text = format!("{}{}", header.prefix, value.as_deref().unwrap_or_default());
                    map.insert(key, value_of(&setting, &text)?);
                }
            }
        }
        Ok(Self { sources, held: Mutex::new((Instant::now(), map)) })
    }

    /// What is sent now. A file that is of no use leaves what it held before.
    pub(super) async fn read(&self) -> MetadataMap {
        let mut held = self.held.lock().await;
        if !self.sources.is_empty() && held.0.elapsed() > HEADERS_AGE {
            held.0 = Instant::now();
            let sources = self.sources.clone();
            let read =
                move || sources.into_iter().map(|source| (source.key.clone(), source.read())).collect();
            let read: Vec<_> = tokio::task::spawn_blocking(read).await.unwrap_or_default();
            for (key, value) in read {
                match value {
                    Ok(value) => drop(held.1.insert(key, value)),
                    Err(error) => tracing::warn!(%error, "a header goes on with what it was"),
                }
            }
        }
        held.1.clone()
    }
}

impl Source {
    /// Blocks on the disk.
    fn read(&self) -> Result<AsciiMetadataValue, SetupError> {
        let text = files::read_secret(&self.setting, &self.file)?;
        value_of(&self.setting, &format!("{}{}", self.prefix, text.trim()))
    }
}

fn value_of(setting: &str, text: &str) -> Result<AsciiMetadataValue, SetupError> {
    let mut value = text.parse::<AsciiMetadataValue>().map_err(|_| SetupError::Setting {
        setting: setting.to_owned(),
        problem: "holds more than printable ASCII characters on one line".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}
