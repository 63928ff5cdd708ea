//! [`HeadClaims`]: what is signed about a run of rows, and [`TrailHead`], how it is kept.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::MerkleTree;
use crate::statement::{hex, sha256};
use crate::time::Timestamp;

/// Rows that one head covers at most. What is wrong inside a run that was made anew can be told no
/// closer than the run.
pub const HEAD_ROWS_MAX: u32 = 4096;
/// Longest head that is read, in bytes; ours have some 700.
pub const HEAD_BYTES_MAX: usize = 8192;

/// What a head says: this node had exactly these rows at that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadClaims {
    /// The node, by its public address.
    pub iss: String,
    /// Second of signing.
    pub iat: i64,
    /// The trail: drawn at random with its first head, and the same in all that follow.
    pub node: String,
    /// First row that is covered.
    pub first: u64,
    /// Last row that is covered.
    pub last: u64,
    /// Link of the last row.
    pub link: [u8; 32],
    /// Root of the tree over the links of these rows (RFC 6962).
    pub root: [u8; 32],
    /// SHA-256 of the head before; `None` for the first.
    pub previous: Option<[u8; 32]>,
}

/// Why claims are none of a head. For people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadError(pub &'static str);

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is missing or is no such thing", self.0)
    }
}

impl HeadClaims {
    /// The claims over these links, which begin behind the head before.
    ///
    /// `previous` is the head before with what it says; `None` where there is none, then `node`
    /// names the trail. `None` when there are no links.
    #[must_use]
    pub fn over(
        links: &[[u8; 32]],
        previous: Option<(&TrailHead, &Self)>,
        node: impl FnOnce() -> String,
        iss: &str,
        now: Timestamp,
    ) -> Option<Self> {
        let count = u64::try_from(links.len()).ok()?;
        let before = previous.map_or(0, |(head, _)| head.last);
        let mut tree = MerkleTree::default();
        for link in links {
            tree.push(link);
        }
        Some(Self {
            iss: iss.to_owned(),
            iat: now.as_seconds(),
            node: previous.map_or_else(node, |(_, claims)| claims.node.clone()),
            first: before.checked_add(1)?,
            last: before.checked_add(count)?,
            link: *links.last()?,
            root: tree.root(),
            previous: previous.map(|(head, _)| head.digest()),
        })
    }

    /// The payload to sign: JSON, digests in hexadecimal.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut claims = json!({
            "iss": self.iss,
            "iat": self.iat,
            "node": self.node,
            "first": self.first,
            "last": self.last,
            "link": hex(&self.link),
            "root": hex(&self.root),
        });
        if let (Some(previous), Some(members)) = (&self.previous, claims.as_object_mut()) {
            members.insert("previous".to_owned(), hex(previous).into());
        }
        claims.to_string()
    }

    /// Reads the payload of a head.
    ///
    /// # Errors
    /// [`HeadError`] with the first claim that is not as it must be. Further claims are not looked
    /// at.
    pub fn read(claims: &Map<String, Value>) -> Result<Self, HeadError> {
        let text = |name| {
            let text = claims.get(name).and_then(Value::as_str);
            text.ok_or(HeadError(name))
        };
        let number = |name| {
            let number = claims.get(name).and_then(Value::as_u64);
            number.ok_or(HeadError(name))
        };
        let digest = |name| text(name).and_then(|text| unhex(text).ok_or(HeadError(name)));
        let (first, last) = (number("first")?, number("last")?);
        if first == 0 || last < first {
            return Err(HeadError("last"));
        }
        Ok(Self {
            iss: text("iss")?.to_owned(),
            iat: claims
                .get("iat")
                .and_then(Value::as_i64)
                .ok_or(HeadError("iat"))?,
            node: text("node")?.to_owned(),
            first,
            last,
            link: digest("link")?,
            root: digest("root")?,
            previous: match claims.get("previous") {
                None => None,
                Some(_) => Some(digest("previous")?),
            },
        })
    }
}

/// A head as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailHead {
    /// First row that it covers.
    pub first: u64,
    /// Last row that it covers.
    pub last: u64,
    /// The signed claims, a compact JWS.
    pub jws: String,
    /// What a time-stamping authority said about it (RFC 3161, a `TimeStampToken` in DER).
    pub stamp: Option<Vec<u8>>,
}

impl TrailHead {
    /// SHA-256 of the JWS: what the next head names, and what a time stamp is over.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        sha256(self.jws.as_bytes())
    }

    /// The claims, whoever signed them. For the node's own heads, which it reads back.
    ///
    /// # Errors
    /// [`HeadError`]: a JWS that is none, or claims that are none of a head.
    pub fn claims_unverified(&self) -> Result<HeadClaims, HeadError> {
        let claims = part(&self.jws, 1).ok_or(HeadError("payload"))?;
        HeadClaims::read(&claims)
    }
}

/// Name of the key in the protected header of a compact JWS, whoever made it: what a signer that is
/// our own has just signed with.
#[must_use]
pub fn kid_of(jws: &str) -> Option<String> {
    Some(part(jws, 0)?.get("kid")?.as_str()?.to_owned())
}

/// A part of a compact JWS that is a JSON object.
fn part(jws: &str, place: usize) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(jws.split('.').nth(place)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// 64 lower-case hexadecimal digits: one text for one digest.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(byte.wrapping_sub(b'a').wrapping_add(10)),
        _ => None,
    };
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_500);

    fn kept(claims: &HeadClaims) -> TrailHead {
        let payload = URL_SAFE_NO_PAD.encode(claims.to_json());
        TrailHead {
            first: claims.first,
            last: claims.last,
            jws: format!("h.{payload}.s"),
            stamp: None,
        }
    }

    fn first() -> HeadClaims {
        let links = [[1; 32], [2; 32]];
        HeadClaims::over(&links, None, || "n".to_owned(), "https://a", NOW).unwrap()
    }

    #[test]
    fn a_head_follows_the_one_before() {
        let first = first();
        assert_eq!((first.first, first.last, first.previous), (1, 2, None));
        let head = kept(&first);
        let node = || panic!("a trail is named once");
        let second = HeadClaims::over(&[[3; 32]], Some((&head, &first)), node, "https://a", NOW);
        let second = second.unwrap();
        assert_eq!((second.first, second.last), (3, 3));
        assert_eq!((second.node.as_str(), second.link), ("n", [3; 32]));
        assert_eq!(second.previous, Some(head.digest()));
        assert_eq!(kept(&second).claims_unverified(), Ok(second));
    }

    #[test]
    fn there_is_no_head_over_nothing() {
        assert_eq!(
            HeadClaims::over(&[], None, || "n".to_owned(), "https://a", NOW),
            None
        );
    }

    #[test]
    fn claims_that_are_none_of_a_head_are_refused_by_name() {
        let whole = serde_json::from_str::<Value>(&first().to_json()).unwrap();
        let whole = whole.as_object().unwrap();
        assert_eq!(HeadClaims::read(whole), Ok(first()));
        for (name, wrong) in [
            ("iss", json!(1)),
            ("iat", json!("1")),
            ("node", Value::Null),
            ("first", json!(-1)),
            ("last", json!(0)),
            ("link", json!("00")),
            ("root", json!("AB".repeat(32))),
            ("previous", json!(Value::Null)),
        ] {
            let mut changed = whole.clone();
            changed.insert(name.to_owned(), wrong);
            assert_eq!(HeadClaims::read(&changed), Err(HeadError(name)));
            if name != "previous" {
                changed.shift_remove(name);
                assert_eq!(HeadClaims::read(&changed), Err(HeadError(name)));
            }
        }
        let mut none = whole.clone();
        none.insert("first".to_owned(), json!(0));
        assert!(HeadClaims::read(&none).is_err());
    }

    #[test]
    fn the_name_of_a_key_is_read_from_the_header_alone() {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","kid":"2026-11"}"#);
        assert_eq!(
            kid_of(&format!("{header}.e30.s")),
            Some("2026-11".to_owned())
        );
        assert_eq!(kid_of(&format!("e30.{header}.s")), None);
        assert_eq!(kid_of("no signature"), None);
    }

    #[test]
    fn what_is_no_signed_head_has_no_claims() {
        for jws in ["", "a", "a.b.c", "a.e30.c", "a.W10.c"] {
            let mut head = kept(&first());
            head.jws = jws.to_owned();
            assert!(head.claims_unverified().is_err(), "{jws}");
        }
    }
}
