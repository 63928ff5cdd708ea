//! The hyper adapters: listener, routes and the outbound client.

pub mod framing;
pub mod head_guard;
pub mod listen;
pub mod tls;
