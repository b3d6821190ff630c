//! Python, with the SDK in a virtual environment of the folder's own, and built by the SDK's builder.

use std::path::PathBuf;

use super::{
    Beside, File, GAME, GREETING, Kind, Language, Need, Packages, Places, Quick, SETTINGS, SPOON, Sdk, WORLD,
    as_told, file, percent_decoded, percent_encoded,
};
use crate::author::project::Project;
use crate::content::read_file;

/// The file that names the SDK.
const REQUIREMENTS: &str = "requirements.txt";

/// The most bytes of it that are read.
const REQUIREMENTS_BYTES_MAX: u64 = 1 << 20;

/// How an SDK that is a folder begins and ends, in a line of its own: it stays where it is.
const EDITABLE: (&str, &str) = ("-e file://", "[build]");

const IGNORED: File = file(".gitignore", include_str!("../../../templates/python/gitignore.in"));
const PACKAGES: File = file(REQUIREMENTS, include_str!("../../../templates/python/requirements.txt.in"));

/// Python.
pub(super) static PYTHON: Language = Language {
    name: "python",
    sdk: "python",
    sdk_mark: "pyproject.toml",
    places,
    // What a class cannot be called, or would hide.
    reserved: "none true false message refusal soul action annotated chance config content mapping outcome passing \
        interceptor rules sequence setup within",
    needs: &[Need {
        what: "Python 3.11 or later with venv",
        probe: &["python3", "-c", "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"],
        says_yes: |_| true,
        install: "apt-get install python3-venv",
    }],
    packages: Some(Packages {
        folder: ".venv",
        named_in: &[REQUIREMENTS],
        sdk,
        install: &[
            &["python3", "-m", "venv", ".venv"],
            &[
                ".venv/bin/python",
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--requirement",
                REQUIREMENTS,
            ],
        ],
    }),
    build: &[
        ".venv/bin/python",
        "-m",
        "matrix_soul.build",
        "build",
        "{kind}.py",
        "--output",
        "out/{name}.wasm",
    ],
    quick: Some(Quick::InterpretedBy("--quick")),
    beside: Some(Beside {
        source: ".py",
        build: &[
            ".venv/bin/python",
            "-m",
            "matrix_soul.build",
            "build",
            "{beside}.py",
            "--output",
            "out/{beside}.wasm",
        ],
    }),
    tells_people: true,
    is_incremental: false,
    products: as_told,
    unwatched: &["tests"],
    common: &[PACKAGES, SETTINGS, IGNORED],
    soul: &[
        file("README.md", include_str!("../../../templates/python/soul/README.md.in")),
        file("soul.py", include_str!("../../../templates/python/soul/soul.py.in")),
        file("tests/test_soul.py", include_str!("../../../templates/python/soul/test_soul.py.in")),
        GREETING,
    ],
    rules: &[
        file("README.md", include_str!("../../../templates/python/rules/README.md.in")),
        file("rules.py", include_str!("../../../templates/python/rules/rules.py.in")),
        file("player.py", include_str!("../../../templates/python/rules/player.py.in")),
        file("tests/test_rules.py", include_str!("../../../templates/python/rules/test_rules.py.in")),
        WORLD,
        GAME,
    ],
    transport: &[
        file("README.md", include_str!("../../../templates/python/transport/README.md.in")),
        file("transport.py", include_str!("../../../templates/python/transport/transport.py.in")),
        file("echo.py", include_str!("../../../templates/python/transport/echo.py.in")),
        file(
            "tests/test_transport.py",
            include_str!("../../../templates/python/transport/test_transport.py.in"),
        ),
        SPOON,
    ],
};

/// A line of `requirements.txt`.
fn places(sdk: &Sdk, _: Kind) -> Result<Places, String> {
    let line = match sdk {
        Sdk::Folder(folder) => {
            let (begin, end) = EDITABLE;
            format!(
                "# The SDK, where it is: what is changed there is changed here.\n{begin}{}{end}",
                percent_encoded(folder)
            )
        }
        Sdk::Git(url) => format!("matrix-soul[build] @ git+{url}#subdirectory=sdk/python"),
    };
    Ok(vec![("sdk", line)])
}

/// The folder of the SDK that a project names.
fn sdk(project: &Project) -> Option<PathBuf> {
    let bytes = read_file(&project.folder.join(REQUIREMENTS), REQUIREMENTS_BYTES_MAX).ok()?;
    folder_of(std::str::from_utf8(&bytes).ok()?)
}

fn folder_of(requirements: &str) -> Option<PathBuf> {
    let (begin, end) = EDITABLE;
    let named = |line: &str| Some(line.trim().strip_prefix(begin)?.strip_suffix(end)?.to_owned());
    percent_decoded(&requirements.lines().find_map(named)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sdk_is_named_as_pip_reads_it() {
        let line = |sdk: Sdk| places(&sdk, Kind::Soul).expect("pip takes any").remove(0).1;
        let folder = line(Sdk::Folder("/a b/sdk#1/python".to_owned()));
        assert_eq!(folder.lines().last(), Some("-e file:///a%20b/sdk%231/python[build]"));
        assert_eq!(folder_of(&format!("numpy\n{folder}\n")), Some(PathBuf::from("/a b/sdk#1/python")));
        let git = line(Sdk::Git("https://example.org/matrix.git".to_owned()));
        assert_eq!(git, "matrix-soul[build] @ git+https://example.org/matrix.git#subdirectory=sdk/python");
        assert_eq!(folder_of(&git), None);
    }
}
