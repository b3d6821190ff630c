//! The market as a picture: supply and demand as steps, where they meet, and the trades of the period as dots.

use std::fmt::Write as _;

use auction::Market;

/// Width and height of the plot, in user units.
const PLOT: [f64; 2] = [480.0, 260.0];
/// Room to the left, for prices.
const LEFT: f64 = 40.0;
/// Room above, for the title.
const HEAD: f64 = 34.0;

/// An SVG document of the market as it stands.
pub(crate) fn draw(market: &Market) -> String {
    let settings = market.settings();
    let mut values: Vec<u32> = settings.values.iter().flatten().copied().collect();
    let mut costs: Vec<u32> = settings.costs.iter().flatten().copied().collect();
    values.sort_unstable_by(|a, b| b.cmp(a));
    costs.sort_unstable();
    let units = values.len().max(costs.len()).max(market.trades().len()).max(1) as f64;
    let x = |unit: f64| LEFT + unit / units * PLOT[0];
    let y = |price: f64| HEAD + PLOT[1] * (1.0 - price / f64::from(settings.price_max));
    let (period, theory) = (market.so_far(), market.equilibrium());
    let (width, height) = (LEFT + PLOT[0] + 12.0, HEAD + PLOT[1] + 12.0);
    let mut svg = String::new();
    push(
        &mut svg,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"system-ui, sans-serif\" font-size=\"10\" fill=\"#333\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
             <text x=\"8\" y=\"20\" font-size=\"13\">period {} of {} · {} traded of {} · efficiency {:.1} % · \
             Smith's alpha {:.1} %</text>\n",
            (market.periods().len() + 1).min(settings.periods as usize),
            settings.periods,
            period.volume,
            theory.quantity,
            period.efficiency * 100.0,
            period.alpha,
        ),
    );
    let (meets, right) = (y(theory.price), LEFT + PLOT[0]);
    push(
        &mut svg,
        format_args!(
            "<path stroke=\"#999\" stroke-dasharray=\"3 3\" d=\"M{LEFT} {meets:.1}H{right}\"/>\
             <text x=\"6\" y=\"{:.1}\">{:.1}</text>\n",
            meets + 3.0,
            theory.price
        ),
    );
    for (limits, colour) in [(&values, "#4477aa"), (&costs, "#ee6677")] {
        let mut steps = String::new();
        for (unit, limit) in limits.iter().enumerate() {
            let (from, to, at) = (x(unit as f64), x(unit as f64 + 1.0), y(f64::from(*limit)));
            let pen = if unit == 0 { 'M' } else { 'L' };
            push(&mut steps, format_args!("{pen}{from:.1} {at:.1}H{to:.1}"));
        }
        push(
            &mut svg,
            format_args!("<path fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" d=\"{steps}\"/>\n"),
        );
    }
    for (unit, trade) in market.trades().iter().enumerate() {
        let (cx, cy) = (x(unit as f64 + 0.5), y(f64::from(trade.price)));
        push(&mut svg, format_args!("<circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"3\" fill=\"#222\"/>\n"));
    }
    svg.push_str("</svg>\n");
    svg
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("writing to a string cannot fail");
}
