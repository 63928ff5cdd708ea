//! The sources of the shipped catalogue, one file each.

pub(crate) mod skatt;
pub(crate) mod testdata;
