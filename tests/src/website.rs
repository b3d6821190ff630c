//! A host outside the realm that speaks HTTP: what it answers depends on the path.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// A host that answers as long as the test goes on.
pub struct Website {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Website {
    /// Starts it on a port of its own.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port can be had");
        let address = listener.local_addr().expect("it listens");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = heard.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let hears = hears.clone();
                // Who hangs up hears no more.
                std::thread::spawn(move || serve(connection, &hears).ok());
            }
        });
        Self { address, heard }
    }

    /// Its port, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The paths that were asked for, in order.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Answers one request.
fn serve(mut connection: TcpStream, heard: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let (mut line, mut length, mut headers) = (String::new(), 0, String::new());
    reader.read_line(&mut line)?;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        if header.trim().is_empty() {
            break;
        }
        headers += &header.to_ascii_lowercase();
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    heard.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
    let (word, rest) =
        path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
    let number = || rest.parse::<usize>().unwrap_or_default();
    let body = match word {
        // What came along.
        "header" => headers.lines().find(|line| line.starts_with(rest)).unwrap_or("none").to_owned(),
        "length" => {
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            body.len().to_string()
        }
        "long" => "x".repeat(number()),
        "elsewhere" => {
            let answer = format!(
                "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/{rest}\r\ncontent-length: 0\r\n\r\n"
            );
            return connection.write_all(answer.as_bytes());
        }
        "many-headers" => {
            let header = format!("x-long: {}\r\n", "y".repeat(number()));
            return connection
                .write_all(format!("HTTP/1.1 200 OK\r\n{header}content-length: 0\r\n\r\n").as_bytes());
        }
        "garbage" => return connection.write_all(b"\x00\x01 no such protocol\r\n\r\n"),
        // Begins, and never ends.
        "slow" => {
            connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx")?;
            return reader.read(&mut [0]).map(drop);
        }
        "mute" => return reader.read(&mut [0]).map(drop),
        _ => format!("you asked for {path}"),
    };
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\ncontent-type: text/plain\r\n\r\n", body.len());
    connection.write_all(head.as_bytes())?;
    connection.write_all(body.as_bytes())
}
