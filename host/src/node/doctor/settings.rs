//! What the configuration says, before anything is looked at: bounds, and who would be let in.

use super::Findings;
use crate::admin::{self, Role};
use crate::capabilities::grpc::Endpoints;
use crate::config::Config;
use crate::kv::KvConfig;
use crate::runtime::signatures::Policy;
use crate::telemetry::process;

pub(super) fn look(config: &Config, found: &mut Findings) {
    match config.admin.check() {
        Ok(()) => door(config, found),
        Err(error) => found.refused("door", &error),
    }
    let kv = KvConfig { dir: config.data_dir.join(super::super::KV_DIR), ..config.kv.clone() };
    if let Err(error) = kv.check() {
        found.refused("kv", &error);
    }
    if let Err(error) = config.souls.check() {
        found.refused("souls", &error);
    }
    match config.components.signatures {
        Policy::Require if config.components.trusted_keys.is_empty() => {
            let text = "signatures are required, and no key is trusted: nothing can run";
            found.error("signatures", text, "name keys in `components.trusted_keys`");
        }
        Policy::Require => found.ok("signatures", "only what a trusted key has signed runs"),
        Policy::Off | Policy::Warn => {
            let change =
                "name keys in `components.trusted_keys`, and set `components.signatures = \"require\"`";
            found.warn("signatures", "components run that nobody has signed", change);
        }
    }
    memory(config, found);
    grpc(config, found);
    http(config, found);
    let reached = config.p2p.listen.iter().map(ToString::to_string);
    let reached: Vec<_> = reached.filter(|address| !is_loopback(address)).collect();
    match &reached[..] {
        [] => found.ok(
            "network",
            "no other machine reaches this node: it is alone, or its realm is on this machine",
        ),
        _ => found.ok("network", format!("nodes are let in by their keys, at {}", reached.join(", "))),
    }
    if !config.p2p.clients.is_empty() {
        let text = format!("{} peers may talk to Souls without being members", config.p2p.clients.len());
        found.warn("network", text, "take those out of `p2p.clients` that should not");
    }
}

/// Who is let in where, once the settings make sense.
fn door(config: &Config, found: &mut Findings) {
    let admin = &config.admin;
    match (admin.listen, &admin.tls) {
        (None, _) => found.ok("door", "gRPC is on the Unix socket alone"),
        (Some(address), None) => found.ok("door", format!("gRPC is on {address}, for this machine alone")),
        (Some(address), Some(tls)) => {
            let who = if tls.client_ca.is_some() { "certificates" } else { "tokens" };
            found.ok("door", format!("gRPC is on {address}, over TLS, for callers with {who}"));
        }
    }
    let Some(tls) = &admin.tls else { return };
    match admin::check_tls(tls) {
        Ok(()) => found.ok("tls", "certificate, key and authority can be used"),
        Err(error) => found.refused("tls", &error),
    }
    if tls.client_ca.is_some() && tls.role > Role::Read {
        let text = format!("every certificate of `admin.tls.client_ca` has the role `{}`", tls.role);
        found.warn(
            "tls",
            text,
            "set `admin.tls.role = \"read\"`, and give more by `matrix access cert grant`",
        );
    }
}

/// Whether all that has a bound of bytes finds room beside the rest, should each come to it.
fn memory(config: &Config, found: &mut Findings) {
    let Some(room) = process::room_bytes() else { return };
    let bounds = [
        ("kv.state_bytes_max", config.kv.state_bytes_max),
        ("engine.guest_memory_bytes_max", config.engine.guest_memory_bytes()),
        ("transport.mailboxes_bytes_max", config.transport.mailboxes_bytes()),
    ];
    let total = bounds.iter().fold(0u64, |sum, (_, bytes)| sum.saturating_add(*bytes));
    let parts = bounds.map(|(name, bytes)| format!("`{name}` {} MiB", bytes >> 20)).join(", ");
    let text = format!("{parts}: together {} MiB of {} MiB", total >> 20, room >> 20);
    match total <= room {
        true => found.ok("memory", text),
        false => found.warn("memory", text, "lower one of them, or the system may have to end the node"),
    }
}

/// What Souls could call outside the realm. Blocks on the disk.
fn grpc(config: &Config, found: &mut Findings) {
    let all = &config.grpc.endpoints;
    match Endpoints::check(&config.grpc) {
        Ok(()) if all.is_empty() => found.ok("grpc", "no service is there for Souls to call"),
        Ok(()) => {
            let names: Vec<_> = all.keys().map(String::as_str).collect();
            found.ok("grpc", format!("Souls that are granted it can call {}", names.join(", ")));
        }
        Err(error) => found.refused("grpc", &error),
    }
    for doubt in config.grpc.doubts() {
        let change = "whoever is on the way can read and change it: set `url` to `https://…`, and `tls.ca`";
        found.warn("grpc", doubt, change);
    }
}

/// Where Souls could send requests. Blocks on the disk.
fn http(config: &Config, found: &mut Findings) {
    match config.http.check() {
        Ok(()) if config.http.hosts.is_empty() => found.ok("http", "Souls send no requests to anybody"),
        Ok(()) => {
            let hosts: Vec<_> = config.http.hosts.iter().map(ToString::to_string).collect();
            found.ok("http", format!("Souls that are granted it can send requests to {}", hosts.join(", ")));
        }
        Err(error) => found.refused("http", &error),
    }
    for doubt in config.http.doubts() {
        found.warn(
            "http",
            doubt,
            "whoever is on the way can read and change it: name the host without `http://`",
        );
    }
    if config.http.lacks_authorities() {
        let change = "set it; on Debian `/etc/ssl/certs/ca-certificates.crt` has the public authorities";
        found.warn("http", "no host is reached over TLS: `http.ca` is not set", change);
    }
}

/// Whether a multiaddress is one of this machine alone.
fn is_loopback(address: &str) -> bool {
    address.starts_with("/ip4/127.") || address.starts_with("/ip6/::1/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_are_told_from_others() {
        assert!(is_loopback("/ip4/127.0.0.1/tcp/0") && is_loopback("/ip6/::1/udp/0/quic-v1"));
        assert!(!is_loopback("/ip4/0.0.0.0/tcp/4001") && !is_loopback("/ip6/::/tcp/4001"));
    }
}
