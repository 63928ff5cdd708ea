//! Fairness: what a consumer who asks 50 times a second notices of another, with a key of its own, who asks as fast as
//! it can over 64 connections. Limits are the defaults of a node: 500 requests a second of one key, 1000 at once.
//!
//! `cargo build --release -p dan && cargo bench -p dan-benches --bench greedy`. A real node with SQLite, verified
//! tokens, a source asked over HTTP and signed answers; the greedy one is a process of its own. All share the
//! processors, so part of what the polite one notices is the work of the greedy client itself. Latency counts from
//! the moment at which a request was meant to leave.

mod load;
mod place;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use dan_sandbox::consumer::Consumer;
use load::Sample;
use place::{Caller, Place};

const POLITE: &str = "991825827";
const GREEDY: &str = "974760673";
const PATH: &str = "directharvest/UnitBasicInformation?subject=992037601";
const PER_SECOND: u32 = 50;
const CLIENTS: usize = 64;
const ROUNDS: usize = 3;
/// The greedy one uses up what it may ask at once in the first of these; from then on the rate counts.
const BURST: Duration = Duration::from_secs(3);
const LENGTH: Duration = Duration::from_secs(10);
/// Milliseconds in a tick of `/proc/PID/stat`.
const TICK_MS: u64 = 10;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match &arguments[..] {
        [load, url, key, token] if load == "load" => runtime.block_on(be_greedy(url, key, token)),
        arguments if arguments.iter().any(|one| one == "--bench") => runtime.block_on(compare()),
        _ => println!("greedy: measures under `cargo bench` only"),
    }
}

async fn be_greedy(url: &str, key: &str, token: &str) {
    let consumer = Arc::new(Consumer::new(key, token));
    let length = BURST + LENGTH;
    let (answered, refused) = load::greedy(consumer, url.into(), CLIENTS, length).await;
    let seconds = length.as_secs();
    println!("  the greedy one: {answered} answers and {refused} refusals in {seconds} s");
}

fn start_greedy(place: &Place, caller: &Caller) -> Child {
    let url = format!("{}/{PATH}", place.api);
    Command::new(std::env::current_exe().expect("ourselves"))
        .args(["load", &url, &caller.key, &caller.token])
        .stdin(Stdio::null())
        .spawn()
        .expect("ourselves again")
}

async fn compare() {
    let Some(place) = Place::new().await else {
        return;
    };
    let (polite, greedy) = (place.caller(POLITE).await, place.caller(GREEDY).await);
    let consumer = Arc::new(Consumer::new(&polite.key, &polite.token));
    let url: Arc<str> = format!("{}/{PATH}", place.api).into();
    let steady = |length| load::steady(Arc::clone(&consumer), Arc::clone(&url), PER_SECOND, length);
    steady(BURST).await;
    let (mut alone, mut burst, mut beside) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.extend(steady(LENGTH).await);
        let before = place.ticks();
        let mut other = start_greedy(&place, &greedy);
        let (early, late): (Vec<Sample>, Vec<Sample>) = steady(BURST + LENGTH)
            .await
            .into_iter()
            .partition(|sample| sample.at < BURST);
        burst.extend(early);
        beside.extend(late);
        other.wait().expect("it was started");
        let cpu_ms = (place.ticks() - before) * TICK_MS;
        println!("  the node beside it: {cpu_ms} ms of CPU");
    }
    let calm = report("alone", alone);
    for (name, samples) in [
        ("beside a greedy one, its first 3 s", burst),
        ("beside a greedy one", beside),
    ] {
        let (p50, p99) = report(name, samples);
        println!(
            "  {:.2} of alone in p50, {:.2} in p99",
            p50 / calm.0,
            p99 / calm.1
        );
    }
}

/// Prints and gives p50 and p99 in ms.
fn report(name: &str, samples: Vec<Sample>) -> (f64, f64) {
    let good = samples.iter().filter(|sample| sample.status == 200).count();
    let count = samples.len();
    let mut times: Vec<f64> = samples
        .iter()
        .map(|sample| sample.latency.as_secs_f64() * 1000.0)
        .collect();
    times.sort_by(f64::total_cmp);
    let at = |hundredths: usize| {
        let place = (times.len() * hundredths / 100).min(times.len().saturating_sub(1));
        times.get(place).copied().unwrap_or_default()
    };
    let (p50, p99) = (at(50), at(99));
    println!(
        "{name}: p50 {p50:.2} ms, p99 {p99:.2} ms, worst {:.2} ms, {good} of {count} answered",
        at(100)
    );
    (p50, p99)
}
