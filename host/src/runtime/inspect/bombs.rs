//! Components for tests: small honest ones, and those that are made to hurt whoever reads them.

use wasm_encoder::{
    CodeSection, Component, ComponentSection, Function, FunctionSection, Instruction, MemArg, MemorySection,
    MemoryType, Module, ModuleSection, NestedComponentSection, RawSection, TypeSection, ValType,
};

/// The exports of the smallest Soul.
pub(crate) const SOUL: &[(&str, &[&str])] = &[("matrix:node/agent@0.1.0", &["init", "receive"])];

/// The bytes of a component in text form.
pub(crate) fn assemble(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the text is well-formed")
}

/// A component of the given imports, in text form, and exports (interface, functions). Its functions take
/// and return nothing: it passes for what it says until the linker looks at signatures.
pub(crate) fn component(imports: &str, exports: &[(&str, &[&str])]) -> Vec<u8> {
    let mut text = format!(
        "(component {imports}
           (core module $m (func (export \"f\")))
           (core instance $i (instantiate $m))
           (func $f (canon lift (core func $i \"f\")))"
    );
    for (place, (interface, functions)) in exports.iter().enumerate() {
        let functions: String =
            functions.iter().map(|name| format!("(export \"{name}\" (func $f))")).collect();
        text += &format!("(instance $i{place} {functions}) (export \"{interface}\" (instance $i{place}))");
    }
    assemble(&(text + ")"))
}

/// The smallest Soul.
pub(crate) fn soul() -> Vec<u8> {
    component("", SOUL)
}

/// The smallest Soul, with a core module beside it that is never instantiated, only compiled.
pub(crate) fn soul_beside(module: &Module) -> Vec<u8> {
    let mut bytes = soul();
    ModuleSection(module).append_to_component(&mut bytes);
    bytes
}

/// A module of functions without parameters or results, with these bodies, and a page of memory.
fn module(functions: impl IntoIterator<Item = Function>) -> Module {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let (mut declared, mut code) = (FunctionSection::new(), CodeSection::new());
    for function in functions {
        declared.function(0);
        code.function(&function);
    }
    let mut memories = MemorySection::new();
    let page = MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None };
    memories.memory(page);
    let mut module = Module::new();
    module.section(&types).section(&declared).section(&memories).section(&code);
    module
}

/// One function of about `bytes` bytes.
pub(crate) fn long_function(bytes: usize) -> Module {
    let mut function = Function::new([]);
    function.raw(std::iter::repeat_n(NOP, bytes));
    function.instruction(&Instruction::End);
    module([function])
}

const NOP: u8 = 0x01;

/// As many functions, each empty.
pub(crate) fn many_functions(count: usize) -> Module {
    let mut empty = Function::new([]);
    empty.instruction(&Instruction::End);
    module(std::iter::repeat_n(empty, count))
}

/// As many types, each the same.
pub(crate) fn many_types(count: usize) -> Module {
    let mut types = TypeSection::new();
    for _ in 0..count {
        types.ty().function([], []);
    }
    let mut module = Module::new();
    module.section(&types);
    module
}

/// One `br_table` with as many targets.
pub(crate) fn wide_br_table(targets: usize) -> Module {
    let mut function = Function::new([]);
    function.instruction(&Instruction::I32Const(0));
    function.instruction(&Instruction::BrTable(vec![0; targets].into(), 0));
    function.instruction(&Instruction::End);
    module([function])
}

/// A component in a component in a component: as many levels below the outermost.
pub(crate) fn nested(levels: usize) -> Vec<u8> {
    let mut bytes = Component::new().finish();
    for _ in 0..levels {
        let mut outer = Component::new();
        outer.section(&RawSection { id: COMPONENT_SECTION, data: &bytes });
        bytes = outer.finish();
    }
    bytes
}

const COMPONENT_SECTION: u8 = 4;

/// As many components side by side.
pub(crate) fn many_components(count: usize) -> Vec<u8> {
    let mut outer = Component::new();
    for _ in 0..count {
        outer.section(&NestedComponentSection(&Component::new()));
    }
    outer.finish()
}

/// What no limit on sizes sees and the compiler labours over: as many functions, each a long chain of
/// arithmetic in which every value stays alive to the end.
pub(crate) fn laborious(functions: usize, values: u32) -> Module {
    let mut body = Function::new([(values, ValType::I64)]);
    body.instruction(&Instruction::I64Const(3)).instruction(&Instruction::LocalSet(0));
    for value in 1..values {
        body.instruction(&Instruction::LocalGet(value - 1))
            .instruction(&Instruction::LocalGet(value / 2))
            .instruction(&Instruction::I64Mul)
            .instruction(&Instruction::LocalSet(value));
    }
    let first = MemArg { offset: 0, align: 0, memory_index: 0 };
    body.instruction(&Instruction::I32Const(0)).instruction(&Instruction::I64Load(first));
    for value in 0..values {
        body.instruction(&Instruction::LocalGet(value)).instruction(&Instruction::I64Xor);
    }
    body.instruction(&Instruction::Drop).instruction(&Instruction::End);
    module(std::iter::repeat_n(body, functions))
}
