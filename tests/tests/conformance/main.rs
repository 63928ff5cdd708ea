//! What real clients of data.altinn.no need, held against a running node from outside: the checks of
//! `clients.md` §9 that this version answers, each under its number, the requests those clients were
//! seen to send, and the proof of every answer that carries evidence.
//!
//! Where the checklist leaves a choice, `contracts.md` §5 and §7 decide. Checks that need a consent
//! dialogue (27–29, 48–50, 54, 58) are not here. How to point the suite at another node: [`dan_tests::subject`].

mod authorization;
mod clients;
mod create;
mod credentials;
mod datasets;
mod direct;
mod errors;
mod harvest;
mod list;
mod metadata;
mod proof;
mod streams;
mod token;
