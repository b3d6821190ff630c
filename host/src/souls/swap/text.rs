//! What a Soul does in a trial, as people read it.

use crate::capabilities::rehearsal::Deed;
use crate::kv::Mutation;
use crate::transport::shown;

pub(super) fn deed(deed: &Deed) -> String {
    match deed {
        Deed::Send(to, said) => format!("sends to {to}: {}", shown::content(said)),
        Deed::Ask(to, said) => format!("asks {to}: {}", shown::content(said)),
        Deed::Subscribe(topic) => format!("subscribes to {topic}"),
        Deed::Unsubscribe(topic) => format!("unsubscribes from {topic}"),
        Deed::Emit(kind, said) => format!("emits {kind}: {}", shown::content(said)),
        Deed::Remember(text, instead_of) if instead_of.is_empty() => {
            format!("remembers: {}", shown::bytes(text.as_bytes()))
        }
        Deed::Remember(text, instead_of) => {
            format!("remembers instead of {instead_of:?}: {}", shown::bytes(text.as_bytes()))
        }
        Deed::Forget(id) => format!("forgets the episode {id}"),
        Deed::Call(endpoint, method, request) => {
            format!("calls {method} of {endpoint}: {}", shown::bytes(request))
        }
        Deed::Request(line) => format!("requests {}", shown::bytes(line.as_bytes())),
        Deed::Write(mutations) => mutations.iter().map(mutation).collect::<Vec<_>>().join(", "),
    }
}

fn mutation(mutation: &Mutation) -> String {
    let at = |path: &crate::kv::Path| format!("{}/{}", path.bucket(), shown::bytes(&path.key()));
    match mutation {
        Mutation::Put { path, value, .. } => format!("sets {} to {}", at(path), shown::bytes(value)),
        Mutation::Delete { path } => format!("deletes {}", at(path)),
        Mutation::Increment { path, delta } => format!("adds {delta} to {}", at(path)),
    }
}
