//! What an interpreter runs (`matrix:node/program`): the program that its component carries.
//!
//! A component that calls [`read`] is an interpreter. `matrix components label FILE --program PROGRAM` puts a program into its
//! file; a node compiles the interpreter once for all of them.

pub use crate::bindings::imports::matrix::node::program::read;
