//! How much a component may hold before anybody compiles it.

use serde::{Deserialize, Serialize};

use super::super::limits::{CORE_INSTANCES_MAX, MEMORIES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX};

/// How much a component may hold. What is cheap to see is refused here; what only compiling would show
/// is left to the limits of the compile child. Counts are over the whole component, nested ones included.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InspectLimits {
    /// Bytes of the component: three times the largest known, Python's with its libraries.
    pub component_bytes_max: u64,
    /// Bytes of the program that a component carries, where it is an interpreter. Instances of it read them one by one.
    pub program_bytes_max: u64,
    /// How deep components and modules are nested; composed components need 4.
    pub nesting_max: usize,
    /// Core modules and components, the outermost left out. Python's has about 30.
    pub modules_max: u64,
    /// Core instances that the component makes: what a slot of the instance pool holds.
    pub core_instances_max: u64,
    /// Instances of components and of lists of exports: one an imported interface, and a few more.
    pub instances_max: u64,
    /// Functions: defined, imported and adapted. Script engines have about 30,000.
    pub functions_max: u64,
    /// Bytes of one function. The compiler's time and memory grow faster than a function's length,
    /// and the largest known, the loop of a script engine, has 300 KiB.
    pub function_bytes_max: u64,
    /// Targets of one `br_table`: each is an edge in the compiler's graph. Real ones have hundreds.
    pub br_table_targets_max: u32,
    /// Types. Script engines have a few thousand.
    pub types_max: u64,
    /// Bytes of all types: a type may hold others, which `types_max` does not see.
    pub type_bytes_max: u64,
    /// Imports, exports, aliases, globals and segments: what is left that can be listed without end.
    pub entries_max: u64,
    /// Linear memories that modules define: what a slot of the instance pool holds.
    pub memories_max: u64,
    /// Bytes of linear memory that all of them have from the start: no manifest may give more.
    pub memory_min_bytes_max: u64,
    /// Tables that modules define: what a slot of the instance pool holds.
    pub tables_max: u64,
    /// Elements that one table has from the start: what a slot of the instance pool holds.
    pub table_elements_max: u64,
}

impl Default for InspectLimits {
    fn default() -> Self {
        Self {
            component_bytes_max: 64 << 20,
            program_bytes_max: 4 << 20,
            nesting_max: 8,
            modules_max: 256,
            core_instances_max: CORE_INSTANCES_MAX as u64,
            instances_max: 1_000,
            functions_max: 200_000,
            function_bytes_max: 1 << 20,
            br_table_targets_max: 16_384,
            types_max: 50_000,
            type_bytes_max: 1 << 20,
            entries_max: 200_000,
            memories_max: MEMORIES_MAX as u64,
            memory_min_bytes_max: 64 << 20,
            tables_max: TABLES_MAX as u64,
            table_elements_max: TABLE_ELEMENTS_MAX as u64,
        }
    }
}
