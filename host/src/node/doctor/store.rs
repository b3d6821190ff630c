//! What is kept: the node's place in its realm, the KV as a start would read it, the audit log.

use super::super::KV_DIR;
use super::Findings;
use crate::admin;
use crate::config::Config;
use crate::kv::{self, Inspected, KvConfig, KvError};
use crate::realm::{Identity, IdentityError};

/// Secrets and certificates that are named at most.
const NAMED_MAX: usize = 20;

pub(super) fn look(config: &Config, found: &mut Findings) {
    let dir = config.data_dir.join(KV_DIR);
    let is_store = kv::is_store(&dir);
    let identity = match Identity::load(&config.data_dir) {
        Ok(Some(identity)) if identity.took_part && !dir.exists() => {
            return found.refused("realm", &IdentityError::Wiped(identity.node));
        }
        Ok(Some(identity)) => {
            found.ok("realm", format!("this is node {} of realm {}", identity.node, identity.realm));
            identity
        }
        Ok(None) if is_store => {
            let text = "`realm.json` is gone, and the KV is there";
            return found.error(
                "realm",
                text,
                "restore `realm.json`, or invite this machine anew, on an empty folder",
            );
        }
        Ok(None) => return found.ok("realm", "in none yet: a start founds one, or joins one with --join"),
        Err(error) => return found.refused("realm", &error),
    };
    if !is_store {
        return;
    }
    let kv = KvConfig { dir, node_id: identity.node, ..config.kv.clone() };
    match kv::inspect(&kv) {
        Ok(store) => {
            let (last, committed) = (store.last_index, store.committed_index);
            found.ok("kv", format!("its log can be read up to entry {last}, its state up to {committed}"));
            access(&store, found);
            audit(config, found);
        }
        Err(KvError::Locked { .. }) => {
            found.ok("kv", "a node runs on this folder: what only one that is stopped shows was left out");
        }
        Err(error) => found.refused("kv", &error),
    }
}

/// Who was given something for ever.
fn access(store: &Inspected, found: &mut Findings) {
    let grants = admin::grants(store.values(admin::ACCESS_BUCKET));
    let lasting: Vec<_> = grants.iter().filter(|grant| grant.expires_at_ms.is_none()).collect();
    for grant in lasting.iter().take(NAMED_MAX) {
        let text = format!("`{}` has the role `{}`, and never expires", grant.caller, grant.role);
        found.warn(
            "access",
            text,
            "revoke it, or make one that expires: `matrix access token create … --expires 90d`",
        );
    }
    if lasting.is_empty() {
        found.ok("access", format!("each of {} tokens expires", grants.len()));
    } else if lasting.len() > NAMED_MAX {
        let text = format!("{} more never expire", lasting.len() - NAMED_MAX);
        found.warn("access", text, "see `matrix access token list`");
    }
}

fn audit(config: &Config, found: &mut Findings) {
    match admin::check_audit(&config.data_dir) {
        Ok(Ok((lines, head))) => found.ok("audit", format!("the chain of {lines} lines holds, to {head}")),
        Ok(Err(fault)) => {
            let change =
                "find out who changed it; keep the folder `audit` elsewhere, and a start begins a new one";
            found.error("audit", fault, change);
        }
        Err(error) => {
            found.error("audit", format!("it cannot be read: {error}"), "look after the folder `audit`")
        }
    }
}
