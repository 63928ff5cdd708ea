//! The outside world of the node, which tests may break; one at a time, and never for the others.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use serde_json::Value;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::client::{Answer, Call, split_url};
use crate::consumer::{Consumer, DAN_TEST, OTHER_COMPANY};
use crate::subject::subject;

/// The source behind the `DanTest…` datasets.
pub const TEST_SOURCE: &str = "testdata";
/// How long the node may keep away from a source that works again (its breaker is half a minute at most).
const RECOVERY_MAX: Duration = Duration::from_secs(90);
/// How often it is asked meanwhile.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// How long the control interface may take.
const CONTROL_MAX: Duration = Duration::from_secs(10);

static TESTS: RwLock<()> = RwLock::const_new(());
/// A fault has been set, and nobody has seen the source answer since.
static SHAKEN: AtomicBool = AtomicBool::new(false);

/// The world behaves as long as this is held. For every test whose answer comes from [`TEST_SOURCE`].
pub async fn calm() -> RwLockReadGuard<'static, ()> {
    loop {
        let held = TESTS.read().await;
        if !SHAKEN.load(Ordering::SeqCst) {
            return held;
        }
        drop(held);
        drop(alone().await);
    }
}

/// The world is this test's alone, and works when it gets it. Faults end when this is dropped, also
/// by a panic.
pub async fn alone() -> Alone {
    let held = TESTS.write().await;
    if SHAKEN.load(Ordering::SeqCst) {
        recovered().await;
        SHAKEN.store(false, Ordering::SeqCst);
    }
    Alone {
        faults: Mutex::default(),
        _held: held,
    }
}

/// See [`alone`].
pub struct Alone {
    faults: Mutex<Vec<String>>,
    _held: RwLockWriteGuard<'static, ()>,
}

impl Alone {
    /// Makes a service of the outside world fail (`contracts.md` §2).
    ///
    /// # Panics
    /// When the control interface refuses.
    pub async fn break_it(&self, name: &str, fault: &Value) {
        SHAKEN.store(true, Ordering::SeqCst);
        self.faults.lock().unwrap().push(name.to_owned());
        let answer = control(Method::PUT, &format!("faults/{name}"), Some(fault)).await;
        assert!(answer.status.is_success(), "{}", answer.excerpt());
    }

    /// Ends every fault and waits until the node asks the source again.
    pub async fn mend(&self) {
        self.end_faults();
        recovered().await;
        SHAKEN.store(false, Ordering::SeqCst);
    }

    /// Forgets the calls a service has had.
    pub async fn forget_calls(&self, name: &str) {
        let answer = control(Method::DELETE, &format!("calls/{name}"), None).await;
        assert!(answer.status.is_success(), "{}", answer.excerpt());
    }

    /// Path and query of the calls a service has had since, oldest first.
    ///
    /// # Panics
    /// When the answer is not of the form the contract gives.
    pub async fn calls(&self, name: &str) -> Vec<String> {
        let answer = control(Method::GET, &format!("calls/{name}"), None).await;
        let body = answer.ok().json();
        let calls = body["calls"].as_array().expect("calls");
        calls
            .iter()
            .map(|call| call["path"].as_str().expect("a path").to_owned())
            .collect()
    }

    fn end_faults(&self) {
        let names = std::mem::take(&mut *self.faults.lock().unwrap());
        for name in names {
            end_fault(&name);
        }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.end_faults();
    }
}

async fn control(method: Method, what: &str, body: Option<&Value>) -> Answer {
    let call = Call::new(method, format!("{}/control/{what}", subject().outside));
    match body {
        Some(body) => call.json(body),
        None => call,
    }
    .send()
    .await
}

/// Without a runtime, since it happens in a drop; a failure shows in the next [`recovered`].
fn end_fault(name: &str) {
    let url = format!("{}/control/faults/{name}", subject().outside);
    let (authority, target) = split_url(&url);
    let Ok(mut stream) = TcpStream::connect(authority) else {
        return;
    };
    let head =
        format!("DELETE {target} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    let mut answer = Vec::new();
    if stream.set_read_timeout(Some(CONTROL_MAX)).is_ok()
        && stream.write_all(head.as_bytes()).is_ok()
        && stream.read_to_end(&mut answer).is_ok()
        && !answer.starts_with(b"HTTP/1.1 2")
    {
        eprintln!(
            "the fault of {name} stands: {}",
            String::from_utf8_lossy(&answer)
        );
    }
}

/// Waits until a document about somebody comes through, which no node may take from a cache.
async fn recovered() {
    let started = Instant::now();
    let consumer = Consumer::of(DAN_TEST).await;
    loop {
        let path = format!("directharvest/DanTestDokument?subject={OTHER_COMPANY}");
        let answer = consumer.get(&path).await;
        if answer.status.is_success() {
            return;
        }
        assert!(
            started.elapsed() < RECOVERY_MAX,
            "the source works again, but the node does not ask it: {}",
            answer.excerpt()
        );
        tokio::time::sleep(ASK_EVERY).await;
    }
}
