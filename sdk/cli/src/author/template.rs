//! A new folder: names are checked, templates filled in, files written. Pure but for the writing.

use std::io::Write as _;
use std::path::Path;

use super::language::{Kind, Language};
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
    /// How its files name the SDK, quoted as they need it.
    pub(crate) sdk: &'a str,
}

/// Says what is wrong with a name: a component's must be one that the node knows Souls by, and one that the language's
/// tools take.
pub(crate) fn check_name(name: &str, language: &Language) -> Result<(), Error> {
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
    Ok(())
}

/// A template with all its places filled: `{{name}}`, `{{type}}` (the name as a type is written), `{{lang}}`, `{{kind}}`
/// and `{{sdk}}`.
pub(crate) fn fill(text: &str, filling: &Filling<'_>) -> String {
    text.replace("{{name}}", filling.name)
        .replace("{{type}}", &type_of(filling.name))
        .replace("{{lang}}", filling.language.name)
        .replace("{{kind}}", &filling.kind.to_string())
        .replace("{{sdk}}", filling.sdk)
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
        made.and_then(|mut made| made.write_all(fill(file.text, filling).as_bytes()))
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
    use super::*;
    use crate::author::language::LANGUAGES;

    const KINDS: [Kind; 3] = [Kind::Soul, Kind::Rules, Kind::Transport];

    fn filling(kind: Kind) -> Filling<'static> {
        Filling { language: &LANGUAGES[0], kind, name: "my-soul", sdk: "{ path = \"sdk\" }" }
    }

    #[test]
    fn names_are_good_for_the_node_and_for_the_tools() {
        for good in ["greeter", "my-soul", "a", "x9", &"a".repeat(63)] {
            assert!(check_name(good, &LANGUAGES[0]).is_ok(), "{good}");
        }
        let wrong =
            ["", "-a", "a-", "My", "a_b", "a b", "9a", "../a", "a.b", "fn", "serde", "test", &"a".repeat(64)];
        for wrong in wrong {
            let refused = check_name(wrong, &LANGUAGES[0]).expect_err(wrong);
            assert_eq!(refused.exit() as u8, 2, "{wrong}");
        }
    }

    #[test]
    fn types_are_named_as_types_are() {
        assert_eq!([type_of("my-soul"), type_of("a--b"), type_of("x9-y")], ["MySoul", "AB", "X9Y"]);
    }

    #[test]
    fn every_place_of_every_template_is_filled() {
        for language in &LANGUAGES {
            for kind in KINDS {
                for file in language.files(kind) {
                    let filled = fill(file.text, &Filling { language, ..filling(kind) });
                    assert!(!filled.contains("{{") || !filled.contains("}}"), "{kind} {}", file.path);
                }
            }
        }
    }

    #[test]
    fn settings_of_a_new_folder_are_toml_and_say_what_it_is() {
        for kind in KINDS {
            for file in LANGUAGES[0].files(kind).filter(|file| file.path.ends_with(".toml")) {
                let filled = fill(file.text, &filling(kind));
                toml::from_str::<toml::Table>(&filled)
                    .unwrap_or_else(|error| panic!("{}: {error}", file.path));
            }
        }
    }

    #[test]
    fn nothing_is_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let new = folder.path().join("deep/new");
        let written = write(&new, &filling(Kind::Soul)).expect("it is empty");
        assert!(written.iter().all(|file| new.join(file).is_file()), "{written:?}");
        let refused = write(&new, &filling(Kind::Soul)).expect_err("it is not empty any more");
        assert_eq!(refused.exit() as u8, 8);
        let file = folder.path().join("file");
        std::fs::write(&file, "mine").expect("a file");
        assert!(write(&file, &filling(Kind::Soul)).is_err());
        assert_eq!(std::fs::read(&file).expect("it is there"), b"mine");
    }
}
