//! Composition and commands of dan.
