//! Carrying all checks of a component out.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use matrixd::bench::{Bench, BenchConfig, BenchError};
use matrixd::runtime::compile::{CHILD_COMMAND, CompilerConfig};
use tempfile::TempDir;

use crate::checks::{self, Check, Stop};
use crate::options::Options;
use crate::report::{Checked, Outcome, Report};
use crate::subject::Subject;

/// How long a component may be compiled. That it takes longer here than a node would wait says nothing of it: a kit that was
/// built for development needs a minute for an interpreter, and the machine may have other things to do.
const COMPILE_SECONDS_MAX: u64 = 600;

/// The folder of the bench, in the kit's own.
const BENCH_DIR: &str = "bench";

/// Why a component could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum CannotCheck {
    /// There is no bench.
    #[error("the bench cannot be set up: {0}")]
    Bench(#[from] BenchError),
    /// The options are wrong.
    #[error("{0}")]
    Options(String),
    /// There is no folder to work in.
    #[error("cannot make a temporary folder: {0}")]
    Folder(#[from] std::io::Error),
    /// A check could not be carried out.
    #[error("{check} could not be carried out: {why}")]
    Check {
        /// Which.
        check: &'static str,
        /// Why not.
        why: String,
    },
}

/// What carries checks out.
#[derive(Debug, Clone)]
pub struct Kit {
    /// The program that is started for what must happen in another process: `matrix-check`.
    pub program: PathBuf,
    /// The data folder of a node that may have compiled what is checked: where it did, and its files are this user's, nothing is
    /// compiled again.
    pub compiled: Option<PathBuf>,
    /// A folder where compiled functions are kept, so that of what changed since the last check only that is compiled; it is made
    /// if there is none. Nodes of the same user may use it too.
    pub functions: Option<PathBuf>,
}

impl Default for Kit {
    /// For the program `matrix-check` itself.
    fn default() -> Self {
        Self { program: CompilerConfig::default().program, compiled: None, functions: None }
    }
}

impl Kit {
    /// Carries all checks of a component out; `name` is what it is called in the report.
    ///
    /// # Errors
    /// Where that could not be done: it says nothing of the component.
    pub async fn check(&self, name: &str, bytes: Bytes, options: Options) -> Result<Report, CannotCheck> {
        let folder = tempfile::Builder::new().prefix("matrix-check-").tempdir()?;
        let seed = options.seed;
        if let Some(compiled) = &self.compiled {
            // A node that has not compiled it, or that is not this user's, costs the time that compiling takes.
            drop(Bench::take_compiled(compiled, &bench_of(folder.path()), Some(&bytes)));
        }
        let subject = self.subject(&folder, None, bytes, options).await?;
        let kind = subject.component.as_ref().ok().map(|component| component.info().kind);
        let mut done = Vec::new();
        for check in checks::of(kind) {
            let begun = Instant::now();
            let outcome = match lacking(check, &done) {
                Some(reason) => Ok(Outcome::LeftOut { reason }),
                None => carry_out(check, &subject).await,
            };
            match outcome {
                Ok(outcome) => {
                    let Check { id, title, needs, .. } = *check;
                    done.push(Checked { id, title, needs, outcome, took: begun.elapsed() });
                }
                Err(error) => {
                    subject.bench.close().await;
                    return Err(error);
                }
            }
        }
        subject.bench.close().await;
        let kind = kind.map(|kind| kind.to_string());
        Ok(Report { component: name.to_owned(), kind, seed, checks: done })
    }

    /// Puts a component on a bench in `folder`; what was compiled in `compiled` is not compiled again.
    pub(crate) async fn subject(
        &self,
        folder: &TempDir,
        compiled: Option<&Path>,
        bytes: Bytes,
        options: Options,
    ) -> Result<Subject, CannotCheck> {
        let bench_folder = bench_of(folder.path());
        let limits = options.limits().map_err(CannotCheck::Options)?;
        if let Some(compiled) = compiled {
            Bench::take_compiled(compiled, &bench_folder, None)?;
        }
        let defaults = CompilerConfig::default();
        let functions_dir = self.functions.clone();
        let compiler = CompilerConfig {
            program: self.program.clone(),
            arguments: vec![OsString::from(CHILD_COMMAND)],
            cpu_seconds_max: COMPILE_SECONDS_MAX,
            wall_seconds_max: COMPILE_SECONDS_MAX,
            // A folder that goes with the check is of no use to the next.
            functions_bytes_max: functions_dir.as_ref().map_or(0, |_| defaults.functions_bytes_max),
            functions_dir,
            ..defaults
        };
        let bench = Bench::open(BenchConfig { folder: bench_folder, compiler, limits }).await?;
        let component = match bench.load(bytes.clone()).await {
            Ok(component) => Ok(component),
            Err(BenchError::Component(refusal)) => Err(refusal.to_string()),
            Err(error) => return Err(error.into()),
        };
        let (program, folder) = (self.program.clone(), folder.path().to_owned());
        Ok(Subject { bench, bytes, component, options, program, folder })
    }
}

/// The folder of the bench of a kit that works in `folder`.
pub(crate) fn bench_of(folder: &Path) -> PathBuf {
    folder.join(BENCH_DIR)
}

async fn carry_out(check: &'static Check, subject: &Subject) -> Result<Outcome, CannotCheck> {
    match (check.run)(subject).await {
        Ok(()) => Ok(Outcome::Right),
        Err(Stop::Wrong(finding)) => Ok(Outcome::Wrong(finding)),
        Err(Stop::Noted(finding)) => Ok(Outcome::Noted(finding)),
        Err(Stop::LeftOut(reason)) => Ok(Outcome::LeftOut { reason }),
        Err(Stop::Cannot(why)) => Err(CannotCheck::Check { check: check.id, why }),
    }
}

/// Why a check is not carried out; none: all that it builds on is right, or was not there to be looked at.
fn lacking(check: &Check, done: &[Checked]) -> Option<String> {
    // What a check is left out for whose own ground is wrong goes on to those that build on it.
    let mut broken: BTreeSet<&str> = BTreeSet::new();
    for Checked { id, needs, outcome, .. } in done {
        let is_wrong = matches!(outcome, Outcome::Wrong(_));
        if is_wrong || needs.iter().any(|needed| broken.contains(needed)) {
            broken.insert(id);
        }
    }
    let needed = check.needs.iter().find(|needed| broken.contains(*needed))?;
    Some(format!("it builds on {needed}, which is not right"))
}
