//! Markets of Gode and Sunder with three kinds of traders, a hundred seeds each, beside what their paper has: what the
//! README of the rules tabulates.

#![expect(clippy::unwrap_used, reason = "a test ends where a market is not as it should be")]

use auction::{Equilibrium, Kind, Market, Period, Settings, Trader};

const SEEDS: u64 = 100;

/// What a kind of traders made of a market, all seeds together.
#[derive(Debug)]
struct Row {
    /// In all periods.
    all: Mean,
    /// In the last one.
    last: Mean,
    /// Root mean square distance of the first trade of a period from the price of the equilibrium, of the second, ...,
    /// for as many as there are in every period.
    away: Vec<f64>,
}

/// Means over periods.
#[derive(Debug)]
struct Mean {
    efficiency: f64,
    alpha: f64,
    volume: f64,
}

impl Mean {
    fn of(periods: &[Period]) -> Self {
        let mean = |of: &dyn Fn(&Period) -> f64| periods.iter().map(of).sum::<f64>() / periods.len() as f64;
        Self {
            efficiency: mean(&|period| period.efficiency),
            alpha: mean(&|period| period.alpha),
            volume: mean(&|period| f64::from(period.volume)),
        }
    }
}

/// The first four markets of the paper, and the efficiencies that its table 2 has for them, of ZI-U and ZI-C traders.
/// All six buyers of a market are alike, and all six sellers.
fn markets() -> [(Settings, [f64; 2]); 4] {
    let market = |values: &[u32], costs: &[u32]| Settings {
        values: vec![values.to_vec(); 6],
        costs: vec![costs.to_vec(); 6],
        ..Settings::default()
    };
    [
        (Settings::default(), [0.900, 0.999]),
        (market(&[117, 105, 93, 81, 69, 57], &[49, 54, 59, 64, 69, 74]), [0.900, 0.992]),
        (market(&[133, 95, 90], &[90, 95, 100]), [0.767, 0.990]),
        (market(&[180, 175, 170, 165, 160], &[90, 142, 170, 190, 198]), [0.488, 0.982]),
    ]
}

fn run(settings: &Settings, kind: Kind, seed: u64) -> (Market, Vec<Vec<f64>>) {
    let mut market = Market::new(settings.clone(), seed).unwrap();
    let mut traders: Vec<Trader> =
        (0..settings.traders() as u32).map(|seat| Trader::new(kind, seed, seat)).collect();
    let mut prices = Vec::new();
    let mut seen = Vec::new();
    while !market.is_over() {
        let quotes: Vec<Option<u32>> = traders
            .iter_mut()
            .enumerate()
            .map(|(at, trader)| trader.decide(&market.observation(at)))
            .collect();
        let before = market.trades().len();
        let ends = market.round(&quotes);
        if !ends {
            seen.extend(market.trades()[before..].iter().map(|trade| f64::from(trade.price)));
        } else {
            prices.push(std::mem::take(&mut seen));
        }
    }
    (market, prices)
}

fn row(settings: &Settings, kind: Kind) -> Row {
    let target = Equilibrium::of(settings).price;
    let (mut periods, mut last, mut prices) = (Vec::new(), Vec::new(), Vec::new());
    for seed in 0..SEEDS {
        let (market, of_periods) = run(settings, kind, seed);
        last.extend(market.periods().last().copied());
        periods.extend_from_slice(market.periods());
        prices.extend(of_periods);
    }
    let least = prices.iter().map(Vec::len).min().unwrap_or_default();
    let away = |at: usize| {
        let squares = prices.iter().map(|prices| (prices[at] - target) * (prices[at] - target));
        (squares.sum::<f64>() / prices.len() as f64).sqrt()
    };
    Row { all: Mean::of(&periods), last: Mean::of(&last), away: (0..least).map(away).collect() }
}

#[test]
fn budgets_make_markets_efficient_and_learning_makes_them_more_so() {
    let rows = markets().map(|(settings, published)| {
        let rows = [Kind::ZiU, Kind::ZiC, Kind::Zip].map(|kind| row(&settings, kind));
        for (kind, row) in Kind::NAMES.iter().zip(&rows) {
            let (Mean { efficiency, alpha, volume }, last) = (&row.all, &row.last);
            println!(
                "{:?} {kind}: efficiency {:.2} (last {:.2}), alpha {alpha:.2} (last {:.2}), volume {volume:.2}, slope {:.2}",
                Equilibrium::of(&settings),
                100.0 * efficiency,
                100.0 * last.efficiency,
                last.alpha,
                slope(&row.away),
            );
        }
        (settings, published, rows)
    });
    for (number, (settings, published, [free, bound, learning])) in (1..).zip(rows) {
        assert!(bound.all.efficiency >= 0.97, "market {number}: {bound:?}");
        assert!((bound.all.efficiency - published[1]).abs() < 0.02, "market {number}: {bound:?}");
        // All that can be traded is, so that the published figure is that of the schedules.
        let units = settings.values.iter().map(Vec::len).sum::<usize>() as f64;
        assert!((free.all.volume - units).abs() < 0.1, "market {number}: {free:?}");
        assert!((free.all.efficiency - published[0]).abs() < 0.0006, "market {number}: {free:?}");
        // Those who learn are nearer to theory than both, and once they have learnt as near as can be.
        assert!(learning.all.efficiency > bound.all.efficiency, "market {number}: {learning:?}");
        assert!(learning.last.efficiency > 0.9995, "market {number}: {learning:?}");
        assert!(learning.last.alpha < bound.last.alpha / 5.0, "market {number}: {learning:?}");
        assert!(learning.all.alpha < bound.all.alpha && bound.all.alpha < free.all.alpha, "market {number}");
        // Within a period prices come near the equilibrium where there are budgets, and only there.
        assert!(bound.away[bound.away.len() - 1] < 0.75 * bound.away[0], "market {number}: {bound:?}");
        assert!(slope(&bound.away) < -0.3 && slope(&free.away) > slope(&bound.away) / 3.0, "market {number}");
    }
}

/// How much further each trade of a period is from the equilibrium than the one before, by least squares.
fn slope(away: &[f64]) -> f64 {
    let middle = (away.len() - 1) as f64 / 2.0;
    let mean = away.iter().sum::<f64>() / away.len() as f64;
    let placed = || away.iter().enumerate().map(move |(place, away)| (place as f64 - middle, away - mean));
    placed().map(|(place, away)| place * away).sum::<f64>()
        / placed().map(|(place, _)| place * place).sum::<f64>()
}

#[test]
fn the_budget_may_be_the_markets_and_not_the_traders() {
    let settings = Settings { no_loss: true, ..Settings::default() };
    let row = row(&settings, Kind::ZiU);
    println!("{row:.3?}");
    assert!(row.all.efficiency >= 0.97, "{row:?}");
}

#[test]
fn the_same_seed_is_the_same_market() {
    let settings = Settings::default();
    for kind in [Kind::ZiU, Kind::ZiC, Kind::Zip] {
        assert_eq!(run(&settings, kind, 3), run(&settings, kind, 3));
        assert_ne!(run(&settings, kind, 3).1, run(&settings, kind, 4).1);
    }
}
