//! The arguments of `matrix matrices create`.

use std::path::PathBuf;

use matrix_proto::v1::{CreateMatrixRequest, MatrixManifest};

use crate::content::{BODY_BYTES_MAX, read_file};
use crate::errors::Error;
use crate::request;

/// What the Matrix is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Its name: 1 to 63 of a-z, 0-9 and -
    #[arg(value_parser = super::parse_name)]
    name: String,
    /// The rules' component: a digest or a name that the node knows
    #[arg(long, value_name = "COMPONENT")]
    rules: String,
    /// A Soul that plays; may be given again, or several with commas between
    #[arg(long = "player", value_name = "SOUL", value_delimiter = ',')]
    players: Vec<String>,
    /// The rules' settings, as JSON
    #[arg(long, value_name = "JSON", default_value = "", hide_default_value = true)]
    config: String,
    /// File with the rules' settings, as JSON
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    config_file: Option<PathBuf>,
    /// Its only source of chance, below 2^53
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How long players have to answer a tick, in milliseconds [default: the node's]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    tick_deadline_ms: u32,
    /// The shortest time between two ticks, in milliseconds, for those who want to watch
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    tick_interval_ms: u32,
    /// Fuel for each call into the rules [default: the node's]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    call_fuel: u64,
    /// Linear memory of the rules, in bytes [default: the node's]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    memory_bytes: u64,
    /// Start it at once
    #[arg(long)]
    start: bool,
    /// Start it, wait until it is over, and show the result
    #[arg(short, long)]
    wait: bool,
}

impl Args {
    /// Whether to wait until the Matrix is over.
    pub(super) const fn waits(&self) -> bool {
        self.wait
    }
}

impl TryFrom<Args> for CreateMatrixRequest {
    type Error = Error;

    fn try_from(args: Args) -> Result<Self, Error> {
        let config = match &args.config_file {
            Some(path) => {
                let bytes = read_file(path, BODY_BYTES_MAX)?;
                String::from_utf8(bytes.to_vec())
                    .map_err(|_| Error::file("cannot use the settings", path, "they are not UTF-8"))?
            }
            None => args.config,
        };
        if !config.is_empty()
            && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&config)
        {
            return Err(Error::usage(
                format!("the rules' settings are not JSON: {error}"),
                "write them as an object, such as --config '{\"turns\": 200}'",
            ));
        }
        let manifest = MatrixManifest {
            name: args.name,
            rules: args.rules,
            players: args.players,
            config,
            seed: args.seed,
            tick_deadline_ms: args.tick_deadline_ms,
            call_fuel: args.call_fuel,
            memory_bytes: args.memory_bytes,
            tick_interval_ms: args.tick_interval_ms,
        };
        let start = args.start || args.wait;
        Ok(Self { manifest: Some(manifest), request_id: request::id()?, start })
    }
}
