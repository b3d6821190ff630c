//! That what was released still stands.

use matrix_proto::FILE_DESCRIPTOR_SET;
use matrix_tests::surface::{self, Surface, proto, wit};
use prost::Message as _;
use prost_types::{FileDescriptorSet, MethodDescriptorProto};

use crate::tree::{read, root};

/// What breaks others since the last release.
pub(crate) fn broken() -> Vec<String> {
    let now = surface::now().unwrap_or_else(|error| panic!("{error}"));
    let released = surface::from_text(&read("tests/released/interfaces.txt"));
    assert!(released.len() > 500, "tests/released/interfaces.txt: restore it");
    surface::broken(&released, &now, &surface::breaks(&read("tests/released/breaks.txt")))
}

/// What a change of the descriptors breaks.
fn breaks_callers(change: impl FnOnce(&mut FileDescriptorSet)) -> Vec<String> {
    let mut files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("our own descriptors");
    let before = proto::of_callers(&files);
    change(&mut files);
    surface::broken(&before, &proto::of_callers(&files), &[])
}

/// What it breaks for bytes that were written before.
fn breaks_bytes(change: impl FnOnce(&mut FileDescriptorSet)) -> Vec<String> {
    let mut files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("our own descriptors");
    let before = proto::of_bytes(&files);
    change(&mut files);
    surface::broken(&before, &proto::of_bytes(&files), &[])
}

/// The message `Component`, to be changed.
fn component(files: &mut FileDescriptorSet) -> &mut prost_types::DescriptorProto {
    let messages = files.file.iter_mut().flat_map(|file| &mut file.message_type);
    messages.into_iter().find(|it| it.name() == "Component").expect("it is there")
}

fn file<'a>(files: &'a mut FileDescriptorSet, name: &str) -> &'a mut prost_types::FileDescriptorProto {
    files.file.iter_mut().find(|file| file.name().ends_with(name)).expect("it is there")
}

/// That there is one finding, in which these words stand.
#[track_caller]
fn one(found: &[String], words: &[&str]) {
    let [it] = found else { panic!("one: {found:#?}") };
    assert!(words.iter().all(|word| it.contains(word)), "{words:?}: {it}");
}

#[test]
fn planted_breaks_of_calls_are_found() {
    let digest = "field matrix.v1.Component 1: digest string";
    one(
        &breaks_callers(|files| component(files).field.retain(|it| it.number() != 1)),
        &[digest, "taken away"],
    );
    one(&breaks_callers(|files| component(files).field[0].number = Some(99)), &[digest, "taken away"]);
    one(
        &breaks_callers(|files| component(files).field[0].name = Some("hash".to_owned())),
        &[digest, "hash string"],
    );
    let bytes = Some(prost_types::field_descriptor_proto::Type::Bytes.into());
    one(&breaks_callers(|files| component(files).field[0].r#type = bytes), &[digest, "digest bytes"]);
    let repeated = Some(prost_types::field_descriptor_proto::Label::Repeated.into());
    one(&breaks_callers(|files| component(files).field[0].label = repeated), &["repeated string"]);
    one(
        &breaks_callers(|files| component(files).field[0].proto3_optional = Some(true)),
        &["optional string"],
    );

    let components = |files: &mut FileDescriptorSet| file(files, "components.proto").clone();
    let kind =
        components(&mut FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("ours")).enum_type[0].clone();
    assert_eq!(kind.name(), "ComponentKind");
    one(
        &breaks_callers(|files| drop(file(files, "components.proto").enum_type[0].value.remove(1))),
        &["value matrix.v1.ComponentKind 1: COMPONENT_KIND_SOUL"],
    );
    let upload =
        "rpc matrix.v1.Components/Upload: stream matrix.v1.UploadRequest -> matrix.v1.UploadResponse";
    let method = |files: &mut FileDescriptorSet, change: &dyn Fn(&mut Vec<MethodDescriptorProto>)| {
        change(&mut file(files, "components.proto").service[0].method);
    };
    one(&breaks_callers(|files| method(files, &|all| drop(all.remove(0)))), &[upload, "taken away"]);
    one(
        &breaks_callers(|files| method(files, &|all| all[0].client_streaming = Some(false))),
        &[upload, "changed to"],
    );
    one(
        &breaks_callers(|files| {
            method(files, &|all| all[0].output_type = Some(".matrix.v1.Component".to_owned()))
        }),
        &[upload, "-> matrix.v1.Component`"],
    );
    let gone = breaks_callers(|files| drop(file(files, "components.proto").service.remove(0)));
    assert!(gone.len() > 3 && gone.iter().all(|it| it.contains("rpc matrix.v1.Components/")), "{gone:?}");
    let gone = breaks_callers(|files| {
        file(files, "components.proto").message_type.retain(|it| it.name() != "Component")
    });
    assert!(gone.iter().any(|it| it.contains("`message matrix.v1.Component`")), "{gone:?}");
}

#[test]
fn what_is_added_to_calls_breaks_nobody_and_bytes_have_no_names() {
    let added = breaks_callers(|files| {
        let mut field = component(files).field[0].clone();
        (field.name, field.number) = (Some("colour".to_owned()), Some(99));
        component(files).field.push(field);
        let components = file(files, "components.proto");
        let mut value = components.enum_type[0].value[0].clone();
        (value.name, value.number) = (Some("COMPONENT_KIND_OTHER".to_owned()), Some(99));
        components.enum_type[0].value.push(value);
        let mut method = components.service[0].method[0].clone();
        method.name = Some("Other".to_owned());
        components.service[0].method.push(method);
        let mut message = components.message_type[0].clone();
        message.name = Some("Other".to_owned());
        components.message_type.push(message);
    });
    assert!(added.is_empty(), "{added:?}");
    assert!(breaks_bytes(|files| component(files).field[0].name = Some("hash".to_owned())).is_empty());
    one(
        &breaks_bytes(|files| component(files).field[0].number = Some(99)),
        &["field matrix.v1.Component 1: string"],
    );
}

/// What a change of one file of `wit/` breaks.
fn breaks_components(name: &str, from: &str, to: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let wit = root().join("wit");
    copy(&wit, folder.path());
    let path = folder.path().join(name);
    let text = std::fs::read_to_string(&path).expect("it is there");
    assert!(text.contains(from), "{name}: {from}");
    std::fs::write(path, text.replacen(from, to, 1)).expect("our own folder");
    let read = |folder: &std::path::Path| wit::of(folder).unwrap_or_else(|error| panic!("{error}"));
    surface::broken(&read(&wit), &read(folder.path()), &[])
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("our own folder");
    for entry in std::fs::read_dir(from).expect("it is there").flatten() {
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).expect("our own folder")),
        }
    }
}

#[test]
fn planted_breaks_of_components_are_found() {
    let agent = "matrix:node/agent@0.1.0";
    one(
        &breaks_components("agent.wit", "        weight: f32,", "        weight: f64,"),
        &[agent, "value: record", "weight: f64"],
    );
    one(
        &breaks_components(
            "agent.wit",
            "        name: string,\n        /// Who",
            "        name: string,\n        age: u32,\n        /// Who",
        ),
        &["type matrix:node/agent@0.1.0 birth", "age: u32"],
    );
    one(
        &breaks_components(
            "agent.wit",
            "init: func(birth: birth) -> result<_, string>;",
            "init: func(birth: birth);",
        ),
        &["func matrix:node/agent@0.1.0 init"],
    );
    // Whoever exports `agent` lacks it.
    one(
        &breaks_components("agent.wit", "    /// Called once", "    more: func();\n\n    /// Called once"),
        &["exported matrix:node/agent@0.1.0 exactly"],
    );
    one(
        &breaks_components("worlds.wit", "    import memory;\n", ""),
        &["world soul imports matrix:node/memory@0.1.0"],
    );
    let gone = breaks_components("worlds.wit", "    export learner;\n", "");
    assert!(gone.iter().any(|it| it.contains("world soul exports matrix:node/learner@0.1.0")), "{gone:?}");
    let required = breaks_components(
        "worlds.wit",
        "    export interceptor;",
        "    export interceptor;\n    export stateful;",
    );
    one(&required, &["world transport exports exactly"]);
    let version = breaks_components("types.wit", "matrix:node@0.1.0", "matrix:node@0.2.0");
    assert!(version.len() > 50, "{}", version.len());
}

#[test]
fn what_is_added_to_imports_breaks_no_component() {
    let more = "    import memory;\n    import wasi:config/store@0.2.0-rc.1;\n";
    for (name, from, to) in [
        ("events.wit", "interface events {", "interface other {\n    f: func();\n}\n\ninterface events {"),
        ("events.wit", "interface events {", "interface events {\n    other: func();\n"),
        ("worlds.wit", "    import memory;\n", more),
        ("agent.wit", "/// Called once", "/// Called at least once"),
    ] {
        let found = breaks_components(name, from, to);
        assert!(found.is_empty(), "{to}: {found:?}");
    }
}

#[test]
fn a_break_needs_a_reason_and_a_reason_a_break() {
    let surface = |text: &str| -> Surface { surface::from_text(text) };
    let (released, now) = (surface("# x\na 1: b\na 2: c\n"), surface("a 1: b\na 2: d\na 3: e\n"));
    let found = |decided: &str| surface::broken(&released, &now, &surface::breaks(decided));
    assert_eq!(found(""), ["`a 2: c` was changed to `a 2: d`"]);
    assert!(found("# It was never used,\n# by anybody.\na 2: c\n").is_empty());
    assert_eq!(found("a 2: c\n"), ["`a 2: c` was changed to `a 2: d`", "`a 2: c` has no reason"]);
    assert_eq!(found("# Why.\na 2: c\na 1: b\n"), ["`a 1: b` is not broken"]);
    let decided = surface::breaks("# One,\n# two.\na\nb\n# Three.\nc\n");
    let reasons: Vec<_> = decided.iter().map(|it| it.reason.as_str()).collect();
    assert_eq!(reasons, ["One, two.", "One, two.", "Three."]);
    let text = surface::to_text(&released, "0.1.0");
    assert!(text.contains("0.1.0") && surface::from_text(&text) == released);
}
