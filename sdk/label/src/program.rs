//! The program that a component carries, where it is an interpreter (`matrix:node/program`).

use crate::sections::{COMPONENT, Malformed, custom, sections};

/// The section with the program.
pub const PROGRAM: &str = "matrix:program";

/// The component with this program in place of the one that it had; an empty one: with none.
///
/// # Errors
/// Where the bytes are no component, or end in the midst of one.
pub fn carrying(component: &[u8], program: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::with_capacity(component.len() + program.len() + 32);
    out.extend_from_slice(&COMPONENT);
    for section in sections(component)? {
        let section = section?;
        if section.custom.is_none_or(|(name, _)| name != PROGRAM) {
            out.extend_from_slice(section.whole);
        }
    }
    if !program.is_empty() {
        custom(&mut out, PROGRAM, program);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_takes_the_place_of_another() {
        let plain = COMPONENT.to_vec();
        let one = carrying(&plain, b"one").expect("a component");
        assert_eq!(one[COMPONENT.len()..], *b"\0\x12\x0ematrix:programone");
        let two = carrying(&one, b"another").expect("a component");
        assert_eq!(two, carrying(&plain, b"another").expect("a component"));
        assert_eq!(carrying(&two, b"").expect("a component"), plain);
        assert_eq!(carrying(&one[..one.len() - 1], b"x"), Err(Malformed));
    }
}
