//! What the audit trail costs: the throughput of a node with it, against the same node without.
//!
//! `cargo bench -p dan-benches --bench trail`. A node in this process on SQLite, over HTTP/1.1 with 64 connections
//! that ask again as soon as they are answered; a source that answers at once or after 5 ms; both kinds of
//! durability. Answers are signed. Who calls is taken at their word, and the register knows everything by heart: the
//! trail is a larger part here than in a real node, where tokens are verified and sources are asked over a network.
//! Without a trail no row is written; what else is written (counts) stays. Rounds take turns, and the median of the
//! ratios of neighbours counts.

mod load;
mod node;
mod untracked;

use std::time::Duration;

use dan_store::Durability;
use node::Node;

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(700);
/// Microseconds in a tick of `/proc/self/stat`.
const TICK_US: f64 = 10_000.0;

/// What one round gave: answers, their rate, and CPU of this process, client and all.
struct Round {
    answers: f64,
    per_second: f64,
    cpu_us: f64,
}

fn main() {
    if !std::env::args().any(|one| one == "--bench") {
        println!("trail: measures under `cargo bench` only");
        return;
    }
    println!(
        "durability, source: without, with, ratio (quartiles); CPU of an answer without, with"
    );
    for durability in [Durability::Process, Durability::Power] {
        for pause_ms in [5, 0] {
            compare(durability, Duration::from_millis(pause_ms));
        }
    }
}

fn compare(durability: Durability, pause: Duration) {
    let bare = Node::start(durability, pause, false);
    let tracked = Node::start(durability, pause, true);
    ask(&bare);
    ask(&tracked);
    let (mut without, mut with, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Each goes first as often as the other.
        let (off, on) = if round % 2 == 0 {
            let off = ask(&bare);
            (off, ask(&tracked))
        } else {
            let on = ask(&tracked);
            (ask(&bare), on)
        };
        ratios.push(on.per_second / off.per_second);
        without.push(off);
        with.push(on);
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "{durability:?}, {} ms: {:.0}/s, {:.0}/s, {:.3} ({:.3} to {:.3}); {:.0} µs, {:.0} µs; {} rows, {} heads",
        pause.as_millis(),
        rate(&without),
        rate(&with),
        at(&ratios, 2),
        at(&ratios, 1),
        at(&ratios, 3),
        cpu(&without),
        cpu(&with),
        tracked.rows(),
        tracked.heads(),
    );
}

fn ask(node: &Node) -> Round {
    let before = ticks();
    let (answers, per_second) = load::ask(node.address, CONNECTIONS, ROUND);
    Round {
        answers,
        per_second,
        cpu_us: (ticks() - before) * TICK_US,
    }
}

fn rate(rounds: &[Round]) -> f64 {
    let mut rates: Vec<f64> = rounds.iter().map(|round| round.per_second).collect();
    rates.sort_by(f64::total_cmp);
    at(&rates, 2)
}

/// Over all rounds, since ticks are coarse.
fn cpu(rounds: &[Round]) -> f64 {
    let answers: f64 = rounds.iter().map(|round| round.answers).sum();
    let cpu_us: f64 = rounds.iter().map(|round| round.cpu_us).sum();
    cpu_us / answers
}

/// A quartile of what is sorted.
fn at(sorted: &[f64], quarter: usize) -> f64 {
    let place = sorted.len() * quarter / 4;
    sorted.get(place).copied().unwrap_or_default()
}

/// CPU time of this process so far, in ticks.
fn ticks() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields = behind_name.split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum()
}
