//! `released NAME` writes down what `proto/` and `wit/` promise from the release NAME on, and forgets the breaks before it.

use std::path::Path;

use matrix_tests::surface::{now, to_text};

/// The file of breaks, right after a release.
const NO_BREAKS: &str = "\
## Lines of interfaces.txt that need not stand any more, each under the reason, which begins with `#`.
## `make baseline` empties this at a release.
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).ok_or("say `released NAME`, such as 0.1.0")?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("released");
    std::fs::write(folder.join("interfaces.txt"), to_text(&now()?, &name))?;
    std::fs::write(folder.join("breaks.txt"), NO_BREAKS)?;
    Ok(())
}
