//! The map as a picture: what is where, what each place is worth, and how many walkers stand there.

use std::fmt::Write as _;

use gridwalk::{Action, Cell, World};

/// Side of a cell, in user units.
const CELL: usize = 40;
/// Room above the map, for the title.
const HEAD: usize = 30;
/// The narrowest picture in which the title fits.
const WIDTH_MIN: usize = 420;

/// An SVG document of the world as it stands.
pub(crate) fn draw(world: &World) -> String {
    let grid = world.grid();
    let (columns, rows) = (grid.width(), grid.cells().len() / grid.width());
    let (width, height) = ((columns * CELL).max(WIDTH_MIN), rows * CELL + HEAD);
    let episodes: u64 = world.walkers().iter().map(|walker| u64::from(walker.episode())).sum();
    let recent = world.recent_return().map_or_else(|| "none yet".to_owned(), |mean| format!("{mean:.3}"));
    let mut svg = String::new();
    push(
        &mut svg,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"system-ui, sans-serif\" font-size=\"9\" fill=\"#333\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
             <text x=\"6\" y=\"20\" font-size=\"13\">{episodes} episodes · last ones earned {recent} · best {:.3}</text>\n",
            world.optimum_at_start(),
        ),
    );
    let best = grid.best(world.settings().discount, world.optimum());
    for (at, cell) in grid.cells().iter().enumerate() {
        let (x, y) = (at % columns * CELL, at / columns * CELL + HEAD);
        let side = CELL - 1;
        let colour = match cell {
            Cell::Floor if at == grid.start() as usize => "#fdb366",
            Cell::Floor => "#dbeaf5",
            Cell::Wall => "#555555",
            Cell::Hole => "#364b9a",
            Cell::Goal => "#7fbf6b",
            Cell::Cliff => "#a50026",
        };
        push(
            &mut svg,
            format_args!(
                "<rect x=\"{x}\" y=\"{y}\" width=\"{side}\" height=\"{side}\" fill=\"{colour}\"/>\n"
            ),
        );
        if let Some(action) = best[at] {
            let arrow =
                ["←", "↓", "→", "↑"][Action::ALL.iter().position(|one| *one == action).unwrap_or_default()];
            let (left, base, value) = (x + 3, y + CELL - 5, world.optimum()[at]);
            push(&mut svg, format_args!("<text x=\"{left}\" y=\"{base}\">{arrow} {value:.2}</text>\n"));
        }
        let here = world.walkers().iter().filter(|walker| walker.at() as usize == at).count();
        if here > 0 {
            let (x, y) = (x + CELL / 2, y + CELL / 2 - 6);
            push(
                &mut svg,
                format_args!(
                    "<circle cx=\"{x}\" cy=\"{y}\" r=\"9\" fill=\"#222\"/>\
                     <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\" fill=\"#fff\">{here}</text>\n",
                    y + 3
                ),
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("writing to a string cannot fail");
}
