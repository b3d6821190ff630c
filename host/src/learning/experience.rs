//! One experience: its bounds, its form in the KV, and whether it is held out.

use matrix_proto::wire::{ExperienceRecord, ExperienceSegment};
use prost::Message as _;

use super::LearningError;
use crate::ids::Digest;
use crate::runtime::learner::{Experience, Source};
pub use crate::souls::capture::New;

/// The most bytes in the input and the output of one experience together.
pub const EXPERIENCE_BYTES_MAX: usize = 64 << 10;
/// The most experiences that are added at once.
pub const TEACH_MAX: usize = 1_000;
/// The most bytes in all inputs and outputs that are added at once.
pub const TEACH_BYTES_MAX: usize = 256 << 10;

/// What there is beside input and output, in the KV, at most: so many bytes are counted for it.
pub(super) const FRAME_BYTES: usize = 128;

/// All sources, in the order of their numbers in the KV, from 1, and their names.
pub const SOURCES: [(Source, &str); 4] = [
    (Source::User, "user"),
    (Source::Api, "api"),
    (Source::Conversation, "conversation"),
    (Source::Matrix, "matrix"),
];

/// The place of a source among all.
pub(super) fn place(source: Source) -> usize {
    SOURCES.iter().position(|(known, _)| *known == source).unwrap_or_default()
}

/// Refuses what is too much, or says nothing, by the name of its field.
pub(super) fn check(experiences: &[New]) -> Result<(), LearningError> {
    let wrong = |field: String, problem: String| Err(LearningError::Field { field, problem });
    let count = experiences.len();
    if count == 0 || count > TEACH_MAX {
        return wrong("experiences".into(), format!("has {count} of them: use 1 to {TEACH_MAX}"));
    }
    let mut bytes = 0;
    for (number, New { input, output, reward, .. }) in experiences.iter().enumerate() {
        let size = input.len() + output.len();
        bytes += size;
        if size > EXPERIENCE_BYTES_MAX {
            let problem = format!("has {size} bytes of input and output: use at most {EXPERIENCE_BYTES_MAX}");
            return wrong(format!("experiences[{number}]"), problem);
        }
        if input.is_empty() {
            return wrong(format!("experiences[{number}].input"), "is empty: say what was seen".into());
        }
        if reward.is_some_and(|reward| !reward.is_finite()) {
            return wrong(format!("experiences[{number}].reward"), "is not a number".into());
        }
    }
    if bytes > TEACH_BYTES_MAX {
        let problem = format!("has {bytes} bytes of input and output: use at most {TEACH_BYTES_MAX} at once");
        return wrong("experiences".into(), problem);
    }
    Ok(())
}

/// Whether one that was kept elsewhere is within the bounds of what is taught here.
pub(super) fn is_sound(kept: &Experience) -> bool {
    kept.input.len() + kept.output.len() <= EXPERIENCE_BYTES_MAX && kept.reward.is_none_or(f64::is_finite)
}

/// A segment of these, the first with the id `first`.
pub(super) fn encode(experiences: Vec<New>, first: u64) -> Vec<u8> {
    let record = |(id, new): (u64, New)| ExperienceRecord {
        id,
        source: place(new.source) as u32 + 1,
        by: new.by,
        about: new.about,
        input: new.input,
        output: new.output,
        reward: new.reward,
        at_ms: new.at_ms,
    };
    let experiences = (first..).zip(experiences).map(record).collect();
    ExperienceSegment { experiences }.encode_to_vec()
}

/// What stands in a segment.
pub(super) fn decode(segment: &[u8]) -> Result<Vec<Experience>, String> {
    let segment = ExperienceSegment::decode(segment).map_err(|error| error.to_string())?;
    let experience = |record: ExperienceRecord| {
        let source = (record.source as usize).checked_sub(1).and_then(|place| SOURCES.get(place));
        let (source, _) = source.ok_or_else(|| format!("{} has an unknown source", record.id))?;
        Ok(Experience {
            id: record.id,
            source: *source,
            by: record.by,
            about: record.about,
            input: record.input.into(),
            output: record.output.into(),
            reward: record.reward,
            at_ms: record.at_ms,
        })
    };
    segment.experiences.into_iter().map(experience).collect()
}

/// How many bytes an experience counts for.
pub(super) fn size(experience: &Experience) -> usize {
    experience.input.len() + experience.output.len() + FRAME_BYTES
}

/// Whether an experience is never trained on, so that what was learnt can be measured by it: a share of all, in
/// percent, chosen by what it says. So the same said twice is not learnt by the one and measured by the other.
pub fn is_held_out(experience: &Experience, percent: u8) -> bool {
    let length = (experience.input.len() as u64).to_be_bytes();
    let digest = Digest::of(&[&length[..], &experience.input, &experience.output].concat());
    let word = digest.as_bytes().iter().take(4).fold(0, |word: u64, &byte| word << 8 | u64::from(byte));
    word * 100 < u64::from(percent) << 32
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn new(input: &[u8], output: &[u8]) -> New {
        let (input, output) = (Bytes::copy_from_slice(input), Bytes::copy_from_slice(output));
        New {
            source: Source::Api,
            by: "client:ci".into(),
            about: String::new(),
            input,
            output,
            reward: Some(0.5),
            at_ms: 7,
        }
    }

    #[test]
    fn too_much_is_refused_by_name() {
        let refused = |experiences: &[New]| check(experiences).expect_err("too much").to_string();
        assert!(refused(&[]).contains("0 of them"));
        assert!(refused(&vec![new(b"x", b""); TEACH_MAX + 1]).contains("1001"));
        let large = new(&vec![0; EXPERIENCE_BYTES_MAX], b"");
        assert!(check(std::slice::from_ref(&large)).is_ok());
        assert!(refused(&vec![large; 5]).contains("327680 bytes"));
        let text = refused(&[new(b"x", b"y"), new(&vec![0; EXPERIENCE_BYTES_MAX], b"y")]);
        assert!(text.starts_with("`experiences[1]` has 65537 bytes"), "{text}");
        assert!(refused(&[new(b"", b"y")]).starts_with("`experiences[0].input`"));
        assert!(refused(&[New { reward: Some(f64::NAN), ..new(b"x", b"y") }]).contains("reward"));
    }

    #[test]
    fn two_segments_one_behind_the_other_are_one() {
        let segment = [encode(vec![new(b"a", b"b")], 1), encode(vec![new(b"c", b"d")], 2)].concat();
        let ids: Vec<_> = decode(&segment).expect("sound").iter().map(|experience| experience.id).collect();
        assert_eq!(ids, [1, 2]);
    }

    #[test]
    fn about_the_share_is_held_out_and_the_same_each_time() {
        let held = |percent| {
            let all = (0..10_000_u32).flat_map(|number| encode(vec![new(&number.to_be_bytes(), b"y")], 1));
            let all = decode(&all.collect::<Vec<u8>>()).expect("sound");
            all.iter().filter(|experience| is_held_out(experience, percent)).count()
        };
        assert_eq!((held(0), held(100)), (0, 10_000));
        assert!((900..1_100).contains(&held(10)), "{}", held(10));
        assert_eq!(held(10), held(10));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(inputs in proptest::collection::vec(any::<Vec<u8>>(), 0..20)) {
            let experiences: Vec<_> = inputs.iter().map(|input| new(input, b"y")).collect();
            let read = decode(&encode(experiences, 5)).expect("sound");
            prop_assert_eq!(read.len(), inputs.len());
            for (place, (experience, input)) in read.iter().zip(&inputs).enumerate() {
                prop_assert_eq!((experience.id, &experience.input), (5 + place as u64, input));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode(&bytes);
        }
    }
}
