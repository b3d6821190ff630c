//! The constitution: what `wit/` and `proto/` promise to others.

use std::collections::BTreeSet;
use std::path::Path;

use wit_parser::{Resolve, WorldItem};

use crate::tree::File;

/// Beginnings of lines of WIT that need no comment: their targets have one.
const WIT_PLAIN: [&str; 6] = ["package ", "use ", "import ", "export ", "include ", "}"];

/// Beginnings of lines of Protocol Buffers that need no comment.
const PROTO_PLAIN: [&str; 6] = ["syntax ", "package ", "import ", "option ", "reserved ", "}"];

/// Items of WIT without a comment.
pub(crate) fn undocumented_wit(file: &File) -> Vec<String> {
    undocumented(file, "///", &WIT_PLAIN)
}

/// Items of Protocol Buffers without a comment.
pub(crate) fn undocumented_proto(file: &File) -> Vec<String> {
    undocumented(file, "//", &PROTO_PLAIN)
}

/// Items, each on a line of its own, that follow no comment.
fn undocumented(file: &File, mark: &str, plain: &[&str]) -> Vec<String> {
    let mut found = vec![];
    let mut commented = false;
    // Parentheses that are open, and whether the item before ended with its line.
    let (mut open, mut ended) = (0i32, true);
    for (number, line) in file.text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with("//") || line.is_empty() {
            commented = line.starts_with(mark) && line.len() > mark.len();
            continue;
        }
        let starts = open == 0 && ended;
        if starts && !commented && !plain.iter().any(|start| line.starts_with(start)) {
            found.push(file.finding(number + 1, &format!("`{line}` has no comment")));
        }
        let code = line.split("//").next().unwrap_or_default().trim_end();
        open += code.matches('(').count() as i32 - code.matches(')').count() as i32;
        ended = code.ends_with([';', '{', '}', ',']);
        commented = false;
    }
    found
}

/// The names that capabilities go by: of the interfaces with functions that the worlds in `wit` import,
/// and, for interfaces of WASI, of their packages.
pub(crate) fn capabilities(wit: &Path) -> BTreeSet<String> {
    let mut resolve = Resolve::default();
    let (node, _) = resolve.push_dir(wit).unwrap_or_else(|error| panic!("wit/ cannot be read: {error:#}"));
    let mut names = BTreeSet::new();
    for (_, world) in resolve.worlds.iter().filter(|(_, world)| world.package == Some(node)) {
        for item in world.imports.values() {
            let WorldItem::Interface { id, .. } = item else { continue };
            let interface = &resolve.interfaces[*id];
            let package = interface.package.filter(|package| *package != node);
            let name = match package {
                Some(package) => Some(resolve.packages[package].name.name.clone()),
                None => interface.name.clone(),
            };
            if !interface.functions.is_empty() {
                names.extend(name);
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::sample;

    #[test]
    fn an_item_without_a_comment_is_found() {
        let wit = "/// A.\ninterface a {\n    use b.{c};\n    /// F.\n    f: func(\n        x: u8,\n    );\n    \
                   // No.\n    g: func();\n    ///\n    enum e {\n        h,\n    }\n}";
        let found = undocumented_wit(&sample("a.wit", wit));
        assert_eq!(
            found,
            [
                "a.wit:9: `g: func();` has no comment",
                "a.wit:11: `enum e {` has no comment",
                "a.wit:12: `h,` has no comment",
            ]
        );
        let proto = "syntax = \"proto3\";\n// S.\nservice S {\n  // C.\n  rpc C(A)\n      returns (B);\n  rpc D(A) returns (B);\n}";
        assert_eq!(
            undocumented_proto(&sample("s.proto", proto)),
            ["s.proto:7: `rpc D(A) returns (B);` has no comment"]
        );
    }

    #[test]
    fn capabilities_go_by_interface_or_wasi_package() {
        let names = capabilities(&crate::tree::root().join("wit"));
        assert!(names.contains("messaging") && names.contains("keyvalue"), "{names:?}");
        assert!(!names.contains("types") && !names.contains("store"), "{names:?}");
    }
}
