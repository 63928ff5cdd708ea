//! JSON on which proofs can rest: read so that two readers see the same, written in one way only,
//! and digested. Pure; no I/O.
//!
//! `dan-core` and `dan-verify` both stand on it, so that the verifier needs nothing of the node.

pub mod canonical;
pub mod digest;
pub mod strict;
