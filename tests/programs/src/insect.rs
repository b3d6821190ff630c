//! What a Soul keeps before its code is swapped, and after.

use std::collections::BTreeMap;

use matrix_sdk::prelude::*;

use crate::say;

/// Before.
#[derive(Default, Serialize, Deserialize)]
pub struct Caterpillar {
    /// What was added.
    pub total: u64,
    /// The last number that each sender gave.
    pub last: BTreeMap<String, u64>,
}

impl Stateful for Caterpillar {
    const SCHEMA: &'static str = "insect/1";
}

/// After.
#[derive(Default, Serialize, Deserialize)]
pub struct Butterfly {
    /// As before.
    pub total: u64,
    /// As before.
    pub last: BTreeMap<String, u64>,
    /// How often it flew.
    pub flights: u64,
}

impl From<Caterpillar> for Butterfly {
    fn from(before: Caterpillar) -> Self {
        Self { total: before.total, last: before.last, flights: 0 }
    }
}

impl Stateful for Butterfly {
    const SCHEMA: &'static str = "insect/2";

    fn migrate(schema: &str, bytes: &[u8]) -> Result<Self, String> {
        Self::migrate_from::<Caterpillar>(schema, bytes)
    }
}

/// Adds: `SERIES NUMBER`, where the numbers of a series count from 1. Answers the total.
///
/// # Errors
/// Where a number does not follow the one before.
pub fn add(total: &mut u64, last: &mut BTreeMap<String, u64>, argument: &str) -> Reply {
    let (series, number) = argument.split_once(' ').ok_or("say `add SERIES NUMBER`")?;
    let number: u64 = number.parse().map_err(|_| "a number follows the series".to_owned())?;
    let before = last.entry(series.to_owned()).or_default();
    if number != *before + 1 {
        return Err(format!("{number} comes after {before}"));
    }
    *before = number;
    *total += 1;
    say(*total)
}
