//! What authors need from an empty folder to a running component: templates, builds, watching, scenarios.
//!
//! [`language`] says what there is for which language; [`template`] makes a folder of it, [`project`] reads one,
//! [`build`] makes the component, with what [`packages`] installs and by a [`tool`] of the language, and [`watch`] sees what
//! changes. [`scenario`] reads what `matrix test` plays, [`verdict`] judges it, and [`home`] is the node where it is played.

pub(crate) mod build;
pub(crate) mod home;
mod label;
pub(crate) mod language;
mod packages;
pub(crate) mod project;
pub(crate) mod scenario;
pub(crate) mod template;
mod tool;
pub(crate) mod verdict;
pub(crate) mod watch;
