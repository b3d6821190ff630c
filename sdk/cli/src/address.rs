//! Addresses as they are written on the command line.

use matrix_proto::v1::{Address, address::To};

/// Reads `soul:NAME`, `matrix:NAME` or `topic:NAME`; a plain `NAME` is a Soul's. Whether the name
/// is a good one, the node decides.
pub(crate) fn parse(text: &str) -> Result<Address, String> {
    let (kind, name) = text.split_once(':').unwrap_or(("soul", text));
    let to = match kind {
        "soul" => To::Soul(name.to_owned()),
        "matrix" => To::Matrix(name.to_owned()),
        "topic" => To::Topic(name.to_owned()),
        _ => return Err("write soul:NAME, matrix:NAME, topic:NAME, or NAME for a Soul".to_owned()),
    };
    if name.is_empty() {
        return Err(format!("`{kind}:` lacks a name after the colon"));
    }
    Ok(Address { to: Some(to) })
}

/// The long form of an address, as `parse` reads it.
pub(crate) fn text(address: &Address) -> String {
    match &address.to {
        Some(To::Soul(name)) => format!("soul:{name}"),
        Some(To::Matrix(name)) => format!("matrix:{name}"),
        Some(To::Topic(name)) => format!("topic:{name}"),
        Some(To::Client(name)) => format!("client:{name}"),
        None => String::new(),
    }
}

/// A source of log lines or events: as `parse`, and `node`, `component:DIGEST`, or a prefix with a
/// star at its end.
pub(crate) fn parse_source(text: &str) -> Result<String, String> {
    match text {
        "" => {
            Err("write node, soul:NAME, matrix:NAME, a prefix with a star such as soul:*, or NAME".to_owned())
        }
        "node" => Ok(text.to_owned()),
        _ if text.contains(':') || text.ends_with('*') => Ok(text.to_owned()),
        _ => Ok(format!("soul:{text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_are_souls() {
        let round = |given: &str| parse(given).map(|address| text(&address));
        assert_eq!(round("neo"), Ok("soul:neo".to_owned()));
        for given in ["soul:neo", "matrix:market", "topic:news/today"] {
            assert_eq!(round(given), Ok(given.to_owned()));
        }
        for wrong in ["", "soul:", "client:me", "http://x"] {
            assert!(round(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sources_may_be_prefixes() {
        for (given, expected) in [("neo", "soul:neo"), ("node", "node"), ("soul:*", "soul:*"), ("*", "*")] {
            assert_eq!(parse_source(given).as_deref(), Ok(expected));
        }
        assert!(parse_source("").is_err());
    }
}
