//! Valid domain values, one field changed.
