//! `wasi:random`: seeded, so that the same messages in the same order give the same answers.

use serde::{Deserialize, Serialize};
use wasmtime::component::{HasData, Linker};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

use crate::runtime::state::GuestState;

/// The most bytes that one call gives.
pub const RANDOM_BYTES_MAX: u64 = 64 * 1024;

/// The guest's source of chance: xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom number
/// generators", 2018), seeded by SplitMix64. It goes with the Soul's checkpoints. It is no source of
/// secrets, and no guest is promised one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ctx {
    state: [u64; 4],
}

impl Ctx {
    /// The source that `seed` stands for.
    pub fn new(seed: u64) -> Self {
        let mut mix = seed;
        let state = std::array::from_fn(|_| {
            mix = mix.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (mix ^ mix >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ z >> 31
        });
        Self { state }
    }

    /// Its state.
    pub(crate) const fn words(&self) -> &[u64; 4] {
        &self.state
    }

    /// The source with this state; none: from there it would give nothing but zeros.
    pub(crate) fn of(state: [u64; 4]) -> Option<Self> {
        (state != [0; 4]).then_some(Self { state })
    }

    fn next(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let output = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ b << 17, d.rotate_left(45)];
        output
    }

    fn bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        if length > RANDOM_BYTES_MAX {
            return Err(wasmtime::Error::msg(format!(
                "more than {RANDOM_BYTES_MAX} random bytes in one call"
            )));
        }
        let words = length.div_ceil(8);
        let mut bytes: Vec<u8> = (0..words).flat_map(|_| self.next().to_le_bytes()).collect();
        bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        Ok(bytes)
    }
}

/// One call's view of the guest.
pub struct View<'a>(&'a mut Ctx);

struct Random;

impl HasData for Random {
    type Data<'a> = View<'a>;
}

/// Lets components import the interfaces.
pub(crate) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    random::add_to_linker::<_, Random>(linker, view)?;
    insecure::add_to_linker::<_, Random>(linker, view)?;
    insecure_seed::add_to_linker::<_, Random>(linker, view)
}

fn view(state: &mut GuestState) -> View<'_> {
    View(&mut state.capabilities.random)
}

impl random::Host for View<'_> {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.0.bytes(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.0.next())
    }
}

impl insecure::Host for View<'_> {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.0.bytes(len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.0.next())
    }
}

impl insecure_seed::Host for View<'_> {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.0.next(), self.0.next()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_published_algorithm() {
        // The reference implementation's first outputs from the state 1, 2, 3, 4.
        let mut source = Ctx { state: [1, 2, 3, 4] };
        let outputs: Vec<_> = (0..4).map(|_| source.next()).collect();
        assert_eq!(outputs, [11520, 0, 1_509_978_240, 1_215_971_899_390_074_240]);
    }

    #[test]
    fn same_seed_same_bytes_and_never_too_many() {
        assert_eq!(Ctx::new(7).bytes(13).expect("few bytes"), Ctx::new(7).bytes(13).expect("few bytes"));
        assert_ne!(Ctx::new(7).next(), Ctx::new(8).next());
        assert!(Ctx::new(7).bytes(RANDOM_BYTES_MAX + 1).is_err());
    }
}
