//! `matrix.v1.Logs`.

use std::sync::Arc;

use futures::stream;
use matrix_proto::v1;
use matrix_proto::v1::logs_server::Logs;
use tonic::{Request, Response, Status};

use super::convert;
use super::desk::{Answers, Desk};
use crate::telemetry::logs::LogFilter;
use crate::telemetry::pattern::Pattern;

/// The service.
#[derive(Debug)]
pub(super) struct LogsService(pub(super) Arc<Desk>);

#[tonic::async_trait]
impl Logs for LogsService {
    type TailStream = Answers<v1::LogLine>;

    async fn tail(&self, request: Request<v1::TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        let v1::TailRequest { source, level, lines, follow } = request.into_inner();
        let source = if source.is_empty() { None } else { Some(Pattern::parse(&source)?) };
        let filter = LogFilter { source, level: convert::level(level)? };
        let place = self.0.stream()?;
        let tail = self.0.host.logs.tail(filter, lines as usize);
        // Without `follow` it ends with what was there, however many lines are written meanwhile.
        let left = if follow { usize::MAX } else { lines as usize };
        let lines = stream::unfold((tail, left), move |(mut tail, left)| async move {
            let left = left.checked_sub(1)?;
            let tailed = if follow { tail.next().await } else { tail.try_next()? };
            Some((Ok(convert::line(&tailed)), (tail, left)))
        });
        Ok(self.0.answers(place, lines))
    }
}
