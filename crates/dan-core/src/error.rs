//! [`Fault`]: what a use case answers when it does not answer; and the table of codes.
//!
//! Codes are a promise to clients (`wire-api.md` §7): never renumbered, never removed.

use std::fmt;

macro_rules! codes {
    ($($number:literal $name:ident $status:literal $text:literal;)*) => {
        /// An error code of the public API, with its HTTP status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $text] $name,)*
        }

        impl Code {
            /// Every code, ascending by number.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The number on the wire.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self { $(Self::$name => $number,)* }
            }

            /// The HTTP status this code is answered with, unless a fault says otherwise.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// The default text, first half of every description.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The name used in documentation and logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

codes! {
    1000 InvalidCertificate 401 "The certificate presented is not a valid enterprise certificate";
    1001 InvalidRequestor 400 "The requestor is missing or is not a valid party";
    1002 NonExistentAccreditation 404 "There is no such accreditation";
    1003 ExpiredAccreditation 400 "The accreditation has expired";
    1004 InvalidSubject 400 "The subject is not valid, or not found in the entity register";
    1005 DeletedSubject 404 "The subject has been deleted";
    1006 InvalidEvidenceRequest 400 "The request for datasets is not valid";
    1007 UnknownEvidenceCode 400 "There is no such dataset";
    1008 InvalidLegalBasis 400 "A legal basis is incomplete, or no dataset refers to it";
    1009 ErrorInLegalBasisReference 400 "The reference to a legal basis is not valid";
    1010 RequiresConsent 403 "The subject's consent is needed, and is not in force";
    1011 ExpiredConsent 400 "The consent has expired";
    1012 DeletedConsent 404 "The consent has been deleted";
    1013 ServiceNotAvailable 503 "A service this answer depends on is not available; try again later";
    1014 InvalidAuthorizationRequest 400 "The request cannot be understood";
    1015 InternalServerError 500 "Something went wrong on our side";
    1016 AsyncEvidenceStillWaiting 503 "The source has not finished yet; try again later";
    1017 InvalidEvidenceRequestParameter 400 "A dataset parameter is missing, unknown or of the wrong type";
    1018 InvalidValidToDateTime 400 "The requested end of validity is not allowed";
    1019 AuthorizationFailed 403 "Access is not authorized";
    1020 InvalidOwner 500 "The owner is not valid";
    1021 ConsentAlreadyHandled 400 "The consent request has already been answered";
    1022 AltinnService 500 "Altinn answered with an error";
    1023 MissingAuthentication 401 "The request carries no API key or no token";
    1024 InvalidAccessToken 401 "The API key or token is not valid";
    1025 ServiceContext 500 "The service context is not set up";
    1026 AccreditationRepository 500 "The store of accreditations failed";
    1027 InvalidJmesPathExpression 400 "The query is not a valid JMESPath expression, or costs too much";
    1028 Upstream 502 "An upstream service failed";
    1029 QuotaExceeded 429 "Too many requests; wait before trying again";
    3001 EvidenceSourceTransient 503 "The source cannot answer right now; try again later";
    3002 EvidenceSourcePermanentClient 400 "The source cannot answer for this subject or these parameters";
    3003 EvidenceSourcePermanentServer 502 "The source failed, or answered what cannot be understood";
}

/// What the source of a dataset adds to an error: `<SOURCE>-<number>` and its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultDetail {
    /// Upper-case source name and number, for instance `ER-1`.
    pub code: String,
    /// The source's own words, meant for the client; may be empty.
    pub description: Option<String>,
}

/// A use case that ends without an answer. Text is for the peer, `cause` for the log only.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Which error.
    pub code: Code,
    /// Overrides [`Code::status`] where the transport demands it (413, 431, 408 …).
    pub status: u16,
    /// What to do about it; never personal data, never an upstream body.
    pub text: Option<String>,
    /// From the source.
    pub detail: Option<Box<FaultDetail>>,
    /// Stable identifiers of the rules that were not met.
    pub rules: Vec<String>,
    /// Seconds after which trying again makes sense.
    pub retry_after_s: Option<u32>,
    /// For the log only: what happened inside.
    pub cause: Option<String>,
}

impl Fault {
    /// A fault with the code's own text.
    #[must_use]
    pub const fn new(code: Code) -> Self {
        Self {
            code,
            status: code.status(),
            text: None,
            detail: None,
            rules: Vec::new(),
            retry_after_s: None,
            cause: None,
        }
    }

    /// A fault with a specific text for the peer.
    #[must_use]
    pub fn with(code: Code, text: impl Into<String>) -> Self {
        Self {
            text: Some(text.into()),
            ..Self::new(code)
        }
    }

    /// Adds what the log should say.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// Answers with another HTTP status than the code's own.
    #[must_use]
    pub const fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Tells the peer when to come back.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// `<default text>: <specific text>`, as clients of DAN know it.
    #[must_use]
    pub fn description(&self) -> String {
        match &self.text {
            Some(text) => format!("{}: {text}", self.code.text()),
            None => self.code.text().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_are_complete() {
        let numbers: Vec<u16> = Code::ALL.iter().map(|code| code.number()).collect();
        let expected: Vec<u16> = (1000..=1029).chain(3001..=3003).collect();
        assert_eq!(numbers, expected);
    }

    #[test]
    fn the_cause_is_not_in_the_public_text() {
        let fault =
            Fault::with(Code::ServiceNotAvailable, "the entity register").because("10.0.0.1");
        assert!(!fault.description().contains("10.0"));
    }
}
