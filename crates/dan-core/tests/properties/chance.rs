//! Chance that can be repeated, for tests that try what nobody thought of.
//!
//! `DAN_SEED=<number>` chooses the seed, `DAN_LONG=1` tries many more cases.

use std::{env, thread};

/// The seed when none is chosen: every run tries the same, until somebody wants otherwise.
const SEED_DEFAULT: u64 = 20_260_101;

/// xorshift64*, good enough to choose cases and the same everywhere. Says where it was when its
/// test fails.
pub(crate) struct Chance {
    state: u64,
    seed: u64,
    case: u64,
}

impl Chance {
    /// The chance of one case: neighbouring cases have nothing in common.
    pub(crate) fn of_case(seed: u64, case: u64) -> Self {
        let mixed = seed
            .wrapping_add(case.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let state = (mixed ^ (mixed >> 29)) | 1;
        Self { state, seed, case }
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number from 0 to `end`, `end` not among them.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap();
        usize::try_from(self.next() % end).unwrap()
    }

    /// True in so many of a hundred cases.
    pub(crate) fn percent(&mut self, of_hundred: usize) -> bool {
        self.below(100) < of_hundred
    }

    /// One of them.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

impl Drop for Chance {
    #[expect(clippy::print_stderr, reason = "a failed test says where it failed")]
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("failed in case {} of DAN_SEED={}", self.case, self.seed);
        }
    }
}

/// The seed, and how many cases to try: `few`, or `many` with `DAN_LONG=1`. Both are printed.
#[expect(
    clippy::disallowed_methods,
    reason = "seed and length are the tester's choice"
)]
#[expect(clippy::print_stderr, reason = "a failed test says how to repeat it")]
pub(crate) fn plan(test: &str, few: u64, many: u64) -> (u64, u64) {
    let seed = env::var("DAN_SEED").map_or(SEED_DEFAULT, |text| text.parse().unwrap());
    let long = env::var("DAN_LONG").is_ok_and(|text| text == "1");
    let cases = if long { many } else { few };
    eprintln!("{test}: {cases} cases with DAN_SEED={seed}");
    (seed, cases)
}
