//! What components rely on of WIT.

use std::path::Path;

use wit_parser::{
    Function, Handle, InterfaceId, Resolve, Type, TypeDef, TypeDefKind, TypeId, TypeOwner, WorldItem,
    WorldKey,
};

use super::Surface;

/// The world whose exports are each the component's choice: what exports less is a Soul that does less.
const FREE: &str = "soul";

/// What components rely on that were built with the interfaces in a folder.
///
/// # Errors
/// Where they cannot be read.
pub fn of(folder: &Path) -> Result<Surface, String> {
    let mut resolve = Resolve::default();
    let (package, _) =
        resolve.push_dir(folder).map_err(|error| format!("{}: {error:#}", folder.display()))?;
    let lines = Lines { resolve: &resolve };
    let mut found = Surface::new();
    for (id, interface) in &resolve.interfaces {
        let name = lines.interface(id);
        found.extend(
            interface.types.iter().map(|(it, id)| format!("type {name} {it}: {}", lines.definition(*id))),
        );
        found.extend(
            interface.functions.values().map(|it| format!("func {name} {}: {}", it.name, lines.function(it))),
        );
    }
    for (_, world) in resolve.worlds.iter().filter(|(_, world)| world.package == Some(package)) {
        let named = |items: &mut dyn Iterator<Item = (&WorldKey, &WorldItem)>| -> Vec<String> {
            items.map(|(key, item)| lines.item(key, item)).collect()
        };
        let imports = named(&mut world.imports.iter());
        found.extend(imports.into_iter().map(|it| format!("world {} imports {it}", world.name)));
        let exports = named(&mut world.exports.iter());
        if world.name != FREE {
            found.insert(format!("world {} exports exactly: {}", world.name, exports.join(", ")));
        }
        found.extend(exports.into_iter().map(|it| format!("world {} exports {it}", world.name)));
        // Whoever exports an interface exports all of it: another function there is one that older components lack.
        for item in world.exports.values() {
            let WorldItem::Interface { id, .. } = item else { continue };
            let functions: Vec<&str> = resolve.interfaces[*id].functions.keys().map(String::as_str).collect();
            found.insert(format!("exported {} exactly: {}", lines.interface(*id), functions.join(", ")));
        }
    }
    Ok(found)
}

struct Lines<'a> {
    resolve: &'a Resolve,
}

impl Lines<'_> {
    fn interface(&self, id: InterfaceId) -> String {
        self.resolve.id_of(id).unwrap_or_else(|| "inline".to_owned())
    }

    fn item(&self, key: &WorldKey, item: &WorldItem) -> String {
        match item {
            WorldItem::Interface { id, .. } => self.interface(*id),
            _ => self.resolve.name_world_key(key),
        }
    }

    fn function(&self, function: &Function) -> String {
        let parameters = function.params.iter().map(|it| format!("{}: {}", it.name, self.of(&it.ty)));
        let result = function.result.as_ref().map(|it| format!(" -> {}", self.of(it))).unwrap_or_default();
        format!("({}){result}", parameters.collect::<Vec<_>>().join(", "))
    }

    /// A type as it is referred to: by its name, if it has one.
    fn of(&self, of: &Type) -> String {
        match of {
            Type::Id(id) => {
                let definition = &self.resolve.types[*id];
                match &definition.name {
                    Some(name) => self.full_name(definition, name),
                    None => self.definition(*id),
                }
            }
            plain => format!("{plain:?}").to_lowercase(),
        }
    }

    fn full_name(&self, definition: &TypeDef, name: &str) -> String {
        match definition.owner {
            TypeOwner::Interface(id) => format!("{}.{name}", self.interface(id)),
            _ => name.to_owned(),
        }
    }

    /// All of a type: what is added to it changes its layout, and so breaks whoever was built before.
    fn definition(&self, id: TypeId) -> String {
        let maybe = |of: &Option<Type>| of.as_ref().map_or("_".to_owned(), |of| self.of(of));
        let list = |items: Vec<String>| items.join(", ");
        match &self.resolve.types[id].kind {
            TypeDefKind::Record(it) => {
                let fields = it.fields.iter().map(|field| format!("{}: {}", field.name, self.of(&field.ty)));
                format!("record {{ {} }}", list(fields.collect()))
            }
            TypeDefKind::Variant(it) => {
                let cases = it.cases.iter().map(|case| match &case.ty {
                    Some(of) => format!("{}({})", case.name, self.of(of)),
                    None => case.name.clone(),
                });
                format!("variant {{ {} }}", list(cases.collect()))
            }
            TypeDefKind::Enum(it) => {
                format!("enum {{ {} }}", list(it.cases.iter().map(|case| case.name.clone()).collect()))
            }
            TypeDefKind::Flags(it) => {
                format!("flags {{ {} }}", list(it.flags.iter().map(|flag| flag.name.clone()).collect()))
            }
            TypeDefKind::Tuple(it) => {
                format!("tuple<{}>", list(it.types.iter().map(|of| self.of(of)).collect()))
            }
            TypeDefKind::Handle(Handle::Own(id)) => format!("own<{}>", self.of(&Type::Id(*id))),
            TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", self.of(&Type::Id(*id))),
            TypeDefKind::Option(of) => format!("option<{}>", self.of(of)),
            TypeDefKind::List(of) => format!("list<{}>", self.of(of)),
            TypeDefKind::Map(key, value) => format!("map<{}, {}>", self.of(key), self.of(value)),
            TypeDefKind::FixedLengthList(of, length) => format!("list<{}, {length}>", self.of(of)),
            TypeDefKind::Result(it) => format!("result<{}, {}>", maybe(&it.ok), maybe(&it.err)),
            TypeDefKind::Future(of) => format!("future<{}>", maybe(of)),
            TypeDefKind::Stream(of) => format!("stream<{}>", maybe(of)),
            TypeDefKind::Type(of) => self.of(of),
            TypeDefKind::Resource => "resource".to_owned(),
            TypeDefKind::Unknown => "unknown".to_owned(),
        }
    }
}
