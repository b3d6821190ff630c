//! Packages in the folder itself, the SDK among them: installed where they are not, and again where they are others.

use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use super::build::words;
use super::language::Packages;
use super::project::Project;
use super::tool;
use super::watch::Snapshot;
use crate::content::read_file;
use crate::errors::Error;
use crate::output::Output;

/// The file in the folder of the packages that says which these are: written last.
const MARK: &str = ".matrix-installed";

/// The most bytes of a file that names packages.
const NAMED_BYTES_MAX: u64 = 16 << 20;

/// Folders of an SDK that nothing is installed from.
const NOT_OF_AN_SDK: [&str; 5] = ["node_modules", "dist", "build", "tests", "target"];

/// Installs what is not there.
///
/// # Errors
/// Where a tool fails, as it does without the registry that it asks.
pub(super) async fn install(project: &Project, packages: &Packages, output: &Output) -> Result<(), Error> {
    let mark = project.folder.join(packages.folder).join(MARK);
    let is_installed =
        || std::fs::read_to_string(&mark).is_ok_and(|found| found == wanted(project, packages));
    if is_installed() {
        return Ok(());
    }
    let named = packages.named_in.first().copied().unwrap_or_default();
    output.note(&format!("installing what {named} names, to {}", packages.folder));
    for step in packages.install {
        tool::run(&project.folder, &words(step, project), true).await?;
    }
    // Tools may have written to what names them.
    std::fs::write(&mark, wanted(project, packages))
        .map_err(|error| Error::file("cannot write the file", &mark, error))
}

/// What packages are to be there, in one word: what names them, and what is in the folder of the SDK.
pub(super) fn wanted(project: &Project, packages: &Packages) -> String {
    let mut hash = Sha256::new();
    for name in packages.named_in {
        let bytes = read_file(&project.folder.join(name), NAMED_BYTES_MAX).unwrap_or_default();
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(&bytes);
    }
    if let Some(sdk) = (packages.sdk)(project) {
        for folder in [sdk.clone(), interfaces(sdk)] {
            Snapshot::of(&folder, &NOT_OF_AN_SDK).hash_into(&mut hash);
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The interfaces beside an SDK, in a checkout of the project.
fn interfaces(sdk: PathBuf) -> PathBuf {
    sdk.join("../../wit")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::author::language::{self, Kind};

    #[test]
    fn packages_are_others_where_a_name_or_the_sdk_differs() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("sdk/python/src")).expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(at(name), text).expect("a file");
        let requirements = format!("-e file://{}[build]\n", at("sdk/python").display());
        write("requirements.txt", &requirements);
        let project = Project {
            folder: folder.path().to_owned(),
            language: language::parse("python").expect("there is one"),
            kind: Kind::Soul,
            name: "ada".to_owned(),
            version: String::new(),
        };
        let packages = project.language.packages.as_ref().expect("it has some");
        let seen = || wanted(&project, packages);
        let mut before = seen();
        assert_eq!(seen(), before);
        let mut differs = |what: &str| {
            let now = seen();
            assert_ne!(std::mem::replace(&mut before, now.clone()), now, "{what}");
        };
        write("sdk/python/src/a.py", "1");
        differs("a new file of the SDK");
        write("sdk/python/src/a.py", "12");
        differs("a change in the SDK");
        std::fs::create_dir_all(at("wit")).expect("a folder");
        write("wit/agent.wit", "1");
        differs("a change of the interfaces");
        write("requirements.txt", &format!("{requirements}numpy\n"));
        differs("one more name");
    }
}
