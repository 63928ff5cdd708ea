//! Enterprise certificates: whom they name, who issued them, who took them back. Real ones, those
//! of the test suites, and hostile ones of our own making.

#[cfg(test)]
mod config;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod paths;
#[cfg(test)]
mod pki;
#[cfg(test)]
mod responders;
#[cfg(test)]
mod seid;
#[cfg(test)]
mod subjects;
