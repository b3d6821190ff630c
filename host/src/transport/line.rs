//! What came over one link and waits to be judged: handed on in the order in which it came, by one task at a time.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most that stands in one line.
pub(super) const ITEMS_MAX: usize = 4_096;
/// The most bytes of bodies that stand in one line, one item however large.
pub(super) const BYTES_MAX: usize = 16 << 20;

/// The line of one link.
#[derive(Debug)]
pub(super) struct Line<T>(Mutex<Queue<T>>);

#[derive(Debug)]
struct Queue<T> {
    /// What stands in line, and how many bytes each counts for.
    items: VecDeque<(usize, T)>,
    bytes: usize,
    /// A task takes from it, or is about to.
    served: bool,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self(Mutex::new(Queue { items: VecDeque::new(), bytes: 0, served: false }))
    }
}

impl<T> Line<T> {
    /// Puts an item that counts for so many bytes at the end, or gives it back where there is no room. True: nobody
    /// serves the line, and the caller has to see to it that somebody does.
    pub(super) fn push(&self, item: T, bytes: usize) -> Result<bool, T> {
        let mut queue = self.lock();
        let full = queue.items.len() >= ITEMS_MAX || queue.bytes.saturating_add(bytes) > BYTES_MAX;
        if full && !queue.items.is_empty() {
            return Err(item);
        }
        queue.bytes += bytes;
        queue.items.push_back((bytes, item));
        Ok(!std::mem::replace(&mut queue.served, true))
    }

    /// Takes the first item; none: the line is empty, and not served any more.
    pub(super) fn next(&self) -> Option<T> {
        let mut queue = self.lock();
        let Some((bytes, item)) = queue.items.pop_front() else {
            queue.served = false;
            return None;
        };
        queue.bytes -= bytes;
        Some(item)
    }

    /// The task that served the line is gone before its end.
    pub(super) fn abandon(&self) {
        self.lock().served = false;
    }

    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_task_serves_a_line_in_its_order() {
        let line = Line::default();
        assert_eq!((line.push(1, 1), line.push(2, 1)), (Ok(true), Ok(false)));
        assert_eq!((line.next(), line.push(3, 1)), (Some(1), Ok(false)));
        assert_eq!((line.next(), line.next(), line.next()), (Some(2), Some(3), None));
        assert_eq!(line.push(4, 1), Ok(true), "whoever served it has left");
        line.abandon();
        assert_eq!((line.push(5, 1), line.next()), (Ok(true), Some(4)));
    }

    #[test]
    fn a_line_is_bounded_in_number_and_in_bytes() {
        let line = Line::default();
        assert_eq!((0..ITEMS_MAX + 5).filter(|item| line.push(*item, 0).is_ok()).count(), ITEMS_MAX);
        assert_eq!((line.push(0, 0), line.next()), (Err(0), Some(0)));
        assert_eq!(line.push(0, 0), Ok(false), "what left makes room");
        let line = Line::default();
        assert_eq!(line.push("large", 2 * BYTES_MAX), Ok(true), "one always fits");
        assert_eq!(line.push("small", 1), Err("small"));
        assert_eq!((line.next(), line.push("small", 1)), (Some("large"), Ok(false)));
    }
}
