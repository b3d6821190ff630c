//! Writes to its bucket as it is born, before anybody knows that it lives: counts its births there, and sets and deletes
//! some keys. Its setting `fails-at` names a birth that fails after that; with `goes-on` it writes until it is refused,
//! in the way that this says: `increment`, `set`, `delete`, `set-many`, `delete-many`.

use matrix_sdk::keyvalue::{Bucket, Error};
use matrix_sdk::prelude::*;
use programs::{command, say};

#[derive(Default)]
struct Newborn;

fn explain(error: Error) -> String {
    match error {
        Error::Other(reason) => reason,
        error => format!("{error:?}"),
    }
}

/// Writes in one way.
fn write(bucket: &Bucket, how: &str, number: u64) -> Result<(), Error> {
    let key = format!("key-{}", number % 8);
    match how {
        "increment" => bucket.increment("births", 1).map(drop),
        "set" => bucket.set(&key, b"set"),
        "delete" => bucket.delete(&key),
        "set-many" => bucket.set_many(&[(key, b"one of many".to_vec())]),
        "delete-many" => bucket.delete_many(&[key]),
        _ => Err(Error::Other(format!("`{how}` is no way to write"))),
    }
}

impl Soul for Newborn {
    fn init(birth: Birth) -> Result<Self, String> {
        let bucket = Bucket::open("default").map_err(explain)?;
        let births = bucket.increment("births", 1).map_err(explain)?;
        for how in ["set", "set-many", "delete", "delete-many"] {
            write(&bucket, how, births).map_err(explain)?;
        }
        if birth.setting("fails-at") == Some(births.to_string().as_str()) {
            return Err("told to".to_owned());
        }
        if let Some(how) = birth.setting("goes-on") {
            let refused = (0..).find_map(|number| write(&bucket, how, number).err());
            return Err(refused.map(explain).unwrap_or_default());
        }
        Ok(Self)
    }

    fn receive(&mut self, message: Message<'_>) -> Reply {
        let (key, _) = command(&message)?;
        let value = Bucket::open("default").and_then(|bucket| bucket.get(&key)).map_err(explain)?;
        say(String::from_utf8_lossy(&value.unwrap_or_default()))
    }
}

matrix_sdk::soul!(Newborn);
