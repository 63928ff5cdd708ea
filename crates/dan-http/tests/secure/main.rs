//! The listener over TLS, against real clients and against frames written by hand: protocols, client certificates,
//! sessions, HTTP/2 streams, floods and silences.

#[cfg(test)]
mod certificates;
#[cfg(test)]
mod floods;
#[cfg(test)]
mod server;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod untaken;
#[cfg(test)]
mod waits;
