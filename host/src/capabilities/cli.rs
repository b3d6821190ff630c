//! `wasi:cli`: no arguments, no environment; stdin is empty; stdout and stderr are the guest's log.

use std::sync::Arc;

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::cli::{
    environment, exit, stderr, stdin, stdout, terminal_input, terminal_output, terminal_stderr,
    terminal_stdin, terminal_stdout,
};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, Pollable, StreamError, StreamResult,
};

use super::io::WRITE_BYTES_MAX;
use super::logging::GuestLog;
use crate::runtime::state::GuestState;
use crate::telemetry::logs::LogLevel;

/// A line that is longer is logged in pieces of this length, in bytes.
pub const LINE_BYTES_MAX: usize = 4096;

/// Where stdout and stderr go.
#[derive(Debug, Clone)]
pub struct Ctx {
    log: Arc<GuestLog>,
}

impl Ctx {
    /// For a guest with this log.
    pub fn new(log: Arc<GuestLog>) -> Self {
        Self { log }
    }
}

/// One call's view of the guest.
pub struct View<'a> {
    ctx: &'a Ctx,
    table: &'a mut ResourceTable,
}

struct Cli;

impl HasData for Cli {
    type Data<'a> = View<'a>;
}

/// Lets components import the interfaces.
pub(crate) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    environment::add_to_linker::<_, Cli>(linker, view)?;
    exit::add_to_linker::<_, Cli>(linker, view)?;
    stdin::add_to_linker::<_, Cli>(linker, view)?;
    stdout::add_to_linker::<_, Cli>(linker, view)?;
    stderr::add_to_linker::<_, Cli>(linker, view)?;
    terminal_input::add_to_linker::<_, Cli>(linker, view)?;
    terminal_output::add_to_linker::<_, Cli>(linker, view)?;
    terminal_stdin::add_to_linker::<_, Cli>(linker, view)?;
    terminal_stdout::add_to_linker::<_, Cli>(linker, view)?;
    terminal_stderr::add_to_linker::<_, Cli>(linker, view)
}

fn view(state: &mut GuestState) -> View<'_> {
    View { ctx: &state.capabilities.cli, table: &mut state.table }
}

/// A stream whose lines go to the guest's log.
struct LogStream {
    log: Arc<GuestLog>,
    level: LogLevel,
    line: Vec<u8>,
}

impl LogStream {
    fn end_line(&mut self) {
        self.log.write(self.level, &String::from_utf8_lossy(&self.line));
        self.line.clear();
    }
}

impl Drop for LogStream {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        for &byte in &bytes {
            if byte == b'\n' || self.line.len() >= LINE_BYTES_MAX {
                self.end_line();
            }
            if byte != b'\n' {
                self.line.push(byte);
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX as usize)
    }
}

struct Empty;

#[wasmtime_wasi::async_trait]
impl Pollable for Empty {
    async fn ready(&mut self) {}
}

impl InputStream for Empty {
    fn read(&mut self, _size: usize) -> StreamResult<bytes::Bytes> {
        Err(StreamError::Closed)
    }
}

impl View<'_> {
    fn log_stream(&mut self, level: LogLevel) -> wasmtime::Result<Resource<DynOutputStream>> {
        let stream: DynOutputStream =
            Box::new(LogStream { log: self.ctx.log.clone(), level, line: Vec::new() });
        Ok(self.table.push(stream)?)
    }
}

impl environment::Host for View<'_> {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(Vec::new())
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(None)
    }
}

impl exit::Host for View<'_> {
    fn exit(&mut self, status: Result<(), ()>) -> wasmtime::Result<()> {
        self.exit_with_code(status.is_err().into())
    }

    fn exit_with_code(&mut self, code: u8) -> wasmtime::Result<()> {
        Err(wasmtime::Error::msg(format!("the guest exited with code {code}")))
    }
}

impl stdin::Host for View<'_> {
    fn get_stdin(&mut self) -> wasmtime::Result<Resource<DynInputStream>> {
        let stream: DynInputStream = Box::new(Empty);
        Ok(self.table.push(stream)?)
    }
}

impl stdout::Host for View<'_> {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.log_stream(LogLevel::Info)
    }
}

impl stderr::Host for View<'_> {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.log_stream(LogLevel::Warn)
    }
}

impl terminal_input::Host for View<'_> {}

impl terminal_input::HostTerminalInput for View<'_> {
    fn drop(&mut self, terminal: Resource<terminal_input::TerminalInput>) -> wasmtime::Result<()> {
        self.table.delete(terminal)?;
        Ok(())
    }
}

impl terminal_output::Host for View<'_> {}

impl terminal_output::HostTerminalOutput for View<'_> {
    fn drop(&mut self, terminal: Resource<terminal_output::TerminalOutput>) -> wasmtime::Result<()> {
        self.table.delete(terminal)?;
        Ok(())
    }
}

impl terminal_stdin::Host for View<'_> {
    fn get_terminal_stdin(&mut self) -> wasmtime::Result<Option<Resource<terminal_input::TerminalInput>>> {
        Ok(None)
    }
}

impl terminal_stdout::Host for View<'_> {
    fn get_terminal_stdout(&mut self) -> wasmtime::Result<Option<Resource<terminal_output::TerminalOutput>>> {
        Ok(None)
    }
}

impl terminal_stderr::Host for View<'_> {
    fn get_terminal_stderr(&mut self) -> wasmtime::Result<Option<Resource<terminal_output::TerminalOutput>>> {
        Ok(None)
    }
}
