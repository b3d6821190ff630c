//! A fault that the tests plant: they write its name into the built component, so that each fault makes a component of
//! its own.

use std::hint::black_box;

/// What stands before the name.
const PREFIX: &[u8] = b"planted fault: ";

/// Where the name stands, blanks behind it.
static MARK: [u8; 40] = *b"planted fault: none                     ";

/// Whether this is the fault.
pub fn is(fault: &str) -> bool {
    let mark = black_box(&MARK);
    let name = &mark[PREFIX.len()..];
    name.strip_prefix(fault.as_bytes()).is_some_and(|rest| rest.iter().all(|byte| *byte == b' '))
}

/// Panics, if this is the fault.
pub fn fall(fault: &str) {
    assert!(!is(fault), "told to");
}
