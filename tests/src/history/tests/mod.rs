//! Histories written by hand, one for each kind of violation, and histories of a simulated store, which are compared
//! with what trying all possibilities finds.

mod brute;
mod linearizable;
mod properties;
mod rules;
mod store;
mod tape;
mod words;
