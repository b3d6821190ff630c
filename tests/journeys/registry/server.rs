//! A registry that does what a test tells it to.

use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A question: its first line, and its headers in small letters.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// Such as `GET /v2/a/manifests/1`.
    pub(super) what: String,
    /// Each with its value.
    pub(super) headers: Vec<(String, String)>,
}

impl Asked {
    /// A header's value.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// It answers until the process ends.
pub(super) struct Server {
    /// Where it is.
    pub(super) port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Starts it: `answer` writes what is answered, of which it may think what it wants.
    pub(super) fn start(
        answer: impl Fn(&Asked, &mut dyn Write) -> std::io::Result<()> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
        let port = listener.local_addr().expect("it is bound").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // Whoever asks goes away in the midst of what is too much.
                let _ = serve(stream, &seen, &answer);
            }
        });
        Self { port, asked }
    }

    /// What was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}

fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Asked>>,
    answer: &impl Fn(&Asked, &mut dyn Write) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let what = line.trim().rsplit_once(' ').map(|(what, _)| what.to_owned()).unwrap_or_default();
    let (mut headers, mut length) = (Vec::new(), 0);
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
        if name == "content-length" {
            length = value.parse().unwrap_or(0);
        }
        headers.push((name, value));
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    let asked = Asked { what, headers };
    seen.lock().expect("no panic").push(asked.clone());
    answer(&asked, &mut stream)
}

/// Writes a whole answer.
pub(super) fn say(
    out: &mut dyn Write,
    status: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<()> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    write!(out, "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n")?;
    out.write_all(body)
}
