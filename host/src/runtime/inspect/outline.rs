//! What lies around a component's code: what it says of itself, and the program that it carries where it is an interpreter.

use blake3::Hasher;
use matrix_label::{Label, Malformed, PROGRAM, sections};

use super::limits::InspectLimits;
use super::refusal::Refusal;
use crate::ids::CodeHash;

/// A component as its outermost sections show it; nothing is known of whether it is valid.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outline<'a> {
    /// Names the code: all but the custom sections. Components of the same code differ in no export, no import and no
    /// function, so that what is known of one and compiled for it is true of the others.
    pub(crate) code: CodeHash,
    /// What it says of itself.
    pub(crate) label: Label,
    /// What it carries for `matrix:node/program`; of several the last.
    pub(crate) program: &'a [u8],
}

impl<'a> Outline<'a> {
    /// Reads it, without a look into the code.
    ///
    /// # Errors
    /// Where the bytes are cut off, are no component, or are more than there may be.
    pub(crate) fn of(bytes: &'a [u8], limits: &InspectLimits) -> Result<Self, Refusal> {
        super::check_format(bytes, limits)?;
        // Whoever reads it all knows better what is wrong with it.
        let malformed = |_: Malformed| match super::inspect(bytes, limits) {
            Err(refusal) => refusal,
            Ok(_) => Refusal::Truncated { bytes: bytes.len() },
        };
        let (mut label, mut program, mut code) = (Label::default(), &[][..], Hasher::new());
        for section in sections(bytes).map_err(malformed)? {
            let section = section.map_err(malformed)?;
            match section.custom {
                Some((PROGRAM, data)) => program = data,
                Some((name, data)) => label.read_section(name, data),
                None => drop(code.update(section.whole)),
            }
        }
        let (found, max) = (program.len() as u64, limits.program_bytes_max);
        if found > max {
            let what = "bytes in its program";
            return Err(Refusal::TooMuch { what, found, max, limit: "program_bytes_max" });
        }
        Ok(Self { code: CodeHash::from_bytes(code.finalize().into()), label, program })
    }
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{ComponentSection as _, CustomSection};

    use super::super::bombs::{laborious, soul, soul_beside};
    use super::*;

    fn with(mut bytes: Vec<u8>, name: &str, data: &[u8]) -> Vec<u8> {
        CustomSection { name: name.into(), data: data.into() }.append_to_component(&mut bytes);
        bytes
    }

    fn of(bytes: &[u8]) -> Outline<'_> {
        Outline::of(bytes, &InspectLimits::default()).expect("it is a component")
    }

    #[test]
    fn what_differs_around_the_code_is_no_other_code() {
        let plain = soul();
        let one = with(with(plain.clone(), "matrix:program", b"first"), "version", b"1.0");
        let two = with(with(plain.clone(), "version", b"2.0"), "other", b"anything");
        let two = with(with(two, "matrix:program", b"no more"), "matrix:program", b"second");
        assert_eq!([of(&one).code, of(&two).code], [of(&plain).code; 2]);
        assert_eq!([of(&plain).program, of(&one).program, of(&two).program], [&b""[..], b"first", b"second"]);
        assert_eq!([&*of(&one).label.version, &*of(&two).label.version], ["1.0", "2.0"]);
        let other = soul_beside(&laborious(1, 1));
        assert_ne!(of(&other).code, of(&plain).code);
    }

    #[test]
    fn what_is_cut_off_or_too_much_is_refused() {
        let whole = with(soul(), "matrix:program", &[7; 100]);
        let limits = InspectLimits { program_bytes_max: 99, ..InspectLimits::default() };
        let refused = Outline::of(&whole, &limits).expect_err("a byte too much");
        assert!(refused.to_string().contains("100 bytes in its program"), "{refused}");
        for cut in 0..whole.len() {
            // What ends between two sections is whole as far as can be seen from here.
            let _ = Outline::of(&whole[..cut], &InspectLimits::default());
        }
        let cut = Outline::of(&whole[..whole.len() - 1], &InspectLimits::default());
        assert_eq!(cut, Err(Refusal::Truncated { bytes: whole.len() - 1 }));
        // Of another version than this one's, which whoever reads it all names.
        let old = [&b"\0asm\x0c\0\x01\0"[..], &whole[8..]].concat();
        let refused = Outline::of(&old, &InspectLimits::default());
        assert!(matches!(refused, Err(Refusal::Invalid { .. })), "{refused:?}");
    }
}
