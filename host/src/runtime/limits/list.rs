//! The list of all limits.

/// Hands the list of all limits to the macro that it is given the name of. From it the fields of manifests are made,
/// the table that `matrix limits` shows, and the tests: each limit is to have one that proves what it refuses.
///
/// Under `declared`, what a manifest may say: the name, its type, the node's default, the most that it may allow, the
/// unit, and what enforces it. Under `node`, all others: the name, the setting or `fixed`, the unit, and what
/// enforces it; what it is set to is [`Config::limits_in_force`](crate::config::Config::limits_in_force)'s to say.
#[macro_export]
macro_rules! every_limit {
    ($then:ident) => {
        $then! {
            declared {
                /// Linear memory, in bytes.
                memory_bytes: u64 = 16 << 20, max 64 << 20, "bytes", "the engine asks at each growth";
                /// Processor time of one entry into the guest, in milliseconds.
                call_ms: u32 = 250, max 60_000, "ms", "the engine's epochs, every 2 ms";
                /// Fuel for each entry: about one unit an instruction.
                call_fuel: u64 = 10_000_000_000, max 1_000_000_000_000, "fuel", "the engine counts";
                /// Messages that a mailbox holds.
                mailbox_messages: u32 = 4_096, max 65_536, "messages", "the mailbox refuses: mailbox-full";
                /// Bytes of one message's body.
                body_bytes: u32 = 256 * 1024, max 256 * 1024, "bytes", "`send` and `ask` refuse: too-large";
                /// Messages sent in a second.
                messages_per_second: u32 = 100_000, max 10_000_000, "a second", "`send` and `ask` refuse: quota-exceeded";
                /// Operations on the KV in a second.
                kv_per_second: u32 = 1_000, max 100_000, "a second", "the KV's functions refuse";
                /// Episodes that a Soul remembers.
                episodes: u32 = 1_024, max 16_384, "episodes", "the memory forgets the least valuable";
                /// What all episodes of a Soul take, in bytes.
                episodes_bytes: u64 = 1 << 20, max 16 << 20, "bytes", "the memory forgets the least valuable";
                /// Operations on the memory in a second.
                memory_per_second: u32 = 200, max 10_000, "a second", "the memory's functions refuse: quota-exceeded";
                /// Calls to gRPC services in a second.
                grpc_per_second: u32 = 100, max 10_000, "a second", "`call` refuses: RESOURCE_EXHAUSTED";
                /// Requests to hosts outside the realm in a second.
                http_per_second: u32 = 100, max 10_000, "a second", "`handle` refuses: connection-limit-reached";
                /// Lines logged in a second.
                log_lines_per_second: u32 = 100, max 10_000, "a second", "the log drops, and counts what it dropped";
                /// Events published in a second.
                events_per_second: u32 = 1_000, max 100_000, "a second", "`emit` drops, and logs that it did";
            }
            node {
                /// Core instances in one instance of a component.
                core_instances: "components.inspect.core_instances_max", "instances", "the upload is refused";
                /// Linear memories in one instance of a component.
                memories: "components.inspect.memories_max", "memories", "the upload is refused";
                /// Tables in one instance of a component.
                tables: "components.inspect.tables_max", "tables", "the upload is refused";
                /// Elements of one table.
                table_elements: "fixed", "elements", "the engine asks at each growth";
                /// A guest's stack.
                stack_bytes: "engine.stack_bytes", "bytes", "the engine traps";
                /// What one call may make the host copy out of a guest, beside its messages.
                lifted_bytes: "fixed", "bytes", "the engine counts as it copies";
                /// What a snapshot may make the host copy out of a guest.
                snapshot_bytes: "fixed", "bytes", "the engine counts as it copies";
                /// A Soul's state that is saved.
                state_bytes: "souls.state_bytes_max", "bytes", "the checkpoint is refused";
                /// A Soul's actions at one tick, together.
                actions_bytes: "fixed", "bytes", "the act is a crash";
                /// Resource handles that one guest holds.
                handles: "fixed", "handles", "the guest traps";
                /// Crashes of a Soul within `souls.restart.window_seconds`.
                crashes: "souls.restart.crashes_max", "crashes", "the Soul has failed for good";
                /// Linear memory of all guests together.
                guest_memory_bytes: "engine.guest_memory_bytes_max", "bytes", "the node's budget is asked at each growth";
                /// Instances in memory.
                live_instances: "engine.live_instances_max", "instances", "the engine's pool refuses another";
                /// Machine code of components in memory.
                code_bytes: "components.code_bytes_max", "bytes", "the node's budget is asked before code is loaded";
                /// Souls on the node.
                souls: "souls.souls_max", "Souls", "`Spawn` is refused";
                /// Experiences of one Soul that are kept.
                experiences: "learning.experiences_max", "experiences", "the oldest are forgotten";
                /// Experience of one Soul that is kept.
                experience_log_bytes: "learning.experience_bytes_max", "bytes", "the oldest is forgotten";
                /// Input and output of one experience.
                experience_bytes: "fixed", "bytes", "`Teach` is refused";
                /// Inputs and outputs that are taught at once.
                teach_bytes: "fixed", "bytes", "`Teach` is refused";
                /// Linear memory of a copy of a Soul that is trained.
                training_memory_bytes: "learning.memory_bytes", "bytes", "nothing of the lesson is kept";
                /// Processor time of one call into it.
                training_ms: "learning.call_ms", "ms", "nothing of the lesson is kept";
                /// Fuel of one call into it.
                training_fuel: "learning.call_fuel", "fuel", "nothing of the lesson is kept";
                /// Matrices on the node.
                matrices: "matrices.matrices_max", "Matrices", "`Create` is refused";
                /// A run log.
                run_log_bytes: "matrices.run_log_bytes_max", "bytes", "the Matrix fails";
                /// One component.
                component_bytes: "components.inspect.component_bytes_max", "bytes", "the upload is refused";
                /// All components on disk.
                components_bytes: "components.total_bytes_max", "bytes", "the upload is refused";
                /// Components on disk.
                components: "components.components_max", "components", "the upload is refused";
                /// Uploads under way.
                uploads: "components.uploads_max", "uploads", "the upload is refused";
                /// The program that a component carries.
                program_bytes: "components.inspect.program_bytes_max", "bytes", "the upload is refused";
                /// How deep components and modules are nested.
                nesting: "components.inspect.nesting_max", "levels", "the upload is refused";
                /// Core modules and components in a component.
                modules: "components.inspect.modules_max", "modules", "the upload is refused";
                /// Instances of components and of lists of exports in a component.
                component_instances: "components.inspect.instances_max", "instances", "the upload is refused";
                /// Functions of a component.
                functions: "components.inspect.functions_max", "functions", "the upload is refused";
                /// One function.
                function_bytes: "components.inspect.function_bytes_max", "bytes", "the upload is refused";
                /// Targets of one `br_table`.
                br_table_targets: "components.inspect.br_table_targets_max", "targets", "the upload is refused";
                /// Types of a component.
                types: "components.inspect.types_max", "types", "the upload is refused";
                /// All types of a component.
                type_bytes: "components.inspect.type_bytes_max", "bytes", "the upload is refused";
                /// Imports, exports, aliases, globals and segments of a component.
                entries: "components.inspect.entries_max", "entries", "the upload is refused";
                /// Linear memory that a component has from the start.
                memory_min_bytes: "components.inspect.memory_min_bytes_max", "bytes", "the upload is refused";
                /// A text that a component says of itself, such as its description.
                label_bytes: "fixed", "bytes", "the text is cut";
                /// What a component says had a part in making it.
                label_producers: "fixed", "producers", "the others are left out";
                /// Address space of the compile child.
                compile_memory_bytes: "components.compiler.memory_bytes_max", "bytes", "the system stops the child";
                /// Processor time of the compile child.
                compile_cpu_seconds: "components.compiler.cpu_seconds_max", "s", "the system stops the child";
                /// Time from start to end of the compile child.
                compile_wall_seconds: "components.compiler.wall_seconds_max", "s", "the node kills the child";
                /// A compiled component.
                compile_output_bytes: "components.compiler.output_bytes_max", "bytes", "the system stops the child";
                /// Compiled functions that are kept for later compilations.
                compile_functions_bytes: "components.compiler.functions_bytes_max", "bytes", "what nobody needs goes";
                /// Compilations that wait for their turn.
                compile_waiting: "components.compiler.waiting_max", "compilations", "the upload is refused";
                /// Interceptors in the chain.
                interceptors: "fixed", "interceptors", "`SetChain` is refused";
                /// Processor time of one entry into an interceptor.
                interceptor_ms: "interceptors.call_ms", "ms", "the message is refused";
                /// Fuel of one entry into an interceptor.
                interceptor_fuel: "interceptors.call_fuel", "fuel", "the message is refused";
                /// Linear memory of one instance of an interceptor.
                interceptor_memory_bytes: "interceptors.memory_bytes", "bytes", "the message is refused";
                /// The body of any message.
                message_bytes: "transport.body_bytes_max", "bytes", "the router refuses: too-large";
                /// The media type of any message.
                content_type_bytes: "fixed", "bytes", "the router refuses: too-large";
                /// Messages that each caused the next.
                hops: "transport.hops_max", "messages", "the router refuses: too-many-hops";
                /// All bodies that wait in one mailbox.
                mailbox_bytes: "fixed", "bytes", "the mailbox refuses: mailbox-full";
                /// All bodies that wait in all mailboxes of the node.
                mailboxes_bytes: "transport.mailboxes_bytes_max", "bytes", "a mailbox in which something waits refuses: mailbox-full";
                /// Topics that Souls of the node subscribe to.
                topics: "transport.topics_max", "topics", "`subscribe` is refused";
                /// Topics that one Soul subscribes to.
                topics_per_soul: "fixed", "topics", "`subscribe` refuses: quota-exceeded";
                /// The body of an event.
                event_bytes: "bus.event_bytes_max", "bytes", "the event is kept without its body";
                /// Subscriptions to events.
                subscribers: "bus.subscribers_max", "subscriptions", "`Subscribe` is refused";
                /// A key of the KV.
                kv_key_bytes: "kv.key_bytes_max", "bytes", "the KV refuses";
                /// A value of the KV.
                kv_value_bytes: "kv.value_bytes_max", "bytes", "the KV refuses";
                /// Conditions, and mutations, of one transaction.
                kv_txn_ops: "kv.txn_ops_max", "operations", "the KV refuses";
                /// All keys and values of the KV.
                kv_state_bytes: "kv.state_bytes_max", "bytes", "the KV refuses what is not a deletion";
                /// Keys that a guest may name in one call.
                kv_batch_keys: "fixed", "keys", "the function refuses";
                /// Values that a guest may read in one call.
                kv_batch_bytes: "fixed", "bytes", "the function refuses";
                /// The text of one episode, and of a cue.
                episode_text_bytes: "fixed", "bytes", "the memory's functions refuse: invalid";
                /// Tags of one episode.
                episode_tags: "fixed", "tags", "`remember` refuses: invalid";
                /// Numbers of one embedding.
                embedding_numbers: "fixed", "numbers", "the memory's functions refuse: invalid";
                /// Episodes that one call recalls.
                recollections: "fixed", "episodes", "`recall` returns no more";
                /// Episodes that one turn changes, of a Soul that keeps its turns.
                turn_episodes: "fixed", "episodes", "the memory's functions refuse: invalid";
                /// A call to a gRPC service, where its endpoint says nothing.
                grpc_timeout_ms: "grpc.timeout_ms", "ms", "the call ends: DEADLINE_EXCEEDED";
                /// A request to a gRPC service, where its endpoint says nothing.
                grpc_request_bytes: "grpc.request_bytes_max", "bytes", "`call` refuses: RESOURCE_EXHAUSTED";
                /// An answer of a gRPC service, where its endpoint says nothing.
                grpc_response_bytes: "grpc.response_bytes_max", "bytes", "the call ends: RESOURCE_EXHAUSTED";
                /// Calls to one gRPC service that are under way, where its endpoint says nothing.
                grpc_calls: "grpc.calls_max", "calls", "`call` refuses: RESOURCE_EXHAUSTED";
                /// The text of a gRPC service's status.
                grpc_status_bytes: "fixed", "bytes", "the text is cut";
                /// A request to a host outside the realm, to the end of its answer.
                http_timeout_ms: "http.timeout_ms", "ms", "the request ends: http-response-timeout";
                /// The body of a request to a host outside the realm.
                http_request_bytes: "http.request_bytes_max", "bytes", "the request ends: http-request-body-size";
                /// The body of an answer of a host outside the realm.
                http_response_bytes: "http.response_bytes_max", "bytes", "the answer ends: http-response-body-size";
                /// The headers of a request, and of an answer.
                http_headers_bytes: "http.headers_bytes_max", "bytes", "the request ends: http-response-header-section-size";
                /// Requests of the node that are under way.
                http_requests: "http.requests_max", "requests", "`handle` refuses: connection-limit-reached";
                /// Requests of one Soul that are under way.
                http_requests_of_one: "fixed", "requests", "`handle` refuses: connection-limit-reached";
                /// Connections to each of the node's addresses.
                connections: "admin.connections_max", "connections", "the connection is closed";
                /// Streams without an end.
                streams: "admin.streams_max", "streams", "the call is refused: NODE_BUSY";
                /// Operations in one message of a pipeline to the KV, and of one pipeline that are under way.
                pipeline_operations: "fixed", "operations", "the pipeline ends: INVALID_ARGUMENT";
                /// A client's message.
                request_bytes: "admin.message_bytes_max", "bytes", "the call is refused";
                /// One file of the audit log.
                audit_file_bytes: "admin.audit.file_bytes", "bytes", "the next file is begun";
                /// Files of the audit log.
                audit_files: "admin.audit.files", "files", "the oldest file is removed";
            }
        }
    };
}
