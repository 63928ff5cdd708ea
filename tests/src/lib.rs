//! The black-box conformance suite: helpers.
//!
//! The suite knows a node by its addresses, its API keys and the outside world it asks, and by nothing
//! else; [`subject`] says how another node than our own sandbox is put under test. An answer that
//! carries evidence goes through [`proof`], which checks it with the published keys alone.

pub mod client;
pub mod consumer;
pub mod node;
pub mod proof;
pub mod shapes;
pub mod subject;
pub mod world;
