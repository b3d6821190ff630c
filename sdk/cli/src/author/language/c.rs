//! C, built by make with the SDK's own Makefile.

use std::path::Path;

use super::{File, GAME, GREETING, Kind, Language, Need, Places, SETTINGS, SPOON, Sdk, WORLD, as_told, file};

/// What installs clang with all that it takes for WebAssembly.
const INSTALL: &str = "apt-get install clang-19 lld-19 libclang-rt-19-dev-wasm32 wasi-libc";

const IGNORED: File = file(".gitignore", include_str!("../../../templates/c/gitignore.in"));
const MAKEFILE: File = file("Makefile", include_str!("../../../templates/c/makefile.in"));
/// One that makes something beside the component.
const MAKEFILE_OF_TWO: File = file(
    "Makefile",
    concat!(include_str!("../../../templates/c/makefile.in"), include_str!("../../../templates/c/beside.in")),
);

/// C.
pub(super) static C: Language = Language {
    name: "c",
    sdk: "c",
    sdk_mark: "Makefile",
    places,
    // What the SDK's Makefile builds beside the component.
    reserved: "tool test",
    needs: &[
        Need {
            what: "make",
            probe: &["make", "--version"],
            says_yes: |_| true,
            install: "apt-get install make",
        },
        Need { what: "clang-19", probe: &["clang-19", "--version"], says_yes: |_| true, install: INSTALL },
        Need {
            what: "wasm-ld-19",
            probe: &["wasm-ld-19", "--version"],
            says_yes: |_| true,
            install: INSTALL,
        },
        Need {
            what: "clang's runtime for WebAssembly",
            probe: &["clang-19", "--target=wasm32-wasi", "-print-libgcc-file-name"],
            says_yes: is_file,
            install: INSTALL,
        },
        Need {
            what: "the C library for WebAssembly",
            probe: &["clang-19", "--target=wasm32-wasi", "-print-file-name=libc.a"],
            says_yes: is_file,
            install: INSTALL,
        },
        Need {
            what: "cargo, which builds the tool that makes components,",
            probe: &["cargo", "--version"],
            says_yes: |_| true,
            install: "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh",
        },
    ],
    packages: None,
    build: &["make", "--silent", "all", "OUT=out/{name}.wasm"],
    quick: None,
    beside: None,
    tells_people: true,
    is_incremental: true,
    products: as_told,
    unwatched: &["build", "tests"],
    common: &[SETTINGS, IGNORED],
    soul: &[
        MAKEFILE,
        file("README.md", include_str!("../../../templates/c/soul/README.md.in")),
        file("soul.c", include_str!("../../../templates/c/soul/soul.c.in")),
        file("tests/test.c", include_str!("../../../templates/c/soul/test.c.in")),
        GREETING,
    ],
    rules: &[
        MAKEFILE_OF_TWO,
        file("README.md", include_str!("../../../templates/c/rules/README.md.in")),
        file("rules.c", include_str!("../../../templates/c/rules/rules.c.in")),
        file("player.c", include_str!("../../../templates/c/rules/player.c.in")),
        file("tests/test.c", include_str!("../../../templates/c/rules/test.c.in")),
        WORLD,
        GAME,
    ],
    transport: &[
        MAKEFILE_OF_TWO,
        file("README.md", include_str!("../../../templates/c/transport/README.md.in")),
        file("transport.c", include_str!("../../../templates/c/transport/transport.c.in")),
        file("echo.c", include_str!("../../../templates/c/transport/echo.c.in")),
        file("tests/test.c", include_str!("../../../templates/c/transport/test.c.in")),
        SPOON,
    ],
};

/// Whether a tool names a file that is there: what it does not find, it names without a folder.
fn is_file(path: &str) -> bool {
    let path = Path::new(path.trim());
    path.is_absolute() && path.is_file()
}

/// What stands in the Makefile: where the SDK is, and what fetches it.
fn places(sdk: &Sdk, kind: Kind) -> Result<Places, String> {
    let (sdk, fetch) = match sdk {
        Sdk::Folder(folder) => {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/+@,".contains(&byte);
            if !folder.bytes().all(plain) {
                let shown = crate::text::one_line(folder);
                return Err(format!(
                    "make cannot take the path of the SDK, `{shown}`: it has more than letters, digits and -._/+@,"
                ));
            }
            (folder.clone(), String::new())
        }
        Sdk::Git(url) => {
            let rule = "\n# The SDK is fetched once.\n$(MATRIX_SDK)/Makefile:\n\tgit clone --quiet --depth 1";
            (".sdk/sdk/c".to_owned(), format!("{rule} {url} .sdk\n"))
        }
    };
    let (exports, beside_exports) = match kind {
        Kind::Soul => ("agent,stateful", ""),
        Kind::Rules => ("rules,stateful", "agent,player"),
        Kind::Transport => ("interceptor", "agent"),
    };
    Ok(vec![
        ("sdk", sdk),
        ("fetch", fetch),
        ("exports", exports.to_owned()),
        ("beside", kind.beside().unwrap_or_default().to_owned()),
        ("beside-exports", beside_exports.to_owned()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sdk_is_where_make_can_reach_it() {
        let folder = |folder: &str| places(&Sdk::Folder(folder.to_owned()), Kind::Soul);
        let plain = "/opt/matrix-1.0_a+b/sdk/c";
        assert_eq!(folder(plain).expect("it is plain")[0], ("sdk", plain.to_owned()));
        for wrong in ["/a b/c", "/a:b", "/$(shell id)", "/a#b", "/a\nall: x", "/a%b", "/grüße"] {
            let refused = folder(wrong).expect_err(wrong);
            assert!(refused.starts_with("make cannot take the path"), "{refused}");
        }
        let git =
            places(&Sdk::Git("https://example.org/matrix.git".to_owned()), Kind::Rules).expect("it is plain");
        assert!(git[1].1.ends_with("git clone --quiet --depth 1 https://example.org/matrix.git .sdk\n"));
    }
}
