//! Whose components may run: signatures, as they are uploaded and each time that a component is loaded. The same keys are
//! trusted for files with Souls.

use std::collections::BTreeSet;

use matrix_proto::signature::{PublicKey, Signature};
use serde::{Deserialize, Serialize};

use super::inspect::ComponentInfo;
use crate::ids::Digest;

/// What becomes of components that nobody trusted has signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// They run.
    #[default]
    Off,
    /// They run, and the log says so.
    Warn,
    /// They do not.
    Require,
}

/// Why a component does not count as signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Nobody signed it.
    #[error(
        "{0} is not signed: have someone sign it whose key is in `components.trusted_keys`, by `matrix components sign`, \
         and push it again"
    )]
    Missing(Digest),
    /// The signature is another's.
    #[error("the signature of {0} does not hold for its bytes, its name `{1}` and its imports: sign it anew")]
    Wrong(Digest, String),
    /// The key is not known.
    #[error("{0} is signed with {1}, which is not in `components.trusted_keys`")]
    Untrusted(Digest, PublicKey),
    /// It imports more than was signed.
    #[error("{0} imports `{1}`, which its signature does not allow")]
    Import(Digest, String),
}

/// Why a file with a Soul does not count as signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Nobody signed it.
    #[error(
        "the file is not signed: have it exported with the `--key` of someone who is in this node's \
         `components.trusted_keys`"
    )]
    Missing,
    /// The key is not known.
    #[error("the file is signed with {0}, which is not in this node's `components.trusted_keys`")]
    Untrusted(PublicKey),
}

/// Which signatures count.
#[derive(Debug, Clone, Default)]
pub struct Signatures {
    policy: Policy,
    trusted: BTreeSet<PublicKey>,
}

impl Signatures {
    /// Those of the keys `trusted`, as `policy` has it.
    pub fn new(policy: Policy, trusted: &[PublicKey]) -> Self {
        Self { policy, trusted: trusted.iter().copied().collect() }
    }

    /// Whether signatures are looked at when a component is loaded.
    pub(super) fn is_off(&self) -> bool {
        self.policy == Policy::Off
    }

    /// Judges a component before it runs.
    ///
    /// # Errors
    /// Whatever [`SignatureError`] names, where it may not run.
    pub(super) fn judge(
        &self,
        digest: Digest,
        info: &ComponentInfo,
        signature: Option<&Signature>,
    ) -> Result<(), SignatureError> {
        match (self.policy, self.fault(digest, info, signature)) {
            (Policy::Off, _) | (_, None) => Ok(()),
            (Policy::Warn, Some(fault)) => {
                tracing::warn!(%fault, "a component runs whose signature does not count");
                Ok(())
            }
            (Policy::Require, Some(fault)) => Err(fault),
        }
    }

    /// Judges a file with a Soul before that lives; `key` is whose signature it has.
    ///
    /// # Errors
    /// Whatever [`SealError`] names, where the Soul may not live.
    pub(super) fn judge_seal(&self, key: Option<PublicKey>) -> Result<(), SealError> {
        let fault = match key {
            Some(key) if self.trusted.contains(&key) => return Ok(()),
            Some(key) => SealError::Untrusted(key),
            None => SealError::Missing,
        };
        match self.policy {
            Policy::Off => Ok(()),
            Policy::Warn => {
                tracing::warn!(%fault, "a Soul is taken up from a file whose signature does not count");
                Ok(())
            }
            Policy::Require => Err(fault),
        }
    }

    fn fault(
        &self,
        digest: Digest,
        info: &ComponentInfo,
        signature: Option<&Signature>,
    ) -> Option<SignatureError> {
        let Some(signature) = signature else { return Some(SignatureError::Missing(digest)) };
        if let Err(wrong) = holds(digest, signature) {
            return Some(wrong);
        }
        if !self.trusted.contains(&signature.key) {
            return Some(SignatureError::Untrusted(digest, signature.key));
        }
        let beyond = info.imports.iter().find(|import| !signature.imports.contains(*import));
        beyond.map(|import| SignatureError::Import(digest, import.clone()))
    }
}

/// Whether a signature is one of this component, whoever made it.
///
/// # Errors
/// `Wrong`.
pub fn holds(digest: Digest, signature: &Signature) -> Result<(), SignatureError> {
    let name = || signature.name.chars().take(80).collect();
    if signature.holds(&digest.to_string()) { Ok(()) } else { Err(SignatureError::Wrong(digest, name())) }
}

#[cfg(test)]
mod tests {
    use matrix_proto::signature::public_of;

    use super::super::inspect::{InspectLimits, bombs, inspect};
    use super::*;

    const SECRET: [u8; 32] = [7; 32];

    #[test]
    fn what_nobody_trusted_vouches_for_is_refused_where_that_is_required() {
        let bytes = bombs::soul();
        let digest = Digest::of(&bytes);
        let mut info = inspect(&bytes, &InspectLimits::default()).expect("a Soul");
        info.imports = vec!["matrix:node/messaging@0.1.0".to_owned()];
        let imports: BTreeSet<_> = info.imports.iter().cloned().collect();
        let sign = |imports: &BTreeSet<String>| {
            Signature::sign(&SECRET, &digest.to_string(), "greeter", imports.clone())
        };
        let (signed, narrow) = (sign(&imports), sign(&BTreeSet::new()));
        let require = |key| Signatures::new(Policy::Require, &[public_of(key)]);
        let judge = |signature: Option<&Signature>| require(&SECRET).judge(digest, &info, signature);
        assert_eq!(judge(Some(&signed)), Ok(()));
        assert_eq!(judge(None), Err(SignatureError::Missing(digest)));
        assert!(
            matches!(judge(Some(&narrow)), Err(SignatureError::Import(_, import)) if import == info.imports[0])
        );
        let other = Signature { name: "other".to_owned(), ..signed.clone() };
        assert!(matches!(judge(Some(&other)), Err(SignatureError::Wrong(..))));
        let untrusted = require(&[8; 32]).judge(digest, &info, Some(&signed));
        assert!(matches!(untrusted, Err(SignatureError::Untrusted(..))));
        for policy in [Policy::Off, Policy::Warn] {
            assert_eq!(Signatures::new(policy, &[]).judge(digest, &info, None), Ok(()));
        }
    }

    #[test]
    fn a_soul_needs_the_seal_of_somebody_trusted_where_that_is_required() {
        let key = public_of(&SECRET);
        let require = Signatures::new(Policy::Require, &[key]);
        assert_eq!(require.judge_seal(Some(key)), Ok(()));
        assert_eq!(require.judge_seal(None), Err(SealError::Missing));
        let other = public_of(&[8; 32]);
        assert_eq!(require.judge_seal(Some(other)), Err(SealError::Untrusted(other)));
        for policy in [Policy::Off, Policy::Warn] {
            assert_eq!(Signatures::new(policy, &[]).judge_seal(None), Ok(()));
        }
    }
}
