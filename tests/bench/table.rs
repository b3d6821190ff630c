//! The figures, and the table that shows them.

/// What a figure has to be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    /// So many times better than the other's.
    Times(f64),
    /// At most this, in the row's unit.
    AtMost(f64),
    /// Nothing: it tells what bounds the others.
    Nothing,
}

/// One line of the table. Every figure is a cost, in the same unit: less is better.
#[derive(Debug)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// The unit of the figures, such as `µs a hop`.
    pub(crate) unit: &'static str,
    /// This node's, one a round.
    pub(crate) ours: Vec<f64>,
    /// The name of the other program, and its figures in the same rounds; none where it is not installed, or
    /// where there is none.
    pub(crate) other: Option<(&'static str, Vec<f64>)>,
    /// What it has to be.
    pub(crate) wanted: Wanted,
}

impl Row {
    /// How many times better than the other, for each round.
    fn times(&self) -> Vec<f64> {
        let other = self.other.iter().flat_map(|(_, figures)| figures);
        self.ours.iter().zip(other).map(|(ours, other)| other / ours).collect()
    }

    fn verdict(&self) -> String {
        let verdict = |holds: bool| if holds { "held" } else { "MISSED" };
        match self.wanted {
            Wanted::Nothing => String::new(),
            Wanted::AtMost(bound) => format!("≤ {bound}: {}", verdict(median(&self.ours) <= bound)),
            Wanted::Times(_) if self.other.is_none() => "not measured".to_owned(),
            Wanted::Times(bound) => format!("≥ {bound:.2}×: {}", verdict(median(&self.times()) >= bound)),
        }
    }
}

/// The middle one; of an even number, the lower of the two.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// The median, and from where to where the rounds went.
fn spread(figures: &[f64]) -> String {
    let (least, most) = figures
        .iter()
        .fold((f64::MAX, f64::MIN), |(least, most), &figure| (least.min(figure), most.max(figure)));
    format!("{} ({}–{})", short(median(figures)), short(least), short(most))
}

/// Three digits that count.
fn short(figure: f64) -> String {
    match figure.abs() {
        0.0 => "0".to_owned(),
        large if large >= 100.0 => format!("{figure:.0}"),
        middle if middle >= 10.0 => format!("{figure:.1}"),
        small if small >= 1.0 => format!("{figure:.2}"),
        _ => format!("{figure:.3}"),
    }
}

/// Prints the table, in Markdown: medians, and in brackets the least and the most.
pub(crate) fn print(rows: &[Row]) {
    println!("| measure | unit | this node | the other | times better | wanted |");
    println!("|---|---|---|---|---|---|");
    for row in rows {
        let other = row.other.as_ref();
        let (figures, times) = match other {
            Some((name, figures)) => (format!("{name} {}", spread(figures)), spread(&row.times())),
            None => Default::default(),
        };
        println!(
            "| {} | {} | {} | {figures} | {times} | {} |",
            row.what,
            row.unit,
            spread(&row.ours),
            row.verdict()
        );
    }
}
