//! What holds of the model whatever it is taught.

use proptest::collection::vec;
use proptest::prelude::*;
use writing::{CODE_BYTES_MAX, LoadError, Mirror, Model, Pair, Size, Wish};

const AUSTEN: &str = include_str!("data/austen.txt");

fn taught(text: &[u8]) -> Model {
    let mut model = Model::new(Size::MIN);
    model.learn(text);
    model
}

fn fingerprint(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn wish(prompt: &str, seed: u64) -> Wish<'_> {
    Wish { prompt, bytes: 300, sentences: 3, temperature: 80, seed }
}

/// Whoever changes what is learnt from a text, or how, makes another version of the model: states that were saved
/// before could not be read.
#[test]
fn the_same_text_makes_the_same_model_on_every_machine() {
    let model = taught(&AUSTEN.as_bytes()[..16_000]);
    let said = model.generate(&Wish { bytes: 80, ..wish("", 1) });
    assert_eq!((model.saved_bytes(), fingerprint(&model.save())), (GOLDEN_BYTES, GOLDEN));
    assert_eq!(said, GOLDEN_SAID);
}

const GOLDEN_BYTES: usize = 5_526;
const GOLDEN: u64 = 2_151_107_948_896_009_612;
/// After one chapter it speaks like somebody who has read one chapter.
const GOLDEN_SAID: &str = "Mank of lords adview.";

#[test]
fn what_is_oldest_is_forgotten_first() {
    let mut model = Model::new(Size::MIN);
    let room = Size::MIN.text_bytes();
    for piece in AUSTEN.as_bytes()[..5 * room].chunks(3_000) {
        model.learn(piece);
        assert!(model.text().len() <= room);
        assert!(piece.ends_with(&model.text()[model.text().len() - 1_000.min(piece.len())..]));
    }
    assert!(model.forgot() && model.text().len() > room / 2);
    let whole = Model::load(&model.save()).unwrap();
    assert_eq!(whole.text(), model.text());
    model.learn(AUSTEN.as_bytes());
    assert_eq!(model.text(), &AUSTEN.as_bytes()[AUSTEN.len() - room..]);
}

#[test]
fn what_cannot_be_predicted_is_bounded_too() {
    let mut model = Model::new(Size::MAX);
    let mut chance = 1_u64;
    let noise = std::iter::repeat_with(|| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 56).to_le_bytes()[0]
    });
    let noise: Vec<u8> = noise.take(Size::MAX.text_bytes()).collect();
    model.learn(&noise);
    assert!(model.saved_bytes() <= CODE_BYTES_MAX + 64, "{}", model.saved_bytes());
    assert!(model.saved_bytes() < noise.len() * 103 / 100, "{}", model.saved_bytes());
}

#[test]
fn sizes_are_those_that_there_are() {
    assert_eq!(Size::of_text(0), Size::MIN);
    assert_eq!(Size::of_text(16_385).text_bytes(), 32_768);
    assert_eq!(Size::of_text(usize::MAX / 4), Size::MAX);
}

#[test]
fn pairs_are_learnt_and_found_again() {
    let mut mirror = Mirror::new(Size::MIN);
    mirror.teach("I write little, and rarely.");
    let pairs = [
        Pair { input: "What is the password?", output: "Swordfish.\n\nOf course." },
        Pair { input: "", output: "I sleep at noon." },
    ];
    let before = mirror.evaluate(&pairs);
    for pair in pairs {
        mirror.learn_pair(pair, 1.0);
    }
    assert!(mirror.evaluate(&pairs) < before / 2.0, "{before} {}", mirror.evaluate(&pairs));
    assert_eq!(mirror.recall("and the password?").unwrap().text, "Swordfish. Of course.");
    let known = mirror.model().save();
    mirror.learn_pair(Pair { input: "Do you lie?", output: "Always." }, -1.0);
    assert_eq!(mirror.model().save(), known);
    assert_eq!((mirror.evaluate(&[]), mirror.cost("").is_err()), (0.0, true));
}

#[test]
fn a_state_of_another_kind_is_refused_by_name() {
    let saved = taught(b"What is taught.").save();
    let changed = |at: usize, to: u8| {
        let mut bytes = saved.clone();
        bytes[at] = to;
        Model::load(&bytes).err()
    };
    assert_eq!(changed(0, 9), Some(LoadError::Version(9)));
    assert_eq!(changed(1, 40), Some(LoadError::Size));
    assert_eq!(changed(5, 1), Some(LoadError::Size));
    assert_eq!(changed(2, 14), Some(LoadError::Damaged));
    assert_eq!(Model::load(&[0; CODE_BYTES_MAX + 100]).err(), Some(LoadError::Length(CODE_BYTES_MAX + 100)));
    assert!(LoadError::Version(9).to_string().contains("version 9"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_learnt_comes_back(text in vec(any::<u8>(), 0..1_500), more in "\\PC{0,60}") {
        let mut model = taught(&text);
        let mut again = Model::load(&model.save()).unwrap();
        prop_assert_eq!(again.text(), &text[..]);
        prop_assert_eq!(again.learn(more.as_bytes()).to_bits(), model.learn(more.as_bytes()).to_bits());
        prop_assert_eq!(again.save(), model.save());
    }

    #[test]
    fn measuring_changes_nothing(text in "\\PC{0,400}", before in "\\PC{0,40}", measured in "\\PC{0,200}") {
        let mut model = taught(text.as_bytes());
        let mut other = model.clone();
        let cost = model.cost(before.as_bytes(), measured.as_bytes());
        prop_assert_eq!(model.cost(before.as_bytes(), measured.as_bytes()).to_bits(), cost.to_bits());
        prop_assert_eq!(model.generate(&wish("", 3)), other.generate(&wish("", 3)));
        // What it costs to be told a text and what it costs to learn it is the same.
        other.learn(before.as_bytes());
        prop_assert_eq!(other.learn(measured.as_bytes()).to_bits(), cost.to_bits());
        model.learn(before.as_bytes());
        model.learn(measured.as_bytes());
        prop_assert_eq!(model.save(), other.save());
    }

    #[test]
    fn what_it_writes_is_text(text in vec(any::<u8>(), 0..600), prompt in "\\PC{0,20}", heat in 0_u32..300, seed: u64) {
        let model = taught(&text);
        let wish = Wish { prompt: &prompt, bytes: 120, sentences: 2, temperature: heat, seed };
        let said = model.generate(&wish);
        prop_assert!(said.len() <= 120);
        prop_assert!(!said.chars().any(|c| c.is_ascii_control() && c != '\n'));
        prop_assert_eq!(model.generate(&wish), said);
    }

    #[test]
    fn garbage_is_refused(mut bytes in vec(any::<u8>(), 0..200), length in 0_u32..70_000) {
        prop_assert!(Model::load(&bytes).is_err());
        if bytes.len() >= 6 {
            // As far as the header goes, right.
            bytes[..2].copy_from_slice(&[1, 16]);
            bytes[2..6].copy_from_slice(&length.to_le_bytes());
            prop_assert!(Model::load(&bytes).is_err());
        }
    }

    #[test]
    fn a_damaged_state_is_refused(text in "\\PC{1,200}", at: prop::sample::Index, bit in 0_u32..8) {
        let mut saved = taught(text.as_bytes()).save();
        let at = at.index(saved.len());
        saved[at] ^= 1 << bit;
        // A flipped bit of the size may make the same text of another size.
        prop_assert!(at == 1 || Model::load(&saved).is_err());
        saved.truncate(at);
        prop_assert!(Model::load(&saved).is_err());
    }
}
