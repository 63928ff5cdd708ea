//! Proofs of answers that left as streams.

use super::*;

/// A proof comes back equal, also when it has expired, and under its own release alone.
pub async fn a_proof_is_kept_by_its_release(store: Arc<dyn Store>) {
    let (owned, mut open) = (proof(1), proof(2));
    open.owner = None;
    open.expires = at(i64::MIN);
    for value in [&owned, &open] {
        assert_eq!(proof_of(&store, value).await, None);
        commit(&store, vec![keep(value, 9)]).await;
    }
    for value in [owned, open] {
        assert_eq!(proof_of(&store, &value).await, Some(value));
    }
    assert_eq!(proof_of(&store, &proof(3)).await, None);
}

/// So many of those kept last stay, whenever they expire and whatever was forgotten in between.
pub async fn the_oldest_proofs_make_room(store: Arc<dyn Store>) {
    for seed in 1..=5 {
        let mut value = proof(seed);
        value.expires = at(100 - i64::from(seed));
        commit(&store, vec![keep(&value, 3)]).await;
    }
    assert_eq!(kept(&store).await, [3, 4, 5]);
    // 5 expires first, and its place is not given to an older one.
    commit(&store, vec![Write::ForgetProofs(at(96))]).await;
    assert_eq!(kept(&store).await, [3, 4]);
    commit(&store, vec![keep(&proof(6), 3)]).await;
    assert_eq!(kept(&store).await, [4, 6]);
    commit(&store, vec![keep(&proof(7), 9), keep(&proof(8), 1)]).await;
    assert_eq!(kept(&store).await, [8]);
}

/// What expired strictly before the moment is gone; nothing to forget is no fault.
pub async fn forgetting_proofs_takes_what_expired_before(store: Arc<dyn Store>) {
    commit(&store, vec![Write::ForgetProofs(at(i64::MAX))]).await;
    for (seed, expires) in [(1, i64::MIN), (2, 10), (3, 11), (4, i64::MAX)] {
        let mut value = proof(seed);
        value.expires = at(expires);
        commit(&store, vec![keep(&value, 9)]).await;
    }
    for (before, left) in [
        (i64::MIN, &[1, 2, 3, 4][..]),
        (10, &[2, 3, 4]),
        (11, &[3, 4]),
        (i64::MAX, &[4]),
    ] {
        commit(&store, vec![Write::ForgetProofs(at(before))]).await;
        assert_eq!(kept(&store).await, left, "{before}");
    }
    commit(&store, vec![keep(&proof(1), 9)]).await;
    assert_eq!(kept(&store).await, [1, 4]);
}

/// A release has one proof; a refused batch keeps none of what is in it.
pub async fn a_proof_that_is_there_refuses_its_whole_batch(store: Arc<dyn Store>) {
    commit(&store, vec![keep(&proof(1), 9)]).await;
    let mut other = proof(1);
    other.statement = "another".to_owned();
    conflict(&store, vec![keep(&proof(2), 9), keep(&other, 9)]).await;
    assert_eq!(proof_of(&store, &proof(1)).await, Some(proof(1)));
    assert_eq!(kept(&store).await, [1]);
}

/// A proof with every field filled in. Same `seed`, same proof.
#[must_use]
pub fn proof(seed: u8) -> ProofRecord {
    ProofRecord {
        id: format!("00000000-0000-4000-8000-0000000000{seed:02x}"),
        owner: Some(org(OWNER)),
        statement: format!("head.{PARAMETER}{seed}.signature"),
        expires: at(1_000),
    }
}

fn keep(value: &ProofRecord, count_max: u32) -> Write {
    Write::KeepProof {
        value: Box::new(value.clone()),
        count_max,
    }
}

async fn proof_of(store: &Arc<dyn Store>, value: &ProofRecord) -> Option<ProofRecord> {
    store.proof(&value.id).await.expect("a read")
}

/// Seeds of the proofs that are there.
async fn kept(store: &Arc<dyn Store>) -> Vec<u8> {
    let mut found = Vec::new();
    for seed in 1..=9 {
        if proof_of(store, &proof(seed)).await.is_some() {
            found.push(seed);
        }
    }
    found
}
