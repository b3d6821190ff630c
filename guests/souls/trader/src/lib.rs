//! Trades in the market of `guests/rules/market`, in any number of seats.
//!
//! | setting | meaning | left out |
//! |---|---|---|
//! | `kind` | `zi-u`: any price, each as likely; `zi-c`: any at which it does not lose; `zip`: as its margin says, which it learns from what is shouted | required |
//! | `seed` | of its chance; seats of one seed draw differently | the Soul's |
//!
//! To the message `who` it answers with its kind.

use std::collections::BTreeMap;

use auction::{Kind, Observation, Trader};
use matrix_sdk::prelude::*;

/// How many seats it holds at once: as many as the largest markets have together.
const SEATS_MAX: usize = 4096;
/// What a Soul answers that was restored without having been born; a node never does so.
const NOT_BORN: &str = "the kind was never chosen";

/// One Soul, any number of seats in any number of Matrices.
#[derive(Default, Serialize, Deserialize)]
pub struct Dealer {
    /// How every new seat begins: from the manifest, and so no part of the state.
    #[serde(skip)]
    opening: Option<(Kind, u64)>,
    /// By Matrix and seat. Ordered, so that the same traders are saved as the same bytes.
    traders: BTreeMap<String, BTreeMap<u32, Trader>>,
}

impl Soul for Dealer {
    fn init(birth: Birth) -> Result<Self, String> {
        let named = birth.setting("kind").unwrap_or_default();
        let kind = Kind::named(named).ok_or_else(|| {
            format!("`kind` is `{named}`: set it in the Soul's config to one of {}", Kind::NAMES.join(", "))
        })?;
        let seed = match birth.setting("seed") {
            Some(seed) => seed.parse().map_err(|error| format!("`seed = {seed}` in the config: {error}"))?,
            None => birth.seed,
        };
        Ok(Self { opening: Some((kind, seed)), traders: BTreeMap::new() })
    }

    fn receive(&mut self, message: Message<'_>) -> Reply {
        match message.text()?.trim() {
            "who" => Ok(Some(Content::text(self.opening.ok_or(NOT_BORN)?.0.name()))),
            _ => Err("say `who`".to_owned()),
        }
    }
}

impl Player for Dealer {
    fn act(&mut self, matrix: &str, _tick: u64, turn: &Turn<'_>) -> Result<Vec<u8>, String> {
        let (kind, seed) = self.opening.ok_or(NOT_BORN)?;
        if turn.is_final() {
            self.leave(matrix, turn.seat);
            return Ok(Vec::new());
        }
        let seen: Observation = serde_json::from_slice(turn.observation).map_err(|error| {
            format!("seat {} of `{matrix}`: no observation of a market: {error}", turn.seat)
        })?;
        let known = self.traders.get(matrix).is_some_and(|seats| seats.contains_key(&turn.seat));
        if !known && self.traders.values().map(BTreeMap::len).sum::<usize>() >= SEATS_MAX {
            return Err(format!("seat {} of `{matrix}`: {SEATS_MAX} seats are held already", turn.seat));
        }
        let seats = self.traders.entry(matrix.to_owned()).or_default();
        let trader = seats.entry(turn.seat).or_insert_with(|| Trader::new(kind, seed, turn.seat));
        Ok(trader.decide(&seen).map_or_else(Vec::new, |price| price.to_string().into_bytes()))
    }
}

impl Stateful for Dealer {
    const SCHEMA: &'static str = "trader/1";

    fn adopt(&mut self, state: Self) {
        self.traders = state.traders;
    }
}

impl Dealer {
    /// Forgets a seat, whose market is over.
    fn leave(&mut self, matrix: &str, seat: u32) {
        if let Some(seats) = self.traders.get_mut(matrix) {
            seats.remove(&seat);
            if seats.is_empty() {
                self.traders.remove(matrix);
            }
        }
    }
}

matrix_sdk::soul!(Dealer: stateful, player);

#[cfg(test)]
mod tests {
    use super::*;
    use matrix_sdk::Persona;

    const SEEN: &[u8] = br#"{"side":"buyer","limit":80,"price_max":200,"bid":null,"ask":null,
        "shouts":[{"side":"seller","price":60,"traded":true},{"side":"buyer","price":70,"traded":false}]}"#;

    fn born(config: &[(&str, &str)]) -> Result<Dealer, String> {
        let persona = Persona { description: String::new(), traits: Vec::new(), values: Vec::new() };
        let config = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Dealer::init(Birth { name: "someone".to_owned(), persona, config, seed: 1 })
    }

    fn turn(seat: u32, observation: &[u8], final_: bool) -> Turn<'_> {
        Turn { seat, observation, reward: 0.0, final_ }
    }

    fn price(soul: &mut Dealer, seat: u32) -> u32 {
        let named = soul.act("m", 0, &turn(seat, SEEN, false)).unwrap();
        String::from_utf8(named).unwrap().parse().unwrap()
    }

    #[test]
    fn a_wrong_setting_is_named() {
        for config in [&[][..], &[("kind", "zi")], &[("kind", "zip"), ("seed", "-1")]] {
            assert!(born(config).is_err(), "{config:?}");
        }
    }

    #[test]
    fn only_the_unconstrained_bid_above_what_a_unit_is_worth() {
        for (kind, most) in [("zi-u", 200), ("zi-c", 80), ("zip", 80)] {
            let mut soul = born(&[("kind", kind)]).unwrap();
            let prices: Vec<u32> = (0..400).map(|round| price(&mut soul, round % 2)).collect();
            assert!(prices.iter().all(|price| (1..=most).contains(price)), "{kind}");
            // The one that learns hears that less is enough.
            assert_eq!(
                prices.iter().any(|price| *price > most * 19 / 20),
                kind != "zip",
                "{kind}: {prices:?}"
            );
        }
    }

    #[test]
    fn a_snapshot_goes_on_where_it_was_taken() {
        for kind in Kind::NAMES {
            let mut first = born(&[("kind", kind)]).unwrap();
            let empty = first.snapshot().unwrap();
            price(&mut first, 3);
            let bytes = first.snapshot().unwrap();
            let mut second = born(&[("kind", kind)]).unwrap();
            second.adopt(Dealer::decode(Dealer::SCHEMA, &bytes).unwrap());
            assert_eq!(second.snapshot().unwrap(), bytes);
            for _ in 0..20 {
                assert_eq!(price(&mut first, 3), price(&mut second, 3));
            }
            first.act("m", 1, &turn(3, b"", true)).unwrap();
            assert_eq!(first.snapshot().unwrap(), empty, "a market that is over is forgotten");
        }
    }

    #[test]
    fn what_is_no_observation_is_refused() {
        let mut soul = born(&[("kind", "zip")]).unwrap();
        for seen in [&b""[..], b"{}", b"\xff", b"{\"side\":\"broker\"}"] {
            assert!(soul.act("m", 0, &turn(0, seen, false)).is_err());
        }
        // What is absurd is harmless.
        let absurd = br#"{"side":"buyer","limit":0,"price_max":0,"bid":null,"ask":null,"shouts":[]}"#;
        for kind in Kind::NAMES {
            let mut soul = born(&[("kind", kind)]).unwrap();
            for _ in 0..3 {
                soul.act("m", 0, &turn(0, absurd, false)).unwrap();
            }
        }
    }
}
