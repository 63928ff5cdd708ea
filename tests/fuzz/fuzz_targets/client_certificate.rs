//! DER of a client certificate: reads or does not.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|_der: &[u8]| {});
