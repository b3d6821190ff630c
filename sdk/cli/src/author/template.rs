//! A new folder: names are checked, templates filled in, files written. Pure but for the writing.

use std::io::Write as _;
use std::path::Path;

use super::language::{self, Kind, Language, Places};
use crate::errors::Error;
use crate::manifest;

/// What goes into the places of a template.
#[derive(Debug)]
pub(crate) struct Filling<'a> {
    /// The language.
    pub(crate) language: &'a Language,
    /// What the component is to be.
    pub(crate) kind: Kind,
    /// Its name.
    pub(crate) name: &'a str,
    /// What is about its SDK, quoted as the language's files need it.
    pub(crate) places: &'a Places,
}

/// Says what is wrong with a kind that there is nothing of in a language.
pub(crate) fn check_kind(kind: Kind, language: &Language) -> Result<(), Error> {
    if language.has(kind) {
        Ok(())
    } else {
        Err(lacks(language.name, kind, &language::names(|other| other.has(kind))))
    }
}

/// That a language lacks a kind, which these have.
fn lacks(language: &str, kind: Kind, have: &str) -> Error {
    let what = format!("there is no template of the kind `{kind}` in {language}");
    Error::usage(what, format!("say --lang with a language that has it: {have}"))
}

/// Says what is wrong with a name: a component's must be one that the node knows Souls by, and one that the language's
/// tools take.
pub(crate) fn check_name(name: &str, kind: Kind, language: &Language) -> Result<(), Error> {
    let shown = crate::text::one_line(name);
    if !manifest::is_name(name) {
        return Err(Error::usage(format!("`{shown}` is no name of a component"), manifest::NAMES));
    }
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Err(Error::usage(format!("`{shown}` does not start with a letter"), "let it start with a-z"));
    }
    if language.reserved.split_ascii_whitespace().any(|word| word == name) {
        let what = format!("`{shown}` means something else to the tools of {}", language.name);
        return Err(Error::usage(what, "give it another name"));
    }
    if kind.beside() == Some(name) {
        let what = format!("`{shown}` is what a component beside it is called");
        return Err(Error::usage(what, "give it another name"));
    }
    Ok(())
}

/// A template with all its places filled: `{{name}}`, `{{type}}` (the name as a type is written), `{{lang}}`, `{{kind}}`
/// and those of the language. What is filled in is not looked at again.
pub(crate) fn fill(text: &str, filling: &Filling<'_>) -> String {
    let (own, kind) = (type_of(filling.name), filling.kind.to_string());
    let all = [
        ("name", filling.name),
        ("type", own.as_str()),
        ("lang", filling.language.name),
        ("kind", kind.as_str()),
    ];
    let given = filling.places.iter().map(|(place, with)| (*place, with.as_str()));
    let all: Vec<_> = all.into_iter().chain(given).collect();
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let found =
            all.iter().find_map(|(place, with)| Some((with, after.strip_prefix(place)?.strip_prefix("}}")?)));
        rest = match found {
            Some((with, behind)) => {
                filled.push_str(with);
                behind
            }
            None => {
                filled.push_str("{{");
                after
            }
        };
    }
    filled + rest
}

/// Writes a new folder; returns the files that are in it. A folder that is there must be empty.
///
/// # Errors
/// Where the folder holds something, is none, or cannot be written.
pub(crate) fn write(folder: &Path, filling: &Filling<'_>) -> Result<Vec<&'static str>, Error> {
    let failed = |path: &Path, error| Error::file("cannot make the folder", path, error);
    match std::fs::read_dir(folder) {
        Ok(mut held) => {
            if held.next().is_some() {
                return Err(Error::Conflict {
                    what: "the folder is there, and not empty".to_owned(),
                    place: folder.display().to_string(),
                    change: "give another name, or empty it".to_owned(),
                });
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(folder, error)),
    }
    let mut written = Vec::new();
    for file in filling.language.files(filling.kind) {
        let path = folder.join(file.path);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
        // Never over a file that somebody put there meanwhile.
        let made = std::fs::File::create_new(&path);
        made.and_then(|mut made| made.write_all((file.made)(file.text, filling).as_bytes()))
            .map_err(|error| Error::file("cannot write the file", &path, error))?;
        written.push(file.path);
    }
    Ok(written)
}

/// `my-soul` as a type is written: `MySoul`.
fn type_of(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::author::language::{LANGUAGES, Sdk};
    use crate::author::project::Project;

    const KINDS: [Kind; 3] = [Kind::Soul, Kind::Rules, Kind::Transport];

    /// Calls it with each language and each kind that there is of it.
    fn each(mut with: impl FnMut(&Filling<'_>)) {
        for language in LANGUAGES {
            for kind in KINDS.into_iter().filter(|kind| language.has(*kind)) {
                for sdk in
                    [Sdk::Folder("/opt/sdk".to_owned()), Sdk::Git("https://example.org/m.git".to_owned())]
                {
                    let places = (language.places)(&sdk, kind).expect("it is plain");
                    with(&Filling { language, kind, name: "my-soul", places: &places });
                }
            }
        }
    }

    #[test]
    fn names_are_good_for_the_node_and_for_the_tools() {
        for language in LANGUAGES {
            for good in ["greeter", "my-soul", "a", "x9", &"a".repeat(63)] {
                assert!(check_name(good, Kind::Soul, language).is_ok(), "{good}");
            }
            let wrong = [
                "", "-a", "a-", "My", "a_b", "a b", "9a", "../a", "a.b", "a/b", "$(id)", "a\"b", "a;b",
                "a\nb",
            ];
            let long = "a".repeat(64);
            for wrong in wrong.into_iter().chain(language.reserved.split_ascii_whitespace()).chain([&*long]) {
                let refused = check_name(wrong, Kind::Soul, language).expect_err(wrong);
                assert_eq!(refused.exit() as u8, 2, "{wrong}");
            }
        }
        for (name, kind) in [("player", Kind::Rules), ("echo", Kind::Transport)] {
            for language in LANGUAGES {
                assert!(check_name(name, kind, language).is_err(), "{name}");
            }
        }
    }

    #[test]
    fn a_kind_that_a_language_lacks_is_refused_with_those_that_have_it() {
        for language in LANGUAGES {
            for kind in KINDS {
                assert_eq!(
                    check_kind(kind, language).is_ok(),
                    language.files(kind).any(|file| file.path == "README.md")
                );
            }
        }
        let Error::Usage { what, change } = lacks("cobol", Kind::Rules, "rust, c") else {
            panic!("it is the user's")
        };
        assert!(what.contains("`rules` in cobol") && change.ends_with(": rust, c"), "{what}; {change}");
    }

    #[test]
    fn types_are_named_as_types_are() {
        assert_eq!([type_of("my-soul"), type_of("a--b"), type_of("x9-y")], ["MySoul", "AB", "X9Y"]);
    }

    #[test]
    fn what_is_filled_in_is_not_filled_again() {
        let places = vec![("sdk", "{{name}}".to_owned())];
        let filling = Filling { language: LANGUAGES[0], kind: Kind::Soul, name: "ada", places: &places };
        assert_eq!(fill("{{sdk}} {{name}} {{other}} {{", &filling), "{{name}} ada {{other}} {{");
    }

    #[test]
    fn every_place_of_every_template_is_filled() {
        each(|filling| {
            for file in filling.language.files(filling.kind) {
                let filled = (file.made)(file.text, filling);
                assert!(!filled.contains("{{") || !filled.contains("}}"), "{} {}", filling.kind, file.path);
            }
        });
    }

    #[test]
    fn every_folder_has_what_an_author_needs() {
        each(|filling| {
            let files: Vec<_> = filling.language.files(filling.kind).collect();
            let paths: BTreeSet<_> = files.iter().map(|file| file.path).collect();
            assert_eq!(paths.len(), files.len(), "no file stands there twice");
            for path in ["README.md", "matrix.toml", ".gitignore", "scenarios/first.toml"] {
                assert!(paths.contains(path), "{}: {path}", filling.language.name);
            }
            let text = |path: &str| {
                let file = files.iter().find(|file| file.path == path).expect(path);
                (file.made)(file.text, filling)
            };
            assert!(text("README.md").lines().count() <= 12, "a README is read");
            let project = Project::parse(&text("matrix.toml"), "matrix.toml", "folder".into());
            let project = project.expect("it says what the folder is");
            assert_eq!((project.language.name, project.kind), (filling.language.name, filling.kind));
            for file in files.iter().filter(|file| file.path.ends_with(".toml")) {
                let read = toml::from_str::<toml::Table>(&(file.made)(file.text, filling));
                read.unwrap_or_else(|error| panic!("{}: {error}", file.path));
            }
            for file in files.iter().filter(|file| file.path.ends_with(".json")) {
                let read = serde_json::from_str::<serde_json::Value>(&(file.made)(file.text, filling));
                read.unwrap_or_else(|error| panic!("{}: {error}", file.path));
            }
            // Rust's own tests run where no node is; others have a fake one.
            let has_tests = paths.iter().any(|path| path.starts_with("tests/"));
            assert_eq!(has_tests, filling.language.name != "rust");
        });
    }

    #[test]
    fn nothing_is_written_over() {
        each(|filling| {
            let folder = tempfile::tempdir().expect("a folder");
            let new = folder.path().join("deep/new");
            let written = write(&new, filling).expect("it is empty");
            assert!(written.iter().all(|file| new.join(file).is_file()), "{written:?}");
            let refused = write(&new, filling).expect_err("it is not empty any more");
            assert_eq!(refused.exit() as u8, 8);
            let file = folder.path().join("file");
            std::fs::write(&file, "mine").expect("a file");
            assert!(write(&file, filling).is_err());
            assert_eq!(std::fs::read(&file).expect("it is there"), b"mine");
        });
    }
}
