//! `matrix new`.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::author::language::{self, Kind, Language, Sdk};
use crate::author::template::{self, Filling};
use crate::errors::Error;
use crate::session::Session;

/// Where the SDKs were when this program was built: on another machine they are not there.
const SDKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What to change where there is no SDK.
const SAY_WHERE: &str = "say where it is: --sdk FOLDER (its folder, or a checkout of the project), or --sdk URL (a git repository)";

/// What to make.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// The folder to make; its last part is the component's name: 1 to 63 of a-z, 0-9 and -
    #[arg(value_name = "NAME")]
    folder: PathBuf,
    /// The language
    #[arg(long, value_name = "LANGUAGE", default_value = "rust", value_parser = language::parse)]
    lang: &'static Language,
    /// What the component is to be
    #[arg(long, value_enum, default_value = "soul")]
    kind: Kind,
    /// The SDK: its folder, a checkout of the project, or the URL of its git repository [default: where this `matrix` was built]
    #[arg(long, value_name = "PATH|URL")]
    sdk: Option<String>,
}

/// Makes a folder that builds, tests and runs.
pub(crate) fn run(args: &Args, session: &Session<'_>) -> Result<(), Error> {
    let Args { folder, lang, kind, sdk } = args;
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    template::check_kind(*kind, lang)?;
    template::check_name(name, *kind, lang)?;
    let places =
        (lang.places)(&sdk_of(sdk.as_deref(), lang)?, *kind).map_err(|why| Error::usage(why, SAY_WHERE))?;
    let filling = Filling { language: lang, kind: *kind, name, places: &places };
    let files = template::write(folder, &filling)?;
    let shown = folder.display().to_string();
    let json =
        json!({ "folder": shown, "name": name, "kind": kind.to_string(), "lang": lang.name, "files": files });
    session.output.show(&json, |style| {
        let next = format!("cd {shown} && matrix test");
        format!(
            "{} {kind} {name}, in {} files\nnext: {}\n",
            style.green("created"),
            files.len(),
            style.bold(&next)
        )
    })
}

/// Finds the SDK.
fn sdk_of(given: Option<&str>, language: &Language) -> Result<Sdk, Error> {
    let Some(given) = given else {
        let folder = sdk_in(Path::new(SDKS).join(language.sdk), language)?;
        return folder.map(Sdk::Folder).ok_or_else(|| {
            let what = format!("the SDK for {} is not where this `matrix` was built", language.name);
            Error::usage(what, SAY_WHERE)
        });
    };
    if let Some(url) = url_of(given) {
        return url.map(Sdk::Git);
    }
    let given = Path::new(given);
    // A checkout first: what is in its root is no SDK.
    for folder in [given.join("sdk").join(language.sdk), given.to_owned()] {
        if let Some(folder) = sdk_in(folder, language)? {
            return Ok(Sdk::Folder(folder));
        }
    }
    Err(Error::usage(format!("`{}` is no SDK for {}", given.display(), language.name), SAY_WHERE))
}

/// The URL of a repository, if it is none of a folder's names: in the form that all tools read, without what means
/// something else to one of them.
fn url_of(given: &str) -> Option<Result<String, Error>> {
    // As git writes it for short: user, host and path.
    let short = given.strip_prefix("git@").and_then(|rest| rest.split_once(':'));
    let url = match short {
        Some((host, path)) => format!("ssh://git@{host}/{path}"),
        None if given.contains("://") => given.to_owned(),
        None => return None,
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/@+%=,".contains(&byte);
    if url.bytes().all(plain) {
        return Some(Ok(url));
    }
    let what = format!("`{}` is no URL of a repository", crate::text::one_line(given));
    Some(Err(Error::usage(what, "it has letters, digits and -._~:/@+%=, alone")))
}

/// The folder, from the root on, if an SDK is in it.
fn sdk_in(folder: PathBuf, language: &Language) -> Result<Option<String>, Error> {
    let Ok(folder) = folder.canonicalize() else { return Ok(None) };
    if !folder.join(language.sdk_mark).is_file() {
        return Ok(None);
    }
    let text = folder.to_str().map(str::to_owned);
    text.map(Some).ok_or_else(|| Error::file("cannot name the SDK", &folder, "its path is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_from_folders_and_say_nothing_but_where() {
        let read = |given| url_of(given).map(|url| url.map_err(|error| error.to_string()));
        let plain = "https://example.org/a/matrix-os.git";
        assert_eq!(read(plain), Some(Ok(plain.to_owned())));
        assert_eq!(read("git@example.org:a/m.git"), Some(Ok("ssh://git@example.org/a/m.git".to_owned())));
        assert_eq!(read("../matrix"), None);
        for hostile in
            ["https://a/$(id)", "https://a/b c", "https://a;id", "https://a/#x", "https://a/\"", "git@a:`id`"]
        {
            assert!(matches!(read(hostile), Some(Err(what)) if what.contains("no URL")), "{hostile}");
        }
    }
}
