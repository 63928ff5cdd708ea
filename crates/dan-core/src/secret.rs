//! [`Secret`]: text that cannot be printed, compared or copied by accident.

use std::fmt;

use zeroize::Zeroizing;

/// A token, key or password. Wiped from memory when dropped.
///
/// It has no `Display`, `Serialize`, `Clone` or `PartialEq`; `Debug` prints its length only.
/// Share it as `Arc<Secret>`. Compare it in constant time, in the adapter that has to.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of the text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Every call of this is looked at in review.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True when there is no text at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_only_the_length() {
        assert_eq!(
            format!("{:?}", Secret::new("hunter2".to_owned())),
            "Secret(7 bytes)"
        );
    }
}
