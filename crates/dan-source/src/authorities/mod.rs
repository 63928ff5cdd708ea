//! Systems whose word we take.

pub mod entity_register;
