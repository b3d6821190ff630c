//! A Soul out of a file. Nothing of it is believed before the file has ended and its hash was right; what it says is then
//! checked against the same bounds as if it had been done here, and planted in one go.

use std::sync::Arc;

use matrix_proto::signature::Signature;
use matrix_proto::soul_file::{Decoder, PIECE_BYTES_MAX};
use matrix_proto::wire::SoulFileComponent;
use matrix_proto::wire::soul_file_record::Kind;
use tokio::sync::OwnedSemaphorePermit;

use super::file::{Said, wrong};
use super::{BYTES_MAX, PortableError, Portables};
use crate::ids::SoulName;
use crate::runtime::catalog::ComponentError;
use crate::runtime::signatures;
use crate::runtime::store::Upload;
use crate::souls::{SoulError, SoulView};

/// The most bytes in a component's signature.
const SIGNATURE_BYTES_MAX: usize = 64 << 10;

/// A file on its way in. Dropped, it leaves nothing.
#[derive(Debug)]
pub struct Incoming {
    of: Portables,
    decoder: Decoder,
    said: Said,
    /// Bytes of what was said beside the state.
    bytes: usize,
    component: Option<(Upload, Option<Signature>)>,
    _turn: OwnedSemaphorePermit,
}

impl Portables {
    /// Begins to read a file.
    ///
    /// # Errors
    /// `Busy`.
    pub fn receive(&self) -> Result<Incoming, PortableError> {
        let turn = Arc::clone(&self.one).try_acquire_owned().map_err(|_| PortableError::Busy)?;
        let (of, decoder, said) = (self.clone(), Decoder::default(), Said::default());
        Ok(Incoming { of, decoder, said, bytes: 0, component: None, _turn: turn })
    }
}

impl Incoming {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// Whatever [`PortableError`] names; nothing more must be given then.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<(), PortableError> {
        self.decoder.push(bytes);
        while let Some(kind) = self.decoder.next_record()? {
            self.take(kind).await?;
        }
        Ok(())
    }

    async fn take(&mut self, kind: Kind) -> Result<(), PortableError> {
        match kind {
            Kind::Header(header) => self.said.header(header)?,
            Kind::State(state) => self.said.state(state),
            Kind::Entry(entry) => {
                self.bytes += self.said.entry(entry)?;
                if self.bytes > BYTES_MAX {
                    let reason =
                        format!("has more than {BYTES_MAX} bytes beside its component and its state");
                    return Err(wrong("the file", reason));
                }
            }
            Kind::Component(component) => self.component = Some(self.begin(component).await?),
            Kind::Data(piece) if piece.len() > PIECE_BYTES_MAX => {
                return Err(wrong(
                    "the component",
                    format!("has a piece of more than {PIECE_BYTES_MAX} bytes"),
                ));
            }
            Kind::Data(piece) => {
                let (upload, _) =
                    self.component.as_mut().ok_or_else(|| wrong("the component", "is missing".into()))?;
                upload.write(piece).await?;
            }
            // The decoder keeps it.
            Kind::Seal(_) => {}
        }
        Ok(())
    }

    async fn begin(
        &self,
        component: SoulFileComponent,
    ) -> Result<(Upload, Option<Signature>), PortableError> {
        let SoulFileComponent { length, signature } = component;
        let manifest = self.said.manifest().ok_or_else(|| wrong("the manifest", "is missing".into()))?;
        if signature.len() > SIGNATURE_BYTES_MAX {
            return Err(wrong(
                "the component's signature",
                format!("has more than {SIGNATURE_BYTES_MAX} bytes"),
            ));
        }
        let signature = (!signature.is_empty()).then(|| serde_json::from_slice::<Signature>(&signature));
        let signature = signature.transpose();
        let signature = signature.map_err(|error| wrong("the component's signature", error.to_string()))?;
        if let Some(signature) = &signature {
            signatures::holds(manifest.component, signature)
                .map_err(|error| SoulError::from(ComponentError::from(error)))?;
        }
        let store = self.of.catalog.components().store();
        let upload = store.begin_upload(Some(length), Some(manifest.component)).await?;
        Ok((upload, signature))
    }

    /// Lets the Soul live that the file says, under another `name` where one is given. The order: the file is whole, and
    /// signed by whom this node wants; what it says is sound; the name is free; the component is taken up, and stays; the Soul is planted. Done again after
    /// it failed, it goes the same way.
    ///
    /// # Errors
    /// Whatever [`PortableError`] names.
    pub async fn finish(self, name: Option<SoulName>) -> Result<SoulView, PortableError> {
        let Self { of, decoder, said, component, .. } = self;
        of.catalog.judge_seal(decoder.finish()?.key)?;
        let manifest = said.manifest().ok_or_else(|| wrong("the manifest", "is missing".into()))?;
        let limits = manifest.check(of.souls.limits()).map_err(SoulError::from)?;
        let mut cutting = said.cutting(&limits, of.souls.state_bytes_max())?;
        if cutting.origin.realm == of.realm.id().to_string() {
            cutting.origin.realm.clear();
        }
        if let Some(name) = name {
            cutting.manifest.name = name;
        }
        match of.souls.component_of(&cutting.manifest.name).await {
            Err(SoulError::Unknown(_)) => {}
            Ok(_) => return Err(SoulError::Exists(cutting.manifest.name).into()),
            Err(error) => return Err(error.into()),
        }
        let digest = cutting.manifest.component;
        match component {
            // Each fills a stack by itself.
            Some((upload, signature)) => {
                upload.finish().await?;
                Box::pin(of.catalog.admit(digest, None, signature)).await.map_err(SoulError::from)?;
            }
            None if of.catalog.record(digest).await.map_err(SoulError::from)?.is_none() => {
                return Err(SoulError::from(ComponentError::Unknown(digest)).into());
            }
            None => {}
        }
        Ok(Box::pin(of.souls.plant(&cutting)).await?)
    }
}
