//! How rules say that what players see and do is discrete, and how players read it.
//!
//! The media types of [`Description`](crate::Description) say so by parameters:
//!
//! | parameter | of `observation-type` | of `action-type` |
//! |---|---|---|
//! | `discrete=N` | at most N different observations are shown in a run, compared as bytes | there are N actions |
//! | `values="a b c"` | | which they are: N words without spaces, each sent as it stands; left out: the numbers from `0` to N - 1, as decimal text |
//!
//! Such as `application/vnd.matrix.ipd.action;discrete=2;values="C D"`. What is not said to be discrete is not.
//!
//! The end of a seat's game is told in its last observation, which is final: an empty one says that nothing comes after
//! it; any other is what the seat would act on next, had the game not been cut off there. Players that reckon with
//! what is to come need to know which it was.

/// The most that a space may hold: numbers above it name no list that anybody goes through.
const SIZE_MAX: usize = 1 << 24;

/// Actions that can be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actions {
    words: Vec<String>,
}

impl Actions {
    /// Reads them off the media type of actions; at most `most` of them.
    ///
    /// # Errors
    /// Where the type does not say that actions are discrete, or says so wrongly, or there are more.
    pub fn of(media_type: &str, most: usize) -> Result<Self, String> {
        let count = observations(media_type)?;
        if count > most {
            return Err(format!("`{media_type}` has {count} actions: at most {most} can be dealt with"));
        }
        let words = match parameter(media_type, "values") {
            Some(values) => values.split(' ').map(str::to_owned).collect(),
            None => (0..count).map(|number| number.to_string()).collect::<Vec<_>>(),
        };
        let twice = (1..words.len()).any(|at| words[..at].contains(&words[at]));
        if words.len() != count || twice || words.iter().any(String::is_empty) {
            return Err(format!(
                "`{media_type}`: `values` must be {count} different words, a space between two"
            ));
        }
        Ok(Self { words })
    }

    /// How many there are; at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.words.len()
    }

    /// What is sent for each, in order.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }
}

/// How many different observations a media type says there are, at most.
///
/// # Errors
/// Where it does not say that they are discrete, or says so wrongly.
pub fn observations(media_type: &str) -> Result<usize, String> {
    let count = parameter(media_type, "discrete").ok_or_else(|| {
        format!("`{media_type}` does not say that it is discrete: such types have a parameter `discrete=N`")
    })?;
    let count = count.parse().ok().filter(|count| (1..=SIZE_MAX).contains(count));
    count.ok_or_else(|| format!("`{media_type}`: `discrete` must be a number from 1 to {SIZE_MAX}"))
}

/// A media type of observations that are at most so many.
#[must_use]
pub fn observation_type(media_type: &str, count: usize) -> String {
    format!("{media_type};discrete={count}")
}

/// A media type of actions that are these words.
#[must_use]
pub fn action_type(media_type: &str, words: &[&str]) -> String {
    format!("{media_type};discrete={};values=\"{}\"", words.len(), words.join(" "))
}

/// The value of a parameter, without its quotes.
fn parameter<'a>(media_type: &'a str, name: &str) -> Option<&'a str> {
    media_type.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.trim().split_once('=')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_are_read_as_they_are_written() {
        let written = action_type("application/x.move", &["left", "right"]);
        assert_eq!(written, "application/x.move;discrete=2;values=\"left right\"");
        assert_eq!(Actions::of(&written, 2).unwrap().words(), ["left", "right"]);
        assert_eq!(Actions::of("a/b; Discrete=3", 9).unwrap().words(), ["0", "1", "2"]);
        assert_eq!(observations(&observation_type("a/b", 16)), Ok(16));
    }

    #[test]
    fn what_is_not_discrete_is_refused_by_name() {
        let wrong = [
            "a/b",
            "a/b;values=\"x y\"",
            "a/b;discrete=0",
            "a/b;discrete=-1",
            "a/b;discrete=99999999999",
            "a/b;discrete=3;values=\"x y\"",
            "a/b;discrete=2;values=\"x x\"",
            "a/b;discrete=2;values=\" x\"",
            "a/b;discrete=17",
        ];
        for media_type in wrong {
            let refused = Actions::of(media_type, 16).unwrap_err();
            assert!(refused.contains(media_type), "{refused}");
        }
    }
}
