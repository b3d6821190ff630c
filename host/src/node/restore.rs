//! A data folder made from a backup.

use std::path::Path;

use anyhow::Context as _;

use super::place::make_private_folder;
use super::{KV_DIR, RUNS_DIR};
use crate::backup::{self, Place, Restored};
use crate::config::Config;

/// Makes, in the data folder of `config`, which must be empty, the first node of a new realm that holds what is in the
/// backup `file`. The node can be started afterwards.
pub async fn restore(config: &Config, file: &Path) -> anyhow::Result<Restored> {
    let (kv, components) = (&config.kv, &config.components);
    let place = Place { folder: &config.data_dir, names: [KV_DIR, RUNS_DIR], kv, components };
    let restored = backup::restore(file, place).await.context("cannot restore the realm")?;
    make_private_folder(&config.data_dir)?;
    Ok(restored)
}
