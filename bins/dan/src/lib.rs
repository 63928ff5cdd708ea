//! The node and the commands of dan: arguments, configuration, composition.
//!
//! Only here are adapters chosen, and only here are the environment and the configuration read.

pub mod args;
pub mod client_certificates;
pub mod commands;
pub mod compose;
pub mod config;
pub mod edge;
mod expiries;
pub mod lifecycle;
mod looks;
pub mod output;
pub mod sandbox;
pub mod sandbox_demo;
pub mod serve;
mod server_tls;
pub mod signing_keys;
pub mod system;
