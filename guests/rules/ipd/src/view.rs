//! The tournament as a picture: to the left who cooperates with whom, to the right how the players
//! stand. Both list the players in the same order, the best first.

use std::fmt::Write as _;

use dilemma::tournament::{Standing, Tournament};

use crate::report::name;

/// Side of a cell of the map, and height of a line, in user units.
const CELL: u32 = 16;
/// Room for the names beside and above the map.
const MARGIN: u32 = 190;
/// Room above it all, for the title.
const HEAD: u32 = 34;
/// Length of the longest bar.
const BAR: f64 = 260.0;
/// Room to the right of the bars, for their figures.
const FIGURE: u32 = 70;
/// Colours from never to always cooperating, in even steps: red over yellow to blue, told apart
/// by most eyes.
const SCALE: [&str; 9] =
    ["#a50026", "#dd3d2d", "#f67e4b", "#fdb366", "#eaeccc", "#98cae1", "#6ea6cd", "#4a7bb7", "#364b9a"];
/// Longest name that fits its margin, in characters.
const NAME_CHARS: usize = 26;

/// An SVG document of the tournament as it stands.
pub(crate) fn draw(tournament: &Tournament, players: &[String]) -> String {
    let standings = tournament.standings();
    let side = CELL * tournament.players();
    let (width, height) = (MARGIN + side + 30 + BAR as u32 + FIGURE, HEAD + MARGIN + side + 12);
    let mut svg = String::new();
    push(
        &mut svg,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"system-ui, sans-serif\" font-size=\"11\" fill=\"#333\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
             <text x=\"12\" y=\"22\" font-size=\"15\" font-weight=\"600\">\
             Iterated prisoner's dilemma · turn {} of {} · cooperation {:.1} %</text>\n",
            tournament.turn(),
            tournament.settings().turns,
            tournament.cooperation_rate() * 100.0,
        ),
    );
    legend(&mut svg);
    map(&mut svg, tournament, &standings);
    names(&mut svg, players, &standings);
    bars(&mut svg, &standings, MARGIN + side + 30);
    svg.push_str("</svg>\n");
    svg
}

/// What the colours mean, in the corner between the names.
fn legend(svg: &mut String) {
    let top = HEAD + MARGIN - 40;
    push(svg, format_args!("<text x=\"12\" y=\"{}\">row cooperates with column</text>\n", top - 8));
    for (place, colour) in (0..).zip(SCALE) {
        let x = 12 + 14 * place;
        push(
            svg,
            format_args!("<rect x=\"{x}\" y=\"{top}\" width=\"14\" height=\"9\" fill=\"{colour}\"/>\n"),
        );
    }
    let (below, right) = (top + 21, 12 + 14 * SCALE.len());
    push(svg, format_args!("<text x=\"12\" y=\"{below}\">never</text>\n"));
    push(svg, format_args!("<text x=\"{right}\" y=\"{below}\" text-anchor=\"end\">always</text>\n"));
}

/// A square a pair, in one path a colour; pairs that do not meet stay white.
fn map(svg: &mut String, tournament: &Tournament, standings: &[Standing]) {
    let mut shapes = vec![String::new(); SCALE.len()];
    for (row, own) in (0..).zip(standings) {
        for (column, other) in (0..).zip(standings) {
            let Some(share) = tournament.cooperation_with(own.player, other.player) else { continue };
            let (x, y) = (MARGIN + column * CELL, HEAD + MARGIN + row * CELL);
            let inner = CELL - 1;
            push(&mut shapes[shade(share)], format_args!("M{x} {y}h{inner}v{inner}h-{inner}z"));
        }
    }
    for (shape, colour) in shapes.iter().zip(SCALE) {
        push(svg, format_args!("<path fill=\"{colour}\" d=\"{shape}\"/>\n"));
    }
}

/// Every player's name, beside its row and above its column.
fn names(svg: &mut String, players: &[String], standings: &[Standing]) {
    for (place, standing) in (0..).zip(standings) {
        let label = label(name(players, standing.player));
        let (x, y) = (MARGIN - 6, HEAD + MARGIN + place * CELL + 12);
        push(svg, format_args!("<text x=\"{x}\" y=\"{y}\" text-anchor=\"end\">{label}</text>\n"));
        let (x, y) = (MARGIN + place * CELL + 11, HEAD + MARGIN - 6);
        push(svg, format_args!("<text transform=\"translate({x} {y}) rotate(-90)\">{label}</text>\n"));
    }
}

/// What every player earned against all others, as a bar in the colour of its cooperation.
fn bars(svg: &mut String, standings: &[Standing], left: u32) {
    let title = HEAD + MARGIN - 6;
    push(svg, format_args!("<text x=\"{left}\" y=\"{title}\">score against all others</text>\n"));
    let longest = standings.iter().map(|standing| standing.total.abs()).fold(0.0, f64::max);
    for (place, standing) in (0..).zip(standings) {
        let y = HEAD + MARGIN + place * CELL;
        let length = if longest > 0.0 { standing.total.max(0.0) / longest * BAR } else { 0.0 };
        let (height, colour) = (CELL - 3, SCALE[shade(standing.cooperation)]);
        let (figure, base) = (f64::from(left) + length + 5.0, y + 11);
        push(
            svg,
            format_args!(
                "<rect x=\"{left}\" y=\"{y}\" width=\"{length:.1}\" height=\"{height}\" rx=\"2\" fill=\"{colour}\"/>\
                 <text x=\"{figure:.1}\" y=\"{base}\">{}</text>\n",
                standing.total,
            ),
        );
    }
}

/// The place in the scale of a share from 0 to 1.
fn shade(share: f64) -> usize {
    let steps = SCALE.len() - 1;
    ((share.clamp(0.0, 1.0) * steps as f64).round() as usize).min(steps)
}

/// A name as it may stand in a document: cut to its margin, without the characters of markup.
fn label(name: &str) -> String {
    let shown: String = name.chars().take(NAME_CHARS).collect();
    shown.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("writing to a string cannot fail");
}
