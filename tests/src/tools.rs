//! What tests need of the machine beside the project: where it is missing, they are left out by name, or fail.

use std::io::Write as _;

/// Says that something is left out because of what this machine lacks.
///
/// # Panics
/// Where `MATRIX_NOTHING_LEFT_OUT` is set: then nothing may be.
pub fn leave_out(what: &str, why: &str) {
    #[expect(clippy::disallowed_methods, reason = "a test's settings have no other place")]
    let may_be = std::env::var_os("MATRIX_NOTHING_LEFT_OUT").is_none();
    assert!(may_be, "nothing may be left out: {what}: {why}");
    // Straight to the stream: what tests that pass print is not shown.
    let _ = writeln!(std::io::stderr(), "LEFT OUT: {what}: {why}");
}
