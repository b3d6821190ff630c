//! Who one is to a registry: by flags, by the environment, or by what `docker login` keeps.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::content::read_file;
use crate::environment::Environment;
use crate::errors::Error;

/// The most bytes in a file with a password, or in Docker's configuration.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A name and what proves it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    username: String,
    password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Docker's configuration, as far as it concerns registries.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct DockerConfig {
    auths: BTreeMap<String, DockerAuth>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct DockerAuth {
    auth: String,
    username: String,
    password: String,
}

impl Credentials {
    /// What there is for a registry, if anything.
    ///
    /// # Errors
    /// Where what there is cannot be used.
    pub(crate) fn find(
        username: Option<&str>,
        password_file: Option<&Path>,
        environment: &Environment,
        host: &str,
    ) -> Result<Option<Self>, Error> {
        let known = username.or(environment.registry_username.as_deref());
        let password = match (password_file, &environment.registry_password) {
            (Some(file), _) => {
                Some(String::from_utf8_lossy(&read_file(file, FILE_BYTES_MAX)?).trim().to_owned())
            }
            (None, password) => password.as_ref().map(|secret| secret.0.clone()),
        };
        match (known, password) {
            (Some(username), Some(password)) => {
                return Ok(Some(Self { username: username.to_owned(), password }));
            }
            (Some(_), None) => {
                let change = "add --password-file FILE, or set MATRIX_REGISTRY_PASSWORD";
                return Err(Error::usage("a name at a registry needs a password", change));
            }
            (None, Some(_)) => {
                let change = "add --username NAME, or set MATRIX_REGISTRY_USERNAME";
                return Err(Error::usage("a password at a registry needs a name", change));
            }
            (None, None) => {}
        }
        let Some(path) = environment.docker_config.as_deref().filter(|path| path.is_file()) else {
            return Ok(None);
        };
        let text = read_file(path, FILE_BYTES_MAX)?;
        Self::by_docker(&text, host)
            .map_err(|why| Error::file("cannot use Docker's configuration", path, why))
    }

    /// What Docker's configuration has for a registry.
    fn by_docker(text: &[u8], host: &str) -> Result<Option<Self>, String> {
        let config: DockerConfig = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let of_host = |key: &str| {
            let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
            rest.split('/').next() == Some(host)
        };
        if let Some((_, it)) = config.auths.iter().find(|(key, it)| of_host(key) && it.says_something()) {
            return it.read().map(Some);
        }
        let helper = config.cred_helpers.iter().find(|(key, _)| of_host(key)).map(|(_, helper)| helper);
        let is_kept_elsewhere = config.auths.keys().any(|key| of_host(key)) && config.creds_store.is_some();
        match helper {
            None if !is_kept_elsewhere => Ok(None),
            _ => Err(format!(
                "the password for {host} is kept by a credential helper, which is not asked: \
                 say --username NAME --password-file FILE"
            )),
        }
    }

    /// As a header has it: `Basic …`.
    pub(super) fn header(&self) -> String {
        let both = format!("{}:{}", self.username, self.password);
        format!("Basic {}", crate::text::base64(both.as_bytes()))
    }
}

impl DockerAuth {
    fn says_something(&self) -> bool {
        !self.auth.is_empty() || !self.username.is_empty()
    }

    fn read(&self) -> Result<Credentials, String> {
        if self.auth.is_empty() {
            return Ok(Credentials { username: self.username.clone(), password: self.password.clone() });
        }
        let bytes = data_encoding::BASE64.decode(self.auth.as_bytes()).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let both = text.as_deref().and_then(|text| text.split_once(':'));
        let (username, password) = both.ok_or("`auth` is not NAME:PASSWORD in base64")?;
        Ok(Credentials { username: username.to_owned(), password: password.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Secret;

    fn found(text: &str, host: &str) -> Result<Option<String>, String> {
        let found = Credentials::by_docker(text.as_bytes(), host)?;
        Ok(found.map(|it| format!("{}:{}", it.username, it.password)))
    }

    #[test]
    fn docker_s_file_is_read() {
        // `ada:se:cret`
        let text = r#"{ "auths": { "https://ghcr.io/v2/": { "auth": "YWRhOnNlOmNyZXQ=" }, "localhost:5000":
            { "username": "eve", "password": "x" } }, "currentContext": "default" }"#;
        assert_eq!(found(text, "ghcr.io"), Ok(Some("ada:se:cret".to_owned())));
        assert_eq!(found(text, "localhost:5000"), Ok(Some("eve:x".to_owned())));
        assert_eq!(found(text, "localhost"), Ok(None));
        assert_eq!(found(text, "ghcr.io.example.org"), Ok(None));
        assert_eq!(found("{}", "ghcr.io"), Ok(None));
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        let wrong = |text| found(text, "ghcr.io").expect_err("it cannot be used");
        assert!(
            wrong(r#"{ "auths": { "ghcr.io": {} }, "credsStore": "desktop" }"#).contains("credential helper")
        );
        assert!(wrong(r#"{ "credHelpers": { "ghcr.io": "pass" } }"#).contains("credential helper"));
        assert!(wrong(r#"{ "auths": { "ghcr.io": { "auth": "YQ==" } } }"#).contains("NAME:PASSWORD"));
        assert!(wrong("no JSON").contains("line 1"));
    }

    #[test]
    fn what_is_said_comes_before_what_is_kept_and_is_whole() {
        let environment = Environment {
            registry_username: Some("env".to_owned()),
            registry_password: Some(Secret("word".to_owned())),
            ..Environment::default()
        };
        let find = |username, environment: &Environment| {
            Credentials::find(username, None, environment, "ghcr.io").map(|it| it.map(|it| it.header()))
        };
        assert_eq!(find(None, &environment).expect("both"), Some("Basic ZW52OndvcmQ=".to_owned()));
        assert_eq!(find(Some("ada"), &environment).expect("both"), Some("Basic YWRhOndvcmQ=".to_owned()));
        assert!(find(Some("ada"), &Environment::default()).is_err());
        assert_eq!(find(None, &Environment::default()).expect("none"), None);
        let shown =
            format!("{:?}", Credentials { username: "ada".to_owned(), password: "secret".to_owned() });
        assert!(!shown.contains("secret"), "{shown}");
    }
}
