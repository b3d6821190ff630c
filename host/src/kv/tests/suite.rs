//! openraft's own tests of a log store and a state machine: on a new file, and on one that was closed and opened.

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::type_config::TypeConfigExt;
use tempfile::TempDir;

use super::{config, folder};
use crate::kv::engine::OnDisk;
use crate::kv::log_store::LogStore;
use crate::kv::machine::Machine;
use crate::kv::raft::TypeConfig;

struct Builder {
    reopened: bool,
}

impl StoreBuilder<TypeConfig, LogStore, Machine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, Machine), StorageError<TypeConfig>> {
        let dir = folder();
        let mut on_disk = OnDisk::open(&config(dir.path())).unwrap();
        if self.reopened {
            let OnDisk { log, writes, writer, shared, machine } = on_disk;
            drop((log, writes, shared, machine));
            writer.join().unwrap();
            on_disk = OnDisk::open(&config(dir.path())).unwrap();
        }
        Ok((dir, on_disk.log, on_disk.machine))
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
