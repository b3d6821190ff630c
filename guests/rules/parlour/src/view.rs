//! The talk as a picture: what was said last, and how many words each speaker said.

use std::fmt::Write as _;

use parley::Talk;

/// Width of the picture, in user units.
const WIDTH: u32 = 640;
/// Height of a line.
const LINE: u32 = 18;
/// Room above, for the title.
const HEAD: u32 = 34;
/// Length of the longest bar.
const BAR: f64 = 300.0;
/// The most characters of a line that are drawn.
const CHARS: usize = 90;
/// The most speakers whose bars are drawn.
const SPEAKERS: usize = 20;

/// An SVG document of the talk as it stands.
pub(crate) fn draw(talk: &Talk, players: &[String]) -> String {
    let measures = talk.measures();
    let speakers = players.iter().take(SPEAKERS).enumerate().map(|(at, name)| (name, talk.record(at).0));
    let speakers: Vec<(&String, u64)> = speakers.collect();
    let lines = talk.said().len() + speakers.len() + 1;
    let height = HEAD + LINE * lines as u32 + 10;
    let mut svg = String::new();
    push(
        &mut svg,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             font-family=\"system-ui, sans-serif\" font-size=\"11\" fill=\"#333\">\n\
             <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n\
             <text x=\"12\" y=\"22\" font-size=\"13\">turn {} of {} · evenness {:.2} · novelty {:.2} · agreement {:.2}</text>\n",
            talk.turn(),
            talk.settings().turns,
            measures.evenness,
            measures.novelty,
            measures.agreement,
        ),
    );
    let most = speakers.iter().map(|(_, words)| *words).max().unwrap_or_default().max(1);
    let mut y = HEAD + LINE;
    for (name, words) in speakers {
        let (length, top, name) = (words as f64 / most as f64 * BAR, y - 10, label(name, 24));
        push(
            &mut svg,
            format_args!(
                "<text x=\"12\" y=\"{y}\">{name}</text><rect x=\"180\" y=\"{top}\" width=\"{length:.1}\" height=\"12\" \
                 fill=\"#4477aa\"/><text x=\"{:.1}\" y=\"{y}\">{words} words</text>\n",
                185.0 + length
            ),
        );
        y += LINE;
    }
    for said in talk.said() {
        let name = players.get(said.speaker as usize).map(|name| label(name, 24)).unwrap_or_default();
        let text = label(&said.text, CHARS);
        push(
            &mut svg,
            format_args!(
                "<text x=\"12\" y=\"{y}\"><tspan font-weight=\"600\">{name}</tspan> {text}</text>\n"
            ),
        );
        y += LINE;
    }
    svg.push_str("</svg>\n");
    svg
}

/// A text as it may stand in a document: cut, without the characters of markup and without those that none may hold.
fn label(text: &str, chars: usize) -> String {
    let shown: String =
        text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(chars).collect();
    shown.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("writing to a string cannot fail");
}
