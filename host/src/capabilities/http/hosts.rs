//! Which hosts are meant, and which addresses everybody may reach.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use http::Uri;
use serde::{Deserialize, Serialize};

/// Hosts: `api.example.org` over TLS at port 443, `*.example.org:8443` over TLS, `http://api.example.org` without, or `*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPattern(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// Every host, by every way.
    All,
    /// A host, or all below a domain.
    Named { below: bool, place: Target },
}

/// Not a pattern of hosts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no host: write `api.example.org`, `*.example.org:8443`, or `http://api.example.org` for one without TLS"
)]
pub struct HostError(String);

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) tls: bool,
    /// In lower case; an address of IPv6 without brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Target {
    /// Where a request for this goes; none: that is no host.
    pub(super) fn of(uri: &Uri) -> Option<Self> {
        let tls = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?;
        // A user in it is a way to make a host look like another.
        if authority.as_str().contains('@') {
            return None;
        }
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let host = host.strip_suffix('.').map_or(host.clone(), str::to_owned);
        let ends = authority.as_str().rsplit(']').next().unwrap_or_default();
        let port = match uri.port_u16() {
            Some(port) => port,
            None if ends.contains(':') => return None,
            None if tls => 443,
            None => 80,
        };
        (!host.is_empty() && port > 0).then_some(Self { tls, host, port })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tls, host, port } = self;
        if !tls {
            f.write_str("http://")?;
        }
        if host.contains(':') {
            write!(f, "[{host}]")?
        } else {
            f.write_str(host)?
        }
        if *port == if *tls { 443 } else { 80 } { Ok(()) } else { write!(f, ":{port}") }
    }
}

impl HostPattern {
    /// Whether a request that goes there is meant.
    pub(super) fn covers(&self, target: &Target) -> bool {
        match &self.0 {
            Kind::All => true,
            Kind::Named { below, place } => {
                let is_host = if *below {
                    target
                        .host
                        .strip_suffix(&place.host)
                        .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
                } else {
                    target.host == place.host
                };
                is_host && (target.tls, target.port) == (place.tls, place.port)
            }
        }
    }

    /// Whether requests may go there over TLS.
    pub(super) fn takes_tls(&self) -> bool {
        match &self.0 {
            Kind::All => true,
            Kind::Named { place, .. } => place.tls,
        }
    }

    /// Whether what goes there can be read on its way.
    pub(super) fn is_plain(&self) -> bool {
        match &self.0 {
            Kind::All => true,
            Kind::Named { place, .. } => !place.tls && place.host != "localhost" && !is_loopback(&place.host),
        }
    }
}

fn is_loopback(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl FromStr for HostPattern {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let refuse = || HostError(text.chars().take(80).flat_map(char::escape_default).collect());
        if text == "*" {
            return Ok(Self(Kind::All));
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
        let (below, rest) = rest.strip_prefix("*.").map_or((false, rest), |rest| (true, rest));
        if rest.contains(['/', '?', '#', '*']) || text.len() > 300 {
            return Err(refuse());
        }
        let uri: Uri = format!("{scheme}://{rest}/").parse().map_err(|_| refuse())?;
        let place = Target::of(&uri).ok_or_else(refuse)?;
        Ok(Self(Kind::Named { below, place }))
    }
}

impl TryFrom<String> for HostPattern {
    type Error = HostError;

    fn try_from(text: String) -> Result<Self, HostError> {
        text.parse()
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::All => f.write_str("*"),
            Kind::Named { below: false, place } => place.fmt(f),
            Kind::Named { below: true, place } if place.tls => write!(f, "*.{place}"),
            Kind::Named { below: true, place } => {
                let text = place.to_string();
                write!(f, "http://*.{}", text.trim_start_matches("http://"))
            }
        }
    }
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> String {
        pattern.to_string()
    }
}

/// Whether an address is one that everybody may reach: not of this machine, of its networks, or of none.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        // Shared by carriers, of protocols, and of benchmarks.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b));
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([one, two], [three, four]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(one, two, three, four))
    };
    match [a, b, c, d, e, f] {
        // An address of IPv4 in another dress: mapped, compatible, translated, or tunnelled.
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => v4(g, h),
        [0x2002, high, low, ..] => v4(high, low),
        // All that is given out is below 2000::/3; of that Teredo's and the documentation's are none.
        _ => a & 0xe000 == 0x2000 && !(a == 0x2001 && (b == 0 || b == 0xdb8)),
    }
}
