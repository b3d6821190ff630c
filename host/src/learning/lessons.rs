//! How far a Soul has learnt, and how that went: one record a Soul in the KV. It changes in the transaction in which the
//! Soul takes up what it learnt, so that nothing is learnt twice, and nothing is taken for learnt that was not.

use serde::{Deserialize, Serialize};

use super::LearningError;
use super::states::KeptState;
use crate::ids::{Digest, SoulName};
use crate::kv::{Condition, Consistency, Expect, Kv, KvError, Mutation};
use crate::runtime::learner::Figures;
use crate::souls::taught::LESSONS_BUCKET;

/// The most lessons that are remembered; the oldest go first.
pub const LESSONS_MAX: usize = 64;
/// The most ranges of rejected experience that are remembered.
pub(super) const REJECTED_MAX: usize = 256;
/// The most bytes of a reason that are kept.
pub(super) const REASON_BYTES_MAX: usize = 512;

/// What became of a lesson.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// What was learnt is the Soul's state.
    Kept,
    /// It got worse: the Soul is as it was.
    Rejected,
    /// The code failed over it, or refused: the Soul is as it was.
    Failed,
    /// It was no lesson: the Soul was given back the state of an earlier one.
    Restored,
}

impl Verdict {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Restored => "restored",
        }
    }
}

/// One training of a Soul.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lesson {
    /// Counts them, from 1.
    pub number: u64,
    /// What became of it.
    pub verdict: Verdict,
    /// Why it was not kept, or what else is to be said of it; may be empty.
    pub reason: String,
    /// The id of the first experience that it was about.
    pub first: u64,
    /// The id of the last.
    pub last: u64,
    /// How many it was trained on; the others were held out.
    pub trained: u32,
    /// By how many that were held out it was measured, also of earlier ones.
    pub held_out: u32,
    /// Digest of what it was trained on.
    pub data: Digest,
    /// The figure by which it was judged.
    pub metric: String,
    /// What `evaluate` said before.
    pub before: Figures,
    /// What `evaluate` said after.
    pub after: Figures,
    /// What `train` said.
    pub figures: Figures,
    /// The code.
    pub component: Digest,
    /// Digest of the state that it began with; none: the Soul was as it was born.
    pub parent: Option<Digest>,
    /// Digest of the state that the Soul took up; none: it did not.
    pub state: Option<Digest>,
    /// Milliseconds since the Unix epoch at which it ended.
    pub at_ms: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// How far a Soul has learnt.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lessons {
    /// Up to this id all experience was trained on, held out, or rejected.
    pub seen: u64,
    /// How many lessons there were.
    pub count: u64,
    /// The last of them, the newest last.
    pub list: Vec<Lesson>,
    /// Ids, first and last, of experience that nothing is judged by: what it was trained on was not kept.
    pub rejected: Vec<(u64, u64)>,
    /// Why the next lesson is late; empty: it is not.
    pub delayed: String,
    /// The states that are kept.
    pub states: Vec<KeptState>,
    /// The last wish for one of them that was seen to.
    pub(super) granted: u64,
}

impl Lessons {
    /// Adds a lesson; `first` is the id of the oldest experience that is kept.
    pub(super) fn add(&mut self, mut lesson: Lesson, first: u64) {
        lesson.reason.truncate(lesson.reason.floor_char_boundary(REASON_BYTES_MAX));
        self.seen = self.seen.max(lesson.last);
        self.count = lesson.number;
        self.delayed.clear();
        if matches!(lesson.verdict, Verdict::Rejected | Verdict::Failed) && lesson.trained > 0 {
            match self.rejected.last_mut() {
                Some((_, last)) if *last + 1 == lesson.first => *last = lesson.last,
                _ => self.rejected.push((lesson.first, lesson.last)),
            }
        }
        self.rejected.retain(|(_, last)| *last >= first);
        let forgotten = self.rejected.len().saturating_sub(REJECTED_MAX);
        self.rejected.drain(..forgotten);
        self.list.push(lesson);
        let forgotten = self.list.len().saturating_sub(LESSONS_MAX);
        self.list.drain(..forgotten);
    }

    /// Whether experience of this id was rejected.
    pub(super) fn has_rejected(&self, id: u64) -> bool {
        self.rejected.iter().any(|(first, last)| (*first..=*last).contains(&id))
    }
}

/// How far a Soul has learnt, and what that record must still be when it is written.
pub(super) async fn load(
    kv: &Kv,
    soul: &SoulName,
    consistency: Consistency,
) -> Result<(Lessons, Expect), LearningError> {
    let found = kv.get(LESSONS_BUCKET, soul.as_str().as_bytes(), consistency).await?;
    let Some(entry) = found else { return Ok((Lessons::default(), Expect::Absent)) };
    Ok((read(soul, &entry.value)?, Expect::Revision(entry.revision)))
}

/// Reads such a record.
pub(super) fn read(soul: &SoulName, value: &[u8]) -> Result<Lessons, LearningError> {
    serde_json::from_slice(value).map_err(|error| LearningError::Damaged(soul.clone(), error.to_string()))
}

/// That the record is as it was, and what it becomes.
pub(super) fn exchange(
    kv: &Kv,
    soul: &SoulName,
    expect: Expect,
    lessons: &Lessons,
) -> Result<(Condition, Mutation), KvError> {
    let path = kv.path(LESSONS_BUCKET, soul.as_str().as_bytes())?;
    let value = serde_json::to_vec(lessons).map_err(|error| KvError::Unavailable(error.to_string()))?;
    let put = Mutation::Put { path: path.clone(), value: value.into(), lease: None };
    Ok((Condition { path, expect }, put))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn lesson(number: u64, verdict: Verdict, (first, last): (u64, u64)) -> Lesson {
        Lesson {
            number,
            verdict,
            reason: String::new(),
            first,
            last,
            trained: 1,
            held_out: 0,
            data: Digest::of(b""),
            metric: String::new(),
            before: Figures::new(),
            after: Figures::new(),
            figures: Figures::new(),
            component: Digest::of(b""),
            parent: None,
            state: None,
            at_ms: 0,
            took_ms: 0,
        }
    }

    #[test]
    fn what_was_rejected_is_remembered_as_long_as_it_is_kept() {
        let mut lessons = Lessons::default();
        lessons.add(lesson(1, Verdict::Kept, (1, 10)), 1);
        lessons.add(lesson(2, Verdict::Rejected, (11, 20)), 1);
        lessons.add(lesson(3, Verdict::Failed, (21, 30)), 1);
        lessons.add(lesson(4, Verdict::Kept, (31, 40)), 1);
        assert_eq!((lessons.seen, lessons.count, &lessons.rejected[..]), (40, 4, &[(11, 30)][..]));
        assert!(lessons.has_rejected(11) && lessons.has_rejected(30));
        assert!(!lessons.has_rejected(10) && !lessons.has_rejected(31));
        lessons.add(lesson(5, Verdict::Kept, (41, 50)), 31);
        assert_eq!(lessons.rejected, []);
    }

    #[test]
    fn the_record_fits_into_one_value_however_much_is_said() {
        let mut lessons = Lessons::default();
        let names = (0..crate::runtime::learner::FIGURES_MAX).map(|number| format!("{number:0>64}"));
        let figures: Figures = names.map(|name| (name, f64::MIN_POSITIVE)).collect();
        for number in 0..1_000 {
            let reason = "\u{1f600}".repeat(1_000);
            let (before, after) = (figures.clone(), figures.clone());
            let lesson = lesson(number, Verdict::Rejected, (10 * number + 1, 10 * number + 2));
            lessons.add(Lesson { reason, before, after, figures: figures.clone(), ..lesson }, 1);
        }
        let bytes = serde_json::to_vec(&lessons).expect("it has a form in JSON").len();
        assert!(bytes < 1 << 20, "{bytes} bytes");
        assert_eq!((lessons.list.len(), lessons.rejected.len()), (LESSONS_MAX, REJECTED_MAX));
    }
}
