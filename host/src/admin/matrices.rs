//! `matrix.v1.Matrices`.

use std::sync::Arc;

use futures::future::join_all;
use futures::stream;
use matrix_proto::v1;
use matrix_proto::v1::matrices_server::Matrices;
use tonic::{Request, Response, Status};

use super::convert;
use super::desk::{Answers, Desk, open};
use super::paging::{Page, page_size};
use super::replay::Key;
use crate::ids::MatrixName;
use crate::matrices::{REHEARSAL_TICKS_MAX, STEP_TICKS_MAX};

/// How many ticks a dry run of a swap goes through where nothing is said.
const REHEARSED: u32 = 20;

/// The service.
#[derive(Debug)]
pub(super) struct MatricesService(pub(super) Arc<Desk>);

#[tonic::async_trait]
impl Matrices for MatricesService {
    async fn create(
        &self,
        request: Request<v1::CreateMatrixRequest>,
    ) -> Result<Response<v1::Matrix>, Status> {
        let (caller, request) = open(request)?;
        let given = request.manifest.as_ref().map(|manifest| manifest.name.parse());
        if let Some(Ok(name)) = given
            && let Some(answer) = self.0.relayed("Matrices/Create", &name, &caller, &request).await
        {
            return answer.map(Response::new);
        }
        let v1::CreateMatrixRequest { manifest, request_id, start } = request;
        let key = Key::new(&caller, "Matrices/Create", &request_id)?;
        let host = self.0.host.clone();
        let created = async move {
            let manifest = convert::required_matrix(manifest)?;
            let rules = host.catalog.resolve(&manifest.rules).await;
            let rules = rules.map_err(|error| convert::component_at("manifest.rules", error))?;
            let manifest = convert::matrix_manifest(manifest, rules)?;
            let view = host.matrices.create(manifest, start, None).await?;
            Ok(convert::matrix(&view))
        };
        self.0.mutate(key, created).await.map(Response::new)
    }

    async fn get(&self, request: Request<v1::GetMatrixRequest>) -> Result<Response<v1::Matrix>, Status> {
        let (caller, request) = open(request)?;
        let name = name(&request.name)?;
        if let Some(answer) = self.0.relayed("Matrices/Get", &name, &caller, &request).await {
            return answer.map(Response::new);
        }
        Ok(Response::new(convert::matrix(&self.0.host.matrices.get(&name)?)))
    }

    async fn list(
        &self,
        request: Request<v1::ListMatricesRequest>,
    ) -> Result<Response<v1::ListMatricesResponse>, Status> {
        let (caller, request) = open(request)?;
        let size = page_size(request.page.as_ref().map_or(0, |page| page.page_size))?;
        let mut lists = vec![self.here(request.clone())?];
        let (nodes, me) = (self.0.host.realm.nodes().borrow().clone(), self.0.host.realm.me());
        let others = nodes.nodes.values().filter(|view| view.is_alive && view.record.node != me);
        let asked = others.map(|view| self.0.relay_to(view.record.node, "Matrices/List", &caller, &request));
        for answer in join_all(asked).await {
            match answer {
                Ok(list) => lists.push(list),
                Err(error) => tracing::warn!(%error, "the Matrices of a node are left out of a list"),
            }
        }
        Ok(Response::new(merged(lists, size)))
    }

    async fn start(&self, request: Request<v1::StartMatrixRequest>) -> Result<Response<v1::Matrix>, Status> {
        let (caller, request) = open(request)?;
        let (key, name) = (Key::new(&caller, "Matrices/Start", &request.request_id)?, name(&request.name)?);
        if let Some(answer) = self.0.relayed("Matrices/Start", &name, &caller, &request).await {
            return answer.map(Response::new);
        }
        let matrices = self.0.host.matrices.clone();
        let started = async move { Ok(convert::matrix(&matrices.run(&name, None).await?)) };
        self.0.mutate(key, started).await.map(Response::new)
    }

    async fn pause(&self, request: Request<v1::PauseMatrixRequest>) -> Result<Response<v1::Matrix>, Status> {
        let (caller, request) = open(request)?;
        let (key, name) = (Key::new(&caller, "Matrices/Pause", &request.request_id)?, name(&request.name)?);
        if let Some(answer) = self.0.relayed("Matrices/Pause", &name, &caller, &request).await {
            return answer.map(Response::new);
        }
        let matrices = self.0.host.matrices.clone();
        let paused = async move { Ok(convert::matrix(&matrices.pause(&name, None).await?)) };
        self.0.mutate(key, paused).await.map(Response::new)
    }

    async fn step(&self, request: Request<v1::StepMatrixRequest>) -> Result<Response<v1::Matrix>, Status> {
        let (caller, request) = open(request)?;
        let (key, name) = (Key::new(&caller, "Matrices/Step", &request.request_id)?, name(&request.name)?);
        if let Some(answer) = self.0.relayed("Matrices/Step", &name, &caller, &request).await {
            return answer.map(Response::new);
        }
        let ticks = ticks(request.ticks)?;
        let matrices = self.0.host.matrices.clone();
        let stepped = async move { Ok(convert::matrix(&matrices.step(&name, ticks).await?)) };
        self.0.mutate(key, stepped).await.map(Response::new)
    }

    async fn stop(&self, request: Request<v1::StopMatrixRequest>) -> Result<Response<v1::Matrix>, Status> {
        let (caller, request) = open(request)?;
        let (key, name) = (Key::new(&caller, "Matrices/Stop", &request.request_id)?, name(&request.name)?);
        if let Some(answer) = self.0.relayed("Matrices/Stop", &name, &caller, &request).await {
            return answer.map(Response::new);
        }
        let matrices = self.0.host.matrices.clone();
        let stopped = async move { Ok(convert::matrix(&matrices.stop(&name, None).await?)) };
        self.0.mutate(key, stopped).await.map(Response::new)
    }

    async fn r#move(&self, request: Request<v1::MoveMatrixRequest>) -> Result<Response<v1::Matrix>, Status> {
        let (caller, request) = open(request)?;
        let (key, name) = (Key::new(&caller, "Matrices/Move", &request.request_id)?, name(&request.name)?);
        if let Some(answer) = self.0.relayed("Matrices/Move", &name, &caller, &request).await {
            return answer.map(Response::new);
        }
        let matrices = self.0.host.matrices.clone();
        let moved = async move { Ok(convert::matrix(&matrices.move_to(&name, request.node).await?)) };
        self.0.mutate(key, moved).await.map(Response::new)
    }

    async fn swap(
        &self,
        request: Request<v1::SwapMatrixRequest>,
    ) -> Result<Response<v1::SwapMatrixResponse>, Status> {
        let (caller, request) = open(request)?;
        let (key, name) = (Key::new(&caller, "Matrices/Swap", &request.request_id)?, name(&request.name)?);
        if let Some(answer) = self.0.relayed("Matrices/Swap", &name, &caller, &request).await {
            return answer.map(Response::new);
        }
        let (host, ticks) = (self.0.host.clone(), rehearsed(request.ticks)?);
        let swapped = async move {
            host.matrices.get(&name)?;
            let rules = host.catalog.resolve(&request.component).await;
            let rules = rules.map_err(|error| convert::component_at("component", error))?;
            let (view, rehearsal) = if request.dry_run {
                let found = host.matrices.rehearse(&name, rules, ticks).await?;
                (host.matrices.get(&name)?, Some(convert::rehearsal(&found)))
            } else {
                (host.matrices.swap(&name, rules).await?, None)
            };
            Ok(v1::SwapMatrixResponse { matrix: Some(convert::matrix(&view)), rehearsal })
        };
        self.0.mutate(key, swapped).await.map(Response::new)
    }

    async fn rollback(
        &self,
        request: Request<v1::RollbackMatrixRequest>,
    ) -> Result<Response<v1::Matrix>, Status> {
        let (caller, request) = open(request)?;
        let (key, name) =
            (Key::new(&caller, "Matrices/Rollback", &request.request_id)?, name(&request.name)?);
        if let Some(answer) = self.0.relayed("Matrices/Rollback", &name, &caller, &request).await {
            return answer.map(Response::new);
        }
        let matrices = self.0.host.matrices.clone();
        let swapped = async move { Ok(convert::matrix(&matrices.roll_back(&name).await?)) };
        self.0.mutate(key, swapped).await.map(Response::new)
    }

    async fn delete(
        &self,
        request: Request<v1::DeleteMatrixRequest>,
    ) -> Result<Response<v1::DeleteMatrixResponse>, Status> {
        let (caller, request) = open(request)?;
        let (key, name) = (Key::new(&caller, "Matrices/Delete", &request.request_id)?, name(&request.name)?);
        let matrices = self.0.host.matrices.clone();
        let orphan = matrices.is_orphan(&name);
        if !orphan && let Some(answer) = self.0.relayed("Matrices/Delete", &name, &caller, &request).await {
            return answer.map(Response::new);
        }
        let deleted = async move {
            if !orphan {
                matrices.get(&name)?;
            }
            matrices.delete(&name, None).await?;
            Ok(v1::DeleteMatrixResponse {})
        };
        self.0.mutate(key, deleted).await.map(Response::new)
    }

    async fn view(
        &self,
        request: Request<v1::ViewMatrixRequest>,
    ) -> Result<Response<v1::ViewMatrixResponse>, Status> {
        let (caller, request) = open(request)?;
        let name = name(&request.name)?;
        if let Some(answer) = self.0.relayed("Matrices/View", &name, &caller, &request).await {
            return answer.map(Response::new);
        }
        let (tick, content) = self.0.host.matrices.view(&name).await?;
        Ok(Response::new(v1::ViewMatrixResponse { tick, content: Some(convert::content_to(&content)) }))
    }

    type ReplayStream = Answers<v1::ReplayMatrixResponse>;

    async fn replay(
        &self,
        request: Request<v1::ReplayMatrixRequest>,
    ) -> Result<Response<Self::ReplayStream>, Status> {
        let name = name(&request.into_inner().name)?;
        let place = self.0.stream()?;
        let progress = self.0.host.matrices.replay(&name)?;
        let steps = stream::unfold(progress, |mut progress| async {
            let step = progress.recv().await?;
            Some((step.map(|step| convert::replayed(&step)).map_err(Status::from), progress))
        });
        Ok(self.0.answers(place, steps))
    }
}

impl MatricesService {
    /// The Matrices of this node alone: what other nodes ask for.
    pub(super) async fn list_here(
        &self,
        request: Request<v1::ListMatricesRequest>,
    ) -> Result<Response<v1::ListMatricesResponse>, Status> {
        self.here(request.into_inner()).map(Response::new)
    }

    fn here(&self, request: v1::ListMatricesRequest) -> Result<v1::ListMatricesResponse, Status> {
        let page = Page::<MatrixName>::parse(request.page)?;
        let found = self.0.host.matrices.list(page.after.as_ref(), page.look_up());
        let (matrices, next_page_token) = page.cut(found, |view| view.manifest.name.clone(), convert::matrix);
        Ok(v1::ListMatricesResponse { matrices, next_page_token })
    }
}

fn called(matrix: &v1::Matrix) -> &str {
    matrix.manifest.as_ref().map_or("", |manifest| &manifest.name)
}

/// One page out of those of several nodes. What stands behind the end of a page that goes on is left for the next
/// one: it may come after what another node has there.
fn merged(lists: Vec<v1::ListMatricesResponse>, size: usize) -> v1::ListMatricesResponse {
    let ends = lists.iter().filter(|list| !list.next_page_token.is_empty());
    let end = ends.map(|list| list.next_page_token.clone()).min();
    let mut matrices: Vec<_> = lists.into_iter().flat_map(|list| list.matrices).collect();
    matrices.sort_by(|a, b| called(a).cmp(called(b)));
    if let Some(end) = &end {
        matrices.retain(|matrix| called(matrix) <= end.as_str());
    }
    let more = end.is_some() || matrices.len() > size;
    matrices.truncate(size);
    let last = matrices.last().filter(|_| more).map(|matrix| called(matrix).to_owned());
    v1::ListMatricesResponse { matrices, next_page_token: last.unwrap_or_default() }
}

fn name(text: &str) -> Result<MatrixName, Status> {
    text.parse().map_err(|error| convert::bad_id("name", &error))
}

fn ticks(given: u32) -> Result<u32, Status> {
    match given {
        0 => Ok(1),
        1..=STEP_TICKS_MAX => Ok(given),
        _ => Err(convert::bad_field("ticks", &format!("is {given}: use at most {STEP_TICKS_MAX}"))),
    }
}

fn rehearsed(given: u32) -> Result<u32, Status> {
    match given {
        0 => Ok(REHEARSED),
        1..=REHEARSAL_TICKS_MAX => Ok(given),
        _ => Err(convert::bad_field("ticks", &format!("is {given}: use at most {REHEARSAL_TICKS_MAX}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_several_nodes_make_one_that_leaves_nothing_out() {
        let list = |names: &[&str], next: &str| v1::ListMatricesResponse {
            matrices: names
                .iter()
                .map(|name| v1::Matrix {
                    manifest: Some(v1::MatrixManifest { name: (*name).to_owned(), ..Default::default() }),
                    ..Default::default()
                })
                .collect(),
            next_page_token: next.to_owned(),
        };
        let names = |list: &v1::ListMatricesResponse| {
            list.matrices.iter().map(|matrix| called(matrix).to_owned()).collect::<Vec<_>>()
        };
        let all = merged(vec![list(&["a", "d"], ""), list(&["b"], "")], 10);
        assert_eq!(
            (names(&all), all.next_page_token.as_str()),
            (vec!["a".into(), "b".into(), "d".into()], "")
        );
        let cut = merged(vec![list(&["a", "b"], "b"), list(&["c", "d"], "d")], 10);
        assert_eq!((names(&cut), cut.next_page_token.as_str()), (vec!["a".into(), "b".into()], "b"));
        let full = merged(vec![list(&["a", "c"], ""), list(&["b", "d"], "")], 3);
        assert_eq!((names(&full).len(), full.next_page_token.as_str()), (3, "c"));
    }

    #[test]
    fn steps_are_bounded() {
        assert_eq!(
            (ticks(0).ok(), ticks(STEP_TICKS_MAX).ok(), ticks(STEP_TICKS_MAX + 1).ok()),
            (Some(1), Some(STEP_TICKS_MAX), None)
        );
        let (most, more) = (REHEARSAL_TICKS_MAX, REHEARSAL_TICKS_MAX + 1);
        assert_eq!(
            (rehearsed(0).ok(), rehearsed(most).ok(), rehearsed(more).ok()),
            (Some(REHEARSED), Some(most), None)
        );
    }
}
