//! Proofs: the statement of an answer that left as a stream, for those who could not read it at its end.

use super::{Exchange, store_fault};
use crate::caller::Caller;
use crate::error::{Code, Fault};

/// How long a proof is given out, in milliseconds.
pub const PROOF_MS: i64 = 60 * 60 * 1000;
/// Proofs that are kept at once; the oldest go first. One is about 2 KiB.
pub const PROOFS_MAX: u32 = 100_000;
/// Longest identifier of a release that is looked for, in bytes.
const ID_BYTES_MAX: usize = 64;

impl Exchange {
    /// The statement of the release `id`, a compact JWS: for [`PROOF_MS`] after its stream ended, to whom the answer was
    /// for, and to anybody where it was open data. Never the evidence.
    ///
    /// # Errors
    /// 1014 with 404 when there is none, not yet, not any more, or it is somebody else's; 1019 when the caller's token
    /// stands for one person; 1013 when the store is out of reach.
    pub async fn proof(&self, caller: Option<&Caller>, id: &str) -> Result<String, Fault> {
        let absent = || {
            let text = "there is no proof of such a release for you; proofs are of answers that left as a stream, are \
                there once it has ended, and for an hour";
            Fault::with(Code::InvalidAuthorizationRequest, text).status(404)
        };
        if let Some(caller) = caller {
            caller.check_not_for_one_person()?;
        }
        if id.len() > ID_BYTES_MAX {
            return Err(absent());
        }
        let kept = self.ports.store.proof(id).await.map_err(store_fault)?;
        let now = self.now();
        let theirs = |owner| caller.is_some_and(|caller| caller.owner() == owner);
        kept.filter(|proof| proof.expires > now && proof.owner.is_none_or(theirs))
            .map(|proof| proof.statement)
            .ok_or_else(absent)
    }
}
