//! A folder that an author works in: what its `matrix.toml` says.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::language::{self, Kind, Language};
use crate::content::read_file;
use crate::errors::Error;
use crate::manifest::{self, ManifestError};

/// The file that says what is built.
pub(crate) const SETTINGS: &str = "matrix.toml";

/// Where components are put, in the folder.
const OUT: &str = "out";

/// The most bytes in `matrix.toml`.
const SETTINGS_BYTES_MAX: u64 = 64 << 10;

/// A folder with a component's sources.
#[derive(Debug)]
pub(crate) struct Project {
    /// Where it is, without links.
    pub(crate) folder: PathBuf,
    /// The language.
    pub(crate) language: &'static Language,
    /// What the component is to be.
    pub(crate) kind: Kind,
    /// The component's name.
    pub(crate) name: String,
    /// The component's version, as its author counts.
    pub(crate) version: String,
}

/// The file, as TOML has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    lang: Spanned<String>,
    kind: Kind,
    name: Spanned<String>,
    version: String,
}

impl Project {
    /// Reads what a folder says of itself.
    ///
    /// # Errors
    /// Where it has no `matrix.toml`, or one that is wrong.
    pub(crate) fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(SETTINGS);
        if !path.is_file() {
            return Err(Error::usage(
                format!("`{}` has no {SETTINGS}", folder.display()),
                "name a folder that has one; `matrix new` makes such folders",
            ));
        }
        let bytes = read_file(&path, SETTINGS_BYTES_MAX)?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Error::file("cannot read the settings", &path, "they are not UTF-8"))?;
        let folder =
            folder.canonicalize().map_err(|error| Error::file("cannot find the folder", folder, error))?;
        Ok(Self::parse(text, &path.display().to_string(), folder)?)
    }

    /// Reads the text of `file`, which lies in `folder`.
    pub(super) fn parse(text: &str, file: &str, folder: PathBuf) -> Result<Self, ManifestError> {
        let fault = |what: String, span, change: &str| ManifestError {
            what,
            place: manifest::place(text, file, span),
            change: Some(change.to_owned()).filter(|change| !change.is_empty()),
        };
        let form: Form =
            toml::from_str(text).map_err(|error| fault(error.message().to_owned(), error.span(), ""))?;
        let language = language::parse(form.lang.get_ref()).map_err(|there_is| {
            let what = format!("`{}` is no language of this `matrix`", form.lang.get_ref());
            fault(what, Some(form.lang.span()), &there_is)
        })?;
        if !manifest::is_name(form.name.get_ref()) {
            let what = format!("`{}` is no name of a component", crate::text::one_line(form.name.get_ref()));
            return Err(fault(what, Some(form.name.span()), manifest::NAMES));
        }
        let Form { kind, name, version, .. } = form;
        Ok(Self { folder, language, kind, name: name.into_inner(), version })
    }

    /// Where components are put that a build made.
    pub(crate) fn out(&self) -> PathBuf {
        self.folder.join(OUT)
    }

    /// Names in the folder itself of what no component is built from.
    pub(crate) fn unwatched(&self) -> Vec<&'static str> {
        [self.language.unwatched, &[OUT, "scenarios", "README.md"]].concat()
    }

    /// The component's file.
    pub(crate) fn component(&self) -> PathBuf {
        self.out().join(format!("{}.wasm", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Project, ManifestError> {
        Project::parse(text, "matrix.toml", "folder".into())
    }

    #[test]
    fn what_a_folder_says_of_itself_is_read() {
        let text = "lang = \"rust\"\nkind = \"rules\"\nname = \"my-game\"\nversion = \"0.2.0\"\n";
        let project = parse(text).expect("it is right");
        assert_eq!((project.language.name, project.kind), ("rust", Kind::Rules));
        assert_eq!((project.name.as_str(), project.version.as_str()), ("my-game", "0.2.0"));
        assert_eq!(project.component(), Path::new("folder/out/my-game.wasm"));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let text = |lang: &str, kind: &str, name: &str| {
            format!("lang = \"{lang}\"\nkind = \"{kind}\"\nname = \"{name}\"\nversion = \"1\"\n")
        };
        let cases = [
            (text("cobol", "soul", "a"), "`cobol`", "matrix.toml:1:8"),
            (text("rust", "ghost", "a"), "ghost", "matrix.toml:2:8"),
            (text("rust", "soul", "../a"), "no name", "matrix.toml:3:8"),
            (text("rust", "soul", "a") + "colour = 1\n", "colour", "matrix.toml:5:1"),
        ];
        for (text, what, place) in cases {
            let refused = parse(&text).expect_err(what);
            assert!(refused.what.contains(what), "{refused}");
            assert_eq!(refused.place, place, "{refused}");
        }
    }
}
