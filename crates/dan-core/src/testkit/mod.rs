//! Stand-ins and conformance suites, for us and for authors of adapters.

pub mod builders;
mod fake_store;
pub mod fakes;
pub mod signer_suite;
pub mod store_suite;
