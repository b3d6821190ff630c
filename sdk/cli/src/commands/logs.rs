//! `matrix logs`.

use matrix_proto::v1::{LogLevel, LogLine, TailRequest};
use serde_json::{Value, json};

use crate::address;
use crate::errors::Error;
use crate::output::Style;
use crate::session::Session;
use crate::text;

/// Which lines.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Only lines of soul:NAME, matrix:NAME, node, a prefix with a star, or NAME for a Soul
    #[arg(value_parser = address::parse_source)]
    source: Option<String>,
    /// Go on with the lines that follow
    #[arg(short, long)]
    follow: bool,
    /// How many of the latest lines; the node keeps 10,000
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    lines: u32,
    /// Only lines that matter at least this much
    #[arg(long, value_enum, default_value = "info")]
    level: Level,
}

/// How much a line matters.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Level {
    /// Values of variables, flow of control
    Trace,
    /// For whoever debugs
    Debug,
    /// For whoever watches
    Info,
    /// Something may be wrong
    Warn,
    /// Something is wrong
    Error,
}

/// Shows lines: with `--follow` until it is interrupted.
pub(crate) async fn run(args: Args, session: &Session<'_>) -> Result<(), Error> {
    let node = session.node().await?;
    let request = TailRequest {
        source: args.source.unwrap_or_default(),
        level: LogLevel::from(args.level).into(),
        lines: args.lines,
        follow: args.follow,
    };
    let mut lines = node.stream("logs", request, async |request| node.logs().tail(request).await).await?;
    while let Some(line) = lines.message().await.map_err(|status| Error::node(status, "logs"))? {
        session.output.show(&json(&line), |style| human(style, &line))?;
    }
    Ok(())
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Trace => Self::Trace,
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
            Level::Error => Self::Error,
        }
    }
}

/// A line for programs.
pub(super) fn json(line: &LogLine) -> Value {
    json!({
        "at_ms": line.at_ms,
        "level": level_name(line.level()),
        "source": line.source,
        "text": line.text,
        "dropped": line.dropped,
    })
}

/// A line for people.
pub(super) fn human(style: &Style, line: &LogLine) -> String {
    let dropped = match line.dropped {
        0 => String::new(),
        count => style.yellow(&format!("({count} lines are lost)")) + "\n",
    };
    let name = format!("{:5}", level_name(line.level()));
    let level = match line.level() {
        LogLevel::Error => style.red(&name),
        LogLevel::Warn => style.yellow(&name),
        _ => style.dim(&name),
    };
    let at = style.dim(&text::moment(line.at_ms));
    let source = style.bold(&text::one_line(&line.source));
    format!("{dropped}{at} {level} {source} {}\n", text::one_line(&line.text))
}

const fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Unspecified => "-",
        LogLevel::Trace => "trace",
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}
