//! Exit codes: a contract with scripts. A number never changes its meaning.

use tonic::Code;

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// It did what it was asked to.
    Ok = 0,
    /// It failed in a way that no other code names.
    Failure = 1,
    /// The arguments are wrong.
    Usage = 2,
    /// A thing that was named does not exist.
    NotFound = 3,
    /// The node refused the caller.
    Denied = 4,
    /// A manifest or a value is wrong.
    Invalid = 5,
    /// No node answers, or the one that does cannot serve now.
    Unavailable = 6,
    /// Something did not happen in time.
    Deadline = 7,
    /// What is there is not what was expected.
    Conflict = 8,
    /// A limit was reached.
    Exhausted = 9,
    /// The node does not know how to do this.
    Unsupported = 10,
    /// A replay differs from its run log.
    Difference = 11,
    /// A Matrix that was waited for stopped, failed or was paused.
    Unfinished = 12,
    /// The user pressed Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// The name that the JSON error object carries.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failure => "failure",
            Self::Usage => "usage",
            Self::NotFound => "not-found",
            Self::Denied => "denied",
            Self::Invalid => "invalid",
            Self::Unavailable => "unavailable",
            Self::Deadline => "deadline",
            Self::Conflict => "conflict",
            Self::Exhausted => "exhausted",
            Self::Unsupported => "unsupported",
            Self::Difference => "difference",
            Self::Unfinished => "unfinished",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<Code> for Exit {
    fn from(code: Code) -> Self {
        match code {
            Code::Ok => Self::Ok,
            Code::NotFound => Self::NotFound,
            Code::PermissionDenied | Code::Unauthenticated => Self::Denied,
            Code::InvalidArgument | Code::OutOfRange => Self::Invalid,
            Code::Unavailable => Self::Unavailable,
            Code::DeadlineExceeded | Code::Cancelled => Self::Deadline,
            Code::AlreadyExists | Code::Aborted | Code::FailedPrecondition => Self::Conflict,
            Code::ResourceExhausted => Self::Exhausted,
            Code::Unimplemented => Self::Unsupported,
            Code::Unknown | Code::Internal | Code::DataLoss => Self::Failure,
        }
    }
}

/// What `--help` says of the exit codes.
pub(crate) const EXIT_CODES_HELP: &str = "\
Exit codes:
    0  ok            it was done
    1  failure       it failed in a way that no other code names
    2  usage         the arguments are wrong
    3  not-found     a thing that was named does not exist
    4  denied        the node refused the caller
    5  invalid       a manifest or a value is wrong
    6  unavailable   no node answers, or it cannot serve now
    7  deadline      it did not happen in time
    8  conflict      what is there is not what was expected
    9  exhausted     a limit was reached
   10  unsupported   the node does not know how to do this
   11  difference    a replay differs from its run log
   12  unfinished    a Matrix that was waited for stopped, failed or was paused
  130  interrupted   Ctrl-C

Environment:
  MATRIX_NODE        the node's address, as --node takes it
  MATRIX_DATA_DIR    the node's data folder, as --data-dir takes it
  MATRIX_CACHE_DIR   where `check`, `test` and `dev` keep what they made; else ~/.cache/matrix
  NO_COLOR           no colours

  MATRIX_REGISTRY_USERNAME, MATRIX_REGISTRY_PASSWORD, DOCKER_CONFIG
                     who one is to a registry, for `matrix components publish` and `fetch`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_every_code() {
        let all = [
            Exit::Ok,
            Exit::Failure,
            Exit::Usage,
            Exit::NotFound,
            Exit::Denied,
            Exit::Invalid,
            Exit::Unavailable,
            Exit::Deadline,
            Exit::Conflict,
            Exit::Exhausted,
            Exit::Unsupported,
            Exit::Difference,
            Exit::Unfinished,
            Exit::Interrupted,
        ];
        for exit in all {
            let start = format!("{:>5}  {} ", exit as u8, exit.name());
            assert!(EXIT_CODES_HELP.lines().any(|line| line.starts_with(&start)), "{start}");
        }
    }
}
