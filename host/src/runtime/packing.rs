//! What players see and answer, as it crosses into and out of guests: a fixed number of words for each, and their
//! bytes one behind the other. A list of records would cost an allocation in the guest for each.

use super::bindings::exports::matrix::node::{player, rules};
use super::rules::{Action, Prompt};
use super::soul::Turn;

/// Words of a prompt, in the order of `wit/rules.wit`.
const PROMPT: usize = 6;

/// What rules are told that players answered.
pub(super) fn actions(actions: &[Action]) -> rules::Actions {
    let mut packed = rules::Actions { heads: Vec::with_capacity(3 * actions.len()), bytes: Vec::new() };
    for Action { player, seat, choice } in actions {
        let length = choice.as_ref().map_or(0, |choice| length(choice) + 1);
        packed.heads.extend_from_slice(&[*player, *seat, length]);
        packed.bytes.extend_from_slice(choice.as_deref().unwrap_or_default());
    }
    packed
}

/// Whom rules ask what. The error says what is wrong with the words: they are a guest's.
pub(super) fn prompts(packed: &rules::Prompts) -> Result<Vec<Prompt>, String> {
    let (heads, rest) = packed.heads.as_chunks::<PROMPT>();
    if !rest.is_empty() {
        let words = packed.heads.len();
        return Err(format!("{words} words of prompts: there are {PROMPT} to each"));
    }
    let mut bytes = &packed.bytes[..];
    let prompts = heads.iter().map(|&[player, seat, observation, last, high, low]| {
        let observation = take(&mut bytes, observation)?.to_vec();
        Ok(Prompt { player, seat, observation, reward: double(high, low), final_: last != 0 })
    });
    let prompts = prompts.collect::<Result<_, String>>()?;
    if bytes.is_empty() {
        Ok(prompts)
    } else {
        Err(format!("{} bytes of observations too many", bytes.len()))
    }
}

/// What a player is shown.
pub(super) fn turns(turns: &[Turn]) -> player::Turns {
    let mut packed = player::Turns { heads: Vec::with_capacity(5 * turns.len()), bytes: Vec::new() };
    for Turn { seat, observation, reward, last } in turns {
        let bits = reward.to_bits();
        let (high, low) = ((bits >> 32) as u32, bits as u32);
        packed.heads.extend_from_slice(&[*seat, length(observation), (*last).into(), high, low]);
        packed.bytes.extend_from_slice(observation);
    }
    packed
}

/// What a player decided in so many turns, in `bytes_max` bytes at most. The error says what is wrong with it: it is a
/// guest's.
pub(super) fn choices(
    packed: &player::Choices,
    turns: usize,
    bytes_max: usize,
) -> Result<Vec<Vec<u8>>, String> {
    // Looked at first: what the host takes for a choice is more than a guest's word for it.
    if packed.lengths.len() != turns {
        return Err(format!("{} actions came for {turns} turns", packed.lengths.len()));
    }
    if packed.bytes.len() > bytes_max {
        return Err(format!("{} bytes of actions, and {bytes_max} are allowed", packed.bytes.len()));
    }
    let mut bytes = &packed.bytes[..];
    let choices = packed.lengths.iter().map(|length| take(&mut bytes, *length).map(<[u8]>::to_vec));
    let choices = choices.collect::<Result<_, String>>()?;
    if bytes.is_empty() { Ok(choices) } else { Err(format!("{} bytes of choices too many", bytes.len())) }
}

fn take<'a>(bytes: &mut &'a [u8], count: u32) -> Result<&'a [u8], String> {
    let left = bytes.len();
    let taken = bytes.split_off(..count as usize);
    taken.ok_or_else(|| format!("{count} bytes are announced, and {left} are left"))
}

fn double(high: u32, low: u32) -> f64 {
    f64::from_bits(u64::from(high) << 32 | u64::from(low))
}

/// Observations and choices are bounded by what a guest may hand over, far below 4 GiB.
fn length(bytes: &[u8]) -> u32 {
    bytes.len() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lie_as_the_interfaces_say() {
        let action = |player, seat, choice: Option<&[u8]>| {
            let choice = choice.map(<[u8]>::to_vec);
            Action { player, seat, choice }
        };
        let packed = actions(&[action(0, 1, None), action(2, 3, Some(b"")), action(4, 5, Some(b"xy"))]);
        assert_eq!(packed.heads, [0, 1, 0, 2, 3, 1, 4, 5, 3]);
        assert_eq!(packed.bytes, b"xy");

        let half = (0.5_f64.to_bits() >> 32) as u32;
        let turn = |seat, observation: &[u8], reward, last| {
            let observation = observation.to_vec();
            Turn { seat, observation, reward, last }
        };
        let packed = turns(&[turn(7, b"a", 0.5, false), turn(8, b"bc", 0.0, true)]);
        assert_eq!(packed.heads, [7, 1, 0, half, 0, 8, 2, 1, 0, 0]);
        assert_eq!(packed.bytes, b"abc");
    }

    #[test]
    fn what_guests_pack_is_read_or_refused() {
        let half = (0.5_f64.to_bits() >> 32) as u32;
        let told = |heads: &[u32], bytes: &[u8]| {
            prompts(&rules::Prompts { heads: heads.to_vec(), bytes: bytes.to_vec() })
        };
        let read = told(&[1, 2, 3, 0, half, 0, 4, 5, 0, 1, 0, 0], b"see").expect("sound words");
        let prompt = |player, seat, observation: &[u8], reward, final_| {
            let observation = observation.to_vec();
            Prompt { player, seat, observation, reward, final_ }
        };
        assert_eq!(read, [prompt(1, 2, b"see", 0.5, false), prompt(4, 5, b"", 0.0, true)]);
        for (heads, bytes) in [(&[1][..], &b""[..]), (&[1, 2, 3, 0, 0, 0], b"se"), (&[], b"s")] {
            assert!(told(heads, bytes).is_err(), "{heads:?} {bytes:?}");
        }
        assert!(told(&[1, 2, u32::MAX, 0, 0, 0], b"see").is_err());

        let decided = |lengths: &[u32], bytes: &[u8]| {
            let packed = player::Choices { lengths: lengths.to_vec(), bytes: bytes.to_vec() };
            choices(&packed, lengths.len(), 3)
        };
        assert_eq!(decided(&[1, 0, 2], b"abc"), Ok(vec![b"a".to_vec(), vec![], b"bc".to_vec()]));
        let wrong =
            [(&[4][..], &b"abc"[..]), (&[2], b"abc"), (&[u32::MAX, 1], b"abc"), (&[4], b"abcd"), (&[], b"a")];
        for (lengths, bytes) in wrong {
            assert!(decided(lengths, bytes).is_err(), "{lengths:?}");
        }
        let one = player::Choices { lengths: vec![0], bytes: Vec::new() };
        assert!(choices(&one, 2, 3).is_err(), "one choice for two turns");
    }
}
