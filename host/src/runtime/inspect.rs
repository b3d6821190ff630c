//! What a component is, read from its bytes before anything is compiled. Pure: no I/O, no engine.

mod limits;
mod outline;
mod refusal;
mod tally;
mod world;

#[cfg(test)]
pub(crate) mod bombs;
#[cfg(test)]
mod tests;

use matrix_label::Label;
use serde::{Deserialize, Serialize};
use wasmparser::component_types::ComponentEntityType;
use wasmparser::types::Types;
use wasmparser::{
    Chunk, FuncToValidate, FuncValidatorAllocations, FunctionBody, Parser, Payload, ValidPayload, Validator,
    ValidatorResources, WasmFeatures,
};

pub use limits::InspectLimits;
pub(crate) use outline::Outline;
pub use refusal::Refusal;
use tally::Tally;
use world::Item;
pub use world::Kind;

/// The features of WebAssembly that guests may use: exactly those that the engine is set up with.
pub const FEATURES: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::COMPONENT_MODEL);

/// From this size on a component counts as large: an interpreter with its libraries, whose compilation
/// takes seconds and whose instances touch tens of MiB.
const LARGE_BYTES: u64 = 4 << 20;
/// From this much memory at the start on a component counts as large.
const LARGE_MEMORY_BYTES: u64 = 16 << 20;

/// What a component is and needs, as its bytes say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentInfo {
    /// What it is.
    pub kind: Kind,
    /// The interfaces that it imports, in its own order, with their versions.
    pub imports: Vec<String>,
    /// What it exports, in its own order; what is not of `matrix:node` is never called.
    pub exports: Vec<String>,
    /// It imports functions in which it may wait for others: its calls need a stack of their own.
    pub can_block: bool,
    /// It can read a clock.
    pub sees_time: bool,
    /// How long it is, in bytes.
    pub bytes: u64,
    /// Functions in it.
    pub functions: u64,
    /// Core instances that it makes.
    pub core_instances: u64,
    /// Linear memories in it.
    pub memories: u64,
    /// Linear memory that an instance has from the start, in bytes, each memory counted once.
    pub memory_min_bytes: u64,
    /// Tables in it.
    pub tables: u64,
    /// Elements that all its tables have from the start.
    pub table_elements: u64,
    /// It is one of those that take seconds to compile or tens of MiB to run.
    pub large: bool,
    /// What it says of itself, which nobody has to believe.
    #[serde(default, skip_serializing_if = "Label::is_empty")]
    pub label: Label,
}

impl ComponentInfo {
    /// Whether it can send requests to hosts outside the realm.
    pub fn sends_requests(&self) -> bool {
        self.imports.iter().any(|import| import.starts_with("wasi:http/"))
    }

    /// Whether it is an interpreter of the program that it carries.
    pub fn reads_program(&self) -> bool {
        self.imports.iter().any(|import| import.starts_with("matrix:node/program@"))
    }

    /// What is true of a component that has the same code as this one, is so many bytes long, and says this of itself.
    pub(crate) fn of_same_code(self, bytes: u64, label: Label) -> Self {
        let large = bytes >= LARGE_BYTES || self.memory_min_bytes >= LARGE_MEMORY_BYTES;
        Self { bytes, label, large, ..self }
    }

    /// Whether it exports the interface `name` of `matrix:node`, such as `stateful`.
    pub fn has(&self, name: &str) -> bool {
        let interface = |export: &String| {
            export.strip_prefix("matrix:node/").and_then(|rest| rest.split('@').next()) == Some(name)
        };
        self.exports.iter().any(interface)
    }
}

/// Reads and validates a component: what it is, or why it is refused. Takes time and memory in
/// proportion to the bytes, within `limits`: seconds at worst, so call it off the asynchronous workers.
pub fn inspect(bytes: &[u8], limits: &InspectLimits) -> Result<ComponentInfo, Refusal> {
    check_format(bytes, limits)?;
    let Outside { imports, exports, tally, label } = Walk::new(bytes, limits).run()?;
    world::check_imports(&imports)?;
    let kind = world::kind_of(&exports)?;
    world::check_imports_of(kind, &imports)?;
    let bytes = bytes.len() as u64;
    Ok(ComponentInfo {
        kind,
        can_block: world::can_block(&imports),
        sees_time: world::sees_time(&imports),
        imports: imports.into_iter().map(|item| item.name).collect(),
        exports: exports.into_iter().map(|item| item.name).collect(),
        bytes,
        functions: tally.functions,
        core_instances: tally.core_instances,
        memories: tally.memories,
        memory_min_bytes: tally.memory_min_bytes,
        tables: tally.tables,
        table_elements: tally.table_elements,
        large: bytes >= LARGE_BYTES || tally.memory_min_bytes >= LARGE_MEMORY_BYTES,
        label,
    })
}

/// Tells components from what is mistaken for them, by the first eight bytes.
fn check_format(bytes: &[u8], limits: &InspectLimits) -> Result<(), Refusal> {
    let found = bytes.len() as u64;
    let max = limits.component_bytes_max;
    if found > max {
        return Err(Refusal::TooMuch { what: "bytes", found, max, limit: "component_bytes_max" });
    }
    match bytes {
        [0x7f, b'E', b'L', b'F', ..] => Err(Refusal::Precompiled),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Err(Refusal::CoreModule),
        [0, b'a', b's', b'm', _, _, _, _, ..] => Ok(()),
        [0, b'a', b's', b'm', ..] | [] => Err(Refusal::Truncated { bytes: bytes.len() }),
        _ => {
            let first: Vec<_> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            Err(Refusal::NotWasm { starts_with: first.join(" ") })
        }
    }
}

/// A component as seen from outside.
struct Outside {
    imports: Vec<Item>,
    exports: Vec<Item>,
    tally: Tally,
    label: Label,
}

/// A module or component that is being read, and where it ends.
struct Frame {
    parser: Parser,
    end: usize,
}

/// One pass over the bytes: each section is counted first, and only then given to the validator, which
/// allocates for what it is given.
struct Walk<'a> {
    bytes: &'a [u8],
    limits: &'a InspectLimits,
    at: usize,
    frame: Frame,
    parents: Vec<Frame>,
    validator: Validator,
    allocations: FuncValidatorAllocations,
    tally: Tally,
    imports: Vec<String>,
    exports: Vec<String>,
    label: Label,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8], limits: &'a InspectLimits) -> Self {
        let mut parser = Parser::new(0);
        parser.set_features(FEATURES);
        Self {
            bytes,
            limits,
            at: 0,
            frame: Frame { parser, end: bytes.len() },
            parents: Vec::new(),
            validator: Validator::new_with_features(FEATURES),
            allocations: FuncValidatorAllocations::default(),
            tally: Tally::default(),
            imports: Vec::new(),
            exports: Vec::new(),
            label: Label::default(),
        }
    }

    fn run(mut self) -> Result<Outside, Refusal> {
        loop {
            let payload = self.next()?;
            self.tally.count(&payload, self.limits)?;
            let nested_end = self.enter(&payload)?;
            match self.validator.payload(&payload).map_err(|error| Refusal::invalid(&error))? {
                ValidPayload::Ok => {}
                ValidPayload::Parser(parser) => {
                    let frame = Frame { parser, end: nested_end.unwrap_or(self.frame.end) };
                    self.parents.push(std::mem::replace(&mut self.frame, frame));
                }
                ValidPayload::Func(function, body) => self.function(function, &body)?,
                ValidPayload::End(types) => match self.parents.pop() {
                    Some(parent) => self.frame = parent,
                    None => return Ok(self.outside(&types)),
                },
            }
        }
    }

    fn next(&mut self) -> Result<Payload<'a>, Refusal> {
        let bytes = self.bytes;
        // What is nested is known to be there to its end; only the outermost can lack bytes.
        let whole = !self.parents.is_empty() || self.at == self.frame.end;
        match self.frame.parser.parse(&bytes[self.at..self.frame.end], whole) {
            Ok(Chunk::Parsed { consumed, payload }) => {
                self.at += consumed;
                Ok(payload)
            }
            Ok(Chunk::NeedMoreData(_)) => Err(Refusal::Truncated { bytes: bytes.len() }),
            Err(error) => Err(Refusal::invalid(&error)),
        }
    }

    /// Takes note of what lies at the outside, and says where a nested module or component ends.
    fn enter(&mut self, payload: &Payload<'a>) -> Result<Option<usize>, Refusal> {
        let invalid = |error| Refusal::invalid(&error);
        match payload {
            Payload::ComponentImportSection(section) if self.parents.is_empty() => {
                for import in section.clone() {
                    self.imports.push(import.map_err(invalid)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if self.parents.is_empty() => {
                for export in section.clone() {
                    self.exports.push(export.map_err(invalid)?.name.name.to_owned());
                }
            }
            Payload::CustomSection(section) if self.parents.is_empty() => {
                self.label.read_section(section.name(), section.data());
            }
            Payload::ModuleSection { unchecked_range, .. }
            | Payload::ComponentSection { unchecked_range, .. } => {
                let (found, max) = (self.parents.len() + 1, self.limits.nesting_max);
                if found > max {
                    let (found, max) = (found as u64, max as u64);
                    return Err(Refusal::TooMuch {
                        what: "levels of nesting",
                        found,
                        max,
                        limit: "nesting_max",
                    });
                }
                if unchecked_range.end > self.bytes.len() {
                    return Err(Refusal::Truncated { bytes: self.bytes.len() });
                }
                return Ok(Some(unchecked_range.end));
            }
            _ => {}
        }
        Ok(None)
    }

    /// Validates one function, if it is small enough for the compiler.
    fn function(
        &mut self,
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
    ) -> Result<(), Refusal> {
        let refuse = |what, found: u64, max: u64, limit| {
            let offset = body.range().start;
            if found > max { Err(Refusal::Function { offset, what, found, max, limit }) } else { Ok(()) }
        };
        refuse("bytes", body.range().len() as u64, self.limits.function_bytes_max, "function_bytes_max")?;
        let max = self.limits.br_table_targets_max.into();
        let mut validator = function.into_validator(std::mem::take(&mut self.allocations));
        let mut reader = body.get_binary_reader();
        let invalid = |error| Refusal::invalid(&error);
        validator.read_locals(&mut reader).map_err(invalid)?;
        reader.set_features(FEATURES);
        while !reader.eof() {
            let at = reader.original_position();
            if self.bytes.get(at) == Some(&BR_TABLE) {
                let mut ahead = reader.clone();
                let targets = ahead.read_u8().and_then(|_| ahead.read_var_u32()).map_err(invalid)?;
                refuse("targets in a `br_table`", targets.into(), max, "br_table_targets_max")?;
            }
            reader.visit_operator(&mut validator.visitor(at)).and_then(|result| result).map_err(invalid)?;
        }
        reader.finish_expression(&validator.visitor(reader.original_position())).map_err(invalid)?;
        self.allocations = validator.into_allocations();
        Ok(())
    }

    fn outside(self, types: &Types) -> Outside {
        let item = |name: String, ty: Option<ComponentEntityType>| {
            let functions = match ty {
                Some(ComponentEntityType::Instance(id)) => Some(functions(types, id)),
                _ => None,
            };
            Item { name, functions }
        };
        let import = |name: String| {
            let ty = types.component_item_for_import(&name).map(|found| found.ty);
            item(name, ty)
        };
        let export = |name: String| {
            let ty = types.component_item_for_export(&name).map(|found| found.ty);
            item(name, ty)
        };
        Outside {
            imports: self.imports.into_iter().map(import).collect(),
            exports: self.exports.into_iter().map(export).collect(),
            tally: self.tally,
            label: self.label,
        }
    }
}

/// The opcode of `br_table`.
const BR_TABLE: u8 = 0x0e;

fn functions(types: &Types, instance: wasmparser::component_types::ComponentInstanceTypeId) -> Vec<String> {
    let exports = &types[instance].exports;
    let functions = exports.iter().filter(|(_, item)| matches!(item.ty, ComponentEntityType::Func(_)));
    functions.map(|(name, _)| name.clone()).collect()
}
