//! The two loads: one that keeps to its pace whatever the node does, one that asks again as soon as it is answered.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use dan_sandbox::consumer::Consumer;
use http::Method;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What was answered, and how long after the intended moment of the request.
pub struct Sample {
    /// Since the load began.
    pub at: Duration,
    pub latency: Duration,
    pub status: u16,
}

/// Sends `per_second` requests, each at its moment, for that long.
pub async fn steady(
    consumer: Arc<Consumer>,
    url: Arc<str>,
    per_second: u32,
    length: Duration,
) -> Vec<Sample> {
    let began = Instant::now();
    let mut moments = moments(began, per_second, length);
    let mut asking = JoinSet::new();
    while let Some(moment) = moments.recv().await {
        let (consumer, url) = (Arc::clone(&consumer), Arc::clone(&url));
        asking.spawn(async move {
            let status = ask(&consumer, &url).await;
            Sample {
                at: moment - began,
                latency: moment.elapsed(),
                status,
            }
        });
    }
    asking.join_all().await
}

/// The moments, each told when it has come. A thread keeps them, because the runtime's timer is a millisecond coarse,
/// which is as much as a request takes.
fn moments(began: Instant, per_second: u32, length: Duration) -> mpsc::UnboundedReceiver<Instant> {
    let (tell, told) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let (_held, never) = channel::<()>();
        for number in 1.. {
            let after = Duration::from_secs(1) * number / per_second;
            let moment = began + after;
            if after > length {
                return;
            }
            let wait = moment.saturating_duration_since(Instant::now());
            let waited = never.recv_timeout(wait);
            if waited != Err(RecvTimeoutError::Timeout) || tell.send(moment).is_err() {
                return;
            }
        }
    });
    told
}

/// So many clients, each asking again as soon as it is answered: how many answers were 200, and how many were not.
pub async fn greedy(
    consumer: Arc<Consumer>,
    url: Arc<str>,
    clients: usize,
    length: Duration,
) -> (u32, u32) {
    let until = Instant::now() + length;
    let mut asking = JoinSet::new();
    for _ in 0..clients {
        let (consumer, url) = (Arc::clone(&consumer), Arc::clone(&url));
        asking.spawn(async move {
            let (mut answered, mut refused) = (0_u32, 0_u32);
            while Instant::now() < until {
                match ask(&consumer, &url).await {
                    200 => answered += 1,
                    _ => refused += 1,
                }
            }
            (answered, refused)
        });
    }
    let each = asking.join_all().await;
    each.into_iter()
        .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

/// The status; 0 when there was no answer.
async fn ask(consumer: &Consumer, url: &str) -> u16 {
    let answer = consumer.ask(Method::GET, url, None).await;
    answer.map_or(0, |answer| answer.status.as_u16())
}
