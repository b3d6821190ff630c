//! What every call shares: request ids, deadlines, retries.

use std::time::Duration;

use tonic::{Code, Request, Response, Status};

use crate::errors::Error;

/// How often a call is tried again when the node is unavailable.
const RETRIES_MAX: u32 = 3;

/// The pause before the first retry; each later one is twice as long. Together about the time that
/// an election takes.
const PAUSE_FIRST: Duration = Duration::from_millis(150);

/// A new request id: 128 random bits, so that no two calls of any client share one. A retry of a
/// call repeats its id.
pub(crate) fn id() -> Result<String, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::local("cannot make a request id", "the system's random source", error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Calls with a message, again while the node is unavailable. The message must be safe to repeat:
/// a read, or a mutation with a request id. `deadline` holds for each try.
pub(crate) async fn retried<M, T>(
    message: M,
    deadline: Duration,
    mut rpc: impl AsyncFnMut(Request<M>) -> Result<Response<T>, Status>,
) -> Result<T, Status>
where
    M: Clone,
{
    let mut pause = PAUSE_FIRST;
    for _ in 0..RETRIES_MAX {
        match once(message.clone(), deadline, &mut rpc).await {
            Err(status) if status.code() == Code::Unavailable => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            end => return end,
        }
    }
    once(message, deadline, rpc).await
}

/// Calls with a message, once.
pub(crate) async fn once<M, T>(
    message: M,
    deadline: Duration,
    mut rpc: impl AsyncFnMut(Request<M>) -> Result<Response<T>, Status>,
) -> Result<T, Status> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    rpc(request).await.map(Response::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn tries(code: Code, failures: u32) -> (Result<&'static str, Code>, Vec<&'static str>) {
        let mut seen = Vec::new();
        let end = retried("id", Duration::from_secs(1), async |request: Request<&'static str>| {
            seen.push(request.into_inner());
            if seen.len() as u32 > failures { Ok(Response::new("done")) } else { Err(Status::new(code, "")) }
        })
        .await;
        (end.map_err(|status| status.code()), seen)
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime").block_on(future)
    }

    #[test]
    fn an_unavailable_node_is_asked_again_with_the_same_message() {
        assert_eq!(block_on(tries(Code::Unavailable, 2)), (Ok("done"), vec!["id"; 3]));
        assert_eq!(block_on(tries(Code::Unavailable, 9)), (Err(Code::Unavailable), vec!["id"; 4]));
    }

    #[test]
    fn other_errors_are_answers() {
        assert_eq!(block_on(tries(Code::Aborted, 1)), (Err(Code::Aborted), vec!["id"]));
    }

    #[test]
    fn request_ids_differ() {
        let (one, two) = (id().expect("random"), id().expect("random"));
        assert_eq!((one.len(), two.len()), (32, 32));
        assert_ne!(one, two);
    }
}
