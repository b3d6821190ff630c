//! What tests of guests have in common; those of built components are in `tests/`.

use serde::Serialize;

/// Holds a JSON schema to the settings that it describes: it speaks of each, with its default, and of nothing else.
///
/// # Panics
/// Where it does not.
pub fn schema_speaks_of<S: Serialize + Default>(schema: &str) {
    let schema: serde_json::Value = serde_json::from_str(schema).expect("a schema is JSON");
    let defaults = serde_json::to_value(S::default()).expect("settings have a form in JSON");
    let (described, defaults) = (schema["properties"].as_object(), defaults.as_object());
    let (described, defaults) = (described.expect("properties"), defaults.expect("settings by name"));
    for (name, default) in defaults {
        assert_eq!(&schema["properties"][name]["default"], default, "{name}");
    }
    assert_eq!(described.len(), defaults.len());
}
