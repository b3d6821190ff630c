//! Which node is meant, from flags and environment. Pure but for reading the token.

use std::path::{Path, PathBuf};

use tonic::metadata::{Ascii, MetadataValue};

use super::{ConnectionArgs, SECRET_BYTES_MAX};
use crate::content::read_file;
use crate::environment::Environment;
use crate::errors::Error;

/// The node's socket, inside its data folder.
const SOCKET: &str = "matrixd.sock";

/// The node's token, inside its data folder.
const TOKEN: &str = "token";

/// The data folder, where nothing else is said.
const DATA_DIR: &str = "data";

/// How a node is entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Door {
    /// A Unix socket.
    Unix(PathBuf),
    /// TCP on this machine, or behind something that encrypts.
    Http(String),
    /// TCP with TLS.
    Https(String),
}

/// Where the token is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// Nowhere: none is shown.
    None,
    /// In a file that the user named.
    Given(PathBuf),
    /// In a file of the data folder, if it is there.
    Found(PathBuf),
}

/// A node that is to be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// How it is entered.
    pub(super) door: Door,
    /// What named it.
    why: String,
    token: Token,
}

impl Target {
    /// The first that is there: `--node`, `--data-dir`, `MATRIX_NODE`, `MATRIX_DATA_DIR`, `./data`.
    pub(super) fn choose(args: &ConnectionArgs, environment: &Environment) -> Result<Self, Error> {
        let data_dir = args.data_dir.as_ref().or(environment.data_dir.as_ref());
        let folder = data_dir.map_or(Path::new(DATA_DIR), PathBuf::as_path);
        let url = match (&args.node, &args.data_dir, &environment.node) {
            (Some(url), ..) => Some((url, "--node")),
            (None, None, Some(url)) => Some((url, "MATRIX_NODE")),
            (None, ..) => None,
        };
        let (door, why) = match url {
            Some((url, why)) => (parse_door(url, why)?, why.to_owned()),
            None => (Door::Unix(folder.join(SOCKET)), format!("the data folder `{}`", folder.display())),
        };
        let token = match (&args.token_file, &door) {
            (Some(file), _) => Token::Given(file.clone()),
            (None, Door::Unix(socket)) => Token::Found(socket.with_file_name(TOKEN)),
            // Whoever shows a certificate means to be known by it.
            (None, Door::Https(_)) if args.cert_file.is_some() => Token::None,
            (None, Door::Http(url) | Door::Https(url)) if is_loopback(url) => {
                Token::Found(folder.join(TOKEN))
            }
            // The token of the node on this machine is no business of another machine's.
            (None, Door::Http(_) | Door::Https(_)) => Token::None,
        };
        if let (Token::Given(_), Door::Http(url)) = (&token, &door)
            && !is_loopback(url)
        {
            return Err(Error::usage(
                format!("`{url}` would carry the token over the network in the clear"),
                "use https:// with --ca-file FILE",
            ));
        }
        Ok(Self { door, why, token })
    }

    /// The node's data folder, where it is entered by the socket in there.
    pub(super) fn folder(&self) -> Option<&Path> {
        match &self.door {
            Door::Unix(socket) if socket.ends_with(SOCKET) => socket.parent(),
            Door::Unix(_) | Door::Http(_) | Door::Https(_) => None,
        }
    }

    /// What to show the node, if anything.
    pub(super) fn token(&self) -> Result<Option<MetadataValue<Ascii>>, Error> {
        let path = match &self.token {
            Token::None => return Ok(None),
            Token::Found(path) if !path.exists() => return Ok(None),
            Token::Found(path) | Token::Given(path) => path,
        };
        let bytes = read_file(path, SECRET_BYTES_MAX)?;
        let value = format!("Bearer {}", String::from_utf8_lossy(&bytes).trim());
        let mut value: MetadataValue<Ascii> = value
            .parse()
            .map_err(|_| Error::file("cannot use the token", path, "it has characters no token has"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// What was tried, and `reason`, what came of it.
    pub(super) fn tried(&self, reason: &str) -> String {
        let door = match &self.door {
            Door::Unix(path) => format!("unix:{}", path.display()),
            Door::Http(url) | Door::Https(url) => url.clone(),
        };
        format!("{door} (from {}): {reason}", self.why)
    }
}

fn parse_door(url: &str, why: &str) -> Result<Door, Error> {
    match url.split_once(':') {
        Some(("unix", path)) if !path.is_empty() => {
            Ok(Door::Unix(path.strip_prefix("//").unwrap_or(path).into()))
        }
        Some(("http", rest)) if rest.len() > "//".len() => Ok(Door::Http(url.to_owned())),
        Some(("https", rest)) if rest.len() > "//".len() => Ok(Door::Https(url.to_owned())),
        _ => Err(Error::usage(
            format!("`{url}` ({why}) is no address of a node"),
            "write unix:PATH, http://HOST:PORT or https://HOST:PORT",
        )),
    }
}

/// Whether an http(s) URL leads to this machine. What cannot be told counts as elsewhere.
fn is_loopback(url: &str) -> bool {
    let Ok(uri) = url.parse::<tonic::transport::Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(node: Option<&str>, data_dir: Option<&str>, env_node: Option<&str>) -> Target {
        let args = ConnectionArgs {
            node: node.map(str::to_owned),
            data_dir: data_dir.map(PathBuf::from),
            ..ConnectionArgs::default()
        };
        let environment = Environment { node: env_node.map(str::to_owned), ..Environment::default() };
        Target::choose(&args, &environment).expect("a target")
    }

    #[test]
    fn flags_come_before_environment_before_the_folder() {
        let unix = |path: &str| Door::Unix(path.into());
        assert_eq!(choose(Some("unix:/a"), Some("d"), Some("unix:/b")).door, unix("/a"));
        assert_eq!(choose(None, Some("d"), Some("unix:/b")).door, unix("d/matrixd.sock"));
        assert_eq!(choose(None, None, Some("unix:/b")).door, unix("/b"));
        assert_eq!(choose(None, None, None).door, unix("data/matrixd.sock"));
        assert_eq!(choose(None, Some("d"), None).folder(), Some(Path::new("d")));
        assert_eq!(choose(Some("unix:/run/m.sock"), Some("d"), None).folder(), None);
        assert_eq!(choose(Some("http://localhost:7700"), Some("d"), None).folder(), None);
    }

    #[test]
    fn the_local_token_stays_on_this_machine() {
        let token = |url| choose(Some(url), Some("d"), None).token;
        assert_eq!(token("http://127.0.0.1:7700"), Token::Found("d/token".into()));
        assert_eq!(token("http://[::1]:7700"), Token::Found("d/token".into()));
        assert_eq!(token("https://node.example:7700"), Token::None);
        assert_eq!(token("http://127.0.0.1.example:7700"), Token::None);
        assert_eq!(token("unix:/run/m/matrixd.sock"), Token::Found("/run/m/token".into()));
        let args = ConnectionArgs {
            node: Some("https://localhost:7700".to_owned()),
            cert_file: Some("c".into()),
            ..ConnectionArgs::default()
        };
        let shown = Target::choose(&args, &Environment::default()).expect("a target");
        assert_eq!(shown.token, Token::None, "a certificate is shown instead");
    }

    #[test]
    fn a_token_is_not_sent_in_the_clear() {
        let args = ConnectionArgs {
            node: Some("http://node.example:7700".to_owned()),
            token_file: Some("t".into()),
            ..ConnectionArgs::default()
        };
        let error = Target::choose(&args, &Environment::default()).expect_err("refused");
        assert!(error.to_string().contains("in the clear"), "{error}");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in ["", "localhost:7700", "unix:", "http://", "ftp://x"] {
            assert!(parse_door(wrong, "--node").is_err(), "{wrong}");
        }
    }
}
