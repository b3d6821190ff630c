//! What a component is from outside.

use wasmparser::{Parser, Payload};

use super::{Done, Stop};
use crate::subject::Subject;

/// What a component may say of itself, in sections of its outside: their names, and what people call it.
const SECTIONS: [(&str, &str); 4] =
    [("component-name", "name"), ("version", "version"), ("authors", "authors"), ("licenses", "licence")];

/// What needs a grant: an import, and whether anything of the kind is granted.
type Needed = (&'static str, &'static str, fn(&matrixd::capabilities::grants::Grants) -> bool);

const NEEDED: [Needed; 5] = [
    ("matrix:node/events@", "grants.events", |grants| grants.events),
    ("matrix:node/memory@", "grants.memory", |grants| grants.memory),
    ("matrix:node/grpc@", "grants.grpc", |grants| !grants.grpc.is_empty()),
    ("wasi:http/", "grants.http", |grants| !grants.http.is_empty()),
    ("matrix:node/messaging@", "grants.send, grants.ask or grants.subscribe", |grants| {
        !(grants.send.is_empty() && grants.ask.is_empty() && grants.subscribe.is_empty())
    }),
];

pub(super) async fn admit(subject: &Subject) -> Done {
    match &subject.component {
        Ok(_) => Ok(()),
        Err(why) => Err(Stop::wrong(
            "a component of one of the worlds of wit/, whose imports a node gives",
            why.clone(),
            "build it with an SDK for the world that it is meant for, and import nothing else",
        )),
    }
}

pub(super) async fn kind(subject: &Subject) -> Done {
    let found = subject.component()?.info().kind;
    match subject.options.world {
        Some(wanted) if wanted != found => Err(Stop::wrong(
            wanted.singular(),
            format!("its exports make it {}", found.singular()),
            "export the interfaces of the world that it is meant for, and of no other",
        )),
        _ => Ok(()),
    }
}

/// What it imports without any grant fails at every call; publishing an event is the one call that ends it.
pub(super) async fn grants(subject: &Subject) -> Done {
    let Some(grants) = &subject.options.grants else {
        return Err(Stop::LeftOut(
            "no grants were given (--soul NAME takes those of a Soul of the node)".to_owned(),
        ));
    };
    let lacks = |(import, _, given): &&Needed| subject.imports(import) && !given(grants);
    let Some((import, grant, _)) = NEEDED.iter().find(lacks) else { return Ok(()) };
    let import = import.trim_end_matches(['@', '/']);
    let seen = format!("it imports {import}, and holds no {grant}");
    let mend = format!("set {grant} in the Soul's manifest, or import less");
    let expected = "whatever is imported may be used";
    if import.ends_with("events") {
        return Err(Stop::wrong(expected, format!("{seen}: the first event ends it"), mend));
    }
    Err(Stop::noted(expected, format!("{seen}: every call is refused"), mend))
}

pub(super) async fn size(subject: &Subject) -> Done {
    let info = subject.component()?.info();
    let (needs, has) = (info.memory_min_bytes, subject.bench.limits().default.memory_bytes);
    if needs > has {
        return Err(Stop::wrong(
            format!("an instance begins with at most {has} bytes of memory"),
            format!("it begins with {needs}"),
            "ask for less memory at the start, or set limits.memory_bytes in its manifest (here: --limit memory_bytes=N)",
        ));
    }
    if info.large {
        return Err(Stop::noted(
            "a component of which thousands live on one node",
            format!(
                "{} bytes of code, {needs} bytes of memory from the start: it counts as large",
                info.bytes
            ),
            "leave out what it does not need; strip it",
        ));
    }
    Ok(())
}

pub(super) async fn metadata(subject: &Subject) -> Done {
    let missing: Vec<_> = SECTIONS
        .iter()
        .filter(|(section, _)| !has_section(&subject.bytes, section))
        .map(|(_, name)| *name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Stop::noted(
        "who looks at the file alone learns its name, version, authors and licence",
        format!("it does not say its {}", missing.join(", ")),
        "add them to the built file: `wasm-tools metadata add --name … --version … --authors … --licenses …`",
    ))
}

/// Whether the component's outside has a custom section of this name.
fn has_section(bytes: &[u8], name: &str) -> bool {
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload {
            Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
            Ok(Payload::CustomSection(section)) if depth == 0 && section.name() == name => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_of_the_outside_is_told_from_one_inside() {
        // A component with a section `version`, which holds one byte.
        let outside = b"\0asm\x0d\0\x01\0\0\x09\x07version1";
        assert!(has_section(outside, "version") && !has_section(outside, "authors"));
        // A core module inside has it, the component does not.
        let mut inside = b"\0asm\x0d\0\x01\0\x01\x13".to_vec();
        inside.extend_from_slice(b"\0asm\x01\0\0\0\0\x09\x07version1");
        assert!(!has_section(&inside, "version"));
    }
}
