//! Frames: bytes after their length, an unsigned LEB128 varint in its shortest form.

use bytes::{Buf as _, BytesMut};

/// The most bytes in a length: 4 hold 256 MiB, more than any frame may have.
pub const LENGTH_BYTES_MAX: usize = 4;

/// Why bytes do not begin with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length is not in its shortest form, or has too many bytes.
    #[error("the length of a frame is no varint of at most {LENGTH_BYTES_MAX} bytes in its shortest form")]
    Length,
    /// The frame is too long.
    #[error("a frame of {given} bytes is too long: the limit is {limit}")]
    TooLong {
        /// Bytes in the frame.
        given: usize,
        /// The most that are taken.
        limit: usize,
    },
}

/// Where the first frame of `input` begins, and where it ends; none: it is not all there. A frame longer than `limit`
/// is refused before its bytes come.
pub fn first(input: &[u8], limit: usize) -> Result<Option<(usize, usize)>, FrameError> {
    let mut length = 0;
    for (place, &byte) in input.iter().take(LENGTH_BYTES_MAX).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            if byte == 0 && place > 0 {
                return Err(FrameError::Length);
            }
            if length > limit {
                return Err(FrameError::TooLong { given: length, limit });
            }
            let begin = place + 1;
            return Ok((input.len() >= begin + length).then_some((begin, begin + length)));
        }
    }
    if input.len() < LENGTH_BYTES_MAX { Ok(None) } else { Err(FrameError::Length) }
}

/// Takes the first frame off the front of `input`, without a copy; none: it is not all there.
pub(super) fn take(input: &mut BytesMut, limit: usize) -> Result<Option<BytesMut>, FrameError> {
    let Some((begin, end)) = first(input, limit)? else { return Ok(None) };
    let mut frame = input.split_to(end);
    frame.advance(begin);
    Ok(Some(frame))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_are_checked_before_bytes_come() {
        assert_eq!(first(&[], 9), Ok(None));
        assert_eq!(first(&[0], 9), Ok(Some((1, 1))));
        assert_eq!(first(&[2, 7], 9), Ok(None));
        assert_eq!(first(&[2, 7, 8, 9], 9), Ok(Some((1, 3))));
        assert_eq!(first(&[10], 9), Err(FrameError::TooLong { given: 10, limit: 9 }));
        assert_eq!(first(&[0x80, 0], 9), Err(FrameError::Length), "not the shortest form");
        assert_eq!(first(&[0xff, 0xff, 0xff, 0xff, 0x0f], usize::MAX), Err(FrameError::Length));
        let mut input = BytesMut::from(&[2, 7, 8, 1][..]);
        assert_eq!(take(&mut input, 9).map(|frame| frame.map(|frame| frame.to_vec())), Ok(Some(vec![7, 8])));
        assert_eq!((&input[..], take(&mut input.clone(), 9)), (&[1][..], Ok(None)));
    }

    proptest! {
        #[test]
        fn what_prost_writes_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut written = BytesMut::new();
            prost::encode_length_delimiter(bytes.len(), &mut written).expect("there is room");
            written.extend_from_slice(&bytes);
            let read = take(&mut written, 300).expect("sound").expect("whole");
            prop_assert_eq!(read.to_vec(), bytes);
        }
    }
}
