//! How many files the process may have open, and who gets them: connections of clients must not take those that the
//! log, the run logs and the other nodes need.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets the process have as many files open as it may ask for: what most systems give a process at first is meant for
/// programs that wait with `select`.
pub(super) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// How many connections each of `doors` may hold where `asked` are asked for: all doors together take half of the files
/// at most.
pub(super) fn connections_max(asked: usize, doors: usize) -> usize {
    let files = getrlimit(Resource::Nofile).current;
    let most = share(files, doors);
    if asked > most {
        tracing::warn!(asked, most, files, "`admin.connections_max` is more than the process has files for");
    }
    asked.min(most)
}

fn share(files: Option<u64>, doors: usize) -> usize {
    files.map_or(usize::MAX, |files| usize::try_from(files / 2).unwrap_or(usize::MAX) / doors.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_files_are_for_the_doors() {
        assert_eq!((share(Some(256), 1), share(Some(256), 3), share(Some(1), 3)), (128, 42, 1));
        assert_eq!(share(None, 3), usize::MAX);
    }
}
