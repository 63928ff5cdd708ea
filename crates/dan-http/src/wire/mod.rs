//! Shapes on the wire, and nothing else: names, spellings and lenience of `wire-api.md` §3 and §5.

pub(crate) mod accreditation;
pub(crate) mod application;
pub(crate) mod dataset;
pub(crate) mod evidence;
pub(crate) mod explanation;
pub(crate) mod fault;
pub(crate) mod json;
pub(crate) mod party;
pub(crate) mod requirement;
pub(crate) mod unit;
