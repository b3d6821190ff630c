//! Pages of lists: how many, from where, and how long.

use std::fmt::Display;
use std::str::FromStr;

use matrix_proto::v1::PageRequest;
use prost::Message;
use tonic::Status;

use super::convert;
use crate::ids::IdError;

/// Items in a page, where the caller says nothing.
const PAGE_SIZE_DEFAULT: usize = 100;
/// The most items in a page.
const PAGE_SIZE_MAX: usize = 1_000;
/// Bytes after which a page ends: with one more item it stays below the 4 MiB that stock clients take.
pub(super) const PAGE_BYTES: usize = 2 << 20;

/// Which page of a list is wanted: at most `size` items after the one called `after`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page<N> {
    pub(super) after: Option<N>,
    pub(super) size: usize,
}

/// How many items a page has.
pub(super) fn page_size(given: u32) -> Result<usize, Status> {
    match usize::try_from(given) {
        Ok(0) => Ok(PAGE_SIZE_DEFAULT),
        Ok(size) if size <= PAGE_SIZE_MAX => Ok(size),
        _ => {
            Err(convert::bad_field("page.page_size", &format!("is {given}: ask for at most {PAGE_SIZE_MAX}")))
        }
    }
}

impl<N: FromStr<Err = IdError> + Display> Page<N> {
    /// Reads what a caller asks for. The token is the name of the last item of the page before.
    pub(super) fn parse(request: Option<PageRequest>) -> Result<Self, Status> {
        let PageRequest { page_size: size, page_token } = request.unwrap_or_default();
        let after = match page_token.as_str() {
            "" => None,
            token => Some(token.parse().map_err(|error| convert::bad_id("page.page_token", &error))?),
        };
        Ok(Self { after, size: page_size(size)? })
    }

    /// How many items to look up: one more than wanted tells whether there are more.
    pub(super) fn look_up(&self) -> usize {
        self.size + 1
    }

    /// The items of the page, out of those looked up, and the token of the next; empty: there is none.
    pub(super) fn cut<T, P: Message>(
        &self,
        found: Vec<T>,
        name: impl Fn(&T) -> N,
        show: impl Fn(&T) -> P,
    ) -> (Vec<P>, String) {
        let more = found.len();
        let mut items = Vec::with_capacity(more.min(self.size));
        let mut bytes = 0;
        for item in found.iter().take(self.size) {
            let shown = show(item);
            bytes += shown.encoded_len();
            items.push(shown);
            if bytes >= PAGE_BYTES {
                break;
            }
        }
        let last = items.len().checked_sub(1).filter(|_| items.len() < more).map(|last| name(&found[last]));
        (items, last.map_or_else(String::new, |name| name.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use matrix_proto::v1::Content;
    use tonic::Code;

    use super::*;
    use crate::ids::SoulName;

    fn parse(size: u32, token: &str) -> Result<Page<SoulName>, Code> {
        let request = PageRequest { page_size: size, page_token: token.to_owned() };
        Page::parse(Some(request)).map_err(|status| status.code())
    }

    fn names(count: usize) -> Vec<SoulName> {
        (0..count).map(|number| format!("s{number:04}").parse().expect("a name")).collect()
    }

    #[test]
    fn sizes_and_tokens_are_checked() {
        assert_eq!(Page::<SoulName>::parse(None).map(|page| page.size).expect("the default"), 100);
        let page = parse(1_000, "neo").expect("the largest");
        assert_eq!((page.size, page.after.expect("a name").as_str()), (1_000, "neo"));
        assert_eq!(parse(1_001, ""), Err(Code::InvalidArgument));
        assert_eq!(parse(0, "../neo"), Err(Code::InvalidArgument));
    }

    #[test]
    fn following_the_tokens_shows_everything_once() {
        let all = names(25);
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let page = parse(10, &token).expect("a page");
            let rest = all.iter().filter(|name| page.after.as_ref().is_none_or(|after| *name > after));
            let found: Vec<_> = rest.take(page.look_up()).cloned().collect();
            let (items, next) = page.cut(found, Clone::clone, |name| Content {
                content_type: name.to_string(),
                body: bytes::Bytes::new(),
            });
            seen.extend(items.into_iter().map(|item| item.content_type));
            if next.is_empty() {
                break;
            }
            token = next;
        }
        assert_eq!(seen, all.iter().map(ToString::to_string).collect::<Vec<_>>());
    }

    #[test]
    fn a_page_ends_when_it_is_long() {
        let page = parse(10, "").expect("a page");
        let body = bytes::Bytes::from(vec![0; PAGE_BYTES / 2]);
        let show = |_: &SoulName| Content { content_type: String::new(), body: body.clone() };
        let (items, next) = page.cut(names(5), Clone::clone, show);
        assert_eq!((items.len(), next.as_str()), (2, "s0001"));
    }
}
