//! Who may call what: the only place that says so. A method that is not in the table is open to nobody.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::fields::{self, Fields};

/// What a caller may do. Each role may do all that the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks, and changes nothing.
    Read,
    /// Brings components, Souls and Matrices, and talks to them.
    Deploy,
    /// Writes to the KV, moves what runs, takes nodes out, and says what judges messages.
    Operate,
    /// Invites nodes, takes backups, and says who else may do what.
    Admin,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 4] = [Self::Read, Self::Deploy, Self::Operate, Self::Admin];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Deploy => "deploy",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = ();

    /// The role with this name.
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or(())
    }
}

/// A method of `matrix.v1`.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// Its name, as `Service/Method`: what a caller writes must not become a label.
    name: &'static str,
    /// The least role that may call it.
    role: Role,
    /// Where its requests say what it changes: such a call goes into the audit log. None: it changes nothing, or it is
    /// talk between Souls and their users, of which there is too much.
    target: Option<&'static [&'static str]>,
}

const fn looks(name: &'static str) -> Row {
    Row { name, role: Role::Read, target: None }
}

const fn says(name: &'static str, role: Role) -> Row {
    Row { name, role, target: None }
}

const fn changes(name: &'static str, role: Role, target: &'static [&'static str]) -> Row {
    Row { name, role, target: Some(target) }
}

/// Every method, and who may call it.
const ROWS: &[Row] = &[
    looks("Access/WhoAmI"),
    changes("Access/CreateToken", Role::Admin, &["name", "role"]),
    says("Access/ListTokens", Role::Admin),
    changes("Access/RotateToken", Role::Admin, &["name"]),
    changes("Access/RevokeToken", Role::Admin, &["name"]),
    changes("Access/GrantCertificate", Role::Admin, &["fingerprint", "role"]),
    says("Access/ListCertificates", Role::Admin),
    changes("Access/RevokeCertificate", Role::Admin, &["fingerprint"]),
    says("Access/Audit", Role::Admin),
    looks("Cluster/Status"),
    looks("Cluster/ListNodes"),
    changes("Cluster/Invite", Role::Admin, &[]),
    changes("Cluster/Drain", Role::Operate, &["node"]),
    changes("Cluster/Resume", Role::Operate, &["node"]),
    changes("Cluster/Remove", Role::Operate, &["node"]),
    // It changes nothing, and takes everything away.
    changes("Cluster/Backup", Role::Admin, &[]),
    changes("Components/Upload", Role::Deploy, &["header.name", "header.digest"]),
    looks("Components/Get"),
    looks("Components/List"),
    changes("Components/Delete", Role::Deploy, &["reference"]),
    changes("Components/Rollout", Role::Deploy, &["name", "component"]),
    looks("Components/Download"),
    looks("Events/Subscribe"),
    changes("Interceptors/SetChain", Role::Operate, &[]),
    looks("Interceptors/GetChain"),
    changes("Interceptors/Swap", Role::Operate, &["name", "component"]),
    changes("Interceptors/Rollback", Role::Operate, &["name"]),
    looks("Interceptors/History"),
    looks("Kv/Get"),
    changes("Kv/Put", Role::Operate, &["bucket", "key"]),
    changes("Kv/Delete", Role::Operate, &["bucket", "key"]),
    changes("Kv/CompareAndSwap", Role::Operate, &["bucket", "key"]),
    looks("Kv/Range"),
    // Each write in it is written down as a call of its own would be.
    says("Kv/Pipeline", Role::Operate),
    looks("Kv/Watch"),
    changes("Kv/GrantLease", Role::Operate, &[]),
    // Many times a minute for one lease, which is written down when it is granted.
    says("Kv/KeepAlive", Role::Operate),
    changes("Kv/RevokeLease", Role::Operate, &["lease"]),
    changes("Learning/Teach", Role::Deploy, &["name"]),
    changes("Learning/Feedback", Role::Deploy, &["name", "id"]),
    looks("Learning/Experiences"),
    changes("Learning/Train", Role::Deploy, &["name"]),
    changes("Learning/Restore", Role::Deploy, &["name", "lesson"]),
    // It changes nothing, and lets code run.
    says("Learning/Compare", Role::Deploy),
    looks("Learning/Progress"),
    looks("Learning/Watch"),
    looks("Logs/Tail"),
    changes("Matrices/Create", Role::Deploy, &["manifest.name"]),
    looks("Matrices/Get"),
    looks("Matrices/List"),
    changes("Matrices/Start", Role::Deploy, &["name"]),
    changes("Matrices/Pause", Role::Deploy, &["name"]),
    changes("Matrices/Step", Role::Deploy, &["name"]),
    changes("Matrices/Stop", Role::Deploy, &["name"]),
    changes("Matrices/Move", Role::Operate, &["name", "node"]),
    // Dry runs too: they let code run.
    changes("Matrices/Swap", Role::Deploy, &["name", "component"]),
    changes("Matrices/Rollback", Role::Deploy, &["name"]),
    changes("Matrices/Delete", Role::Deploy, &["name"]),
    looks("Matrices/View"),
    looks("Matrices/Replay"),
    looks("Memory/List"),
    looks("Memory/Recall"),
    changes("Memory/Remember", Role::Deploy, &["name"]),
    changes("Memory/Forget", Role::Deploy, &["name"]),
    looks("Memory/Export"),
    looks("Observe/Usage"),
    looks("Observe/Limits"),
    changes("Souls/Spawn", Role::Deploy, &["manifest.name"]),
    looks("Souls/Get"),
    looks("Souls/List"),
    changes("Souls/Stop", Role::Deploy, &["name"]),
    changes("Souls/Delete", Role::Deploy, &["name"]),
    says("Souls/Send", Role::Deploy),
    says("Souls/Ask", Role::Deploy),
    says("Souls/Converse", Role::Deploy),
    changes("Souls/Move", Role::Operate, &["name", "node"]),
    changes("Souls/Swap", Role::Deploy, &["name", "component"]),
    changes("Souls/SetPersona", Role::Deploy, &["name"]),
    changes("Souls/Rollback", Role::Deploy, &["name"]),
    looks("Souls/History"),
    changes("Souls/Fork", Role::Deploy, &["name", "to"]),
    // It changes nothing, and takes a Soul away.
    changes("Souls/Export", Role::Deploy, &["name"]),
    changes("Souls/Import", Role::Deploy, &["header.name"]),
    changes("Souls/Checkpoint", Role::Deploy, &["name"]),
    looks("Souls/DeadLetters"),
    changes("Souls/Resend", Role::Deploy, &["name", "id"]),
    changes("Souls/Drop", Role::Deploy, &["name", "id"]),
];

/// What the door knows of a method.
#[derive(Debug)]
pub(super) struct Method {
    /// Its name, as `Service/Method`.
    pub(super) name: &'static str,
    /// The least role that may call it.
    pub(super) role: Role,
    /// Whether it answers with a stream.
    pub(super) streams: bool,
    /// What the audit log says of its requests; none: nothing.
    pub(super) audited: Option<Fields>,
}

/// The table, joined with what the interface says of each method.
static METHODS: LazyLock<HashMap<&'static str, Method>> = LazyLock::new(|| {
    let interface = fields::Interface::read();
    let known = ROWS.iter().filter_map(|Row { name, role, target }| {
        let method = interface.method(name)?;
        let audited = target.map(|target| interface.fields(&method.input, target));
        Some((*name, Method { name, role: *role, streams: method.streams, audited }))
    });
    known.collect()
});

/// The method behind the path of a request, such as `/matrix.v1.Souls/Get`.
pub(super) fn method(path: &str) -> Option<&'static Method> {
    named(path.strip_prefix("/matrix.v1.")?)
}

/// The method with this name, such as `Souls/Get`.
pub(super) fn named(name: &str) -> Option<&'static Method> {
    METHODS.get(name)
}

/// The least role that may call the method with this name; the strongest where there is none.
pub(super) fn role_of(name: &str) -> Role {
    named(name).map_or(Role::Admin, |method| method.role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_the_interface_has_its_role_and_no_other_has_one() {
        let interface = fields::Interface::read();
        let mut methods: Vec<_> = interface.methods().collect();
        let mut rows: Vec<_> = ROWS.iter().map(|row| row.name.to_owned()).collect();
        methods.sort();
        rows.sort();
        assert_eq!(rows, methods, "give each method its row in ROWS");
        assert_eq!(METHODS.len(), ROWS.len());
    }

    #[test]
    fn what_is_written_down_of_a_request_is_in_it() {
        let interface = fields::Interface::read();
        for Row { name, target, .. } in ROWS {
            let Some(target) = target else { continue };
            let input = &interface.method(name).expect("a method").input;
            for path in *target {
                assert!(interface.field(input, path).is_some(), "{name} has no field `{path}`");
            }
        }
    }

    #[test]
    fn a_stronger_role_may_do_what_a_weaker_one_may() {
        assert!(Role::ALL.is_sorted());
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().is_err());
        assert_eq!(named("Kv/Put").map(|method| method.role), Some(Role::Operate));
        assert!(method("/matrix.v1.Souls/Ask").is_some_and(|method| method.audited.is_none()));
        assert!(method("/matrix.v1.Souls/Asks").is_none() && method("/").is_none());
    }
}
