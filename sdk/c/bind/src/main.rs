//! Two steps of building a component in C that a C compiler does not do.
//!
//! `matrix-bind generate WIT EXPORTS FOLDER` writes the bindings of a component that exports so much (words of `agent`, `stateful`,
//! `player`, `learner`, `rules`, `interceptor`, with commas between) to `FOLDER/soul.h`, `soul.c` and `soul_component_type.o`.
//! `matrix-bind component CORE OUT KEY=TEXT...` makes a component of what was compiled and linked with them; it says of itself
//! what the pairs say, such as `version=1.2.0`, and what its file is called.

use std::path::Path;
use std::process::ExitCode;

use matrix_label::{Label, Producer};
use wit_bindgen_core::Files;
use wit_component::ComponentEncoder;
use wit_parser::Resolve;

/// All that a component may import; what its code does not call is not imported.
const IMPORTS: [&str; 12] = [
    "matrix:node/types@0.1.0",
    "matrix:node/messaging@0.1.0",
    "matrix:node/memory@0.1.0",
    "matrix:node/grpc@0.1.0",
    "matrix:node/events@0.1.0",
    "wasi:logging/logging@0.1.0-draft",
    "wasi:config/store@0.2.0-rc.1",
    "wasi:keyvalue/store@0.2.0-draft",
    "wasi:keyvalue/atomics@0.2.0-draft",
    "wasi:keyvalue/batch@0.2.0-draft",
    "wasi:http/types@0.2.12",
    "wasi:http/outgoing-handler@0.2.12",
];
/// All that it may export.
const EXPORTS: [&str; 6] = ["agent", "stateful", "player", "learner", "rules", "interceptor"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["generate", wit, exports, folder] => generate(Path::new(wit), exports, Path::new(folder)),
        ["component", core, out, ref pairs @ ..] => component(Path::new(core), Path::new(out), pairs),
        _ => Err("say `generate WIT EXPORTS FOLDER` or `component CORE OUT KEY=TEXT...`".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("matrix-bind: {error}");
            ExitCode::FAILURE
        }
    }
}

/// An error of a library in one line, and where it came about.
fn at<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> String {
    move |error| format!("{}: {error:#}", path.display())
}

fn generate(wit: &Path, exports: &str, folder: &Path) -> Result<(), String> {
    if let Some(wrong) = exports.split(',').find(|export| !EXPORTS.contains(export)) {
        return Err(format!("a component cannot export `{wrong}`: there are {}", EXPORTS.join(", ")));
    }
    let imports: String = IMPORTS.iter().map(|import| format!("import {import};\n")).collect();
    let exports: String =
        exports.split(',').map(|export| format!("export matrix:node/{export}@0.1.0;\n")).collect();
    let mut resolve = Resolve::default();
    resolve.push_path(wit).map_err(at(wit))?;
    let world = format!("package matrix:component;\nworld soul {{\n{imports}{exports}}}\n");
    let package = resolve.push_str("world.wit", &world).map_err(at(wit))?;
    let world = resolve.select_world(&[package], Some("soul")).map_err(at(wit))?;
    let mut files = Files::default();
    wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut files).map_err(at(wit))?;
    std::fs::create_dir_all(folder).map_err(at(folder))?;
    for (name, bytes) in files.iter() {
        let path = folder.join(name);
        std::fs::write(&path, bytes).map_err(at(&path))?;
    }
    Ok(())
}

fn component(core: &Path, out: &Path, pairs: &[&str]) -> Result<(), String> {
    let label = label(out, pairs)?;
    let module = std::fs::read(core).map_err(at(core))?;
    // A node gives a component no clock, files or entropy: code that asks for them is refused here, by the names of what it asks for.
    let mut encoder = ComponentEncoder::default();
    let component = encoder.validate(true).module(&module).and_then(|it| it.encode()).map_err(at(core))?;
    let component = label.write(&component).map_err(at(core))?;
    // Written aside and renamed, so that whoever reads the old one at this moment reads it whole.
    let partial = out.with_extension("part");
    std::fs::write(&partial, component).map_err(at(&partial))?;
    std::fs::rename(&partial, out).map_err(at(out))
}

/// What the component `out` says of itself.
fn label(out: &Path, pairs: &[&str]) -> Result<Label, String> {
    let name = out.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let producer = |role: &str, name: &str, version: &str| Producer {
        role: role.to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
    };
    let producers = vec![producer("language", "C", ""), producer("sdk", "matrix-soul", env!("CARGO_PKG_VERSION"))];
    let mut label = Label { name, producers, ..Label::default() };
    for pair in pairs {
        let (key, text) = pair.split_once('=').unwrap_or((pair, ""));
        match label.text(key) {
            Some(place) if !text.is_empty() => text.clone_into(place),
            _ => return Err(format!("`{pair}` says nothing of a component: say KEY=TEXT, such as version=1.2.0")),
        }
    }
    Ok(label)
}
