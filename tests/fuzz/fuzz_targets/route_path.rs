//! A path: finds a route or none, and its values hold no byte that the path could not carry.
#![no_main]

use dan_http::probe::route;
use http::Method;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|path: &str| {
    for method in [Method::GET, Method::POST, Method::DELETE, Method::OPTIONS] {
        if let Some((pattern, values)) = route(&method, path) {
            assert_eq!(values.len(), pattern.matches('{').count());
            assert!(values.iter().map(String::len).sum::<usize>() <= path.len());
        }
    }
});
