//! The torus as a picture: a square a cell, in the colour of its kind, the unhappy with a dark heart.

use std::fmt::Write as _;

use segregation::Model;

/// One colour a kind, told apart by most eyes (after Paul Tol's bright scheme).
const COLOURS: [&str; 8] =
    ["#4477aa", "#ee6677", "#ccbb44", "#228833", "#66ccee", "#aa3377", "#ee8866", "#777777"];
/// How many cells are drawn along a side at most: of a larger torus only every so many are, which
/// keeps the picture below about a megabyte.
const SIDE_CELLS_MAX: usize = 200;
/// Height of the title, in cells of the picture, which is as wide as its cells.
const TITLE_SHARE: f64 = 0.08;

/// An SVG document of the model as it stands.
pub(crate) fn draw(model: &Model) -> String {
    let (width, height) = (model.settings().width as usize, model.settings().height as usize);
    let stride = width.max(height).div_ceil(SIDE_CELLS_MAX);
    let (columns, rows) = (width.div_ceil(stride), height.div_ceil(stride));
    let title = (columns.max(rows) as f64 * TITLE_SHARE).max(1.0);

    let mut shapes = vec![String::new(); model.settings().kinds.len()];
    let mut hearts = String::new();
    for row in 0..rows {
        for column in 0..columns {
            let at = row * stride * width + column * stride;
            let Some(kind) = usize::from(model.cells()[at]).checked_sub(1) else { continue };
            push(&mut shapes[kind], format_args!("M{column} {row}h1v1h-1z"));
            if model.is_unhappy(at) {
                push(&mut hearts, format_args!("M{column}.35 {row}.35h.3v.3h-.3z"));
            }
        }
    }

    let mut svg = String::new();
    push(
        &mut svg,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 {} {columns} {}\" \
             font-family=\"system-ui, sans-serif\" shape-rendering=\"crispEdges\">\n\
             <rect y=\"{}\" width=\"{columns}\" height=\"{}\" fill=\"#fafafa\"/>\n\
             <text x=\"{}\" y=\"{}\" font-size=\"{}\" fill=\"#333\">step {} · happy {:.1} % · alike {:.1} %</text>\n",
            -title,
            rows as f64 + title,
            -title,
            rows as f64 + title,
            title * 0.25,
            -title * 0.3,
            title * 0.5,
            model.steps(),
            model.happiness() * 100.0,
            model.similarity() * 100.0,
        ),
    );
    for (shape, colour) in shapes.iter().zip(COLOURS) {
        push(&mut svg, format_args!("<path fill=\"{colour}\" d=\"{shape}\"/>\n"));
    }
    push(&mut svg, format_args!("<path fill=\"#222\" d=\"{hearts}\"/>\n</svg>\n"));
    svg
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("writing to a string cannot fail");
}
