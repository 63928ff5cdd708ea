//! A whole node on one machine.
fn main() {}
