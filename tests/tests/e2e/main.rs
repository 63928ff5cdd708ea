//! Real nodes from outside: what an operator does by `docs/operating.md`, with the real commands, and what
//! a node owes to the world when that fails.
//!
//! Every test starts its own nodes on any free ports, and a sandbox as their outside world. The register
//! may be a stub instead that plays recorded answers. Only loopback is used; what a test waits for is
//! looked for again and again until a deadline.

mod adding;
mod agencies;
mod archive;
mod attacks;
mod catalogue;
mod doctor;
mod ebevis;
mod forms;
mod identity;
mod keys;
mod operating;
mod outages;
mod place;
mod proof_page;
mod proof_snippet;
mod proxies;
mod recorded;
mod refusals;
mod rotation;
mod signing;
mod state;
mod streams;
mod stub;
mod timestamps;
mod tls;
mod trail;
mod transport;
mod verify;
mod verify_page;
