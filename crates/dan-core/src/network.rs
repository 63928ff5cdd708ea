//! [`Network`]: ranges of addresses, for proxies that are trusted and for keys that are bound to a place.

use std::fmt;
use std::net::IpAddr;

/// A network: an address and how many of its first bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    /// Reads `10.0.0.0/8`, `fd00::/8` or a single address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text
            .split_once('/')
            .map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(bits), |prefix| prefix.parse().ok())?;
        (prefix <= bits).then_some(Self { address, prefix })
    }

    /// Whether an address lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let same = |left: u128, right: u128, bits: u32| {
            let shift = bits.saturating_sub(self.prefix);
            left.checked_shr(shift).unwrap_or(0) == right.checked_shr(shift).unwrap_or(0)
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(left), IpAddr::V4(right)) => {
                same(u128::from(left.to_bits()), u128::from(right.to_bits()), 32)
            }
            (IpAddr::V6(left), IpAddr::V6(right)) => same(left.to_bits(), right.to_bits(), 128),
            _ => false,
        }
    }
}

/// As [`Network::parse`] reads it.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_and_compared() {
        for text in ["10.0.0.0/33", "x", "10.0.0.0/", "::/129"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
        let single = Network::parse("127.0.0.1").unwrap();
        assert!(single.contains("127.0.0.1".parse().unwrap()));
        assert!(!single.contains("127.0.0.2".parse().unwrap()));
        assert!(
            Network::parse("0.0.0.0/0")
                .unwrap()
                .contains("9.9.9.9".parse().unwrap())
        );
        assert!(
            !Network::parse("::/0")
                .unwrap()
                .contains("9.9.9.9".parse().unwrap())
        );
    }

    #[test]
    fn a_network_reads_back_as_it_is_shown() {
        for text in ["10.0.0.0/8", "127.0.0.1/32", "fd00::/8"] {
            assert_eq!(Network::parse(text).unwrap().to_string(), text);
        }
    }
}
