//! Makes envelopes: JWS, COSE and the published keys.
