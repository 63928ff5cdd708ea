//! Proves who calls: API keys and bearer tokens.
