//! The core of dan: domain, decisions and ports. It opens no socket, reads no file, asks no clock.
//!
//! Data goes one way: bytes → [`caller::Caller`] → [`inquiry::Inquiry`] or a stored grant →
//! [`flow::Permit`] → [`evidence::Harvest`] → [`flow::Envelope`] → bytes. Each value can only be
//! made by the step before. [`flow::Exchange`] is the list of use cases; [`ports`] is what they ask
//! of the outside.
//!
//! To add a rule kind, see [`requirement`].

pub mod accreditation;
pub mod audit;
pub mod caller;
pub mod catalog;
pub mod context;
pub mod dataset;
pub mod error;
pub mod espd;
pub mod evidence;
pub mod flow;
pub mod inquiry;
pub mod limits;
pub mod meter;
pub mod network;
pub mod parts;
pub mod party;
pub mod ports;
pub mod projection;
pub mod requirement;
pub mod secret;
pub mod statement;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
pub mod time;
pub mod ttl;
pub mod usage;

pub use dan_jmespath as jmespath;
pub use dan_json::{canonical, strict};
