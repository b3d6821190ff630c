//! How much of everything a component holds, counted from the headers of its sections.

use wasmparser::{Instance, Payload, SectionLimited};

use super::limits::InspectLimits;
use super::refusal::Refusal;

/// Bytes in a page of linear memory.
const PAGE_BYTES: u64 = 65_536;

/// What has been counted so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) functions: u64,
    pub(super) core_instances: u64,
    pub(super) memories: u64,
    pub(super) memory_min_bytes: u64,
    pub(super) tables: u64,
    pub(super) table_elements: u64,
    modules: u64,
    instances: u64,
    types: u64,
    type_bytes: u64,
    entries: u64,
}

impl Tally {
    /// Adds a section, and refuses what is now too much. Reads no more of it than it must.
    pub(super) fn count(&mut self, payload: &Payload<'_>, limits: &InspectLimits) -> Result<(), Refusal> {
        match payload {
            Payload::TypeSection(section) => self.types(section, limits),
            Payload::CoreTypeSection(section) => self.types(section, limits),
            Payload::ComponentTypeSection(section) => self.types(section, limits),
            Payload::FunctionSection(section) => self.functions(section.count(), limits),
            Payload::ComponentCanonicalSection(section) => self.functions(section.count(), limits),
            Payload::ImportSection(section) => self.entries(section.count(), limits),
            Payload::ExportSection(section) => self.entries(section.count(), limits),
            Payload::GlobalSection(section) => self.entries(section.count(), limits),
            Payload::ElementSection(section) => self.entries(section.count(), limits),
            Payload::DataSection(section) => self.entries(section.count(), limits),
            Payload::ComponentAliasSection(section) => self.entries(section.count(), limits),
            Payload::ComponentImportSection(section) => self.entries(section.count(), limits),
            Payload::ComponentExportSection(section) => self.entries(section.count(), limits),
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                add(&mut self.modules, 1, "modules and components", limits.modules_max, "modules_max")
            }
            Payload::ComponentInstanceSection(section) => self.instances(section.count(), limits),
            Payload::InstanceSection(section) => {
                self.instances(section.count(), limits)?;
                let made = each(section, |made| u64::from(matches!(made, Instance::Instantiate { .. })))?;
                let max = limits.core_instances_max;
                add(&mut self.core_instances, made, "core instances", max, "core_instances_max")
            }
            Payload::MemorySection(section) => {
                let memories = section.count().into();
                add(&mut self.memories, memories, "linear memories", limits.memories_max, "memories_max")?;
                let bytes = each(section, |memory| memory.initial.saturating_mul(PAGE_BYTES))?;
                let (what, max) = ("bytes of memory at the start", limits.memory_min_bytes_max);
                add(&mut self.memory_min_bytes, bytes, what, max, "memory_min_bytes_max")
            }
            Payload::TableSection(section) => {
                add(&mut self.tables, section.count().into(), "tables", limits.tables_max, "tables_max")?;
                let max = limits.table_elements_max;
                let mut all = 0u64;
                for table in section.clone() {
                    let elements = table.map_err(|error| Refusal::invalid(&error))?.ty.initial;
                    add(&mut 0, elements, "elements in a table", max, "table_elements_max")?;
                    all = all.saturating_add(elements);
                }
                self.table_elements = self.table_elements.saturating_add(all);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn types<T>(&mut self, section: &SectionLimited<'_, T>, limits: &InspectLimits) -> Result<(), Refusal> {
        add(&mut self.types, section.count().into(), "types", limits.types_max, "types_max")?;
        let bytes = section.range().len() as u64;
        add(&mut self.type_bytes, bytes, "bytes of types", limits.type_bytes_max, "type_bytes_max")
    }

    fn functions(&mut self, count: u32, limits: &InspectLimits) -> Result<(), Refusal> {
        add(&mut self.functions, count.into(), "functions", limits.functions_max, "functions_max")
    }

    fn instances(&mut self, count: u32, limits: &InspectLimits) -> Result<(), Refusal> {
        add(&mut self.instances, count.into(), "instances", limits.instances_max, "instances_max")
    }

    fn entries(&mut self, count: u32, limits: &InspectLimits) -> Result<(), Refusal> {
        let what = "imports, exports, aliases, globals and segments";
        add(&mut self.entries, count.into(), what, limits.entries_max, "entries_max")
    }
}

fn add(sum: &mut u64, more: u64, what: &'static str, max: u64, limit: &'static str) -> Result<(), Refusal> {
    *sum = sum.saturating_add(more);
    if *sum > max { Err(Refusal::TooMuch { what, found: *sum, max, limit }) } else { Ok(()) }
}

/// The sum of `figure` over a section's items, which an earlier count has bounded.
fn each<'a, T: wasmparser::FromReader<'a>>(
    section: &SectionLimited<'a, T>,
    figure: impl Fn(&T) -> u64,
) -> Result<u64, Refusal> {
    section.clone().into_iter().try_fold(0u64, |sum, item| {
        let item = item.map_err(|error| Refusal::invalid(&error))?;
        Ok(sum.saturating_add(figure(&item)))
    })
}
