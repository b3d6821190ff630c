//! Where supply meets demand.

use crate::settings::Settings;

/// What theory says of a market.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Equilibrium {
    /// Halfway between the lowest and the highest price at which supply meets demand; 0 where nothing is worth trading.
    pub price: f64,
    /// How many units are worth more than they cost.
    pub quantity: usize,
    /// What they are worth to their buyers more than they cost their sellers: no trading makes more.
    pub surplus: u64,
}

impl Equilibrium {
    /// Of settings that were checked.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let mut values: Vec<u32> = settings.values.iter().flatten().copied().collect();
        let mut costs: Vec<u32> = settings.costs.iter().flatten().copied().collect();
        values.sort_unstable_by(|a, b| b.cmp(a));
        costs.sort_unstable();
        let pairs = values.iter().zip(&costs);
        let quantity = pairs.clone().take_while(|(value, cost)| value > cost).count();
        let surplus = pairs.take(quantity).map(|(value, cost)| u64::from(value - cost)).sum();
        let Some(last) = quantity.checked_sub(1) else { return Self { price: 0.0, quantity, surplus } };
        // Whoever is just left out bounds the price too.
        let low = costs[last].max(values.get(quantity).copied().unwrap_or(0));
        let high = values[last].min(costs.get(quantity).copied().unwrap_or(u32::MAX));
        Self { price: f64::midpoint(f64::from(low), f64::from(high)), quantity, surplus }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supply_meets_demand_where_it_does_by_hand() {
        let usual = Equilibrium::of(&Settings::default());
        assert_eq!(usual, Equilibrium { price: 82.0, quantity: 24, surplus: 1020 });
        let of = |values: &[u32], costs: &[u32]| {
            let (values, costs) = (vec![values.to_vec()], vec![costs.to_vec()]);
            Equilibrium::of(&Settings { values, costs, ..Settings::default() })
        };
        assert_eq!(of(&[10], &[10]), Equilibrium { price: 0.0, quantity: 0, surplus: 0 });
        assert_eq!(of(&[10, 8], &[4]), Equilibrium { price: 9.0, quantity: 1, surplus: 6 });
        assert_eq!(of(&[10, 8], &[4, 9]), Equilibrium { price: 8.5, quantity: 1, surplus: 6 });
    }
}
