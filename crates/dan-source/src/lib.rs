//! Gets data and asks authorities: declared sources, plugins, registers.
//!
//! [`catalog_folder`] reads the catalogue's files, [`declared`] serves the datasets they define,
//! [`plugin`] those of existing plugins; [`keeper`] watches both and swaps the picture as a whole.
//! [`protect`] stands around every source; [`authorities`] answer questions about parties.
//!
//! To add a dataset, write a file (`docs/catalog.md`); to add a construct to those files, see
//! [`declared::Definition`]; to add a source in code, implement `dan_core::ports::Source` and let
//! [`keeper::Discover`] say what it offers.

mod arriving;
pub mod authorities;
mod breaker;
pub mod catalog_folder;
pub mod declared;
pub mod keeper;
pub mod plugin;
mod plugin_definition;
mod plugin_reader;
mod plugin_rules;
mod plugin_wire;
pub mod protect;
