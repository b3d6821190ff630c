//! Souls that begin as others are, by way of a node's door; and all that the KV holds of one.

use std::collections::BTreeMap;

use matrix_proto::v1;
use matrix_proto::v1::import_soul_request::Part;
use matrixd::ids::SoulName;
use matrixd::souls::{pieces, plant};
use tonic::Status;

use super::door::Door;

/// Bytes of one piece of a file.
const PIECE: usize = 256 << 10;
/// Buckets that all Souls share: each has one key there at most, its name.
const SHARED: [&str; 6] =
    ["sys/souls", "sys/placed", "sys/checkpoints", "sys/versions", "sys/kept", "sys/turns"];

/// What the KV holds of a Soul: values by bucket and key.
pub type Holdings = BTreeMap<(String, Vec<u8>), Vec<u8>>;

impl Door {
    /// Lets a Soul begin as another is.
    ///
    /// # Errors
    /// The node's.
    pub async fn fork(&self, soul: &str, to: &str) -> Result<v1::Soul, Status> {
        let fork = v1::ForkSoulRequest { name: soul.to_owned(), to: to.to_owned(), ..Default::default() };
        Ok(self.souls().fork(self.request(fork)).await?.into_inner())
    }

    /// A Soul as a file, with its component.
    ///
    /// # Errors
    /// The node's.
    pub async fn export(&self, soul: &str) -> Result<Vec<u8>, Status> {
        let export = v1::ExportSoulRequest { name: soul.to_owned(), ..Default::default() };
        let mut pieces = self.souls().export(self.request(export)).await?.into_inner();
        let mut file = Vec::new();
        while let Some(piece) = pieces.message().await? {
            file.extend_from_slice(&piece.data);
        }
        Ok(file)
    }

    /// Lets the Soul of a file live, under another name.
    ///
    /// # Errors
    /// The node's.
    pub async fn import(&self, file: &[u8], name: &str) -> Result<v1::Soul, Status> {
        let header = v1::ImportSoulHeader { name: name.to_owned(), ..Default::default() };
        let pieces = file.chunks(PIECE).map(|piece| Part::Data(piece.to_vec().into()));
        let parts = std::iter::once(Part::Header(header)).chain(pieces);
        let parts: Vec<_> = parts.map(|part| v1::ImportSoulRequest { part: Some(part) }).collect();
        Ok(self.souls().import(self.request(futures::stream::iter(parts))).await?.into_inner())
    }

    /// Stops a Soul and forgets it.
    ///
    /// # Errors
    /// The node's.
    pub async fn delete(&self, soul: &str) -> Result<(), Status> {
        let delete = v1::DeleteSoulRequest { name: soul.to_owned(), ..Default::default() };
        self.souls().delete(self.request(delete)).await.map(drop)
    }

    /// All that the KV holds of a Soul.
    ///
    /// # Errors
    /// The node's.
    pub async fn holdings(&self, soul: &str) -> Result<Holdings, Status> {
        let (name, mut held): (SoulName, _) = (soul.parse().expect("a name"), Holdings::new());
        let records = plant::Part::ALL.into_iter().filter(|part| part.is_record());
        let records = records.map(|part| part.bucket(&name)).chain(SHARED.map(str::to_owned));
        for bucket in records {
            if let Some(value) = self.value(&bucket, soul).await? {
                held.insert((bucket, soul.into()), value);
            }
        }
        let buckets = plant::Part::ALL.into_iter().filter(|part| !part.is_record());
        let buckets = buckets.map(|part| part.bucket(&name)).chain([pieces::bucket(&name)]);
        for bucket in buckets {
            let mut page_token = Default::default();
            loop {
                let range = v1::KvRangeRequest {
                    bucket: bucket.clone(),
                    page_size: 1_000,
                    page_token,
                    ..Default::default()
                };
                let page = self.kv().range(self.request(range)).await?.into_inner();
                held.extend(
                    page.entries.into_iter().map(|it| ((bucket.clone(), it.key.to_vec()), it.value.to_vec())),
                );
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
        }
        Ok(held)
    }
}
