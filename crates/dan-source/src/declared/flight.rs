//! [`Flights`]: of identical questions under way at the same time only one is sent.
//!
//! Identical means: the same request, byte for byte, for the same owner. Whoever came first asks;
//! if he goes away, the next one does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dan_core::party::OrgNumber;
use dan_core::ports::{FetchError, FetchRequest, Method};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::answered::{Answered, Missed};

/// SHA-256 of a request and for whom it is made: holds no identity number in clear.
pub(crate) type RequestKey = [u8; 32];

type Outcome = Result<Arc<Answered>, Missed>;

/// Questions under way.
#[derive(Default)]
pub(crate) struct Flights(Mutex<BTreeMap<RequestKey, watch::Receiver<Option<Outcome>>>>);

/// What distinguishes a request from every other, credentials included.
pub(crate) fn key_of(request: &FetchRequest, owner: Option<OrgNumber>) -> RequestKey {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        hash.update(length.to_be_bytes());
        hash.update(part);
    };
    add(owner.as_ref().map_or("", OrgNumber::as_str).as_bytes());
    add(match request.method {
        Method::Get => b"GET",
        Method::Post => b"POST",
    });
    add(request.peer.as_bytes());
    add(request.url.as_bytes());
    for (name, value) in &request.headers {
        add(name.as_bytes());
        add(value.as_bytes());
    }
    for (name, secret) in &request.secret_headers {
        add(name.as_bytes());
        add(secret.expose().as_bytes());
    }
    let authorization = request.authorization.as_ref();
    add(authorization
        .map_or("", |secret| secret.expose())
        .as_bytes());
    let (media_type, body) = request.body.clone().unwrap_or_default();
    add(media_type.as_bytes());
    add(&body);
    hash.finalize().into()
}

/// Takes the question off the list when its asker is done or gone.
struct Asker<'a> {
    flights: &'a Flights,
    key: RequestKey,
    told: watch::Sender<Option<Outcome>>,
}

impl Drop for Asker<'_> {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.key);
    }
}

/// Whose turn it is.
enum Turn<'a> {
    Ask(Asker<'a>),
    Wait(watch::Receiver<Option<Outcome>>),
}

impl Flights {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<RequestKey, watch::Receiver<Option<Outcome>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, key: RequestKey) -> Turn<'_> {
        let mut under_way = self.lock();
        if let Some(waiting) = under_way.get(&key) {
            return Turn::Wait(waiting.clone());
        }
        let (told, waiting) = watch::channel(None);
        under_way.insert(key, waiting);
        Turn::Ask(Asker {
            flights: self,
            key,
            told,
        })
    }

    /// What `ask` gives, or what it gave another who asked the same meanwhile. That another's time
    /// was over says nothing about ours: then it is asked again.
    pub(crate) async fn join(
        &self,
        key: RequestKey,
        ask: impl Future<Output = Outcome> + Send,
    ) -> Outcome {
        let mut waiting = match self.turn(key) {
            Turn::Wait(waiting) => waiting,
            Turn::Ask(asker) => return asker.tell(ask.await),
        };
        loop {
            // An error means that the asker is gone without an answer.
            let told = waiting.wait_for(Option::is_some).await;
            match told.ok().and_then(|told| told.clone()) {
                Some(Err(Missed::Fetch(FetchError::Timeout))) | None => {}
                Some(outcome) => return outcome,
            }
            match self.turn(key) {
                Turn::Wait(next) => waiting = next,
                Turn::Ask(asker) => return asker.tell(ask.await),
            }
        }
    }
}

impl Asker<'_> {
    fn tell(self, outcome: Outcome) -> Outcome {
        self.told.send_replace(Some(outcome.clone()));
        outcome
    }
}

/// Shows how many.
impl std::fmt::Debug for Flights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Flights({})", self.lock().len())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;
    use dan_core::ports::FetchReply;
    use dan_core::secret::Secret;
    use dan_core::time::Timestamp;
    use tokio::sync::oneshot;

    use super::*;

    fn answered(status: u16) -> Outcome {
        Ok(Arc::new(Answered {
            reply: FetchReply {
                status,
                media_type: None,
                retry_after_s: None,
                body: Bytes::new(),
            },
            at: Timestamp::from_ms(1),
        }))
    }

    fn request(url: &str) -> FetchRequest {
        FetchRequest::get("reg", url.to_owned(), 10)
    }

    #[test]
    fn requests_that_differ_in_anything_are_not_identical() {
        let owner = OrgNumber::parse("991825827").unwrap();
        let plain = key_of(&request("https://x/a"), Some(owner));
        let mut signed = request("https://x/a");
        signed.authorization = Some(Secret::new("Bearer a".to_owned()));
        let mut posted = request("https://x/a");
        posted.method = Method::Post;
        let mut sent = request("https://x/a");
        sent.body = Some(("application/json", Bytes::from_static(b"{}")));
        let mut keyed = request("https://x/a");
        keyed.secret_headers = vec![("x-key".to_owned(), Secret::new("k".to_owned()))];
        let others = [
            key_of(&request("https://x/b"), Some(owner)),
            key_of(&request("https://x/a"), None),
            key_of(&signed, Some(owner)),
            key_of(&posted, Some(owner)),
            key_of(&sent, Some(owner)),
            key_of(&keyed, Some(owner)),
        ];
        assert!(others.iter().all(|other| *other != plain));
        assert_eq!(key_of(&request("https://x/a"), Some(owner)), plain);
    }

    #[tokio::test]
    async fn those_who_ask_the_same_get_one_answer() {
        let flights = Flights::default();
        let asked = AtomicUsize::new(0);
        let (release, gate) = oneshot::channel::<()>();
        let first = flights.join([1; 32], async {
            asked.fetch_add(1, Ordering::SeqCst);
            gate.await.unwrap();
            answered(200)
        });
        let second = flights.join([1; 32], async { panic!("asked twice") });
        let other = async {
            let other = flights.join([2; 32], async { answered(404) }).await;
            release.send(()).unwrap();
            other.unwrap().reply.status
        };
        let (first, second, other) = tokio::join!(first, second, other);
        assert_eq!(
            (
                first.unwrap().reply.status,
                second.unwrap().reply.status,
                other
            ),
            (200, 200, 404)
        );
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert!(flights.lock().is_empty());
    }

    #[tokio::test]
    async fn when_the_asker_goes_away_the_next_one_asks() {
        let flights = Flights::default();
        let never = flights.join([1; 32], std::future::pending());
        let mut never = Box::pin(never);
        let polled =
            std::future::poll_fn(|cx| std::task::Poll::Ready(never.as_mut().poll(cx).is_pending()));
        assert!(polled.await);
        let next = flights.join([1; 32], async { answered(200) });
        let leave = async { drop(never) };
        let (next, ()) = tokio::join!(next, leave);
        assert_eq!(next.unwrap().reply.status, 200);
    }

    #[tokio::test]
    async fn who_was_late_shares_no_failure() {
        let flights = Flights::default();
        let (release, gate) = oneshot::channel::<()>();
        let late = flights.join([1; 32], async {
            gate.await.unwrap();
            Err(Missed::Fetch(FetchError::Timeout))
        });
        let other = flights.join([1; 32], async { answered(200) });
        let go = async { release.send(()).unwrap() };
        let (late, other, ()) = tokio::join!(late, other, go);
        assert!(late.is_err() && other.is_ok());
    }
}
