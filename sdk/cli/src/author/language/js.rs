//! TypeScript and JavaScript, with the SDK in `node_modules`, and built by the folder's own script `build`.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::{
    File, GAME, GREETING, Kind, Language, Need, Packages, Places, Quick, SETTINGS, SPOON, Sdk, WORLD,
    as_told, file,
};
use crate::author::project::Project;
use crate::author::template::Filling;
use crate::content::read_file;

/// The file that names the SDK.
const PACKAGE: &str = "package.json";

/// The most bytes of it that are read.
const PACKAGE_BYTES_MAX: u64 = 1 << 20;

/// What the SDK is called.
const SDK: &str = "matrix-soul";

/// How an SDK that is a folder is named.
const FOLDER: &str = "file:";

const IGNORED: File = file(".gitignore", include_str!("../../../templates/js/gitignore.in"));
const NPM: File = file(".npmrc", include_str!("../../../templates/js/npmrc.in"));
const COMPILER: File = file("tsconfig.json", include_str!("../../../templates/js/tsconfig.json.in"));
const NAMED: File = file(PACKAGE, include_str!("../../../templates/js/package.json.in"));
/// The versions that the SDK is tested with.
const LOCK: File =
    File { path: "package-lock.json", text: include_str!("../../../../js/package-lock.json"), made: lock };

/// TypeScript and JavaScript.
pub(super) static JS: Language = Language {
    name: "js",
    sdk: "js",
    sdk_mark: PACKAGE,
    places,
    // What a class cannot be called, or would hide, and the packages that the new one depends on.
    reserved: "action chance content interceptor message object outcome passing refusal rules set setup soul state \
        matrix-soul typescript node-modules",
    needs: &[
        Need {
            what: "Node.js 20.19 or later",
            probe: &["node", "--version"],
            says_yes: is_new_enough,
            install: "apt-get install nodejs npm, or nodejs.org",
        },
        Need {
            what: "npm",
            probe: &["npm", "--version"],
            says_yes: |_| true,
            install: "apt-get install npm",
        },
    ],
    packages: Some(Packages {
        folder: "node_modules",
        named_in: &[PACKAGE, "package-lock.json"],
        sdk,
        install: &[
            &["npm", "run", "--silent", "--if-present", "sdk"],
            // npm would keep a copy of the SDK that is of the same version.
            &["rm", "-rf", "node_modules/matrix-soul"],
            &["npm", "install", "--loglevel=error"],
        ],
    }),
    build: &["npm", "run", "--silent", "build"],
    quick: Some(Quick::Interpreted(&["npm", "run", "--silent", "quick"])),
    beside: None,
    tells_people: true,
    is_incremental: false,
    products: as_told,
    unwatched: &["node_modules", "build", "tests", "package-lock.json"],
    common: &[NAMED, LOCK, COMPILER, NPM, SETTINGS, IGNORED],
    soul: &[
        file("README.md", include_str!("../../../templates/js/soul/README.md.in")),
        file("src/soul.ts", include_str!("../../../templates/js/soul/soul.ts.in")),
        file("tests/soul.test.mjs", include_str!("../../../templates/js/soul/soul.test.mjs.in")),
        GREETING,
    ],
    rules: &[
        file("README.md", include_str!("../../../templates/js/rules/README.md.in")),
        file("src/rules.ts", include_str!("../../../templates/js/rules/rules.ts.in")),
        file("src/player.ts", include_str!("../../../templates/js/rules/player.ts.in")),
        file("tests/rules.test.mjs", include_str!("../../../templates/js/rules/rules.test.mjs.in")),
        WORLD,
        GAME,
    ],
    transport: &[
        file("README.md", include_str!("../../../templates/js/transport/README.md.in")),
        file("src/transport.ts", include_str!("../../../templates/js/transport/transport.ts.in")),
        file("src/echo.ts", include_str!("../../../templates/js/transport/echo.ts.in")),
        file(
            "tests/transport.test.mjs",
            include_str!("../../../templates/js/transport/transport.test.mjs.in"),
        ),
        SPOON,
    ],
};

/// What stands in `package.json`: a dependency, the interfaces for the builder, and what fetches both.
fn places(sdk: &Sdk, kind: Kind) -> Result<Places, String> {
    let (sdk, wit, fetch) = match sdk {
        Sdk::Folder(folder) => {
            let wit = format!("{folder}/../../wit");
            (format!("{FOLDER}{folder}"), in_shell(&wit), String::new())
        }
        Sdk::Git(url) => {
            let script = format!("[ -d .sdk ] || git clone --quiet --depth 1 {url} .sdk");
            let line = format!("    \"sdk\": \"{}\",\n", in_json(&script));
            (format!("{FOLDER}.sdk/sdk/js"), ".sdk/wit".to_owned(), line)
        }
    };
    let beside = |flag: &str| {
        let build =
            |name| format!(" && matrix-soul build src/{name}.ts -o out/{name}.wasm --wit {wit}{flag}");
        in_json(&kind.beside().map_or_else(String::new, build))
    };
    let (whole, quick) = (beside(""), beside(" --quick"));
    Ok(vec![
        ("sdk", in_json(&sdk)),
        ("wit", in_json(&wit)),
        ("beside", whole),
        ("quick", quick),
        ("fetch", fetch),
    ])
}

/// A path as a word of a shell.
fn in_shell(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte);
    if path.bytes().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

/// A text as it stands between the quotes of JSON.
fn in_json(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default().to_owned()
}

/// Whether this is the version of a Node.js that the SDK runs on.
fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.trim().trim_start_matches('v').split('.').map_while(|part| part.parse().ok());
    let found: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    found >= (20, 19)
}

/// The folder of the SDK that a project names.
fn sdk(project: &Project) -> Option<PathBuf> {
    let bytes = read_file(&project.folder.join(PACKAGE), PACKAGE_BYTES_MAX).ok()?;
    let package: Value = serde_json::from_slice(&bytes).ok()?;
    let named = package["dependencies"][SDK].as_str()?.strip_prefix(FOLDER)?;
    Some(project.folder.join(named))
}

/// The SDK's own lock, with the new package in place of the SDK, and the SDK among what it depends on.
fn lock(text: &str, filling: &Filling<'_>) -> String {
    let mut lock: Value = serde_json::from_str(text).unwrap_or_default();
    let new: Value = serde_json::from_str(&(NAMED.made)(NAMED.text, filling)).unwrap_or_default();
    let same = |from: &Value, names: &[&str]| -> Map<String, Value> {
        let pairs = names.iter().map(|name| ((*name).to_owned(), from[*name].clone()));
        pairs.filter(|(_, value)| !value.is_null()).collect()
    };
    let mut sdk = same(&lock["packages"][""], &["version", "license", "dependencies", "bin", "engines"]);
    sdk.insert("resolved".to_owned(), new["dependencies"][SDK].clone());
    let mut root = same(&new, &["name", "version", "dependencies", "devDependencies"]);
    root.insert("hasInstallScript".to_owned(), json!(true));
    lock["name"] = new["name"].clone();
    lock["packages"][""] = root.into();
    lock["packages"][format!("node_modules/{SDK}")] = sdk.into();
    format!("{lock:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(file: &File, sdk: &Sdk) -> Value {
        let places = places(sdk, Kind::Soul).expect("npm takes any");
        let filling = Filling { language: &JS, kind: Kind::Soul, name: "my-soul", places: &places };
        serde_json::from_str(&(file.made)(file.text, &filling)).expect("it is JSON")
    }

    #[test]
    fn an_sdk_is_named_as_npm_and_a_shell_read_it() {
        let package = filled(&NAMED, &Sdk::Folder("/it's \"a\" #1/sdk/js".to_owned()));
        assert_eq!(package["dependencies"][SDK], "file:/it's \"a\" #1/sdk/js");
        let build = package["scripts"]["build"].as_str().expect("it is there");
        assert!(build.ends_with(r#" --wit '/it'\''s "a" #1/sdk/js/../../wit'"#), "{build}");
        assert_eq!(package["scripts"]["quick"], format!("{build} --quick"));
        let package = filled(&NAMED, &Sdk::Git("https://example.org/matrix.git".to_owned()));
        let fetch = "[ -d .sdk ] || git clone --quiet --depth 1 https://example.org/matrix.git .sdk";
        assert_eq!(package["scripts"]["sdk"], fetch);
        assert_eq!(package["dependencies"][SDK], "file:.sdk/sdk/js");
    }

    #[test]
    fn the_lock_is_the_sdks_with_the_new_package_at_its_root() {
        let sdk = Sdk::Folder("/sdk/js".to_owned());
        let (lock, package, own) = (
            filled(&LOCK, &sdk),
            filled(&NAMED, &sdk),
            serde_json::from_str::<Value>(LOCK.text).expect("JSON"),
        );
        assert_eq!((&lock["name"], &lock["packages"][""]["name"]), (&json!("my-soul"), &json!("my-soul")));
        assert_eq!(lock["packages"][""]["dependencies"], package["dependencies"]);
        let found = &lock["packages"]["node_modules/matrix-soul"];
        assert_eq!(found["resolved"], "file:/sdk/js");
        assert_eq!(found["dependencies"], own["packages"][""]["dependencies"]);
        let compiler = "node_modules/typescript";
        assert_eq!(lock["packages"][compiler], own["packages"][compiler]);
        assert_eq!(own["packages"][compiler]["version"], package["devDependencies"]["typescript"]);
    }

    #[test]
    fn an_old_node_is_none() {
        for (version, is_new) in [("v20.19.0\n", true), ("v22.1.0", true), ("v20.18.9", false), ("", false)] {
            assert_eq!(is_new_enough(version), is_new, "{version}");
        }
    }
}
