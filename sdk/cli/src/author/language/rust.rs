//! Rust, built by cargo, which tells what it made.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{File, GREETING, Kind, Language, Need, Places, Quick, SETTINGS, SPOON, Sdk, WORLD, file};

const CARGO_TOML: &str = include_str!("../../../templates/rust/cargo.toml.in");
/// The compiler that the SDK is tested with; rustup gets it by itself.
const TOOLCHAIN: File = file("rust-toolchain.toml", include_str!("../../../../../rust-toolchain.toml"));
/// The versions that the SDK is tested with: cargo keeps those of what the new crate needs, and drops the rest.
const LOCK: File = file("Cargo.lock", include_str!("../../../../../guests/Cargo.lock"));
const IGNORED: File = file(".gitignore", include_str!("../../../templates/rust/gitignore.in"));

/// Rust.
pub(super) static RUST: Language = Language {
    name: "rust",
    sdk: "rust",
    sdk_mark: "Cargo.toml",
    places,
    // Rust's keywords, what cargo keeps for itself, what the new crate depends on, and what its types are called.
    reserved: "abstract as async await become box break const continue crate do dyn else enum extern false final \
        fn for gen if impl in let loop macro match mod move mut override priv pub ref return self static \
        struct super trait true try type typeof unsafe unsized use virtual where while yield alloc core \
        proc-macro std test build deps examples incremental matrix-sdk serde action config content default \
        description deserialize err interceptor message ok option outcome owned-message place player prompt \
        prompts reply result rules serialize settings setup some none soul stateful string turn vec verdict",
    needs: &[
        Need {
            what: "cargo",
            probe: &["cargo", "--version"],
            says_yes: |_| true,
            install: "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh",
        },
        Need {
            what: "Rust's target wasm32-wasip2",
            probe: &["rustc", "--print", "target-libdir", "--target", "wasm32-wasip2"],
            says_yes: |folder| Path::new(folder.trim()).is_dir(),
            install: "rustup target add wasm32-wasip2",
        },
    ],
    packages: None,
    build: &[
        "cargo",
        "build",
        "--release",
        "--target=wasm32-wasip2",
        "--lib",
        "--examples",
        "--message-format=json-render-diagnostics",
    ],
    // Without the optimisation of all crates as one, which is most of the time, and with what the last build knew. The folder's own
    // `[profile.release]` holds in all else. It has a name of its own, so that neither build makes the other begin anew.
    quick: Some(Quick::Plain(&[
        "cargo",
        "build",
        "--config=profile.quick.inherits='release'",
        "--config=profile.quick.lto='off'",
        "--config=profile.quick.codegen-units=16",
        "--config=profile.quick.incremental=true",
        "--profile=quick",
        "--target=wasm32-wasip2",
        "--lib",
        "--examples",
        "--message-format=json-render-diagnostics",
    ])),
    beside: None,
    tells_people: false,
    is_incremental: true,
    products: |told, project| components(told, &project.folder, &project.name),
    unwatched: &["target", "Cargo.lock"],
    common: &[TOOLCHAIN, LOCK, SETTINGS, IGNORED],
    soul: &[
        file("Cargo.toml", CARGO_TOML),
        file("README.md", include_str!("../../../templates/rust/soul/README.md.in")),
        file("src/lib.rs", include_str!("../../../templates/rust/soul/lib.rs.in")),
        GREETING,
    ],
    rules: &[
        file(
            "Cargo.toml",
            concat!(
                include_str!("../../../templates/rust/cargo.toml.in"),
                include_str!("../../../templates/rust/rules/example.toml.in")
            ),
        ),
        file("README.md", include_str!("../../../templates/rust/rules/README.md.in")),
        file("src/lib.rs", include_str!("../../../templates/rust/rules/lib.rs.in")),
        file("examples/player.rs", include_str!("../../../templates/rust/rules/player.rs.in")),
        WORLD,
        file("scenarios/first.toml", include_str!("../../../templates/rust/rules/first.toml.in")),
    ],
    transport: &[
        file(
            "Cargo.toml",
            concat!(
                include_str!("../../../templates/rust/cargo.toml.in"),
                include_str!("../../../templates/rust/transport/example.toml.in")
            ),
        ),
        file("README.md", include_str!("../../../templates/rust/transport/README.md.in")),
        file("src/lib.rs", include_str!("../../../templates/rust/transport/lib.rs.in")),
        file("examples/echo.rs", include_str!("../../../templates/rust/transport/echo.rs.in")),
        SPOON,
    ],
};

/// A dependency in `Cargo.toml`.
fn places(sdk: &Sdk, _: Kind) -> Result<Places, String> {
    let quoted = |text: &String| toml::Value::String(text.clone()).to_string();
    Ok(vec![(
        "sdk",
        match sdk {
            Sdk::Folder(folder) => format!("{{ path = {} }}", quoted(folder)),
            Sdk::Git(url) => format!("{{ git = {} }}", quoted(url)),
        },
    )])
}

/// A line of cargo's that is about something that was made.
#[derive(Deserialize)]
struct Line {
    manifest_path: PathBuf,
    target: Target,
    filenames: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// The components of the crate in `folder`, each with its name: the library's is `name`, an example's its own.
fn components(told: &str, folder: &Path, name: &str) -> Vec<(String, PathBuf)> {
    let manifest = folder.join("Cargo.toml");
    let lines = told.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    lines
        .filter(|line| line.manifest_path == manifest)
        .filter_map(|line| {
            let is_component = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "wasm");
            let file = line.filenames.iter().find(is_component)?.clone();
            let is_library = line.target.kind.iter().any(|kind| kind == "cdylib");
            let name = if is_library { name.to_owned() } else { line.target.name.replace('_', "-") };
            Some((name, file))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_made_of_the_crate_itself_is_found() {
        let line = |manifest: &str, kind: &str, name: &str, file: &str| {
            let target = serde_json::json!({ "name": name, "kind": [kind], "crate_types": ["cdylib"] });
            serde_json::json!({
                "reason": "compiler-artifact",
                "manifest_path": manifest,
                "target": target,
                "filenames": [file],
            })
            .to_string()
        };
        let told = [
            line("/sdk/Cargo.toml", "lib", "matrix_sdk", "/t/libmatrix_sdk.rlib"),
            line("/other/Cargo.toml", "cdylib", "other", "/t/other.wasm"),
            line("/my/Cargo.toml", "cdylib", "my_soul", "/t/my_soul.wasm"),
            line("/my/Cargo.toml", "example", "a_player", "/t/examples/a_player.wasm"),
            line("/my/Cargo.toml", "custom-build", "build-script-build", "/t/build-script"),
            "{\"reason\":\"build-finished\",\"success\":true}".to_owned(),
            "no JSON".to_owned(),
        ];
        let found = components(&told.join("\n"), Path::new("/my"), "my-soul");
        let expected = [("my-soul", "/t/my_soul.wasm"), ("a-player", "/t/examples/a_player.wasm")];
        assert_eq!(found, expected.map(|(name, file)| (name.to_owned(), PathBuf::from(file))));
    }

    #[test]
    fn an_sdk_is_quoted_as_cargo_reads_it() {
        for text in ["/plain", "/with \"quotes\" and \\", "/line\nfeed"] {
            let named = places(&Sdk::Folder(text.to_owned()), Kind::Soul).expect("cargo takes any");
            let line = format!("matrix-sdk = {}", named[0].1);
            let read: toml::Table = toml::from_str(&line).expect("it is TOML");
            assert_eq!(read["matrix-sdk"]["path"].as_str(), Some(text));
        }
    }
}
