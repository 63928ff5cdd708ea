//! Gets data and asks authorities: declared sources, plugins, registers.

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
