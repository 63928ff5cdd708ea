//! Bytes of a connection: the verdict does not depend on how they were split, and what is let through is a prefix
//! that reads the same again.
#![no_main]

use dan_http::probe::framed;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let whole = framed(bytes, 0);
    assert_eq!(framed(bytes, usize::from(cut)), whole);
    let again = framed(&whole.admitted, 0);
    assert_eq!(again.admitted, whole.admitted);
});
