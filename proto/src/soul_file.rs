//! The file with a Soul in it, `matrix/wire/v1/soul_file.proto`: written record by record, and read with distrust, piece by
//! piece as it comes. It is here because both programs read it.

use bytes::{Buf as _, Bytes, BytesMut};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use prost::Message as _;

use crate::signature::{PublicKey, hex, public_of};
use crate::wire::soul_file_record::Kind;
use crate::wire::{SoulFileHeader, SoulFileRecord, SoulFileSeal};

/// What every such file begins with; the last byte is the format's version.
const MAGIC: &[u8; 8] = b"MTXSOUL\x01";
/// The bytes of one piece of a component, at most.
pub const PIECE_BYTES_MAX: usize = 256 << 10;
/// The bytes of one record, at most: the longest value that a KV may hold, or the longest state, and what stands around it.
pub const RECORD_BYTES_MAX: usize = (16 << 20) + (1 << 20);
/// The bytes of a record's length, at most.
const LENGTH_BYTES_MAX: usize = 4;
/// The first line of what is signed.
const WHAT: &str = "matrix soul file 1";

/// Why a file is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SoulFileError {
    /// It is something else.
    #[error("this is no file with a Soul: name one that `matrix souls export` wrote")]
    Other,
    /// It is of another version of the format.
    #[error("this file has format {0}, and this version reads format 1: use the version that wrote it")]
    Format(u8),
    /// It ends too early.
    #[error("the file was cut off: export the Soul anew, or use another copy")]
    Cut,
    /// Its bytes are not those that were written.
    #[error("the file is damaged ({0}): use another copy")]
    Damaged(&'static str),
    /// Its signature is another's.
    #[error("the file's signature does not hold for what it says: have it exported and signed anew")]
    Signature,
}

/// Makes the bytes of such a file.
#[derive(Debug)]
pub struct Writer(blake3::Hasher);

impl Writer {
    /// A file, and its first bytes.
    pub fn new(header: SoulFileHeader) -> (Self, Bytes) {
        let mut writer = Self(blake3::Hasher::new());
        writer.0.update(MAGIC);
        let first = [&MAGIC[..], &writer.record(Kind::Header(header))].concat();
        (writer, first.into())
    }

    /// The next record.
    pub fn record(&mut self, kind: Kind) -> Bytes {
        let bytes = encoded(kind);
        self.0.update(&bytes);
        bytes
    }

    /// The last bytes.
    pub fn seal(self) -> Bytes {
        seal(*self.0.finalize().as_bytes(), None)
    }
}

/// The last record of a file with this hash, signed with the 32 bytes of a secret key where there is one.
pub fn seal(hash: [u8; 32], secret: Option<&[u8; 32]>) -> Bytes {
    let mut seal = SoulFileSeal { hash: hash.to_vec().into(), ..SoulFileSeal::default() };
    if let Some(secret) = secret {
        seal.key = public_of(secret).0.to_vec().into();
        seal.signature = SigningKey::from_bytes(secret).sign(&signed(&hash)).to_bytes().to_vec().into();
    }
    encoded(Kind::Seal(seal))
}

fn encoded(kind: Kind) -> Bytes {
    SoulFileRecord { kind: Some(kind) }.encode_length_delimited_to_vec().into()
}

fn signed(hash: &[u8; 32]) -> Vec<u8> {
    format!("{WHAT}\n{}", hex(hash)).into_bytes()
}

/// What a file is known to be, once all of it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// The hash of what stands before the seal.
    pub hash: [u8; 32],
    /// Where the seal begins, in bytes from the file's start.
    pub at: u64,
    /// Who vouches for it.
    pub key: Option<PublicKey>,
}

/// Reads such a file as it comes. Only once it is sealed is known that what it gave before was right: whoever acts on
/// it earlier must be able to undo that.
#[derive(Debug, Default)]
pub struct Decoder {
    hash: blake3::Hasher,
    buffer: BytesMut,
    /// Bytes that were read.
    at: u64,
    /// How far its records may still go back: each kind has its place.
    place: u8,
    /// Bytes of the component that are still to come.
    left: u64,
    sealed: Option<Sealed>,
}

impl Decoder {
    /// Takes the next bytes; all records that they end must be taken out before more come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next record, but for the seal; none: more bytes must come, or it is over.
    ///
    /// # Errors
    /// Whatever [`SoulFileError`] names.
    pub fn next_record(&mut self) -> Result<Option<Kind>, SoulFileError> {
        if self.at == 0 && !self.begin()? {
            return Ok(None);
        }
        if self.sealed.is_some() && !self.buffer.is_empty() {
            return Err(SoulFileError::Damaged("something follows its end"));
        }
        let Some(length) = self.length()? else { return Ok(None) };
        if self.buffer.len() < length {
            return Ok(None);
        }
        let frame = self.buffer.split_to(length).freeze();
        let record = SoulFileRecord::decode_length_delimited(frame.clone());
        let kind = record.ok().and_then(|record| record.kind);
        let kind = kind.ok_or(SoulFileError::Damaged("a record is none"))?;
        self.order(&kind)?;
        if let Kind::Seal(seal) = kind {
            self.sealed = Some(self.check(&seal)?);
            self.at += length as u64;
            return self.next_record();
        }
        self.hash.update(&frame);
        self.at += length as u64;
        Ok(Some(kind))
    }

    /// That all was there, and is what was written.
    ///
    /// # Errors
    /// `Cut`, `Other`.
    pub fn finish(self) -> Result<Sealed, SoulFileError> {
        let otherwise = if self.at == 0 { SoulFileError::Other } else { SoulFileError::Cut };
        self.sealed.ok_or(otherwise)
    }

    /// Reads what it is; false: too little came.
    fn begin(&mut self) -> Result<bool, SoulFileError> {
        let (version, name) = (MAGIC.len() - 1, &MAGIC[..MAGIC.len() - 1]);
        let known = self.buffer.len().min(version);
        if self.buffer[..known] != name[..known] {
            return Err(SoulFileError::Other);
        }
        match self.buffer.get(version) {
            None => Ok(false),
            Some(format) if *format != MAGIC[version] => Err(SoulFileError::Format(*format)),
            Some(_) => {
                self.buffer.advance(MAGIC.len());
                self.hash.update(MAGIC);
                self.at = MAGIC.len() as u64;
                Ok(true)
            }
        }
    }

    /// The length of the next record with the length before it; none: too little came.
    fn length(&self) -> Result<Option<usize>, SoulFileError> {
        let too_long = || SoulFileError::Damaged("a record is too long");
        let Some(last) = self.buffer.iter().take(LENGTH_BYTES_MAX).position(|byte| *byte < 0x80) else {
            return if self.buffer.len() < LENGTH_BYTES_MAX { Ok(None) } else { Err(too_long()) };
        };
        let length = prost::decode_length_delimiter(&self.buffer[..=last]).map_err(|_| too_long())?;
        if length > RECORD_BYTES_MAX { Err(too_long()) } else { Ok(Some(last + 1 + length)) }
    }

    /// Each kind of record has its place, and most come once.
    fn order(&mut self, kind: &Kind) -> Result<(), SoulFileError> {
        let (place, again) = match kind {
            Kind::Header(_) => (1, false),
            Kind::State(_) => (2, false),
            Kind::Entry(_) => (3, true),
            Kind::Component(component) => {
                self.left = component.length;
                (4, false)
            }
            Kind::Data(piece) => {
                let left = self.left.checked_sub(piece.len() as u64);
                self.left = left.ok_or(SoulFileError::Damaged("its component is too long"))?;
                (5, true)
            }
            Kind::Seal(_) if self.left > 0 => {
                return Err(SoulFileError::Damaged("its component is too short"));
            }
            Kind::Seal(_) => (6, false),
        };
        let is_first = self.place == 0;
        if is_first != (place == 1) || place < self.place || (place == self.place && !again) {
            return Err(SoulFileError::Damaged("its parts are out of order"));
        }
        self.place = place;
        Ok(())
    }

    fn check(&self, seal: &SoulFileSeal) -> Result<Sealed, SoulFileError> {
        let hash = *self.hash.finalize().as_bytes();
        if seal.hash[..] != hash {
            return Err(SoulFileError::Damaged("its hash is another"));
        }
        let sealed = Sealed { hash, at: self.at, key: None };
        if seal.key.is_empty() && seal.signature.is_empty() {
            return Ok(sealed);
        }
        let key = <[u8; 32]>::try_from(&seal.key[..]).ok();
        let verifying = key.and_then(|key| VerifyingKey::from_bytes(&key).ok());
        let signature = <[u8; 64]>::try_from(&seal.signature[..]).ok();
        let (Some(key), Some(verifying), Some(signature)) = (key, verifying, signature) else {
            return Err(SoulFileError::Signature);
        };
        let holds = verifying.verify_strict(&signed(&hash), &Signature::from_bytes(&signature));
        holds.map_err(|_| SoulFileError::Signature)?;
        Ok(Sealed { key: Some(PublicKey(key)), ..sealed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::unhex;
    use crate::wire::{SoulFileComponent, SoulFileEntry, SoulFilePart, SoulFileState};

    fn records() -> Vec<Kind> {
        let state = SoulFileState {
            schema: "counter/1".into(),
            state: Bytes::from_static(b"41").to_vec().into(),
            random: vec![1, 2, 3, 4],
            topics: vec!["news".into()],
        };
        let part = SoulFilePart::Own.into();
        vec![
            Kind::State(state),
            Kind::Entry(SoulFileEntry { part, key: b"k".to_vec().into(), value: b"v".to_vec().into() }),
            Kind::Component(SoulFileComponent { length: 3, signature: Vec::new().into() }),
            Kind::Data(b"co".to_vec().into()),
            Kind::Data(b"d".to_vec().into()),
        ]
    }

    fn written(records: Vec<Kind>) -> Vec<u8> {
        let header = SoulFileHeader {
            manifest: b"{}".to_vec().into(),
            realm: "r".into(),
            version: "0.1.0".into(),
            lesson: 7,
            at_ms: 300,
        };
        let (mut writer, first) = Writer::new(header);
        let mut bytes = first.to_vec();
        for kind in records {
            bytes.extend_from_slice(&writer.record(kind));
        }
        bytes.extend_from_slice(&writer.seal());
        bytes
    }

    fn read(bytes: &[u8], pieces: usize) -> Result<(Vec<Kind>, Sealed), SoulFileError> {
        let (mut decoder, mut found) = (Decoder::default(), Vec::new());
        for piece in bytes.chunks(pieces) {
            decoder.push(piece);
            while let Some(kind) = decoder.next_record()? {
                found.push(kind);
            }
        }
        decoder.finish().map(|sealed| (found, sealed))
    }

    #[test]
    fn its_bytes_are_these() {
        let golden = [
            "4d5458534f554c01",
            "150a130a027b7d1201721a05302e312e30200728ac02",
            "3912370a09636f756e7465722f31120234311a20010000000000000002000000000000000300000000000000040000000000000022046e657773",
            "0a1a08080112016b1a0176",
            "0422020803",
            "042a02636f",
            "032a0164",
        ];
        let before = unhex(&golden.concat()).expect("digits");
        let seal = [&[0x24, 0x32, 0x22, 0x0a, 0x20][..], &blake3::hash(&before).as_bytes()[..]].concat();
        assert_eq!(hex(&written(records())), hex(&[before, seal].concat()));
    }

    #[test]
    fn it_comes_back_however_it_is_cut_into_pieces() {
        let bytes = written(records());
        for pieces in [1, 7, bytes.len()] {
            let (found, sealed) = read(&bytes, pieces).expect("it is whole");
            assert_eq!((&found[1..], sealed.key), (&records()[..], None));
            assert!(matches!(found[0], Kind::Header(_)) && sealed.at < bytes.len() as u64);
        }
    }

    #[test]
    fn a_changed_or_torn_file_is_refused() {
        let bytes = written(records());
        for at in 0..bytes.len() {
            assert!(read(&bytes[..at], 64).is_err(), "cut at {at}");
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(read(&changed, 64).is_err(), "changed at {at}");
        }
        let longer = [&bytes[..], b"x"].concat();
        assert_eq!(read(&longer, 64), Err(SoulFileError::Damaged("something follows its end")));
    }

    #[test]
    fn records_out_of_order_or_without_bounds_are_refused() {
        let mut order = records();
        order.swap(0, 1);
        assert!(matches!(read(&written(order), 64), Err(SoulFileError::Damaged(_))));
        let twice = [records()[..1].to_vec(), records()].concat();
        assert!(matches!(read(&written(twice), 64), Err(SoulFileError::Damaged(_))));
        for last in [3, 4] {
            let short = records()[..last].to_vec();
            assert_eq!(read(&written(short), 64), Err(SoulFileError::Damaged("its component is too short")));
        }
        let long = [records(), records()[4..].to_vec()].concat();
        assert_eq!(read(&written(long), 64), Err(SoulFileError::Damaged("its component is too long")));
        let endless = [&MAGIC[..], &[0xff; 5]].concat();
        assert_eq!(read(&endless, 64), Err(SoulFileError::Damaged("a record is too long")));
        assert_eq!(read(b"MTXSOUL\x02", 64), Err(SoulFileError::Format(2)));
        assert_eq!(read(b"#!/bin/sh", 64), Err(SoulFileError::Other));
    }

    #[test]
    fn a_signature_holds_for_the_whole_file_alone() {
        let bytes = written(records());
        let (_, sealed) = read(&bytes, 64).expect("it is whole");
        let signed = |hash| [&bytes[..sealed.at as usize], &seal(hash, Some(&[7; 32]))].concat();
        let (_, again) = read(&signed(sealed.hash), 64).expect("it is signed");
        assert_eq!(again, Sealed { key: Some(public_of(&[7; 32])), ..sealed });
        let mut seal_of = SoulFileSeal { hash: sealed.hash.to_vec().into(), ..SoulFileSeal::default() };
        seal_of.key = public_of(&[7; 32]).0.to_vec().into();
        let forged = [&bytes[..sealed.at as usize], &encoded(Kind::Seal(seal_of))].concat();
        assert_eq!(read(&forged, 64), Err(SoulFileError::Signature));
    }
}
