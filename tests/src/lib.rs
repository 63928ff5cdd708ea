//! The black-box suites: helpers.
//!
//! **Conformance** holds one node against what today's clients need.
//! It knows the node by its addresses, its API keys and the outside world it asks, and by nothing
//! else; [`subject`] says how another node than our own sandbox is put under test. An answer that
//! carries evidence goes through [`proof`], which checks it with the published keys alone.
//!
//! **End to end** starts nodes of its own, with the configuration and the commands of an operator, and
//! stops and kills them: [`node`].

pub mod browser;
pub mod client;
pub mod consumer;
pub mod node;
pub mod page;
pub mod proof;
pub mod shapes;
pub mod subject;
pub mod world;
