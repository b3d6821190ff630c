//! What a component is checked with, where somebody on a node is to have it: what is theirs is that of the check.

use std::collections::HashMap;

use matrix_proto::v1::{ChainStage, GetChainRequest, Limit, LimitsRequest, SoulManifest};
use serde_json::{Map, Value, json};

use super::super::{matrices, souls};
use crate::connection::Node;
use crate::errors::Error;

/// How a limit that manifests may declare is set: `limits.NAME`.
const DECLARED: &str = "limits.";

/// Of a Soul: who it is, its grants, settings and limits, the node's own where its manifest names none.
pub(in super::super) async fn of_soul(node: &Node, name: &str) -> Result<Vec<String>, Error> {
    let manifest = souls::get(node, name).await?.manifest.ok_or(Error::Answer("manifest"))?;
    let ask = async |request| node.observe().limits(request).await;
    let limits = node.call("the limits", LimitsRequest {}, ask).await?.limits;
    Ok(from_manifest(&manifest, &limits))
}

/// Of a Matrix: the setup of its rules.
pub(in super::super) async fn of_matrix(node: &Node, name: &str) -> Result<Vec<String>, Error> {
    let config = matrices::get(node, name).await?.manifest.unwrap_or_default().config;
    Ok(if config.is_empty() { Vec::new() } else { vec![format!("--config={config}")] })
}

/// Of an interceptor: its settings.
pub(in super::super) async fn of_stage(
    node: &Node,
    is: impl Fn(usize, &ChainStage) -> bool,
) -> Result<Vec<String>, Error> {
    let get = async |request| node.interceptors().get_chain(request).await;
    let chain = node.call("the interceptors", GetChainRequest { revision: 0 }, get).await?;
    let mut stages = (0..).zip(chain.stages);
    Ok(stages
        .find(|(place, stage)| is(*place, stage))
        .map(|(_, stage)| settings(stage.config))
        .unwrap_or_default())
}

fn from_manifest(manifest: &SoulManifest, node: &[Limit]) -> Vec<String> {
    let grants = manifest.grants.clone().unwrap_or_default();
    let persona = manifest.persona.clone().unwrap_or_default();
    let grants = json!({
        "send": grants.send, "ask": grants.ask, "subscribe": grants.subscribe, "buckets": grants.buckets,
        "events": grants.events, "memory": grants.memory, "grpc": grants.grpc, "http": grants.http,
    });
    let values: Vec<_> = persona.values.iter().map(|value| json!([value.name, value.weight])).collect();
    let persona = json!({ "description": persona.description, "traits": persona.traits, "values": values });
    let mut given = vec![
        format!("--grants={grants}"),
        format!("--persona={persona}"),
        format!("--node-limits={}", of_node(node)),
    ];
    given.extend(settings(manifest.config.clone()));
    given.extend(limits(manifest));
    given
}

/// The defaults and maxima of a node, as its configuration has them.
fn of_node(limits: &[Limit]) -> Value {
    let declared = |amount: fn(&Limit) -> u64| -> Map<String, Value> {
        let named = limits.iter().filter_map(|limit| Some((limit.setting.strip_prefix(DECLARED)?, limit)));
        named.map(|(name, limit)| (name.to_owned(), amount(limit).into())).collect()
    };
    json!({ "default": declared(|limit| limit.default), "max": declared(|limit| limit.max) })
}

fn settings(config: HashMap<String, String>) -> Vec<String> {
    let mut settings: Vec<_> =
        config.into_iter().map(|(name, value)| format!("--set={name}={value}")).collect();
    settings.sort();
    settings
}

/// The limits that a manifest names.
fn limits(manifest: &SoulManifest) -> impl Iterator<Item = String> + use<> {
    let limits = manifest.limits.unwrap_or_default();
    let limits = [
        ("memory_bytes", limits.memory_bytes),
        ("call_ms", limits.call_ms.into()),
        ("call_fuel", limits.call_fuel),
        ("mailbox_messages", limits.mailbox_messages.into()),
        ("body_bytes", limits.body_bytes.into()),
        ("messages_per_second", limits.messages_per_second.into()),
        ("kv_per_second", limits.kv_per_second.into()),
        ("log_lines_per_second", limits.log_lines_per_second.into()),
        ("events_per_second", limits.events_per_second.into()),
        ("episodes", limits.episodes.into()),
        ("episodes_bytes", limits.episodes_bytes),
        ("memory_per_second", limits.memory_per_second.into()),
        ("grpc_per_second", limits.grpc_per_second.into()),
        ("http_per_second", limits.http_per_second.into()),
    ];
    let named = limits.into_iter().filter(|(_, amount)| *amount > 0);
    named.map(|(name, amount)| format!("--limit={name}={amount}"))
}

#[cfg(test)]
mod tests {
    use matrix_proto::v1::{Grants, Limits, Persona, Value as PersonaValue};

    use super::*;

    #[test]
    fn a_souls_own_is_what_it_is_checked_with() {
        let values = vec![PersonaValue { name: "honesty".to_owned(), weight: 0.5 }];
        let manifest = SoulManifest {
            config: [("x".to_owned(), "1".to_owned()), ("a".to_owned(), "b=c".to_owned())].into(),
            grants: Some(Grants { send: vec!["soul:neo".to_owned()], events: true, ..Grants::default() }),
            limits: Some(Limits { call_ms: 9, mailbox_messages: 3, ..Limits::default() }),
            persona: Some(Persona { description: "a".to_owned(), values, ..Persona::default() }),
            ..SoulManifest::default()
        };
        let limit = |setting: &str, default, max| Limit {
            setting: setting.to_owned(),
            default,
            max,
            ..Limit::default()
        };
        let node = [limit("limits.call_ms", 5, 90), limit("fixed", 1, 1), limit("souls.max", 2, 2)];
        let expected = [
            "--grants={\"ask\":[],\"buckets\":[],\"events\":true,\"grpc\":[],\"http\":[],\"memory\":false,\
             \"send\":[\"soul:neo\"],\"subscribe\":[]}",
            "--persona={\"description\":\"a\",\"traits\":[],\"values\":[[\"honesty\",0.5]]}",
            "--node-limits={\"default\":{\"call_ms\":5},\"max\":{\"call_ms\":90}}",
            "--set=a=b=c",
            "--set=x=1",
            "--limit=call_ms=9",
            "--limit=mailbox_messages=3",
        ];
        assert_eq!(from_manifest(&manifest, &node), expected);
    }
}
