//! A NATS server as a process of its own, and two clients of it with a thread and a connection each: messages
//! of 100 bytes from one to the other, and questions that the other answers.
//!
//! The protocol is documented at docs.nats.io, under "Client Protocol". The clients do less than any real one
//! would, so that the server is what is measured: the publisher's messages are written down beforehand, and
//! the subscriber only counts.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::kv::free_port;

/// Bytes of a message.
const BODY_BYTES: usize = 100;
/// Messages of a write: some 30 KiB.
const MESSAGES_PER_WRITE: usize = 256;
/// Bytes of a reader's buffer: no line is longer, and a read brings many messages.
const BUFFER_BYTES: usize = 256 * 1024;
/// Questions that are asked before any is measured.
const WARM_UP: usize = 2_000;
/// How long the server may take to listen, and a message to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// The server. It ends when this is dropped.
pub(crate) struct Nats {
    child: Child,
    port: u16,
}

impl Nats {
    /// Starts the server with its own defaults, and waits until it answers; none where it is not installed,
    /// and then it is told how to install it.
    ///
    /// # Panics
    /// If it does not answer within half a minute.
    pub(crate) async fn start() -> Option<Self> {
        let port = free_port();
        let mut command = Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-p", &port.to_string()]);
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let Ok(child) = started else {
            eprintln!("  nats-server: not found; install it: apt-get install nats-server");
            return None;
        };
        let server = Self { child, port };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < PATIENCE, "nats-server never listened");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(server)
    }

    /// Seconds until one client has published `messages` bodies of 100 bytes and the other has counted them,
    /// from before the first is written. Nothing but the server holds the publisher back.
    ///
    /// # Panics
    /// If a connection fails, or the server drops the subscriber because it is too slow.
    pub(crate) fn send(&self, messages: usize) -> f64 {
        let mut publisher = self.connect();
        let mut subscriber = self.connect();
        subscriber.subscribe("bench");
        let message = published("bench", "");
        let batch = message.repeat(MESSAGES_PER_WRITE);
        thread::scope(|scope| {
            let counted = scope.spawn(move || {
                for _ in 0..messages {
                    subscriber.next();
                }
                Instant::now()
            });
            let began = Instant::now();
            for _ in 0..messages / MESSAGES_PER_WRITE {
                publisher.write(&batch);
            }
            publisher.write(&batch[..messages % MESSAGES_PER_WRITE * message.len()]);
            let ended = counted.join().expect("every message arrives");
            ended.duration_since(began).as_secs_f64()
        })
    }

    /// The median and the p99, in microseconds, of `calls` questions of 100 bytes, one at a time, which the
    /// other client answers with their own bytes. 2,000 more are asked before. The inbox of the answers is
    /// subscribed to once, as clients do that share it between questions.
    ///
    /// # Panics
    /// If `calls` is 0, or a connection fails.
    pub(crate) fn ask(&self, calls: usize) -> [f64; 2] {
        let mut asker = self.connect();
        let mut answerer = self.connect();
        answerer.subscribe("echo");
        asker.subscribe("inbox");
        let (question, answer) = (published("echo", "inbox"), published("inbox", ""));
        let mut taken = thread::scope(|scope| {
            scope.spawn(move || {
                for _ in 0..WARM_UP + calls {
                    answerer.next();
                    answerer.write(&answer);
                }
            });
            let mut ask = || {
                let began = Instant::now();
                asker.write(&question);
                asker.next();
                began.elapsed()
            };
            let taken: Vec<_> = (0..WARM_UP + calls).map(|_| ask()).collect();
            taken[WARM_UP..].to_vec()
        });
        taken.sort_unstable();
        [50, 99].map(|percent| taken[(calls * percent).div_ceil(100) - 1].as_secs_f64() * 1e6)
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the server listens");
        stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(PATIENCE))).expect("a socket");
        let mut client = Client { stream, buffer: vec![0; BUFFER_BYTES], begin: 0, end: 0 };
        client.write(b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\n");
        client.flushed();
        client
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A message as a client writes it: `PUB`, the subject, where answers shall go, if anywhere, its length, and
/// its bytes.
fn published(subject: &str, answers: &str) -> Vec<u8> {
    let mut message = format!("PUB {subject} {answers} {BODY_BYTES}\r\n").into_bytes();
    message.extend([b'x'; BODY_BYTES]);
    message.extend(b"\r\n");
    message
}

/// A connection, and what has come of it and is not yet read.
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
}

impl Client {
    fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server reads");
    }

    /// Asks for a subject's messages; once this returns, the server has understood.
    fn subscribe(&mut self, subject: &str) {
        self.write(format!("SUB {subject} 1\r\n").as_bytes());
        self.flushed();
    }

    /// Waits until the server has done all that it was told: it answers in order.
    fn flushed(&mut self) {
        self.write(b"PING\r\n");
        while self.line() != Line::Pong {}
    }

    /// Waits for the next message, and passes over it.
    fn next(&mut self) {
        loop {
            match self.line() {
                Line::Message(length) => {
                    assert_eq!(length, BODY_BYTES, "a body is as long as it was sent");
                    return self.skip(length + 2);
                }
                Line::Ping => self.write(b"PONG\r\n"),
                Line::Pong | Line::Info => {}
            }
        }
    }

    fn line(&mut self) -> Line {
        loop {
            let unread = &self.buffer[self.begin..self.end];
            if let Some(length) = unread.iter().position(|&byte| byte == b'\n') {
                let line = Line::of(unread[..length].trim_ascii_end());
                self.begin += length + 1;
                return line;
            }
            self.read();
        }
    }

    fn skip(&mut self, bytes: usize) {
        while self.end - self.begin < bytes {
            self.read();
        }
        self.begin += bytes;
    }

    /// Waits for more bytes, and reads as many as have come and have room.
    fn read(&mut self) {
        self.buffer.copy_within(self.begin..self.end, 0);
        (self.begin, self.end) = (0, self.end - self.begin);
        assert!(self.end < BUFFER_BYTES, "the server sent a line that has no end");
        let read = self.stream.read(&mut self.buffer[self.end..]).expect("the server goes on sending");
        assert!(read > 0, "the server closed the connection");
        self.end += read;
    }
}

/// What the server sends. The bytes of a message follow its line, and end with a line's end.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Info,
    Ping,
    Pong,
    /// With the length of its bytes.
    Message(usize),
}

impl Line {
    /// # Panics
    /// If it is an error, or no line of the protocol.
    fn of(line: &[u8]) -> Self {
        match line {
            [b'M', b'S', b'G', b' ', rest @ ..] => {
                let length = rest.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
                Self::Message(length.iter().fold(0, |length, &digit| length * 10 + usize::from(digit - b'0')))
            }
            b"PING" => Self::Ping,
            b"PONG" => Self::Pong,
            [b'I', b'N', b'F', b'O', b' ', ..] => Self::Info,
            other => panic!("the server sent `{}`", other.escape_ascii()),
        }
    }
}
