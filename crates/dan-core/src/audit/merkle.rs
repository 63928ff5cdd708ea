//! [`MerkleTree`]: one hash over many links, as RFC 6962 §2.1 makes it.

use sha2::{Digest as _, Sha256};

/// Before what is hashed as a leaf (RFC 6962 §2.1).
const LEAF: [u8; 1] = [0];
/// Before what is hashed as a node.
const NODE: [u8; 1] = [1];

/// A tree under way: keeps one hash for each power of two, not the leaves.
#[derive(Clone, Debug, Default)]
pub struct MerkleTree {
    /// Roots of whole subtrees, the largest first; each has a size that is a power of two.
    whole: Vec<[u8; 32]>,
    leaves: u64,
}

impl MerkleTree {
    /// Adds a leaf.
    pub fn push(&mut self, leaf: &[u8; 32]) {
        let mut hash = digest(&LEAF, &[leaf]);
        // Every one at the end of the count so far is a subtree as large as the one in hand.
        for _ in 0..self.leaves.trailing_ones() {
            if let Some(left) = self.whole.pop() {
                hash = digest(&NODE, &[&left, &hash]);
            }
        }
        self.whole.push(hash);
        self.leaves = self.leaves.saturating_add(1);
    }

    /// The root over all leaves so far; SHA-256 of nothing where there are none.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        let smallest_first = self.whole.iter().rev().copied();
        smallest_first
            .reduce(|right, left| digest(&NODE, &[&left, &right]))
            .unwrap_or_else(|| Sha256::digest([]).into())
    }
}

fn digest(prefix: &[u8; 1], parts: &[&[u8; 32]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(prefix);
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(seed: u8) -> [u8; 32] {
        [seed; 32]
    }

    /// The definition of RFC 6962 §2.1, word for word: split at the largest power of two below.
    fn defined(leaves: &[[u8; 32]]) -> [u8; 32] {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => digest(&LEAF, &[one]),
            many => {
                let split = many.len().next_power_of_two() / 2;
                let (left, right) = many.split_at(split);
                digest(&NODE, &[&defined(left), &defined(right)])
            }
        }
    }

    #[test]
    fn it_is_the_tree_of_rfc_6962_for_every_size() {
        let leaves: Vec<_> = (0..=255).map(leaf).collect();
        let mut tree = MerkleTree::default();
        for size in 0..=leaves.len() {
            assert_eq!(tree.root(), defined(&leaves[..size]), "{size}");
            if let Some(next) = leaves.get(size) {
                tree.push(next);
            }
        }
    }

    #[test]
    fn order_number_and_content_of_the_leaves_count() {
        let root = |seeds: &[u8]| {
            let mut tree = MerkleTree::default();
            for seed in seeds {
                tree.push(&leaf(*seed));
            }
            tree.root()
        };
        let whole = root(&[1, 2, 3, 4, 5]);
        for other in [
            &[2, 1, 3, 4, 5][..],
            &[1, 2, 3, 4],
            &[1, 2, 3, 4, 5, 5],
            &[1, 2, 3, 4, 6],
        ] {
            assert_ne!(root(other), whole, "{other:?}");
        }
    }
}
