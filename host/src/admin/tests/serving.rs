//! Connections: what hyper, and the limits that it is given, make of them.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};

use super::rooms::Known;
use super::*;

/// What HTTP/2 begins with, and empty settings (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// Bytes of a frame's head: the length, the kind, flags, the stream.
const HEAD_BYTES: usize = 9;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
/// That the headers are whole, and nothing follows them.
const END: u8 = 0x5;
/// The one header `:method: POST`, where a path would have to be.
const NONSENSE: u8 = 0x83;
/// Resets after which hyper ends a connection, unless told otherwise.
const RESETS_MAX: usize = 1_024;

/// A body that never comes.
struct Never;

impl HttpBody for Never {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Pending
    }
}

/// How a call ends that hangs, for want of its request.
async fn hang(known: Known) -> Status {
    end_of(known, "/matrix.v1.Kv/Put", Body::new(Never)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_does_not_answer_in_time_is_told_so() {
    let rooms = Rooms::open(AdminConfig { call_seconds_max: 1, ..config() }).await;
    let status = hang(rooms.known().await).await;
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(status.message().contains("1s") && status.message().contains("call_seconds_max"), "{status}");
    rooms.close().await;
}

/// Whether somebody takes connections at this address of gRPC's.
async fn is_open(url: &str) -> bool {
    match url.strip_prefix("unix:") {
        Some(path) => tokio::net::UnixStream::connect(path).await.is_ok(),
        None => tokio::net::TcpStream::connect(url.trim_start_matches("http://")).await.is_ok(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_takes_no_connections_while_calls_are_let_go_on() {
    for place in 0..2 {
        let rooms = Rooms::open(config()).await;
        let url = rooms.grpc().swap_remove(place);
        let known = rooms.known_at(&url).await;
        let mut hanging = Box::pin(hang(known.clone()));
        // A later call on the same connection is answered: the first one is under way.
        tokio::select! {
            biased;
            _ = &mut hanging => panic!("nothing is to answer it"),
            later = async { ClusterClient::new(known).status(v1::StatusRequest {}).await } => drop(later.expect("known")),
        }
        let mut closing = pin!(rooms.close());
        loop {
            tokio::select! {
                biased;
                _ = &mut closing => panic!("{url} was open to the end"),
                is_open = is_open(&url) => if !is_open { break },
            }
        }
        assert!(futures::poll!(&mut hanging).is_pending(), "{url}: it was let go on");
        drop(hanging);
        assert!(closing.await, "nothing is under way any more");
    }
}

/// Sends so many requests that are none on one connection; returns how many the node reset until it closed it.
fn resets(address: &str, requests: u32) -> usize {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    let mut text = PREFACE.to_vec();
    for number in 0..requests {
        text.extend_from_slice(&[0, 0, 1, HEADERS, END]);
        text.extend_from_slice(&(2 * number + 1).to_be_bytes());
        text.push(NONSENSE);
    }
    // It fails where the node has closed the connection already.
    drop(stream.write_all(&text));
    let mut told = Vec::new();
    let ended = stream.read_to_end(&mut told);
    assert!(
        ended.is_ok() || ended.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset),
        "it stays open"
    );
    let mut frames = &told[..];
    let mut resets = 0;
    while let Some(([a, b, c, kind, ..], rest)) = frames.split_first_chunk::<HEAD_BYTES>() {
        resets += usize::from(*kind == RST_STREAM);
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        frames = rest.get(length..).unwrap_or_default();
    }
    resets
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_only_sends_nonsense_is_cut_off() {
    let rooms = Rooms::open(config()).await;
    let address = rooms.grpc()[1].trim_start_matches("http://").to_owned();
    let resets = tokio::task::spawn_blocking(move || resets(&address, 20_000)).await.expect("no panic");
    assert!((1..=RESETS_MAX + 1).contains(&resets), "{resets}");
    rooms.cluster(&rooms.grpc()[1]).await.status(v1::StatusRequest {}).await.expect("others are served on");
    rooms.close().await;
}
