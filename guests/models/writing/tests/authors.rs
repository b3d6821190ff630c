//! How well the model learns how two authors write: in bits a character of what it was not taught, against what
//! `rivals.py` beside this file says of other programs.

use std::sync::OnceLock;

use writing::{Model, Size};

const AUSTEN: &[u8] = include_bytes!("data/austen.txt");
const TWAIN: &[u8] = include_bytes!("data/twain.txt");

/// What `rivals.py` prints of each: PPMd, variant H, of the order that is best for the text; `xz -9e`.
const AUSTEN_RIVALS: [f64; 2] = [1.8190, 2.3454];
const TWAIN_RIVALS: [f64; 2] = [2.0487, 2.5688];

/// Taught the first nine tenths of a text; the last tenth.
struct Pupil {
    model: Model,
    rest: &'static [u8],
}

fn taught(text: &'static [u8]) -> Pupil {
    let (first, rest) = text.split_at(text.len() * 9 / 10);
    let mut model = Model::new(Size::MAX);
    model.learn(first);
    Pupil { model, rest }
}

fn austen() -> Pupil {
    static PUPIL: OnceLock<Model> = OnceLock::new();
    let model = PUPIL.get_or_init(|| taught(AUSTEN).model).clone();
    Pupil { model, rest: &AUSTEN[AUSTEN.len() * 9 / 10..] }
}

fn twain() -> Pupil {
    static PUPIL: OnceLock<Model> = OnceLock::new();
    let model = PUPIL.get_or_init(|| taught(TWAIN).model).clone();
    Pupil { model, rest: &TWAIN[TWAIN.len() * 9 / 10..] }
}

/// Bits a character; both texts are ASCII.
fn cost(pupil: &mut Pupil, text: &[u8]) -> f64 {
    pupil.model.cost(b"", text) / text.len() as f64
}

#[test]
fn it_predicts_better_than_programs_that_compress() {
    for (name, mut pupil, [ppmd, xz]) in
        [("austen", austen(), AUSTEN_RIVALS), ("twain", twain(), TWAIN_RIVALS)]
    {
        let rest = pupil.rest;
        let cost = cost(&mut pupil, rest);
        println!("{name}: {cost:.4} bits a character; PPMd {ppmd}, xz {xz}");
        assert!(cost <= 2.1, "{name}: {cost}");
        assert!(cost < 0.93 * ppmd, "{name}: {cost} against PPMd's {ppmd}");
        assert!(cost < 0.75 * xz, "{name}: {cost} against xz' {xz}");
    }
}

/// A text that is told in pieces as long as a letter, each by somebody who knows none of the others: told in one, it is
/// soon known also to whom it was strange.
fn cost_of_letters(pupil: &mut Pupil, text: &[u8]) -> f64 {
    let bits: f64 = text.chunks(2_000).map(|letter| pupil.model.cost(b"", letter)).sum();
    bits / text.len() as f64
}

#[test]
fn each_author_is_told_from_the_other() {
    let (mut austen, mut twain) = (austen(), twain());
    let (austens, twains) = (austen.rest, twain.rest);
    let (own, other) = (cost_of_letters(&mut austen, austens), cost_of_letters(&mut twain, austens));
    println!("what Austen wrote: by her mirror {own:.4}, by Twain's {other:.4}");
    assert!(other - own >= 0.3, "{own} {other}");
    let (own, other) = (cost_of_letters(&mut twain, twains), cost_of_letters(&mut austen, twains));
    println!("what Twain wrote: by his mirror {own:.4}, by Austen's {other:.4}");
    assert!(other - own >= 0.3, "{own} {other}");
}

#[test]
fn what_is_saved_is_a_quarter_of_the_text_and_comes_back_whole() {
    let mut pupil = austen();
    let saved = pupil.model.save();
    assert_eq!(saved.len(), pupil.model.saved_bytes());
    assert!(saved.len() * 100 < pupil.model.text().len() * 27, "{}", saved.len());
    let mut again = Model::load(&saved).unwrap();
    assert_eq!(again.text(), pupil.model.text());
    let rest = &pupil.rest[..2_000];
    assert_eq!(again.cost(b"", rest).to_bits(), pupil.model.cost(b"", rest).to_bits());
}
