//! Runs the command `matrix` against a node that only pretends: real gRPC over a Unix socket and
//! TCP, a token, and answers made up in memory. What was asked for is kept, to be looked at.

mod access;
mod apply;
mod author;
mod components;
mod connection;
mod fake;
mod kv;
mod matrices;
mod messages;
mod observing;
mod realm;
mod souls;
mod streams;
