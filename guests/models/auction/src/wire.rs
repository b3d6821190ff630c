//! What a trader is shown and what it answers.
//!
//! An observation is JSON, an [`Observation`]; an answer is a price as decimal text, or nothing.

use serde::{Deserialize, Serialize};

/// Media type of observations.
pub const OBSERVATION_TYPE: &str = "application/vnd.matrix.market.observation+json";
/// Media type of actions.
pub const ACTION_TYPE: &str = "application/vnd.matrix.market.action";

/// A trader's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// It bids.
    Buyer,
    /// It asks.
    Seller,
}

/// A price that somebody named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shout {
    /// Whose price it is: in a trade, of the one that stood there first.
    pub side: Side,
    /// The price.
    pub price: u32,
    /// Whether a unit was traded at it.
    pub traded: bool,
}

/// What a trader is shown in each round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// On which side it is.
    pub side: Side,
    /// What its next unit is worth to it, or costs it; none where it has none left in this period.
    pub limit: Option<u32>,
    /// The highest price that may be named.
    pub price_max: u32,
    /// The best bid that stands.
    pub bid: Option<u32>,
    /// The best ask that stands.
    pub ask: Option<u32>,
    /// What was shouted in the last round, in order.
    pub shouts: Vec<Shout>,
}

/// The price that an action names; none where it names none.
#[must_use]
pub fn quote(bytes: &[u8]) -> Option<u32> {
    let plain = !bytes.is_empty() && bytes.len() <= 10 && bytes.iter().all(u8::is_ascii_digit);
    plain.then(|| std::str::from_utf8(bytes).ok()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_bytes_are_no_price() {
        assert_eq!([&b"7"[..], b"200", b"0"].map(quote), [Some(7), Some(200), Some(0)]);
        for bytes in [&b""[..], b" 7", b"-7", b"+7", b"7.5", b"99999999999", b"\xff"] {
            assert_eq!(quote(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn observations_are_json() {
        let shouts = vec![Shout { side: Side::Buyer, price: 9, traded: true }];
        let seen =
            Observation { side: Side::Seller, limit: None, price_max: 200, bid: Some(3), ask: None, shouts };
        let json = serde_json::to_string(&seen).unwrap();
        assert_eq!(serde_json::from_str::<Observation>(&json).unwrap(), seen);
        assert!(json.contains("\"side\":\"seller\",\"limit\":null"), "{json}");
    }
}
