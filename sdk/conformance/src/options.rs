//! What a component is checked with.

use std::collections::BTreeMap;
use std::path::PathBuf;

use matrixd::capabilities::grants::Grants;
use matrixd::runtime::inspect::Kind;
use matrixd::runtime::limits::{Limits, LimitsConfig};
use matrixd::souls::manifest::Persona;
use serde::{Deserialize, Serialize};

/// What a component is checked with. The defaults fit most.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What it must be; none: whatever it is.
    pub world: Option<Kind>,
    /// The seed of everything that is drawn.
    pub seed: u64,
    /// Settings of a Soul, or of a stage.
    pub settings: BTreeMap<String, String>,
    /// The setup of rules, JSON; empty: every default.
    pub config: String,
    /// Who a Soul is; none: somebody.
    pub persona: Option<Persona>,
    /// What a Soul is granted; none: everything that can be.
    pub grants: Option<Grants>,
    /// Limits of a Soul by their names in a manifest; what is left out has the node's default.
    pub limits: BTreeMap<String, u64>,
    /// The defaults and maxima of the node where the component is to run; none: those of a node without configuration.
    pub node_limits: Option<LimitsConfig>,
    /// What a Soul is told as well, in words that it understands.
    pub say: Vec<String>,
    /// What a Soul that learns is taught: what is said, and the right answer.
    pub teach: Vec<(String, String)>,
    /// An older version of the component, whose state this one must take up.
    pub against: Option<PathBuf>,
    /// Rules that a Soul plays by.
    pub rules: Option<PathBuf>,
}

impl Options {
    /// The limits in force.
    ///
    /// # Errors
    /// Names the limit that there is none of, or that is more than a node allows.
    pub fn limits(&self) -> Result<LimitsConfig, String> {
        let mut config = self.node_limits.clone().unwrap_or_default();
        let mut named = serde_json::to_value(LimitsConfig::ASK_NOTHING).map_err(|error| error.to_string())?;
        for (name, amount) in &self.limits {
            let known = named.get_mut(name).ok_or_else(|| format!("there is no limit called `{name}`"))?;
            *known = (*amount).into();
        }
        let asked: Limits = serde_json::from_value(named).map_err(|error| format!("limits: {error}"))?;
        config.default = config.resolve(&asked).map_err(|error| error.to_string())?;
        Ok(config)
    }

    /// What a Soul is granted.
    pub(crate) fn grants(&self) -> Grants {
        self.grants.clone().unwrap_or_else(|| {
            let all = || vec!["*".parse().expect("a pattern")];
            Grants {
                send: all(),
                ask: all(),
                subscribe: all(),
                buckets: Vec::new(),
                events: true,
                memory: true,
                grpc: all(),
                http: vec!["*".parse().expect("a pattern")],
            }
        })
    }
}
