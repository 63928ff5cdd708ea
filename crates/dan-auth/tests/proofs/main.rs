//! What callers prove, and what they do not: hostile tokens, keys of issuers, API keys, the chain.

#[cfg(test)]
mod api_keys;
#[cfg(test)]
mod chain;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod issuer;
#[cfg(test)]
mod issuer_keys;
#[cfg(test)]
mod key_desk;
#[cfg(test)]
mod remembered;
#[cfg(test)]
mod standing;
