//! Stand-ins and conformance suites, for us and for authors of adapters.

pub mod builders;
pub mod fakes;
pub mod store_suite;
