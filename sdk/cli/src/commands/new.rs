//! `matrix new`.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::author::language::{self, Kind, Language};
use crate::author::template::{self, Filling};
use crate::errors::Error;
use crate::session::Session;

/// Where the SDKs were when this program was built: on another machine they are not there.
const SDKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

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
    template::check_name(name, lang)?;
    let sdk = sdk_of(sdk.as_deref(), lang)?;
    let files = template::write(folder, &Filling { language: lang, kind: *kind, name, sdk: &sdk })?;
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

/// How the new files name the SDK.
fn sdk_of(given: Option<&str>, language: &Language) -> Result<String, Error> {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let change = "say where it is: --sdk FOLDER (its folder, or a checkout of the project), or --sdk URL (a git repository)";
    let Some(given) = given else {
        let folder = sdk_in(Path::new(SDKS).join(language.sdk), language)?;
        let folder = folder.ok_or_else(|| {
            Error::usage(
                format!("the SDK for {} is not where this `matrix` was built", language.name),
                change,
            )
        })?;
        return Ok(language.sdk_folder.replace("{}", &quoted(&folder)));
    };
    if given.contains("://") || given.starts_with("git@") {
        return Ok(language.sdk_git.replace("{}", &quoted(given)));
    }
    let given = Path::new(given);
    // A checkout first: what is in its root is no SDK.
    for folder in [given.join("sdk").join(language.sdk), given.to_owned()] {
        if let Some(folder) = sdk_in(folder, language)? {
            return Ok(language.sdk_folder.replace("{}", &quoted(&folder)));
        }
    }
    Err(Error::usage(format!("`{}` is no SDK for {}", given.display(), language.name), change))
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
