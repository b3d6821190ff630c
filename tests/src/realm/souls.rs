//! What tests do with Souls by way of a node's door.

use std::path::Path;
use std::time::Duration;

use matrix_proto::v1;
use matrix_proto::v1::upload_request::Part;
use tokio::time::timeout;
use tonic::Status;

use super::PATIENCE;
use super::door::Door;

/// Bytes of one piece of an upload.
const PIECE: usize = 512 << 10;
/// Lines of a log that are looked through.
const LINES: u32 = 10_000;

impl Door {
    /// Uploads one of `tests/programs` under its own name; its digest.
    pub async fn program(&self, name: &str) -> String {
        self.push(&format!("programs/out/{name}.wasm"), name).await
    }

    /// Uploads one of `guests/` under its own name; its digest.
    pub async fn guest(&self, name: &str) -> String {
        self.push(&format!("../guests/out/{name}.wasm"), name).await
    }

    async fn push(&self, file: &str, name: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let bytes = std::fs::read(&path)
            .unwrap_or_else(|error| panic!("{}: {error}: run `make guests test-guests`", path.display()));
        let size = bytes.len() as u64;
        let header = v1::UploadHeader { name: name.to_owned(), size, ..Default::default() };
        let pieces = bytes.chunks(PIECE).map(|piece| Part::Chunk(piece.to_vec().into()));
        let parts = std::iter::once(Part::Header(header)).chain(pieces);
        let parts: Vec<_> = parts.map(|part| v1::UploadRequest { part: Some(part) }).collect();
        let uploaded = self.components().upload(self.request(futures::stream::iter(parts))).await;
        let component = uploaded.expect("a sound component").into_inner().component;
        component.expect("it was admitted").digest
    }

    /// Spawns a Soul with every grant of messages, and these settings.
    ///
    /// # Errors
    /// The node's.
    pub async fn spawn(
        &self,
        soul: &str,
        component: &str,
        settings: &[(&str, &str)],
    ) -> Result<v1::Soul, Status> {
        let all = || vec!["*".to_owned()];
        let grants = v1::Grants { send: all(), ask: all(), subscribe: all(), ..Default::default() };
        let manifest = v1::SoulManifest {
            name: soul.to_owned(),
            component: component.to_owned(),
            config: settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            grants: Some(grants),
            ..Default::default()
        };
        self.spawn_by(manifest).await
    }

    /// Spawns a Soul.
    ///
    /// # Errors
    /// The node's.
    pub async fn spawn_by(&self, manifest: v1::SoulManifest) -> Result<v1::Soul, Status> {
        let spawn = v1::SpawnRequest { manifest: Some(manifest), ..Default::default() };
        Ok(self.souls().spawn(self.request(spawn)).await?.into_inner())
    }

    /// How a Soul is.
    ///
    /// # Errors
    /// The node's.
    pub async fn soul(&self, soul: &str) -> Result<v1::Soul, Status> {
        let get = v1::GetSoulRequest { name: soul.to_owned() };
        Ok(self.souls().get(self.request(get)).await?.into_inner())
    }

    /// Asks a Soul; its answer as text.
    ///
    /// # Errors
    /// The node's, and those that the Soul answers.
    pub async fn ask(&self, soul: &str, text: &str) -> Result<String, Status> {
        self.ask_of(v1::address::To::Soul(soul.to_owned()), text).await
    }

    /// Asks whoever has an address; the answer as text.
    ///
    /// # Errors
    /// The node's, and those of whoever is asked.
    pub async fn ask_of(&self, to: v1::address::To, text: &str) -> Result<String, Status> {
        let content = v1::Content { content_type: "text/plain".to_owned(), body: text.to_owned().into() };
        let ask = v1::AskRequest {
            recipient: Some(v1::Address { to: Some(to) }),
            content: Some(content),
            timeout_ms: PATIENCE.as_millis() as u32,
            request_id: String::new(),
        };
        let reply = self.souls().ask(self.request(ask)).await?.into_inner().reply;
        let body = reply.map(|content| content.body).unwrap_or_default();
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Saves a Soul's state.
    ///
    /// # Errors
    /// The node's.
    pub async fn save(&self, soul: &str) -> Result<(), Status> {
        let save = v1::CheckpointRequest { name: soul.to_owned(), ..Default::default() };
        self.souls().checkpoint(self.request(save)).await.map(drop)
    }

    /// Gives a Soul other code; a turn under way may take as long as `turn`.
    ///
    /// # Errors
    /// The node's: the old code goes on.
    pub async fn swap(
        &self,
        soul: &str,
        component: &str,
        turn: Duration,
    ) -> Result<v1::SwapSoulResponse, Status> {
        let (name, component) = (soul.to_owned(), component.to_owned());
        let turn_ms = turn.as_millis() as u32;
        let swap = v1::SwapSoulRequest { name, component, turn_ms, ..Default::default() };
        Ok(self.souls().swap(self.request(swap)).await?.into_inner())
    }

    /// Gives a Soul its earlier code back, with the state in which that was left.
    ///
    /// # Errors
    /// The node's: the present code goes on.
    pub async fn roll_back(&self, soul: &str) -> Result<v1::SwapSoulResponse, Status> {
        let state = v1::RollbackState::Kept.into();
        let back = v1::RollbackSoulRequest { name: soul.to_owned(), state, ..Default::default() };
        Ok(self.souls().rollback(self.request(back)).await?.into_inner())
    }

    /// Which code a Soul has had.
    ///
    /// # Errors
    /// The node's.
    pub async fn versions(&self, soul: &str) -> Result<Vec<v1::SoulVersion>, Status> {
        let ask = v1::SoulHistoryRequest { name: soul.to_owned() };
        Ok(self.souls().history(self.request(ask)).await?.into_inner().versions)
    }

    /// Waits until a Soul has logged this line; what it logged before counts too.
    ///
    /// # Panics
    /// Where it never does.
    pub async fn logged(&self, soul: &str, line: &str) {
        let source = format!("soul:{soul}");
        let tail = v1::TailRequest { source, lines: LINES, follow: true, level: v1::LogLevel::Trace.into() };
        let found = async {
            let mut lines = self.logs().tail(self.request(tail)).await.expect("the node runs").into_inner();
            while lines.message().await.expect("the node runs").expect("it follows").text != line {}
        };
        timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{soul} never logged `{line}`"));
    }

    /// What the KV holds under a key.
    ///
    /// # Errors
    /// The node's.
    pub async fn value(&self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>, Status> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned().into_bytes().into());
        let got = self.kv().get(self.request(v1::KvGetRequest { bucket, key, local: false })).await?;
        Ok(got.into_inner().entry.map(|entry| entry.value.to_vec()))
    }
}
