//! Ports that the system chose once are chosen again: who knows this node's addresses keeps knowing them.

use std::path::PathBuf;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol as Part;

/// Addresses that were listened on, in the order of the configuration, and the file that they are kept in.
pub(super) struct Ports {
    file: Option<PathBuf>,
    chosen: Vec<Option<Multiaddr>>,
}

impl Ports {
    pub(super) fn new(file: Option<PathBuf>) -> Self {
        let kept = file.as_ref().and_then(|file| std::fs::read(file).ok());
        // A file that cannot be read costs other ports, and nothing else.
        let chosen = kept.and_then(|kept| serde_json::from_slice(&kept).ok()).unwrap_or_default();
        Self { file, chosen }
    }

    /// What was chosen for the address in this place of the configuration, if it leaves the choice.
    pub(super) fn remembered(&self, place: usize, asked: &Multiaddr) -> Option<Multiaddr> {
        let chosen = self.chosen.get(place)?.clone()?;
        (is_choice(asked) && is_like(asked, &chosen)).then_some(chosen)
    }

    /// Keeps an address that is listened on, for the place of the configuration that left the choice.
    pub(super) fn remember(&mut self, asked: &[Multiaddr], chosen: &Multiaddr) {
        let Some(place) = asked.iter().position(|asked| is_choice(asked) && is_like(asked, chosen)) else {
            return;
        };
        // What was asked for, with the ports that were chosen.
        let port =
            |(asked, chosen)| if matches!(asked, Part::Tcp(0) | Part::Udp(0)) { chosen } else { asked };
        let chosen: Multiaddr = asked[place].iter().zip(chosen.iter()).map(port).collect();
        self.chosen.resize(asked.len().max(self.chosen.len()), None);
        if self.chosen[place].as_ref() == Some(&chosen) {
            return;
        }
        self.chosen[place] = Some(chosen);
        let (Some(file), Ok(text)) = (&self.file, serde_json::to_vec(&self.chosen)) else { return };
        if let Err(error) = std::fs::write(file, text) {
            tracing::warn!(%error, file = %file.display(), "chosen ports cannot be kept");
        }
    }
}

fn is_choice(asked: &Multiaddr) -> bool {
    asked.iter().any(|part| matches!(part, Part::Tcp(0) | Part::Udp(0)))
}

/// Whether two addresses differ in their ports alone. An address of all interfaces is like that of each.
fn is_like(asked: &Multiaddr, chosen: &Multiaddr) -> bool {
    let same = |pair: (Part<'_>, Part<'_>)| match pair {
        (Part::Tcp(_), Part::Tcp(_)) | (Part::Udp(_), Part::Udp(_)) => true,
        (Part::Ip4(asked), Part::Ip4(_)) if asked.is_unspecified() => true,
        (Part::Ip6(asked), Part::Ip6(_)) if asked.is_unspecified() => true,
        (a, b) => a == b,
    };
    asked.iter().count() == chosen.iter().count() && asked.iter().zip(chosen.iter()).all(same)
}
