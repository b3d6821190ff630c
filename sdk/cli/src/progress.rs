//! How far a long piece of work has come: a bar on a terminal; elsewhere one line at its start and
//! one at its end; for programs, nothing.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;
use crate::text;

/// How often a bar is drawn, a second: smooth to the eye, cheap over a network.
const DRAWS_PER_SECOND: u8 = 10;

/// What a bar counts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    /// Bytes of an upload or a download.
    Bytes,
    /// Ticks of a Matrix.
    Ticks,
    /// Users of a component.
    Users,
}

/// A piece of work under way. Dropped without an end, its bar is wiped.
#[derive(Debug)]
pub(crate) struct Progress<'a> {
    output: &'a Output,
    what: String,
    unit: Unit,
    bar: Option<ProgressBar>,
}

impl<'a> Progress<'a> {
    /// Starts a piece of work of `total` units; none: it is not known yet.
    pub(crate) fn start(output: &'a Output, what: String, unit: Unit, total: Option<u64>) -> Self {
        let mut progress = Self { output, what, unit, bar: None };
        if !output.tells_progress() {
            return progress;
        }
        if output.stderr_is_terminal() {
            let bar =
                ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND));
            bar.set_style(style(unit, total.is_some()));
            bar.set_message(progress.what.clone());
            progress.bar = Some(bar);
        } else {
            let size = total.map(|total| format!(" ({})", amount(unit, total))).unwrap_or_default();
            output.note(&format!("{}{size} ...", progress.what));
        }
        progress
    }

    /// So many units are done, of `total` if that is known by now.
    pub(crate) fn set(&self, done: u64, total: Option<u64>) {
        let Some(bar) = &self.bar else { return };
        if let Some(total) = total.filter(|&total| bar.length() != Some(total)) {
            bar.set_length(total);
            bar.set_style(style(self.unit, true));
        }
        bar.set_position(done);
    }

    /// The work is over after `done` units.
    pub(crate) fn finish(self, done: u64) {
        match &self.bar {
            Some(bar) => bar.finish_and_clear(),
            None => self.output.note(&format!("{} done ({})", self.what, amount(self.unit, done))),
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.as_ref().filter(|bar| !bar.is_finished()) {
            bar.finish_and_clear();
        }
    }
}

fn amount(unit: Unit, count: u64) -> String {
    match unit {
        Unit::Bytes => text::bytes(count),
        Unit::Ticks => format!("{count} ticks"),
        Unit::Users => format!("{count} users"),
    }
}

fn style(unit: Unit, has_total: bool) -> ProgressStyle {
    let template = match (unit, has_total) {
        (Unit::Bytes, true) => "{msg} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec}",
        (Unit::Bytes, false) => "{spinner} {msg} {bytes} {bytes_per_sec}",
        (Unit::Ticks, true) => "{msg} [{wide_bar}] tick {pos}/{len}, {eta} to go",
        (Unit::Users, true) => "{msg} [{wide_bar}] {pos}/{len} users",
        (Unit::Users, false) => "{spinner} {msg} {pos} users, {elapsed}",
        (Unit::Ticks, false) => "{spinner} {msg} tick {pos}, {elapsed}",
    };
    ProgressStyle::with_template(template).expect("the templates above are well-formed").progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_well_formed() {
        for unit in [Unit::Bytes, Unit::Ticks, Unit::Users] {
            for has_total in [false, true] {
                let bar = ProgressBar::with_draw_target(Some(3), ProgressDrawTarget::hidden());
                bar.set_style(style(unit, has_total));
                bar.set_position(2);
            }
        }
    }
}
