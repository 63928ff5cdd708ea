//! Two owners in two services share a node, and nobody learns anything of anybody else.
//!
//! Steps are drawn by chance and compared with a model. Everything a consumer sends or a source
//! answers for it carries its canary.

mod exchanged;
mod node;
mod offered;

use crate::chance::{Chance, plan};
use tokio::runtime;

use node::{Node, Tally};

const STEPS: u64 = 2_000;
const STEPS_LONG: u64 = 100_000;
/// Steps on one node; then another one starts empty.
const STEPS_PER_NODE: u64 = 250;

#[test]
fn nobody_learns_anything_of_anybody_else() {
    let (seed, steps) = plan("two consumers", STEPS, STEPS_LONG);
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let mut tally = Tally::default();
    for case in 0..steps.div_ceil(STEPS_PER_NODE) {
        let mut chance = Chance::of_case(seed, case);
        let mut node = Node::new(tally);
        for _ in 0..STEPS_PER_NODE {
            runtime.block_on(node.step(&mut chance));
        }
        tally = node.tally;
    }
    let Tally {
        granted,
        released,
        foreign,
        expired,
        purged,
        repeated,
    } = tally;
    let enough = granted > 300
        && released > 300
        && [foreign, expired, purged, repeated]
            .iter()
            .all(|count| *count > 10);
    assert!(enough, "steps that tell: {tally:?}");
}
