//! A fake outside world for the sandbox, the tests and the benches.
