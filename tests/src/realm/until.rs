//! Waiting for what a realm comes to by itself.

use std::future::Future;
use std::time::{Duration, Instant};

/// How often it is asked.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until `ask` gives something; returns it, and how long that took.
///
/// # Panics
/// Where it takes longer than `within`.
pub async fn until<T, F>(what: &str, within: Duration, mut ask: impl FnMut() -> F) -> (T, Duration)
where
    F: Future<Output = Option<T>>,
{
    until_told(what, within, || {
        let asked = ask();
        async move { asked.await.ok_or("nothing") }
    })
    .await
}

/// Waits until `ask` gives something, as [`until`] does; where it never does, the panic says what it gave instead.
///
/// # Panics
/// Where it takes longer than `within`.
pub async fn until_told<T, E, F>(what: &str, within: Duration, mut ask: impl FnMut() -> F) -> (T, Duration)
where
    F: Future<Output = Result<T, E>>,
    E: std::fmt::Display,
{
    let start = Instant::now();
    loop {
        let seen = match ask().await {
            Ok(found) => {
                let took = start.elapsed();
                assert!(took <= within, "it took {took:?} until this: {what}");
                return (found, took);
            }
            Err(seen) => seen,
        };
        assert!(
            start.elapsed() < within,
            "within {within:?} it never came to this: {what}; the last seen: {seen}"
        );
        tokio::time::sleep(LOOK).await;
    }
}
