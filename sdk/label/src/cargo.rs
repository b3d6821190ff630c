//! What a crate says of itself in its Cargo.toml.

use serde::Deserialize;

use super::{Label, Producer};

/// The crate that components in Rust are written with.
const SDK: &str = "matrix-sdk";

#[derive(Deserialize)]
struct Told {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    version: String,
    #[serde(default)]
    authors: Vec<String>,
    license: Option<String>,
    description: Option<String>,
    repository: Option<String>,
    homepage: Option<String>,
    dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
}

/// The label of the component `name`, by what `cargo metadata --no-deps --format-version 1` tells of its workspace; none
/// if no crate in it makes such a component.
///
/// # Errors
/// Where that is not what cargo tells.
pub fn of_package(told: &str, name: &str) -> Result<Option<Label>, serde_json::Error> {
    let told: Told = serde_json::from_str(told)?;
    let makes = |target: &Target| {
        target.crate_types.iter().any(|it| it == "cdylib") && target.name.replace('_', "-") == name
    };
    let found = told.packages.into_iter().find(|package| package.targets.iter().any(makes));
    Ok(found.map(|package| {
        let uses_sdk = package.dependencies.iter().any(|it| it.name == SDK);
        let producer = |role: &str, name: &str| Producer {
            role: role.to_owned(),
            name: name.to_owned(),
            version: String::new(),
        };
        let mut producers = vec![producer("language", "Rust")];
        producers.extend(uses_sdk.then(|| producer("sdk", SDK)));
        Label {
            name: name.to_owned(),
            version: package.version,
            authors: package.authors.join(", "),
            description: package.description.unwrap_or_default(),
            // As crates wrote it before they wrote SPDX.
            licenses: package.license.unwrap_or_default().replace('/', " OR "),
            source: url(package.repository),
            homepage: url(package.homepage),
            revision: String::new(),
            producers,
        }
    }))
}

/// What other tools take for an address: they refuse a component that has anything else there.
fn url(given: Option<String>) -> String {
    given.filter(|text| text.contains("://")).unwrap_or_default()
}
