//! State that outlives the instance.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A type whose state outlives the instance: across restarts, moves and code swaps.
///
/// The state is what `serde` sees of the type. Same state, same bytes: keep ordered collections
/// (`Vec`, `BTreeMap`), never a `HashMap`, whose order changes from one instance to the next. What
/// belongs to the manifest and not to the state is marked `#[serde(skip)]` and kept by [`adopt`](Self::adopt).
pub trait Stateful: Serialize + DeserializeOwned {
    /// Names the layout of the bytes, such as `counter/1`. New layout, new name: the encoding holds no
    /// names of fields, so a changed type would read old bytes wrongly.
    const SCHEMA: &'static str;

    /// Takes up a restored state. By default it takes the place of everything; a type with skipped
    /// fields moves those that count.
    fn adopt(&mut self, state: Self) {
        *self = state;
    }

    /// Reads a state that older code wrote, under another schema. By default it refuses. A type that has a
    /// predecessor hands on to [`migrate_from`](Self::migrate_from), and so along the whole chain:
    ///
    /// ```
    /// # use matrix_sdk::prelude::*;
    /// # use matrix_sdk::Stateful;
    /// #[derive(Serialize, Deserialize)]
    /// struct Old { count: u32 }
    /// impl Stateful for Old { const SCHEMA: &'static str = "counter/1"; }
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct New { count: u64, last: String }
    /// impl From<Old> for New {
    ///     fn from(old: Old) -> Self { Self { count: old.count.into(), last: String::new() } }
    /// }
    /// impl Stateful for New {
    ///     const SCHEMA: &'static str = "counter/2";
    ///     fn migrate(schema: &str, bytes: &[u8]) -> Result<Self, String> {
    ///         Self::migrate_from::<Old>(schema, bytes)
    ///     }
    /// }
    ///
    /// let old = Old { count: 7 }.snapshot().unwrap();
    /// assert_eq!(New::decode("counter/1", &old).unwrap().count, 7);
    /// assert!(New::decode("counter/3", &old).is_err());
    /// ```
    ///
    /// # Errors
    /// Says why the bytes cannot be taken up; the old code then goes on.
    fn migrate(schema: &str, bytes: &[u8]) -> Result<Self, String> {
        Err(format!(
            "cannot take up {} bytes of schema `{schema}`: the oldest that this code reads is `{}`",
            bytes.len(),
            Self::SCHEMA
        ))
    }

    /// Reads a state as `Old` does, which may hand on to its own predecessor, and makes it one of this type.
    ///
    /// # Errors
    /// Those of `Old`.
    fn migrate_from<Old>(schema: &str, bytes: &[u8]) -> Result<Self, String>
    where
        Old: Stateful + Into<Self>,
    {
        Old::decode(schema, bytes).map(Into::into)
    }

    /// The whole state, as bytes of [`SCHEMA`](Self::SCHEMA).
    ///
    /// # Errors
    /// Where the type's own `Serialize` fails.
    fn snapshot(&self) -> Result<Vec<u8>, String> {
        // A state is about as long as it was last time: room for it is made once.
        static LENGTH: AtomicUsize = AtomicUsize::new(0);
        let room = Vec::with_capacity(LENGTH.load(Ordering::Relaxed));
        let bytes = postcard::to_extend(self, room)
            .map_err(|error| format!("the state cannot be encoded: {error}"))?;
        LENGTH.store(bytes.len(), Ordering::Relaxed);
        Ok(bytes)
    }

    /// Reads a state of any schema that this type knows. Bytes left over are an error.
    ///
    /// # Errors
    /// Says what is wrong with the bytes or the schema.
    fn decode(schema: &str, bytes: &[u8]) -> Result<Self, String> {
        if schema != Self::SCHEMA {
            return Self::migrate(schema, bytes);
        }
        match postcard::take_from_bytes(bytes) {
            Ok((state, [])) => Ok(state),
            Ok((_, rest)) => Err(format!("{} bytes follow the state of schema `{schema}`", rest.len())),
            Err(error) => Err(format!("not a state of schema `{schema}`: {error}")),
        }
    }
}
