//! A market on a node is the market that its core makes alone.

use auction::{Kind, Market, Settings, Trader};

use crate::processes::Realm;

/// How sure a figure is that went through JSON.
const PARSED: f64 = 1e-12;
/// What all traders of a test draw from.
const SEED: u64 = 7;

/// What the core makes of a market, each trader in the seat of its own number.
fn core(settings: &Settings, kind: Kind, seed: u64) -> Market {
    let mut market = Market::new(settings.clone(), seed).expect("sound settings");
    let seats = 0..settings.traders() as u32;
    let mut traders: Vec<Trader> = seats.map(|seat| Trader::new(kind, SEED, seat)).collect();
    while !market.is_over() {
        let seen = |at| market.observation(at);
        let quotes: Vec<_> =
            traders.iter_mut().zip(0..).map(|(trader, at)| trader.decide(&seen(at))).collect();
        market.round(&quotes);
    }
    market
}

#[test]
fn markets_on_a_node_are_those_of_the_core() {
    let realm = Realm::start(1);
    let settings = Settings { periods: 3, rounds: 100, ..Settings::default() };
    for kind in [Kind::ZiU, Kind::ZiC, Kind::Zip] {
        for seed in [1, 2] {
            let name = format!("{}-{seed}", kind.name());
            let soul = |soul: &str| {
                let config = format!("{{ kind = \"{}\", seed = {SEED} }}", kind.name());
                format!("[[soul]]\nname = \"{soul}-{name}\"\ncomponent = \"trader\"\nconfig = {config}\n")
            };
            realm.apply(
                1,
                &format!(
                    "[components]\nmarket = \"../out/market.wasm\"\ntrader = \"../out/trader.wasm\"\n{}{}\
                     [[matrix]]\nname = \"{name}\"\nrules = \"market\"\nplayers = [\"bull-{name}\", \"bear-{name}\"]\n\
                     seed = {seed}\nconfig = {{ periods = 3, rounds = 100 }}\ntick_deadline_ms = 30000\nstart = true\n",
                    soul("bull"),
                    soul("bear")
                ),
            );
            let finished = realm.finished(1, &name);
            assert_eq!(finished["missed_actions"], 0);
            let told = &finished["result"]["json"];
            let core = core(&settings, kind, seed);
            let mean = |of: fn(&auction::Period) -> f64| core.periods().iter().map(of).sum::<f64>() / 3.0;
            for (figure, expected) in
                [("efficiency", mean(|period| period.efficiency)), ("alpha", mean(|period| period.alpha))]
            {
                let found = told[figure].as_f64().unwrap_or_else(|| panic!("{finished}"));
                assert!((found - expected).abs() < PARSED * expected.abs().max(1.0), "{name}: {told}");
            }
            // The traders are dealt to the two by turns.
            for player in 0..2 {
                let profit: i64 = (player..12).step_by(2).map(|trader| core.profit(trader)).sum();
                assert_eq!(told["players"][player]["profit"], profit, "{name}: {told}");
            }
            println!("{name}: {told}");
        }
    }
}
