//! Stand-ins for every port.
