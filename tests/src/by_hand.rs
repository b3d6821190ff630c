//! Souls and interceptors written by hand, in WebAssembly's text form: they break what a compiler keeps.

/// Where a hand-written Soul's results begin in its memory.
pub const RESULT: u32 = 1024;
/// Where the list of replies begins, unless a Soul says otherwise.
pub const REPLIES: u32 = 1040;

/// A core module of a Soul: its memory, its functions.
pub struct ByHand {
    /// Pages of memory, 64 KiB each.
    pub pages: u32,
    /// More fields of the core module: tables, functions, a start function.
    pub fields: String,
    /// The body of `receive` up to its result, which lies at [`RESULT`].
    pub receive: String,
    /// How many replies `receive` returns.
    pub replies: u32,
    /// The body of `snapshot` up to its result, which lies at [`RESULT`]; none: it exports no `stateful`.
    pub snapshot: Option<String>,
}

impl Default for ByHand {
    /// A Soul that answers one message, with nothing.
    fn default() -> Self {
        Self { pages: 2, fields: String::new(), receive: String::new(), replies: 1, snapshot: None }
    }
}

impl ByHand {
    /// The component.
    pub fn build(&self) -> Vec<u8> {
        let Self { pages, fields, receive, replies, snapshot } = self;
        let (keep, kept) = match snapshot {
            Some(body) => (stateful(body), STATEFUL),
            None => (String::new(), ""),
        };
        let text = format!(
            r#"(component
  {POLL}
  {TYPES}
  (core module $m
    (import "host" "block" (func $block (param i32)))
    (import "host" "drop" (func $drop (param i32)))
    (memory (export "memory") {pages})
    (global $top (mut i32) (i32.const 4096))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $top (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
      (global.get $top)
      (global.set $top (i32.add (global.get $top) (local.get 3))))
    (func (export "init") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32)
      (i32.const {RESULT}))
    (func (export "receive") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (i32.store (i32.const {RESULT}) (i32.const {REPLIES}))
      (i32.store (i32.const {RESULT_LENGTH}) (i32.const {replies}))
      {receive}
      (i32.const {RESULT}))
    {keep}
    {fields})
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $drop (canon resource.drop $pollable))
  (core instance $i (instantiate $m
    (with "host" (instance (export "block" (func $block)) (export "drop" (func $drop))))))
  {FUNCTIONS}
  {kept})"#,
            RESULT_LENGTH = RESULT + 4,
        );
        wat::parse_str(&text).unwrap_or_else(|error| panic!("the text is not well-formed: {error}"))
    }
}

/// An interceptor that lets everything pass, and does `birth` whenever an instance of it is made.
pub fn interceptor(birth: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
  {MESSAGE}
  (core module $m
    (memory (export "memory") 1)
    (func $birth {birth})
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const {RESULT}))
    (func (export "judge") (param i32) (result i32) (i32.const 0))
    (start $birth))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory))
  (alias core export $i "cabi_realloc" (core func $realloc))
  (func $judge (param "message" $message) (result $verdict)
    (canon lift (core func $i "judge") (memory $memory) (realloc $realloc)))
  (instance $interceptor (export "outbound" (func $judge)) (export "inbound" (func $judge)))
  (export "matrix:node/interceptor@0.1.0" (instance $interceptor)))"#,
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("the text is not well-formed: {error}"))
}

/// The types of `wit/types.wit` and `wit/interceptor.wit`, named, as exported functions must have them.
const MESSAGE: &str = r#"
  (type $id-shape (record (field "a" u32) (field "b" u32) (field "c" u32) (field "d" u32)))
  (export $id "message-id" (type $id-shape))
  (type $address-shape (variant
    (case "soul" string) (case "matrix" string) (case "topic" string) (case "client" string)))
  (export $address "address" (type $address-shape))
  (type $message-shape (record
    (field "id" $id) (field "sender" $address) (field "recipient" $address) (field "in-reply-to" (option $id))
    (field "content-type" string) (field "body" (list u8)) (field "sent-at" u64)))
  (export $message "message" (type $message-shape))
  (type $verdict-shape (variant (case "pass") (case "rewrite" $message) (case "reject" string)))
  (export $verdict "verdict" (type $verdict-shape))"#;

/// The core functions of the interface `stateful`; the name of the schema is one letter.
fn stateful(snapshot: &str) -> String {
    format!(
        r#"(data (i32.const {NAME}) "s")
    (func (export "schema") (result i32)
      (i32.store (i32.const {RESULT}) (i32.const {NAME}))
      (i32.store (i32.const {AFTER}) (i32.const 1))
      (i32.const {RESULT}))
    (func (export "snapshot") (result i32)
      {snapshot}
      (i32.const {RESULT}))
    (func (export "restore") (param i32 i32 i32 i32) (result i32)
      (i32.const {RESULT}))"#,
        NAME = RESULT - 16,
        AFTER = RESULT + 4,
    )
}

/// The one resource that every component may import.
const POLL: &str = r#"
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $p (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $p))))))
  (alias export $poll "pollable" (type $pollable))"#;

/// The types of `wit/types.wit` and `wit/agent.wit`, named, as exported functions must have them.
const TYPES: &str = r#"
  (type $batch-shape (record (field "heads" (list u32)) (field "bytes" (list u8))))
  (export $batch "batch" (type $batch-shape))
  (type $content-shape (record (field "content-type" string) (field "body" (list u8))))
  (export $content "content" (type $content-shape))
  (type $value-shape (record (field "name" string) (field "weight" f32)))
  (export $value "value" (type $value-shape))
  (type $persona-shape (record
    (field "description" string) (field "traits" (list string)) (field "values" (list $value))))
  (export $persona "persona" (type $persona-shape))
  (type $birth-shape (record
    (field "name" string) (field "persona" $persona) (field "config" (list (tuple string string)))
    (field "seed" u64)))
  (export $birth "birth" (type $birth-shape))"#;

/// The functions of the interface `agent`, lifted.
const FUNCTIONS: &str = r#"
  (alias core export $i "memory" (core memory $memory))
  (alias core export $i "cabi_realloc" (core func $realloc))
  (func $init (param "birth" $birth) (result (result (error string)))
    (canon lift (core func $i "init") (memory $memory) (realloc $realloc)))
  (func $receive (param "batch" $batch) (result (list (result (option $content) (error string))))
    (canon lift (core func $i "receive") (memory $memory) (realloc $realloc)))
  (instance $agent (export "init" (func $init)) (export "receive" (func $receive)))
  (export "matrix:node/agent@0.1.0" (instance $agent))"#;

/// The functions of the interface `stateful`, lifted.
const STATEFUL: &str = r#"
  (func $schema (result string)
    (canon lift (core func $i "schema") (memory $memory)))
  (func $snapshot (result (result (list u8) (error string)))
    (canon lift (core func $i "snapshot") (memory $memory)))
  (func $restore (param "schema" string) (param "bytes" (list u8)) (result (result (error string)))
    (canon lift (core func $i "restore") (memory $memory) (realloc $realloc)))
  (instance $stateful
    (export "schema" (func $schema)) (export "snapshot" (func $snapshot)) (export "restore" (func $restore)))
  (export "matrix:node/stateful@0.1.0" (instance $stateful))"#;
