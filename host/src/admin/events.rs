//! `matrix.v1.Events`.

use std::sync::Arc;

use futures::stream;
use matrix_proto::v1;
use matrix_proto::v1::events_server::Events;
use tonic::{Request, Response, Status};

use super::convert;
use super::desk::{Answers, Desk};
use crate::transport::bus::Filter;

/// The service.
#[derive(Debug)]
pub(super) struct EventsService(pub(super) Arc<Desk>);

#[tonic::async_trait]
impl Events for EventsService {
    type SubscribeStream = Answers<v1::SubscribeResponse>;

    async fn subscribe(
        &self,
        request: Request<v1::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let v1::SubscribeRequest { from, kinds, sources } = request.into_inner();
        let place = self.0.stream()?;
        let subscription = self.0.host.bus.subscribe(Filter::new(&kinds, &sources)?, from)?;
        let items = stream::unfold(subscription, |mut subscription| async {
            let item = subscription.next().await;
            Some((Ok(convert::event(item)), subscription))
        });
        Ok(self.0.answers(place, items))
    }
}
