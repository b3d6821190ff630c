//! The frame: what one write and one sync make durable, whole or not at all.
//!
//! ```text
//! number: u64 | length of the payload: u32 | check: 4 bytes | tag: 16 bytes | payload | zeros up to 8 bytes
//! ```
//!
//! Numbers are little-endian. `check` is a keyed hash of the frame's place, number and length, `tag` one of these and
//! the payload. The key is the folder's own secret: guests choose most bytes of a payload, and whoever knew the
//! checksum could choose them so that a torn frame looks whole, or that a frame seems to lie within another. The
//! place binds a frame to its segment and offset: what an older file left on the disk is no frame here.

/// Bytes before the payload.
pub(super) const HEADER_BYTES: usize = 32;
/// Frames begin at multiples of it.
pub(super) const ALIGNMENT: usize = 8;

const CHECK: std::ops::Range<usize> = 12..16;
const TAG: std::ops::Range<usize> = 16..32;

/// Where a frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) segment: u64,
    pub(super) offset: u64,
}

/// A header whose check is right.
pub(super) struct Header {
    pub(super) number: u64,
    /// Bytes of the payload.
    pub(super) length: usize,
    tag: [u8; 16],
}

/// The secret with which frames are sealed.
#[derive(Clone)]
pub(in crate::kv) struct Key([u8; blake3::KEY_LEN]);

/// Bytes that a frame with a payload of `length` takes.
pub(super) fn size_of_frame(length: usize) -> usize {
    (HEADER_BYTES + length).next_multiple_of(ALIGNMENT)
}

impl Key {
    pub(in crate::kv) fn new(secret: [u8; blake3::KEY_LEN]) -> Key {
        Key(secret)
    }

    /// Fills in the header of `frame`, whose payload begins after it and is followed by `padding` zeros.
    pub(super) fn seal(&self, place: Place, number: u64, frame: &mut [u8], padding: usize) {
        let end = frame.len() - padding;
        let (header, payload) = frame[..end].split_at_mut(HEADER_BYTES);
        let length = payload.len() as u32;
        header[..8].copy_from_slice(&number.to_le_bytes());
        header[8..12].copy_from_slice(&length.to_le_bytes());
        header[CHECK].copy_from_slice(&self.check(place, number, length));
        header[TAG].copy_from_slice(&self.tag(place, number, length, payload));
    }

    /// The header at `place`, if there is one.
    pub(super) fn header(&self, place: Place, bytes: &[u8; HEADER_BYTES]) -> Option<Header> {
        let number = u64::from_le_bytes(bytes[..8].try_into().ok()?);
        let length = u32::from_le_bytes(bytes[8..12].try_into().ok()?);
        if number == 0 || bytes[CHECK] != self.check(place, number, length) {
            return None;
        }
        Some(Header { number, length: length as usize, tag: bytes[TAG].try_into().ok()? })
    }

    /// Whether `payload` is the one that was sealed with `header` at `place`.
    pub(super) fn holds(&self, place: Place, header: &Header, payload: &[u8]) -> bool {
        header.tag == self.tag(place, header.number, payload.len() as u32, payload)
    }

    fn check(&self, place: Place, number: u64, length: u32) -> [u8; 4] {
        let hash = blake3::keyed_hash(&self.0, &context(place, number, length, b'H'));
        hash.as_bytes().first_chunk().copied().unwrap_or_default()
    }

    fn tag(&self, place: Place, number: u64, length: u32, payload: &[u8]) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&context(place, number, length, b'F')).update(payload);
        hasher.finalize().as_bytes().first_chunk().copied().unwrap_or_default()
    }
}

/// What a frame's hashes begin with; `what` keeps the two apart.
fn context(place: Place, number: u64, length: u32, what: u8) -> [u8; 29] {
    let mut bytes = [what; 29];
    bytes[..8].copy_from_slice(&place.segment.to_le_bytes());
    bytes[8..16].copy_from_slice(&place.offset.to_le_bytes());
    bytes[16..24].copy_from_slice(&number.to_le_bytes());
    bytes[24..28].copy_from_slice(&length.to_le_bytes());
    bytes
}
