//! The interface `stateful`, which Souls may export and rules must.

use wasmtime::component::{ComponentExportIndex, TypedFunc};

use super::guest::{Crash, Exports, Guest, reason};
use super::limits::SNAPSHOT_BYTES_MAX;
use super::state::Moment;

/// A component's state, as it gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Names the layout of the bytes.
    pub schema: String,
    /// The state.
    pub bytes: Vec<u8>,
}

/// The most bytes in the name of a schema.
pub const SCHEMA_BYTES_MAX: usize = 128;

/// What is copied beside the bytes of a state.
const AROUND_BYTES: usize = 4 << 10;

pub(crate) struct StatefulExports {
    schema: ComponentExportIndex,
    snapshot: ComponentExportIndex,
    restore: ComponentExportIndex,
}

impl StatefulExports {
    pub(crate) fn of(component: &wasmtime::component::Component) -> Result<Option<Self>, Crash> {
        let Some(stateful) = Exports::of(component, "stateful") else { return Ok(None) };
        Ok(Some(Self {
            schema: stateful.function("schema")?,
            snapshot: stateful.function("snapshot")?,
            restore: stateful.function("restore")?,
        }))
    }
}

type Restore = TypedFunc<(String, Vec<u8>), (Result<(), String>,)>;

/// The functions of one instance.
pub(crate) struct Stateful {
    schema: TypedFunc<(), (String,)>,
    /// What `schema` returned: the code of an instance does not change, and so neither does its layout.
    named: Option<String>,
    snapshot: TypedFunc<(), (Result<Vec<u8>, String>,)>,
    restore: Restore,
}

impl Stateful {
    pub(crate) fn new(guest: &mut Guest, exports: &StatefulExports) -> Result<Self, Crash> {
        Ok(Self {
            schema: guest.function(&exports.schema, "stateful.schema")?,
            named: None,
            snapshot: guest.function(&exports.snapshot, "stateful.snapshot")?,
            restore: guest.function(&exports.restore, "stateful.restore")?,
        })
    }

    pub(crate) async fn snapshot(
        &mut self,
        guest: &mut Guest,
        moment: Moment,
    ) -> Result<Result<Snapshot, String>, Crash> {
        let schema = match &self.named {
            Some(schema) => schema.clone(),
            None => {
                let (schema,) = guest.call(&self.schema, (), moment).await?;
                if schema.is_empty() || schema.len() > SCHEMA_BYTES_MAX {
                    let reason = format!("a schema has 1 to {SCHEMA_BYTES_MAX} bytes, not {}", schema.len());
                    return Err(Crash::Contract { function: "stateful.schema", reason });
                }
                self.named.insert(schema).clone()
            }
        };
        let lifted = SNAPSHOT_BYTES_MAX + AROUND_BYTES;
        let (bytes,) = guest.call_lifting(&self.snapshot, (), moment, lifted).await?;
        Ok(bytes.map(|bytes| Snapshot { schema, bytes }).map_err(reason))
    }

    pub(crate) async fn restore(
        &self,
        guest: &mut Guest,
        state: Snapshot,
        moment: Moment,
    ) -> Result<Result<(), String>, Crash> {
        let (restored,) = guest.call(&self.restore, (state.schema, state.bytes), moment).await?;
        Ok(restored.map_err(reason))
    }
}
