//! Gets data and asks authorities: declared sources, plugins, registers.
