use proptest::prelude::*;

use super::bombs::{self, SOUL, assemble, component, soul, soul_beside};
use super::*;

const RULES: &[(&str, &[&str])] = &[
    ("matrix:node/rules@0.1.0", &["describe", "start", "step", "join", "leave", "receive", "view"]),
    ("matrix:node/stateful@0.1.0", &["schema", "snapshot", "restore"]),
];
const TRANSPORT: &[(&str, &[&str])] = &[("matrix:node/interceptor@0.1.0", &["outbound", "inbound"])];

fn read(bytes: &[u8]) -> Result<ComponentInfo, Refusal> {
    inspect(bytes, &InspectLimits::default())
}

fn refused(bytes: &[u8]) -> Refusal {
    read(bytes).expect_err("this component is to be refused")
}

/// An import of an interface with these functions.
fn import(interface: &str, functions: &[&str]) -> String {
    let functions: String = functions.iter().map(|name| format!("(export \"{name}\" (func))")).collect();
    format!("(import \"{interface}\" (instance {functions}))")
}

#[test]
fn the_three_kinds_are_told_apart() {
    let info = read(&soul()).expect("a Soul");
    assert_eq!((info.kind, info.can_block, info.sees_time, info.large), (Kind::Soul, false, false, false));
    assert_eq!((info.functions, info.core_instances, info.memories), (2, 1, 0));
    assert!(info.has("agent") && !info.has("stateful"));
    assert_eq!(read(&component("", RULES)).expect("rules").kind, Kind::Rules);
    assert_eq!(read(&component("", TRANSPORT)).expect("a stage").kind, Kind::Transport);
}

#[test]
fn a_soul_may_do_more_and_its_info_survives_json() {
    let exports = [
        SOUL[0],
        RULES[1],
        ("matrix:node/player@0.1.7", &["act"][..]),
        ("matrix:node/learner@0.1.0", &["train", "evaluate"]),
        ("author:tool/extra", &["help"]),
    ];
    let imports = import("wasi:cli/environment@0.2.3", &[]) + &import("matrix:node/events@0.1.0", &["emit"]);
    let info = read(&component(&imports, &exports)).expect("a Soul");
    assert!(info.has("stateful") && info.has("player") && info.has("learner") && !info.has("extra"));
    assert_eq!(info.imports, ["wasi:cli/environment@0.2.3", "matrix:node/events@0.1.0"]);
    let json = serde_json::to_string(&info).expect("serialises");
    assert_eq!(serde_json::from_str::<ComponentInfo>(&json).expect("deserialises"), info);
}

#[test]
fn what_a_component_says_of_itself_is_read_at_its_outside_alone() {
    let said = matrix_label::Label { name: "a".to_owned(), version: "1".to_owned(), ..Default::default() };
    let nested = "(core module (@custom \"version\" \"2\")) (component (@custom \"authors\" \"nobody\"))";
    let bytes = said.write(&component(nested, SOUL)).expect("a component");
    let info = read(&bytes).expect("a Soul");
    assert_eq!(info.label, said);
    let json = serde_json::to_string(&info).expect("serialises");
    assert_eq!(serde_json::from_str::<ComponentInfo>(&json).expect("deserialises"), info);
    assert!(!serde_json::to_string(&read(&soul()).expect("a Soul")).expect("serialises").contains("label"));
}

#[test]
fn waiting_and_time_are_seen_in_the_imports() {
    let info = |interface, functions: &[&str]| {
        let info = read(&component(&import(interface, functions), SOUL)).expect("a Soul");
        (info.can_block, info.sees_time)
    };
    assert_eq!(info("matrix:node/messaging@0.1.0", &["send"]), (false, false));
    assert_eq!(info("matrix:node/messaging@0.1.0", &["send", "ask"]), (true, false));
    assert_eq!(info("wasi:keyvalue/atomics@0.2.0-draft", &["increment"]), (true, false));
    assert_eq!(info("wasi:keyvalue/store@0.2.0-draft", &[]), (false, false));
    assert_eq!(info("matrix:node/memory@0.1.0", &["recall"]), (true, true));
    assert_eq!(info("matrix:node/grpc@0.1.0", &["call"]), (true, true));
    assert_eq!(info("wasi:io/poll@0.2.6", &["poll"]), (false, false));
    assert_eq!(info("wasi:clocks/wall-clock@0.2.0", &["now"]), (false, true));
}

#[test]
fn what_is_mistaken_for_a_component_is_refused_by_name() {
    assert_eq!(refused(&assemble("(module (func))")), Refusal::CoreModule);
    assert_eq!(refused(b"\x7fELF\x02\x01\x01"), Refusal::Precompiled);
    assert_eq!(refused(b"PK\x03\x04"), Refusal::NotWasm { starts_with: "50 4b 03 04".to_owned() });
    assert_eq!(refused(b""), Refusal::Truncated { bytes: 0 });
    assert!(matches!(refused(b"\0asm\x0e\0\x01\0"), Refusal::Invalid { offset: 4, .. }));
}

#[test]
fn a_cut_in_a_section_is_told_from_other_faults() {
    let whole = soul();
    let cut = (0..whole.len()).filter(|&end| matches!(read(&whole[..end]), Err(Refusal::Truncated { .. })));
    let cut = cut.count();
    // The others end between two sections: a smaller component, judged as such.
    assert!(cut > whole.len() * 9 / 10, "{cut} of {}", whole.len());
    let module = whole.windows(4).rposition(|bytes| bytes == b"\0asm").expect("a module in the component");
    assert_eq!(refused(&whole[..module + 8]), Refusal::Truncated { bytes: module + 8 });
}

#[test]
fn one_byte_too_many_is_too_many() {
    let bytes = soul();
    let limits = |component_bytes_max| InspectLimits { component_bytes_max, ..Default::default() };
    let length = bytes.len() as u64;
    assert!(inspect(&bytes, &limits(length)).is_ok());
    let error = inspect(&bytes, &limits(length - 1)).expect_err("a byte too many");
    assert!(matches!(error, Refusal::TooMuch { limit: "component_bytes_max", found, .. } if found == length));
}

#[test]
fn what_is_not_given_is_refused_by_name_and_remedy() {
    let error = |imports: &str, exports| refused(&component(imports, exports)).to_string();
    let of = |interface: &str| error(&import(interface, &["f"]), SOUL);
    let network = of("wasi:sockets/tcp@0.2.0");
    assert!(
        network.contains("`wasi:sockets/tcp@0.2.0`") && network.contains("matrix:node/messaging"),
        "{network}"
    );
    assert!(of("wasi:http/incoming-handler@0.2.3").contains("`outgoing-handler` and `types` of it"));
    assert!(
        of("wasi:clocks/wall-clock@0.2.0-rc-2023-11-10")
            .ends_with("build against version 0.2.x of this interface")
    );
    assert!(of("wasi:keyvalue/store@0.2.0-draft2").contains("version 0.2.0-draft of"));
    assert!(of("matrix:node/messaging@0.2.0").contains("version 0.1.x of"));
    assert!(of("matrix:node/oracle@0.1.0").ends_with("build against the node's `wit/`"));
    assert!(of("acme:bank/vault@1.0.0").contains("compose the component"));
    assert!(error("(import \"exit\" (func))", SOUL).contains("gives interfaces only"));
    let sent = import("matrix:node/messaging@0.1.0", &["send"]);
    assert!(error(&sent, TRANSPORT).contains("does not give to stages of the transport"));
    let stored = import("wasi:keyvalue/store@0.2.0-draft", &["open"]);
    let requested = import("wasi:http/outgoing-handler@0.2.3", &["handle"]);
    for outside in [&stored, &requested] {
        assert!(error(outside, RULES).contains("does not give to the rules of a Matrix"));
    }
    assert!(error(&requested, TRANSPORT).contains("does not give to stages of the transport"));
}

#[test]
fn a_component_of_no_world_or_two_or_half_of_one_is_refused() {
    let error = |exports: &[(&str, &[&str])]| refused(&component("", exports));
    assert!(error(&[]).to_string().contains("exports nothing, and none of `matrix:node/agent@0.1.0`"));
    let newer = error(&[("matrix:node/agent@0.2.0", &["init", "receive"])]);
    assert!(newer.to_string().contains("exports `matrix:node/agent@0.2.0`, and none of"), "{newer}");
    let both = error(&[SOUL[0], TRANSPORT[0]]);
    assert_eq!(both, Refusal::TwoWorlds { first: Kind::Soul, second: Kind::Transport });
    let stateless = error(&RULES[..1]);
    let interface = "matrix:node/stateful@0.1.0".to_owned();
    assert_eq!(stateless, Refusal::MissingExport { kind: Kind::Rules, interface });
    let mute = error(&[("matrix:node/agent@0.1.0", &["init"])]);
    let interface = "matrix:node/agent@0.1.0".to_owned();
    assert_eq!(mute, Refusal::MissingFunction { interface, function: "receive" });
    let player = ("matrix:node/player@0.1.0", &["act"][..]);
    assert!(matches!(error(&[TRANSPORT[0], player]), Refusal::ForeignExport { kind: Kind::Transport, .. }));
}

#[test]
fn features_that_the_engine_lacks_are_invalid() {
    let beside = |module: &str| refused(&assemble(&format!("(component (core module {module}))")));
    for module in [
        "(memory i64 1)",
        "(memory 1 1 shared)",
        "(tag)",
        "(type (struct))",
        "(func (param externref))",
        "(type $f (func)) (func (param (ref $f)))",
    ] {
        assert!(matches!(beside(module), Refusal::Invalid { .. }), "{module}");
    }
    assert!(matches!(beside("(func (result i32))"), Refusal::Invalid { .. }));
}

#[test]
fn features_are_those_of_the_engine() {
    let settings = crate::runtime::engine::EngineConfig { live_instances_max: 1, ..Default::default() };
    let engine = wasmtime::Engine::new(&crate::runtime::engine::config(&settings)).expect("an engine");
    assert_eq!(engine.get_wasm_features(), FEATURES);
}

/// The name of the limit that stopped a bomb.
fn limit_of(bytes: &[u8]) -> &'static str {
    match refused(bytes) {
        Refusal::TooMuch { limit, .. } | Refusal::Function { limit, .. } => limit,
        other => panic!("not stopped by a limit: {other}"),
    }
}

#[test]
fn compile_bombs_are_refused_before_they_cost_anything() {
    assert_eq!(limit_of(&soul_beside(&bombs::long_function(7_000_000))), "function_bytes_max");
    assert_eq!(limit_of(&soul_beside(&bombs::many_functions(1_000_000))), "functions_max");
    assert_eq!(limit_of(&soul_beside(&bombs::many_types(1_000_000))), "types_max");
    assert_eq!(limit_of(&soul_beside(&bombs::wide_br_table(1_000_000))), "br_table_targets_max");
    assert_eq!(limit_of(&bombs::nested(1_000)), "nesting_max");
    assert_eq!(limit_of(&bombs::many_components(1_000)), "modules_max");
}

#[test]
fn memories_and_tables_are_counted_over_all_modules() {
    let with = |fields: &str| {
        limit_of(&assemble(&format!("(component (core module {fields}) (core module (memory 1)))")))
    };
    assert_eq!(with("(memory 1024)"), "memory_min_bytes_max");
    assert_eq!(with("(memory 1) (memory 1) (memory 1) (memory 1)"), "memories_max");
    assert_eq!(with("(table 20001 funcref)"), "table_elements_max");
    assert_eq!(with(&"(table 1 funcref)".repeat(21)), "tables_max");
    let instances = "(core instance (instantiate $m))".repeat(41);
    let made = limit_of(&assemble(&format!("(component (core module $m) {instances})")));
    assert_eq!(made, "core_instances_max");
}

proptest! {
    #[test]
    fn no_change_of_a_few_bytes_makes_it_panic(
        changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..8)
    ) {
        let mut bytes = component(&import("matrix:node/messaging@0.1.0", &["send", "ask"]), RULES);
        for (place, byte) in changes {
            let place = place % bytes.len();
            bytes[place] = byte;
        }
        let _ = read(&bytes);
    }

    #[test]
    fn only_plain_patch_versions_are_compatible(version in "[0-9.a-z+-]{0,12}") {
        let compatible = version.strip_prefix("0.2.").is_some_and(|patch| {
            let digits = !patch.is_empty() && patch.bytes().all(|b| b.is_ascii_digit());
            digits && (patch == "0" || !patch.starts_with('0'))
        });
        prop_assert_eq!(world::Version::Minor(2).fits(&version), compatible);
    }
}
