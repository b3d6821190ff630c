//! Observe.

use matrix_proto::v1::observe_server::Observe;
use matrix_proto::v1::*;
use tonic::{Request, Response, Status};

use super::Services;

#[tonic::async_trait]
impl Observe for Services {
    async fn usage(&self, request: Request<UsageRequest>) -> Result<Response<UsageResponse>, Status> {
        drop(self.enter("Usage", request.get_ref())?);
        let used = Figures {
            cpu_ns: 1_000_000_000,
            fuel: 3_000_000,
            received: 40,
            sent: 8,
            calls: 6,
            refused: 2,
            ..Figures::default()
        };
        let node = NodeUsage {
            node: 1,
            window_us: 2_000_000,
            used: Some(used),
            memory_bytes: 3 << 20,
            memory_bytes_max: 1 << 30,
            guests: 7,
            processors: 4,
            reason: String::new(),
        };
        let away =
            NodeUsage { node: 2, reason: "it did not answer in time".to_owned(), ..NodeUsage::default() };
        let guest = GuestUsage {
            kind: "soul".to_owned(),
            name: "neo\u{1b}".to_owned(),
            node: 1,
            state: "running".to_owned(),
            memory_bytes: 1 << 20,
            waiting: 5,
            total: Some(Figures { turned_away: 9, ..used }),
            used: Some(used),
        };
        Ok(Response::new(UsageResponse { nodes: vec![node, away], guests: vec![guest] }))
    }

    async fn limits(&self, request: Request<LimitsRequest>) -> Result<Response<LimitsResponse>, Status> {
        drop(self.enter("Limits", request.get_ref())?);
        let limit = |name: &str, unit: &str, default, max| Limit {
            name: name.to_owned(),
            what: "What it limits.".to_owned(),
            setting: format!("limits.{name}"),
            unit: unit.to_owned(),
            default,
            max,
            by: "it is refused".to_owned(),
        };
        let limits =
            vec![limit("memory_bytes", "bytes", 16 << 20, 64 << 20), limit("call_ms", "ms", 250, 60_000)];
        Ok(Response::new(LimitsResponse { limits }))
    }
}
