//! All limits, as they hold on a node with this configuration.

use matrix_label::{PRODUCERS_MAX, TEXT_BYTES_MAX};

use super::Config;
use crate::admin::PIPELINE_OPERATIONS_MAX;
use crate::capabilities::grpc::STATUS_BYTES_MAX;
use crate::capabilities::http::REQUESTS_OF_ONE_MAX;
use crate::capabilities::keyvalue::{BATCH_BYTES_MAX, BATCH_KEYS_MAX};
use crate::learning::{EXPERIENCE_BYTES_MAX, TEACH_BYTES_MAX};
use crate::memory;
use crate::runtime::chain::STAGES_MAX;
use crate::runtime::limits::{
    HANDLES_MAX, LIFTED_BYTES_MAX, Limit, NodeLimit, SNAPSHOT_BYTES_MAX, TABLE_ELEMENTS_MAX,
};
use crate::runtime::soul::ACTIONS_BYTES_MAX;
use crate::transport::directory::TOPICS_PER_SOUL_MAX;
use crate::transport::envelope::CONTENT_TYPE_BYTES_MAX;
use crate::transport::mailbox::MAILBOX_BYTES_MAX;

impl Config {
    /// All limits, in the order of [`every_limit`](crate::every_limit).
    pub fn limits_in_force(&self) -> Vec<Limit> {
        let program = Self::default();
        let of_nodes = NodeLimit::ALL.iter().map(|&limit| Limit {
            listed: limit.listed(),
            default: program.set_to(limit),
            max: self.set_to(limit),
        });
        self.limits.declared().chain(of_nodes).collect()
    }

    /// What a limit is set to.
    fn set_to(&self, limit: NodeLimit) -> u64 {
        let inspect = &self.components.inspect;
        match limit {
            NodeLimit::core_instances => inspect.core_instances_max,
            NodeLimit::state_bytes => self.souls.state_bytes_max as u64,
            NodeLimit::memories => inspect.memories_max,
            NodeLimit::tables => inspect.tables_max,
            NodeLimit::program_bytes => inspect.program_bytes_max,
            NodeLimit::nesting => inspect.nesting_max as u64,
            NodeLimit::modules => inspect.modules_max,
            NodeLimit::component_instances => inspect.instances_max,
            NodeLimit::functions => inspect.functions_max,
            NodeLimit::function_bytes => inspect.function_bytes_max,
            NodeLimit::br_table_targets => inspect.br_table_targets_max.into(),
            NodeLimit::types => inspect.types_max,
            NodeLimit::type_bytes => inspect.type_bytes_max,
            NodeLimit::entries => inspect.entries_max,
            NodeLimit::memory_min_bytes => inspect.memory_min_bytes_max,
            NodeLimit::component_bytes => inspect.component_bytes_max,
            NodeLimit::stack_bytes => self.engine.stack_bytes as u64,
            NodeLimit::guest_memory_bytes => self.engine.guest_memory_bytes(),
            NodeLimit::live_instances => self.engine.live_instances_max.into(),
            NodeLimit::crashes => self.souls.restart.crashes_max as u64,
            NodeLimit::souls => self.souls.souls_max as u64,
            NodeLimit::experiences => self.learning.experiences_max,
            NodeLimit::experience_log_bytes => self.learning.experience_bytes_max,
            NodeLimit::training_memory_bytes => self.learning.memory_bytes,
            NodeLimit::training_ms => self.learning.call_ms.into(),
            NodeLimit::training_fuel => self.learning.call_fuel,
            NodeLimit::matrices => self.matrices.matrices_max as u64,
            NodeLimit::run_log_bytes => self.matrices.run_log_bytes_max,
            NodeLimit::interceptor_ms => self.interceptors.call_ms.into(),
            NodeLimit::interceptor_fuel => self.interceptors.call_fuel,
            NodeLimit::interceptor_memory_bytes => self.interceptors.memory_bytes,
            NodeLimit::message_bytes => self.transport.body_bytes_max as u64,
            NodeLimit::mailboxes_bytes => self.transport.mailboxes_bytes(),
            NodeLimit::hops => self.transport.hops_max.into(),
            NodeLimit::topics => self.transport.topics_max as u64,
            NodeLimit::event_bytes => self.bus.event_bytes_max as u64,
            NodeLimit::subscribers => self.bus.subscribers_max as u64,
            NodeLimit::kv_key_bytes => self.kv.key_bytes_max as u64,
            NodeLimit::kv_value_bytes => self.kv.value_bytes_max as u64,
            NodeLimit::kv_txn_ops => self.kv.txn_ops_max as u64,
            NodeLimit::kv_state_bytes => self.kv.state_bytes_max,
            NodeLimit::connections => self.admin.connections_max as u64,
            NodeLimit::streams => self.admin.streams_max as u64,
            NodeLimit::request_bytes => self.admin.message_bytes_max as u64,
            NodeLimit::audit_file_bytes => self.admin.audit.file_bytes,
            NodeLimit::audit_files => self.admin.audit.files as u64,
            other => {
                self.set_for_components(other).or(self.set_outside(other)).unwrap_or_else(|| fixed(other))
            }
        }
    }

    /// What a limit of services outside the realm is set to; none: it is none of them.
    fn set_outside(&self, limit: NodeLimit) -> Option<u64> {
        Some(match limit {
            NodeLimit::grpc_timeout_ms => self.grpc.timeout_ms.into(),
            NodeLimit::grpc_request_bytes => self.grpc.request_bytes_max as u64,
            NodeLimit::grpc_response_bytes => self.grpc.response_bytes_max as u64,
            NodeLimit::grpc_calls => self.grpc.calls_max as u64,
            NodeLimit::http_timeout_ms => self.http.timeout_ms.into(),
            NodeLimit::http_request_bytes => self.http.request_bytes_max,
            NodeLimit::http_response_bytes => self.http.response_bytes_max,
            NodeLimit::http_headers_bytes => self.http.headers_bytes_max as u64,
            NodeLimit::http_requests => self.http.requests_max as u64,
            _ => return None,
        })
    }

    /// What a limit of uploads, compiling and code is set to; none: it is none of them.
    fn set_for_components(&self, limit: NodeLimit) -> Option<u64> {
        let components = &self.components;
        let compiler = &components.compiler;
        Some(match limit {
            NodeLimit::code_bytes => components.code_bytes_max,
            NodeLimit::components_bytes => components.total_bytes_max,
            NodeLimit::components => components.components_max as u64,
            NodeLimit::uploads => components.uploads_max as u64,
            NodeLimit::compile_memory_bytes => compiler.memory_bytes_max,
            NodeLimit::compile_cpu_seconds => compiler.cpu_seconds_max,
            NodeLimit::compile_wall_seconds => compiler.wall_seconds_max,
            NodeLimit::compile_output_bytes => compiler.output_bytes_max,
            NodeLimit::compile_functions_bytes => compiler.functions_bytes_max,
            NodeLimit::compile_waiting => compiler.waiting_max as u64,
            _ => return None,
        })
    }
}

/// What the program itself says.
fn fixed(limit: NodeLimit) -> u64 {
    let value = match limit {
        NodeLimit::table_elements => TABLE_ELEMENTS_MAX,
        NodeLimit::lifted_bytes => LIFTED_BYTES_MAX,
        NodeLimit::snapshot_bytes => SNAPSHOT_BYTES_MAX,
        NodeLimit::label_bytes => TEXT_BYTES_MAX,
        NodeLimit::label_producers => PRODUCERS_MAX,
        NodeLimit::actions_bytes => ACTIONS_BYTES_MAX,
        NodeLimit::experience_bytes => EXPERIENCE_BYTES_MAX,
        NodeLimit::teach_bytes => TEACH_BYTES_MAX,
        NodeLimit::handles => HANDLES_MAX,
        NodeLimit::grpc_status_bytes => STATUS_BYTES_MAX,
        NodeLimit::http_requests_of_one => REQUESTS_OF_ONE_MAX,
        NodeLimit::pipeline_operations => PIPELINE_OPERATIONS_MAX,
        NodeLimit::interceptors => STAGES_MAX,
        NodeLimit::content_type_bytes => CONTENT_TYPE_BYTES_MAX,
        NodeLimit::mailbox_bytes => MAILBOX_BYTES_MAX,
        NodeLimit::topics_per_soul => TOPICS_PER_SOUL_MAX,
        NodeLimit::kv_batch_keys => BATCH_KEYS_MAX,
        NodeLimit::kv_batch_bytes => BATCH_BYTES_MAX,
        NodeLimit::episode_text_bytes => memory::TEXT_BYTES_MAX,
        NodeLimit::episode_tags => memory::TAGS_MAX,
        NodeLimit::embedding_numbers => memory::EMBEDDING_MAX,
        NodeLimit::recollections => memory::RECOLLECTIONS_MAX,
        NodeLimit::turn_episodes => memory::TURN_MAX,
        _ => 0,
    };
    value as u64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_limit_is_set_to_something_and_names_its_setting() {
        let limits = Config::default().limits_in_force();
        let names: BTreeSet<_> = limits.iter().map(|limit| limit.listed.name).collect();
        assert_eq!(names.len(), limits.len(), "two limits have one name");
        for limit in &limits {
            assert!(limit.max > 0 && limit.default > 0, "{} is not looked up", limit.listed.name);
            let path = limit.listed.setting;
            let is_named = path == "fixed" || path.contains('.') && !path.contains(' ');
            assert!(is_named && limit.listed.what.ends_with('.'), "{limit:?}");
        }
    }

    #[test]
    fn what_is_set_is_what_is_shown() {
        let mut config = Config::default();
        config.limits.max.call_ms = 7;
        config.souls.souls_max = 3;
        let limits = config.limits_in_force();
        let found = |name| limits.iter().find(|limit| limit.listed.name == name).map(|l| (l.default, l.max));
        assert_eq!(found("call_ms"), Some((250, 7)));
        assert_eq!(found("souls"), Some((100_000, 3)));
        assert_eq!(found("memories"), Some((4, 4)));
    }
}
