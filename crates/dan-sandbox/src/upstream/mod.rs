//! The sources of the shipped catalogue, one file each.

pub(crate) mod freg;
pub(crate) mod labour;
pub(crate) mod products;
pub(crate) mod roads;
pub(crate) mod skatt;
pub(crate) mod skatt_person;
pub(crate) mod testdata;
pub(crate) mod tilda;
