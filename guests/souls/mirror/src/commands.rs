//! What can be said to a mirror, as text.

/// The longest lesson, in bytes: learning takes time, and so does everybody who waits behind it.
pub(crate) const LESSON_BYTES_MAX: usize = 128 * 1024;

/// What a message wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    /// Learn this.
    Teach(&'a str),
    /// Say what was taught of this.
    Ask(&'a str),
    /// Go on from here.
    Continue(&'a str),
    /// Write a page; another number gives another one.
    Page(u64),
    /// Say how many bits a character this takes.
    Cost(&'a str),
    /// Say how much is known.
    About,
    /// Answer, as one does.
    Chat(&'a str),
}

impl<'a> Command<'a> {
    /// The first word says what is wanted; what follows a line end or a space is what it is wanted of. Whatever
    /// begins with none of these words is conversation.
    pub(crate) fn read(message: &'a str) -> Result<Self, String> {
        let message = message.trim_start();
        let (word, rest) = message.split_once([' ', '\n']).unwrap_or((message.trim_end(), ""));
        let nothing = rest.trim().is_empty();
        match word {
            "teach" | "ask" | "continue" | "cost" if nothing => {
                Err(format!("say `{word}` and, behind it or in the next line, the text"))
            }
            "teach" if rest.len() > LESSON_BYTES_MAX => Err(format!(
                "a lesson of {} bytes is too long: cut it between paragraphs into pieces of at most {LESSON_BYTES_MAX}",
                rest.len()
            )),
            "teach" => Ok(Self::Teach(rest)),
            "ask" => Ok(Self::Ask(rest.trim())),
            "continue" => Ok(Self::Continue(rest.trim_end_matches('\n'))),
            "cost" => Ok(Self::Cost(rest)),
            "page" if nothing => Ok(Self::Page(0)),
            "page" => rest.trim().parse().map(Self::Page).or(Ok(Self::Chat(message.trim_end()))),
            "about" if nothing => Ok(Self::About),
            "" => Err("say something, or `teach`, `ask`, `continue`, `page`, `cost`, `about`".to_owned()),
            _ => Ok(Self::Chat(message.trim_end())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_says_what_is_wanted() {
        assert_eq!(Command::read("teach\nI am.\n\nSo."), Ok(Command::Teach("I am.\n\nSo.")));
        assert_eq!(Command::read(" ask who are you?\n"), Ok(Command::Ask("who are you?")));
        assert_eq!(Command::read("continue It was "), Ok(Command::Continue("It was ")));
        assert_eq!(Command::read("page\n"), Ok(Command::Page(0)));
        assert_eq!(Command::read("page 7"), Ok(Command::Page(7)));
        assert_eq!(Command::read("page boy"), Ok(Command::Chat("page boy")));
        assert_eq!(Command::read("cost abc"), Ok(Command::Cost("abc")));
        assert_eq!(Command::read("about"), Ok(Command::About));
        assert_eq!(Command::read("about you: who?"), Ok(Command::Chat("about you: who?")));
        assert_eq!(Command::read("teaching is hard"), Ok(Command::Chat("teaching is hard")));
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let long = format!("teach {}", "x".repeat(LESSON_BYTES_MAX + 1));
        for message in ["", " \n", "teach", "teach \n\n", "ask", "cost ", "continue\n", &long] {
            assert!(Command::read(message).is_err(), "{:.20}", message);
        }
    }
}
