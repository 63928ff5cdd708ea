//! Keeps state: memory and SQLite behind one conformance suite.
