//! The artifact that a component is in a registry: the layout of CNCF's TAG Runtime for Wasm. Pure.
//!
//! One layer, which is the component's bytes, a config that says what it imports and exports, and a manifest that names both
//! by digest. The same component always makes the same manifest, so that publishing it again changes nothing.

use std::collections::BTreeMap;

use matrix_label::Label;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::reference::is_digest;
use crate::outside::Outside;

/// The media type of a manifest.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of a config.
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// The media type of the layer.
const LAYER: &str = "application/wasm";
/// What the moment of making is told as: a component is its bytes, whenever they were made.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// Bytes and the digest that names them.
#[derive(Debug, Clone)]
pub(crate) struct Blob {
    /// The bytes.
    pub(crate) bytes: bytes::Bytes,
    /// `sha256:` and 64 hexadecimal digits.
    pub(crate) digest: String,
}

impl Blob {
    /// Hashes bytes.
    pub(crate) fn of(bytes: impl Into<bytes::Bytes>) -> Self {
        let bytes = bytes.into();
        let hex: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { bytes, digest: format!("sha256:{hex}") }
    }

    fn descriptor(&self, media_type: &str) -> Descriptor {
        let size = self.bytes.len() as u64;
        Descriptor { media_type: media_type.to_owned(), digest: self.digest.clone(), size }
    }
}

/// A component as it is published.
#[derive(Debug)]
pub(crate) struct Artifact {
    /// The component.
    pub(crate) layer: Blob,
    /// What it imports and exports.
    pub(crate) config: Blob,
    /// What names both.
    pub(crate) manifest: Blob,
}

/// What names bytes in a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    media_type: String,
    /// Their digest.
    pub(super) digest: String,
    /// How many there are.
    pub(super) size: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    #[serde(default)]
    media_type: Option<String>,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    created: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    author: &'a str,
    architecture: &'static str,
    os: &'static str,
    layer_digests: [&'a str; 1],
    component: Outside,
}

impl Artifact {
    /// The artifact of a component that says this of itself.
    ///
    /// # Errors
    /// Where it cannot be written as JSON.
    pub(crate) fn of(
        component: bytes::Bytes,
        outside: Outside,
        label: &Label,
    ) -> Result<Self, serde_json::Error> {
        let layer = Blob::of(component);
        let config = Blob::of(serde_json::to_vec(&Config {
            created: CREATED,
            author: &label.authors,
            architecture: "wasm",
            os: "wasip2",
            layer_digests: [&layer.digest],
            component: outside,
        })?);
        let manifest = Blob::of(serde_json::to_vec(&Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST.to_owned()),
            config: config.descriptor(CONFIG),
            layers: vec![layer.descriptor(LAYER)],
            annotations: annotations(label),
        })?);
        Ok(Self { layer, config, manifest })
    }
}

/// What the registry shows of the component.
fn annotations(label: &Label) -> BTreeMap<String, String> {
    let named = [("title", label.name.as_str())].into_iter().chain(label.annotations());
    let said = named.filter(|(_, text)| !text.is_empty()).map(|(key, text)| {
        let key = if key == "homepage" { "url" } else { key };
        (format!("org.opencontainers.image.{key}"), text.to_owned())
    });
    said.collect()
}

/// The component that a manifest names.
///
/// # Errors
/// Says what it is instead.
pub(super) fn layer_of(manifest: &[u8]) -> Result<Descriptor, String> {
    let manifest: Manifest =
        serde_json::from_slice(manifest).map_err(|error| format!("its manifest is none: {error}"))?;
    let shown = |text: &str| crate::text::one_line(text).chars().take(100).collect::<String>();
    if manifest.schema_version != 2 || manifest.media_type.as_deref().is_some_and(|it| it != MANIFEST) {
        return Err("its manifest is of another format".to_owned());
    }
    if manifest.config.media_type != CONFIG {
        return Err(format!(
            "it is no Wasm artifact: its config is `{}`",
            shown(&manifest.config.media_type)
        ));
    }
    let [layer] = &manifest.layers[..] else {
        return Err(format!("it has {} layers, and a component is one", manifest.layers.len()));
    };
    if layer.media_type != LAYER {
        return Err(format!("its layer is `{}`, and a component is `{LAYER}`", shown(&layer.media_type)));
    }
    if !is_digest(&layer.digest) {
        return Err(format!(
            "its layer is named by `{}`, which is no digest of SHA-256",
            shown(&layer.digest)
        ));
    }
    Ok(layer.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn artifact() -> Artifact {
        let label = Label {
            name: "greeter".to_owned(),
            version: "1.2.3".to_owned(),
            authors: "Ada Example".to_owned(),
            homepage: "https://example.org".to_owned(),
            ..Label::default()
        };
        let outside = Outside {
            exports: vec!["matrix:node/agent@0.1.0".to_owned()],
            imports: vec!["wasi:logging/logging@0.1.0-draft".to_owned()],
        };
        Artifact::of(bytes::Bytes::from_static(b"wasm"), outside, &label).expect("JSON")
    }

    #[test]
    fn the_layout_is_the_standard_one() {
        let Artifact { layer, config, manifest } = artifact();
        let read = |blob: &Blob| serde_json::from_slice::<Value>(&blob.bytes).expect("JSON");
        assert_eq!(
            read(&manifest),
            json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {
                    "mediaType": "application/vnd.wasm.config.v0+json",
                    "digest": config.digest,
                    "size": config.bytes.len(),
                },
                "layers": [{ "mediaType": "application/wasm", "digest": layer.digest, "size": 4 }],
                "annotations": {
                    "org.opencontainers.image.title": "greeter",
                    "org.opencontainers.image.version": "1.2.3",
                    "org.opencontainers.image.authors": "Ada Example",
                    "org.opencontainers.image.url": "https://example.org",
                },
            })
        );
        assert_eq!(
            read(&config),
            json!({
                "created": "1970-01-01T00:00:00Z",
                "author": "Ada Example",
                "architecture": "wasm",
                "os": "wasip2",
                "layerDigests": [layer.digest],
                "component": {
                    "exports": ["matrix:node/agent@0.1.0"],
                    "imports": ["wasi:logging/logging@0.1.0-draft"],
                },
            })
        );
        assert_eq!(artifact().manifest.digest, manifest.digest, "the same again");
        assert_eq!(layer_of(&manifest.bytes), Ok(layer.descriptor(LAYER)));
    }

    #[test]
    fn what_is_no_component_is_refused_by_what_it_is() {
        let whole: Value = serde_json::from_slice(&artifact().manifest.bytes).expect("JSON");
        let changed = |path: &str, value: Value| {
            let mut manifest = whole.clone();
            *manifest.pointer_mut(path).expect("it is there") = value;
            layer_of(manifest.to_string().as_bytes()).expect_err("it is refused")
        };
        assert!(changed("/schemaVersion", json!(1)).contains("another format"));
        assert!(
            changed("/mediaType", json!("application/vnd.oci.image.index.v1+json"))
                .contains("another format")
        );
        let image = "application/vnd.oci.image.config.v1+json";
        assert!(changed("/config/mediaType", json!(image)).contains(image));
        assert!(changed("/layers", json!([])).contains("0 layers"));
        assert!(changed("/layers/0/mediaType", json!("application/x\u{1b}tar")).contains("x\\u{1b}tar"));
        assert!(changed("/layers/0/digest", json!("sha256:../../x")).contains("no digest"));
        assert!(layer_of(b"<html>").is_err_and(|why| why.contains("its manifest is none")));
    }
}
