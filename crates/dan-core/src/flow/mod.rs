//! [`Exchange`]: the use cases. A handler cannot reach round one to a port.

mod admit;
mod arrive;
mod authenticate;
mod decide;
mod direct;
mod explain;
mod gate;
mod grant;
mod harvest;
mod heads;
mod idempotent;
mod list;
mod node;
mod open_data;
mod outcome;
mod pace;
mod proof;
mod record;
mod register;
mod release;
mod stamps;
mod status;
mod stream;
mod sweep;
#[cfg(test)]
mod tests;
mod usage;
mod watch;
mod withdraw;

use std::sync::{Arc, Mutex, PoisonError};

pub use admit::Unadmitted;
pub use arrive::{AHEAD_BYTES, HELD_BYTES_MAX};
pub use authenticate::{authenticate, prove};
pub use decide::{check_before_rules, questions};
pub use explain::{Explained, Explanation, explain};
pub use gate::Permit;
pub use grant::Granted;
pub use heads::HEAD_EVERY;
pub use idempotent::{IDEMPOTENCY_MS, Idempotency, KEY_BYTES_MAX};
pub use list::{LIST_COUNT_MAX, List, ListQuery, Listed, PAGE_COUNT_MAX};
pub use pace::{STREAM_IDLE_MAX, STREAM_TIME_MAX};
pub use proof::{PROOF_MS, PROOFS_MAX};
pub use record::STREAMS_MAX;
pub use register::{HIERARCHY_UNITS_MAX, Hierarchy, LEVELS_MAX};
pub use release::{Answer, Envelope, Form, Presented, Presenter, Released, Wish};
pub use stamps::{STAMP_BYTES_MAX, STAMP_EVERY};
pub use status::DatasetState;
pub use stream::{BrokenOff, FRAME_BYTES_MAX, Frame, SEAL_TIME_MAX, Seal, Streamed};
pub use sweep::SWEEP_COUNT_MAX;
pub use usage::{PUBLIC_COUNT_MIN, Period, PublicCount};

use crate::caller::Caller;
use crate::catalog::{Catalog, CatalogHandle};
use crate::error::{Code, Fault};
use crate::inquiry::ValidityDays;
use crate::limits::{LimitSettings, Limiter};
use crate::meter::Meter;
use crate::party::Realm;
use crate::ports::{
    CallContext, Clock, Consents, Entropy, Facts, Signer, Store, StoreError, random_id,
};
use crate::time::Timestamp;
use node::Noted;
use record::Recorder;
use watch::Watch;

/// One call of an authenticated consumer: who, and within which bounds.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// Who calls.
    pub caller: &'a Caller,
    /// Request id and deadline.
    pub ctx: &'a CallContext,
}

/// What the use cases ask of the outside. Plain fields: a test replaces one.
#[derive(Clone)]
pub struct Ports {
    /// What is offered, and the sources behind it.
    pub catalog: Arc<CatalogHandle>,
    /// Entity register, roles and rights.
    pub facts: Arc<dyn Facts>,
    /// Consents.
    pub consents: Arc<dyn Consents>,
    /// Makes envelopes.
    pub signer: Arc<dyn Signer>,
    /// Keeps state.
    pub store: Arc<dyn Store>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// A node's own settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `iss` of every statement.
    pub public_url: String,
    /// Which national numbers are real here.
    pub realm: Realm,
    /// Bounds on the validity of grants.
    pub validity: ValidityDays,
    /// Days after its end at which a grant is purged.
    pub retention_days: u32,
}

/// The use cases.
pub struct Exchange {
    ports: Ports,
    settings: Settings,
    recorder: Recorder,
    limiter: Limiter,
    meter: Arc<Meter>,
    noted: Mutex<Noted>,
    watch: Mutex<Watch>,
}

impl Exchange {
    /// Puts the use cases on top of ports. [`Exchange::keep_records`] must run beside it.
    #[must_use]
    pub fn new(ports: Ports, settings: Settings, meter: Arc<Meter>) -> Self {
        let recorder = Recorder::new(Arc::clone(&ports.store), Arc::clone(&meter));
        Self {
            ports,
            settings,
            recorder,
            limiter: Limiter::new(LimitSettings::NONE),
            meter,
            noted: Mutex::default(),
            watch: Mutex::default(),
        }
    }

    /// The same with limits on what one caller may ask; without this there are none.
    #[must_use]
    pub fn limited(self, settings: LimitSettings) -> Self {
        Self {
            limiter: Limiter::new(settings),
            ..self
        }
    }

    /// Writes outcomes and refusals to the audit trail until [`Exchange::close`]. Run it once, in a
    /// tracked task.
    pub async fn keep_records(&self) {
        self.recorder.run().await;
    }

    /// Writes what is still waiting and ends [`Exchange::keep_records`].
    pub async fn close(&self) {
        self.recorder.close().await;
    }

    /// What was recorded last about the node itself.
    fn noted(&self) -> Noted {
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.clone()
    }

    fn remember(&self, now: Noted) {
        *self.noted.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// The catalogue of now.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        self.ports.catalog.load()
    }

    /// What is wrong with the catalogue files; the picture served is the last good one.
    #[must_use]
    pub fn catalog_problems(&self) -> Arc<Vec<String>> {
        self.ports.catalog.problems()
    }

    /// Now, by the node's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    /// The published keys, as a JWK Set.
    #[must_use]
    pub fn key_set(&self) -> String {
        self.ports.signer.key_set(self.now())
    }

    /// The node's settings.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The counters.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// A new random identifier in UUID form, for requests.
    #[must_use]
    pub fn new_id(&self) -> String {
        random_id(self.ports.entropy.as_ref())
    }

    /// Whether the node can do its work.
    ///
    /// # Errors
    /// 1013, with what is not ready.
    pub async fn ready(&self) -> Result<(), Fault> {
        self.ports.store.ready().await.map_err(store_fault)
    }
}

/// A store that fails is never the client's fault, and never "not there".
fn store_fault(error: StoreError) -> Fault {
    match error {
        StoreError::Conflict => Fault::with(
            Code::ServiceNotAvailable,
            "somebody changed the same accreditation at the same time; try again",
        ),
        StoreError::Unavailable(cause) => {
            Fault::with(Code::ServiceNotAvailable, "the node's own store").because(cause)
        }
        StoreError::Corrupt(cause) => Fault::new(Code::InternalServerError).because(cause),
    }
}
