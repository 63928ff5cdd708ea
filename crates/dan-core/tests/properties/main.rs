//! What holds whatever happens: cases and steps drawn by chance; see `chance` for how to repeat or
//! lengthen a run.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests"
)]

mod chance;
mod decide;
mod two_consumers;
