//! Manifests for `matrix apply`: TOML in, messages of the node's interface out. Pure.

pub(crate) mod form;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use matrix_proto::v1::{MatrixManifest, Persona, SoulManifest};
use toml::Spanned;

use self::form::Form;

/// Seeds stay below this, so that every guest language holds them exactly.
const SEED_MAX: u64 = 1 << 53;

/// The most bytes in a name, as the node has it.
const NAME_BYTES_MAX: usize = 63;

/// What a name must be.
pub(crate) const NAMES: &str = "use 1 to 63 of a-z, 0-9 and -, no hyphen at an end";

/// What a manifest asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Manifest {
    /// Components by the name that the rest of the manifest calls them.
    pub(crate) components: BTreeMap<String, Source>,
    /// Souls, in the order of the file. `component` is a name or a digest.
    pub(crate) souls: Vec<SoulManifest>,
    /// Matrices, in the order of the file. `rules` is a name or a digest.
    pub(crate) matrices: Vec<MatrixEntry>,
}

/// Where a component comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file, relative to the manifest.
    File(PathBuf),
    /// The node, by digest.
    Digest(String),
}

/// A Matrix that a manifest asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MatrixEntry {
    /// What it is.
    pub(crate) manifest: MatrixManifest,
    /// Whether it starts when it is created.
    pub(crate) start: bool,
}

/// What is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub(crate) struct ManifestError {
    /// What is wrong.
    pub(crate) what: String,
    /// `FILE:LINE:COLUMN`.
    pub(crate) place: String,
    /// What to change, where that is not said yet.
    pub(crate) change: Option<String>,
}

impl Manifest {
    /// Reads a manifest. `file` is how errors call it.
    pub(crate) fn parse(text: &str, file: &str) -> Result<Self, ManifestError> {
        let form: Form = toml::from_str(text).map_err(|error| ManifestError {
            what: error.message().to_owned(),
            place: place(text, file, error.span()),
            change: None,
        })?;
        Self::checked(form, text, file)
    }

    /// Checks what was read from `text`.
    pub(crate) fn checked(form: Form, text: &str, file: &str) -> Result<Self, ManifestError> {
        check(&form).map_err(|fault| ManifestError {
            what: fault.what,
            place: place(text, file, Some(fault.span)),
            change: Some(fault.change),
        })?;
        Ok(Self {
            components: form
                .components
                .into_iter()
                .map(|(name, from)| (name.into_inner(), from.into()))
                .collect(),
            souls: form.soul.into_iter().map(Into::into).collect(),
            matrices: form.matrix.into_iter().map(Into::into).collect(),
        })
    }
}

/// Reads a persona, as a manifest has it: `description`, `traits` and `values`. `file` is how errors call it.
pub(crate) fn parse_persona(text: &str, file: &str) -> Result<Persona, ManifestError> {
    let persona: form::Persona = toml::from_str(text).map_err(|error| ManifestError {
        what: error.message().to_owned(),
        place: place(text, file, error.span()),
        change: None,
    })?;
    Ok(persona.into())
}

impl From<String> for Source {
    fn from(text: String) -> Self {
        if text.starts_with("sha256:") { Self::Digest(text) } else { Self::File(text.into()) }
    }
}

/// A fault that TOML does not know of.
struct Fault {
    span: std::ops::Range<usize>,
    what: String,
    change: String,
}

fn check(form: &Form) -> Result<(), Fault> {
    for name in form.components.keys() {
        check_name(name, "a component")?;
    }
    let mut souls = BTreeSet::new();
    for soul in &form.soul {
        check_name(&soul.name, "a Soul")?;
        check_first(&mut souls, &soul.name, "Soul")?;
        check_seed(&soul.seed)?;
    }
    let mut matrices = BTreeSet::new();
    for matrix in &form.matrix {
        check_name(&matrix.name, "a Matrix")?;
        check_first(&mut matrices, &matrix.name, "Matrix")?;
        check_seed(&matrix.seed)?;
    }
    Ok(())
}

/// Whether this is a name, as the node has them.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn check_name(name: &Spanned<String>, of: &str) -> Result<(), Fault> {
    let text = name.get_ref();
    if is_name(text) {
        return Ok(());
    }
    Err(Fault {
        span: name.span(),
        what: format!("`{}` is no name of {of}", crate::text::one_line(text)),
        change: NAMES.to_owned(),
    })
}

fn check_first<'a>(seen: &mut BTreeSet<&'a str>, name: &'a Spanned<String>, kind: &str) -> Result<(), Fault> {
    if seen.insert(name.get_ref()) {
        return Ok(());
    }
    Err(Fault {
        span: name.span(),
        what: format!("the {kind} `{}` is here twice", name.get_ref()),
        change: "give each a name of its own".to_owned(),
    })
}

fn check_seed(seed: &Option<Spanned<u64>>) -> Result<(), Fault> {
    match seed {
        Some(seed) if *seed.get_ref() >= SEED_MAX => Err(Fault {
            span: seed.span(),
            what: format!("the seed {} is too large", seed.get_ref()),
            change: format!("use one below {SEED_MAX}"),
        }),
        _ => Ok(()),
    }
}

/// `FILE:LINE:COLUMN` of a span, both counted from 1; only the file where there is no span.
pub(crate) fn place(text: &str, file: &str, span: Option<std::ops::Range<usize>>) -> String {
    let before = span.and_then(|span| text.get(..span.start));
    let Some(before) = before else { return file.to_owned() };
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("{file}:{line}:{column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
[components]
strategist = "../out/strategist.wasm"
ipd = "sha256:00"

[[soul]]
name = "tit-for-tat"
component = "strategist"
config = { strategy = "TitForTat", rounds = 3, noisy = false }
persona = { description = "kind", traits = ["patient"], values = [{ name = "honesty", weight = 0.5 }] }
grants = { send = ["soul:*"], buckets = ["scores:rw"], events = true, memory = true }
memory = { recency = 0.0, decay = 0.9, alike = 0.0 }
limits = { memory_bytes = 67108864, call_ms = 100, episodes = 50 }
durability = { mode = "turn", every_turns = 64, every_seconds = 5 }
seed = 7

[[matrix]]
name = "tournament"
rules = "ipd"
players = ["tit-for-tat"]
seed = 42
config = { turns = 200, self_play = true, born = 1979-05-27 }
tick_deadline_ms = 1000
start = true
"#;

    fn refusal(text: &str) -> (String, String) {
        let error = Manifest::parse(text, "m.toml").expect_err("refused");
        (error.what, error.place)
    }

    #[test]
    fn a_whole_manifest_is_read() {
        let manifest = Manifest::parse(WHOLE, "m.toml").expect("a manifest");
        assert_eq!(manifest.components["strategist"], Source::File("../out/strategist.wasm".into()));
        assert_eq!(manifest.components["ipd"], Source::Digest("sha256:00".to_owned()));
        let soul = &manifest.souls[0];
        assert_eq!((soul.name.as_str(), soul.seed), ("tit-for-tat", 7));
        assert_eq!((soul.config["rounds"].as_str(), soul.config["noisy"].as_str()), ("3", "false"));
        assert_eq!(soul.persona.as_ref().map(|persona| persona.values[0].weight), Some(0.5));
        assert!(
            soul.grants
                .as_ref()
                .is_some_and(|grants| grants.events && grants.memory && grants.send == ["soul:*"])
        );
        assert_eq!(
            soul.memory.map(|memory| (memory.recency, memory.decay, memory.alike, memory.importance)),
            Some((Some(0.0), Some(0.9), Some(0.0), None))
        );
        assert_eq!(soul.limits.map(|limits| limits.episodes), Some(50));
        assert_eq!(soul.limits.map(|limits| (limits.memory_bytes, limits.call_ms)), Some((67_108_864, 100)));
        let durability = soul.durability.expect("it has one");
        assert_eq!((durability.every_turns, durability.every_seconds), (64, 5));
        assert_eq!(durability.mode(), matrix_proto::v1::DurabilityMode::Turn);
        let matrix = &manifest.matrices[0];
        assert!(matrix.start);
        assert_eq!(matrix.manifest.config, r#"{"born":"1979-05-27","self_play":true,"turns":200}"#);
        assert_eq!((matrix.manifest.seed, matrix.manifest.tick_deadline_ms), (42, 1000));
    }

    #[test]
    fn nothing_is_a_manifest_too() {
        let manifest = Manifest::parse("", "m.toml").expect("a manifest");
        assert!(manifest.souls.is_empty() && manifest.matrices.is_empty());
    }

    #[test]
    fn unknown_keys_are_named_with_their_line() {
        let (what, place) = refusal("[[soul]]\nname = \"a\"\ncomponent = \"b\"\ncolour = 3\n");
        assert!(what.contains("unknown field `colour`"), "{what}");
        assert_eq!(place, "m.toml:4:1");
        let (what, place) =
            refusal("[[soul]]\nname = \"a\"\ncomponent = \"b\"\ngrants = { send = [], sned = [] }\n");
        assert!(what.contains("`sned`"), "{what}");
        assert!(place.starts_with("m.toml:4:"), "{place}");
    }

    #[test]
    fn faults_are_named_with_their_line() {
        let soul = "[[soul]]\nname = \"a\"\ncomponent = \"b\"\n";
        let cases = [
            (format!("{soul}{soul}"), "twice", "m.toml:5:8"),
            (format!("{soul}seed = 9007199254740992\n"), "too large", "m.toml:4:8"),
            ("[[soul]]\ncomponent = \"b\"\nname = \"A b\"\n".to_owned(), "no name", "m.toml:3:8"),
            ("[components]\nUp = \"x\"\n".to_owned(), "no name", "m.toml:2:1"),
            ("[[matrix]]\nname = \"a\"\n".to_owned(), "missing field `rules`", "m.toml:1:1"),
            ("[[matrix]]\nname = \"a\"\nrules = 3\n".to_owned(), "expected a string", "m.toml:3:9"),
            (format!("{soul}config = {{ a = [1] }}\n"), "text, a number or a boolean", "m.toml:4:16"),
            (
                "[[matrix]]\nname = \"a\"\nrules = \"r\"\nconfig = { a = nan }\n".to_owned(),
                "nan",
                "m.toml:4:10",
            ),
        ];
        for (text, what, place) in cases {
            let (found, at) = refusal(&text);
            assert!(found.contains(what), "{found}");
            assert_eq!(at, place, "{found}");
        }
    }

    #[test]
    fn a_persona_has_a_file_of_its_own() {
        let text =
            "description = \"kind\"\ntraits = [\"patient\"]\n[[values]]\nname = \"honesty\"\nweight = 1.0\n";
        let persona = parse_persona(text, "ada.toml").expect("a persona");
        assert_eq!((persona.description.as_str(), persona.values[0].weight), ("kind", 1.0));
        assert_eq!(parse_persona("traits = 3\n", "ada.toml").expect_err("no list").place, "ada.toml:1:10");
    }

    #[test]
    fn broken_toml_is_placed() {
        assert_eq!(refusal("[[soul]]\nname = \n").1.split(':').nth(1), Some("2"));
    }
}
