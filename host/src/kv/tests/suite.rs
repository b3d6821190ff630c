//! openraft's own tests of a log store and a state machine: on a new file, and on one that was closed and opened.

use std::sync::Arc;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::type_config::TypeConfigExt;
use tempfile::TempDir;

use super::{config, folder};
use crate::kv::engine::{OnDisk, disk_of};
use crate::kv::log_store::LogStore;
use crate::kv::machine::Machine;
use crate::kv::raft::TypeConfig;
use crate::tasks::Tasks;

struct Builder {
    reopened: bool,
}

impl StoreBuilder<TypeConfig, LogStore, Machine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, Machine), StorageError<TypeConfig>> {
        let dir = folder();
        let open = || OnDisk::open(&config(dir.path()), disk_of(&config(dir.path()))).unwrap();
        let mut on_disk = open();
        if self.reopened {
            drop(on_disk);
            on_disk = open();
        }
        let log = on_disk.log;
        let writing = Arc::clone(&log);
        Tasks::new().spawn("log", async move { writing.run().await });
        Ok((dir, LogStore::new(log), on_disk.machine))
    }
}

#[test]
fn passes_on_a_new_file() {
    TypeConfig::run(async { Suite::test_all(Builder { reopened: false }).await.unwrap() });
}

#[test]
fn passes_on_a_reopened_file() {
    TypeConfig::run(async { Suite::test_all(Builder { reopened: true }).await.unwrap() });
}
