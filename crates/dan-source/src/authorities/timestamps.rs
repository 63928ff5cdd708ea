//! [`TimestampAuthority`]: time stamps over heads of the audit trail, by RFC 3161 over HTTP (§3.4).

mod message;

use std::sync::Arc;

use bytes::Bytes;
use dan_core::ports::{
    CallContext, Entropy, Fetch, FetchRequest, Method, PortFuture, StampError, TimeStamper,
};

use message::{query, token_of};

/// Whether `token`, in DER, is a time stamp over this SHA-256. Its signature is not looked at.
#[must_use]
pub fn is_stamp_over(token: &[u8], digest: &[u8; 32]) -> bool {
    message::is_about(token, digest)
}

/// Name under which limits and logs know it.
const PEER: &str = "timestamp authority";
/// Largest answer that is read, in bytes.
const REPLY_BYTES_MAX: usize = 64 * 1024;
/// Media types of RFC 3161 §3.4.
const QUERY_TYPE: &str = "application/timestamp-query";
const REPLY_TYPE: &str = "application/timestamp-reply";

/// An authority at an address.
pub struct TimestampAuthority {
    url: String,
    fetch: Arc<dyn Fetch>,
    entropy: Arc<dyn Entropy>,
}

impl TimestampAuthority {
    /// The authority that answers there.
    #[must_use]
    pub fn new(url: &str, fetch: Arc<dyn Fetch>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            url: url.to_owned(),
            fetch,
            entropy,
        }
    }

    async fn ask(&self, digest: &[u8; 32], ctx: &CallContext) -> Result<Vec<u8>, String> {
        let mut random = [0; 8];
        self.entropy.fill(&mut random);
        let nonce = u64::from_be_bytes(random);
        let request = FetchRequest {
            method: Method::Post,
            url: self.url.clone(),
            headers: vec![("accept", REPLY_TYPE.to_owned())],
            authorization: None,
            secret_headers: Vec::new(),
            body: Some((QUERY_TYPE, Bytes::from(query(digest, nonce)?))),
            reply_bytes_max: REPLY_BYTES_MAX,
            peer: PEER.to_owned(),
        };
        let reply = self
            .fetch
            .fetch(request, ctx)
            .await
            .map_err(|error| error.to_string())?;
        if reply.status != 200 {
            return Err(format!("HTTP status {}", reply.status));
        }
        let media_type = reply.media_type.unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case(REPLY_TYPE) {
            return Err(format!("the answer is no {REPLY_TYPE}"));
        }
        token_of(&reply.body, digest, nonce)
    }
}

impl TimeStamper for TimestampAuthority {
    fn stamp<'a>(
        &'a self,
        digest: &'a [u8; 32],
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Vec<u8>, StampError>> {
        Box::pin(async move { self.ask(digest, ctx).await.map_err(StampError) })
    }
}
