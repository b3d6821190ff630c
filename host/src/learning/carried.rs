//! What a Soul has learnt, taken over by a Soul that begins as it was.

use std::collections::BTreeSet;

use bytes::Bytes;
use matrix_proto::wire::LearntState;
use prost::Message as _;

use super::lessons::{self, LESSONS_MAX, Lesson, Lessons, REASON_BYTES_MAX, REJECTED_MAX};
use super::log::{Index, SEGMENTS_MAX};
use super::states::STATES_MAX;
use super::{LearningError, experience};
use crate::ids::SoulName;
use crate::runtime::stateful::Snapshot;
use crate::souls::plant::{Kept, Part};

/// Ids and numbers are below this.
const NUMBER_MAX: u64 = 1 << 53;

/// Makes what is kept of one Soul's learning that of a Soul which begins as it was; what else is kept stays as it is. With
/// a `lesson`, it is as it was after that lesson, and the state that the Soul then had is returned. Where its log of
/// experience does not come with it, it has seen none yet.
///
/// # Errors
/// `NoState`, `Damaged`.
pub fn carry(
    soul: &SoulName,
    kept: &mut Vec<Kept>,
    lesson: Option<u64>,
) -> Result<Option<Snapshot>, LearningError> {
    let damaged = |error: &dyn std::fmt::Display| LearningError::Damaged(soul.clone(), error.to_string());
    let has_log = kept.iter().any(|kept| kept.part == Part::Log);
    for kept in kept.iter_mut() {
        let json = match kept.part {
            Part::Lessons => {
                let lessons = lessons::read(soul, &kept.value)?;
                serde_json::to_vec(&carried(lessons, lesson, has_log))
            }
            Part::Log => {
                let index = serde_json::from_slice::<Index>(&kept.value).map_err(|error| damaged(&error))?;
                serde_json::to_vec(&index.carried())
            }
            _ => continue,
        };
        kept.value = json.map_err(|error| damaged(&error))?.into();
    }
    let Some(lesson) = lesson else { return Ok(None) };
    let learnt = |kept: &Kept| (kept.part == Part::Learnt).then(|| number(&kept.key));
    let state = kept.iter().find(|kept| learnt(kept) == Some(lesson));
    let state = state.ok_or_else(|| LearningError::NoState(soul.clone(), lesson))?.value.clone();
    let LearntState { schema, state, .. } = LearntState::decode(state).map_err(|error| damaged(&error))?;
    kept.retain(|kept| learnt(kept).is_none_or(|number| number <= lesson));
    Ok(Some(Snapshot { schema, bytes: state.into() }))
}

/// Whether a Soul may have learnt this, whose states may have `max` bytes.
///
/// # Errors
/// What is wrong with it.
pub fn check_kept(soul: &SoulName, kept: &[Kept], max: usize) -> Result<(), String> {
    let of = |part| kept.iter().filter(move |kept| kept.part == part);
    let lessons = of(Part::Lessons).next().map(|kept| lessons::read(soul, &kept.value)).transpose();
    let lessons = lessons.map_err(|error| error.to_string())?.unwrap_or_default();
    let index = of(Part::Log).next().map(|kept| serde_json::from_slice(&kept.value)).transpose();
    let index: Index = index.map_err(|error| error.to_string())?.unwrap_or_default();
    let long = |lesson: &Lesson| lesson.reason.len() > REASON_BYTES_MAX || lesson.number > lessons.count;
    if lessons.list.len() > LESSONS_MAX
        || lessons.rejected.len() > REJECTED_MAX
        || lessons.states.len() > STATES_MAX
        || lessons.list.iter().any(long)
        || lessons.count.max(index.last).max(lessons.seen) >= NUMBER_MAX
        || lessons.seen > index.last
        || lessons.rejected.iter().any(|(_, last)| *last > index.last)
        || lessons.states.iter().any(|state| state.bytes > max as u64)
    {
        return Err("its lessons are more than are kept, or tell of what never was".to_owned());
    }
    let named: BTreeSet<_> = lessons.states.iter().map(|state| state.lesson).collect();
    let states: BTreeSet<_> = of(Part::Learnt).map(|kept| number(&kept.key)).collect();
    if named != states || states.iter().any(|lesson| *lesson > lessons.count) {
        return Err("its lessons name other states than are there".to_owned());
    }
    for kept in of(Part::Learnt) {
        let state = LearntState::decode(kept.value.clone()).map_err(|error| error.to_string())?;
        if state.state.len() > max {
            return Err(format!("a state has more than {max} bytes (`souls.state_bytes_max`)"));
        }
        if !state.pieces.is_empty() {
            return Err("a state is not whole".to_owned());
        }
    }
    check_log(&index, &of(Part::Experience).collect::<Vec<_>>())
}

/// That the index names these segments, and each of them its experiences, without a gap.
fn check_log(index: &Index, segments: &[&Kept]) -> Result<(), String> {
    let wrong = || "its experience is not what the index names".to_owned();
    if index.segments.len() != segments.len() || segments.len() > SEGMENTS_MAX {
        return Err(wrong());
    }
    let mut next: Option<u64> = None;
    for (named, kept) in index.segments.iter().zip(segments) {
        let experiences = experience::decode(&kept.value)?;
        if experiences.iter().any(|it| !experience::is_sound(it)) {
            return Err("an experience is too long, or has a reward that is no number".to_owned());
        }
        let end = named.first.checked_add(named.count.into()).filter(|end| *end <= NUMBER_MAX);
        let end = end.ok_or_else(wrong)?;
        let is_so = number(&kept.key) == named.first
            && named.first > 0
            && next.is_none_or(|next| next == named.first)
            && kept.value.len() as u64 == u64::from(named.bytes)
            && experiences.iter().map(|it| it.id).eq(named.first..end);
        if !is_so {
            return Err(wrong());
        }
        next = Some(end);
    }
    if next.is_none_or(|next| next == index.last + 1) { Ok(()) } else { Err(wrong()) }
}

/// The lesson that a key of a kept state names; one that names none is after all others.
fn number(key: &Bytes) -> u64 {
    <[u8; 8]>::try_from(&key[..]).map_or(u64::MAX, u64::from_be_bytes)
}

fn carried(mut lessons: Lessons, lesson: Option<u64>, has_log: bool) -> Lessons {
    lessons.granted = 0;
    lessons.delayed.clear();
    if let Some(last) = lesson {
        lessons.list.retain(|lesson| lesson.number <= last);
        lessons.states.retain(|state| state.lesson <= last);
        lessons.count = last;
        // What came after it was not learnt by this one.
        lessons.seen = lessons.list.last().map_or(lessons.seen, |lesson| lesson.last);
        lessons.rejected.retain(|(first, _)| *first <= lessons.seen);
    }
    if !has_log {
        lessons.seen = 0;
        lessons.rejected.clear();
    }
    lessons
}

#[cfg(test)]
mod tests {
    use super::super::lessons::Verdict;
    use super::super::lessons::tests::lesson;
    use super::super::states::KeptState;
    use super::*;

    fn kept(part: Part, key: Vec<u8>, value: impl Into<Bytes>) -> Kept {
        Kept { part, key: key.into(), value: value.into() }
    }

    fn learner() -> Vec<Kept> {
        let mut lessons = Lessons::default();
        lessons.add(lesson(1, Verdict::Kept, (1, 10)), 1);
        lessons.add(lesson(2, Verdict::Rejected, (11, 20)), 1);
        lessons.add(lesson(3, Verdict::Kept, (21, 30)), 1);
        lessons.states = [1, 3].map(|lesson| KeptState { lesson, bytes: 1 }).into();
        lessons.granted = 7;
        let state = |lesson: u64| {
            let (schema, state) = ("s/1".into(), vec![lesson as u8].into());
            let state = LearntState { schema, state, ..LearntState::default() };
            kept(Part::Learnt, lesson.to_be_bytes().into(), state.encode_to_vec())
        };
        let index = r#"{"last":30,"segments":[],"asked":30,"wish":{"number":7,"lesson":1},"requests":[]}"#;
        let record = serde_json::to_vec(&lessons).expect("it has a form in JSON");
        vec![
            kept(Part::Lessons, Vec::new(), record),
            kept(Part::Log, Vec::new(), index),
            state(1),
            state(3),
            kept(Part::Own, b"key".to_vec(), "value"),
        ]
    }

    fn lessons_of(kept: &[Kept]) -> Lessons {
        let record = kept.iter().find(|kept| kept.part == Part::Lessons).expect("it has lessons");
        serde_json::from_slice(&record.value).expect("sound")
    }

    #[test]
    fn who_begins_as_a_lesson_left_another_knows_of_nothing_later() {
        let (neo, mut kept) = ("neo".parse().expect("a name"), learner());
        let state = carry(&neo, &mut kept, Some(1)).expect("it is kept").expect("one was asked for");
        assert_eq!(state, Snapshot { schema: "s/1".into(), bytes: vec![1] });
        let lessons = lessons_of(&kept);
        assert_eq!((lessons.count, lessons.seen, lessons.list.len()), (1, 10, 1));
        assert_eq!((lessons.states.len(), lessons.granted, &lessons.rejected[..]), (1, 0, &[][..]));
        assert_eq!(kept.iter().filter(|kept| kept.part == Part::Learnt).count(), 1);
        let log = kept.iter().find(|kept| kept.part == Part::Log).expect("it has a log");
        let index: Index = serde_json::from_slice(&log.value).expect("sound");
        assert_eq!((index.last, index.asked, index.wish), (30, 0, None));
        let missing = carry(&neo, &mut learner(), Some(2)).expect_err("it was rejected");
        assert!(matches!(missing, LearningError::NoState(_, 2)), "{missing}");
    }

    #[test]
    fn without_the_experience_nothing_of_it_was_seen() {
        let (neo, mut kept) = ("neo".parse().expect("a name"), learner());
        kept.retain(|kept| kept.part != Part::Log);
        assert_eq!(carry(&neo, &mut kept, None).expect("sound"), None);
        let lessons = lessons_of(&kept);
        assert_eq!((lessons.count, lessons.seen, lessons.list.len()), (3, 0, 3));
        assert!(lessons.rejected.is_empty() && lessons.states.len() == 2);
        assert_eq!(kept.last().map(|kept| &kept.value[..]), Some(&b"value"[..]));
    }
}
