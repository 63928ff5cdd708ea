//! [`Application`]: what a consumer asks for, and [`Inquiry`]: the same once it makes sense.
//!
//! There is one way from the first to the second, [`Inquiry::new`], with the checks and the order
//! of `wire-api.md` §11; parties and origin are never taken from the body (`engine.md` W-01, W-02).

use std::sync::Arc;

use serde_json::Value;

use crate::caller::Caller;
use crate::catalog::{Catalog, Offer};
use crate::context::ServiceContext;
use crate::dataset::{Dataset, ValueType};
use crate::error::{Code, Fault};
use crate::party::{OrgNumber, Party, PartyError, Realm};
use crate::secret::Secret;
use crate::time::Timestamp;

/// Longest consent or external reference that is kept, in bytes (`engine.md` W-08).
pub const REFERENCE_BYTES_MAX: usize = 512;
/// Most datasets one application may name.
pub const DATASETS_MAX: usize = 256;
/// Most parameters one dataset may be asked with.
pub const PARAMETERS_MAX: usize = 64;
/// Most legal bases in one application.
pub const LEGAL_BASES_MAX: usize = 64;

/// Longest identifier of a legal basis, in bytes: it stands in records and in signed statements.
pub const LEGAL_BASIS_ID_BYTES_MAX: usize = 64;
/// Longest contents of all legal bases of an application together, in bytes.
pub const LEGAL_BASES_BYTES_MAX: usize = crate::espd::BYTES_MAX;
/// Longest text of a parameter, in bytes.
pub const PARAMETER_BYTES_MAX: usize = 4096;
/// Longest address that a subject is sent back to, in bytes.
pub const REDIRECT_BYTES_MAX: usize = 2048;

/// A dataset parameter as it was sent; never converted on its way to the source.
#[derive(Clone, PartialEq)]
pub struct Parameter {
    /// Name.
    pub name: String,
    /// Text, number, boolean or null. May be personal: `Debug` does not show it.
    pub value: Value,
}

impl std::fmt::Debug for Parameter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parameter({})", self.name)
    }
}

/// One dataset that is asked for.
#[derive(Clone, Debug, Default)]
pub struct DatasetRequest {
    /// Exact name, or alias in the context.
    pub name: String,
    /// Parameters, in the order they were sent.
    pub parameters: Vec<Parameter>,
    /// Identifier of the legal basis that this dataset rests on.
    pub legal_basis_id: Option<String>,
    /// Ask the subject for consent.
    pub request_consent: bool,
}

/// Kind of a legal basis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegalBasisKind {
    /// European Single Procurement Document.
    Espd,
    /// Codes of the Common Procurement Vocabulary.
    Cpv,
}

/// A legal basis that datasets can refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegalBasis {
    /// Identifier within the application.
    pub id: String,
    /// Its kind; `None` when the request gave none.
    pub kind: Option<LegalBasisKind>,
    /// The document or the codes.
    pub content: String,
}

/// Tokens a source may be asked with, as the request offers them (`wire-api.md` §2.5).
#[derive(Clone, Debug, Default)]
pub struct OfferedTokens {
    /// `reuseToken`: the caller's own token.
    pub reuse: bool,
    /// `X-Forward-Access-Token`, verbatim.
    pub forwarded: Option<Arc<Secret>>,
    /// `tokenOnBehalfOfOwner`: ours, on behalf of the owner.
    pub on_behalf_of_owner: bool,
}

impl OfferedTokens {
    /// True when the request offers any of the three.
    #[must_use]
    pub const fn any(&self) -> bool {
        self.reuse || self.forwarded.is_some() || self.on_behalf_of_owner
    }
}

/// What a consumer asks for, before anything of it is believed.
#[derive(Clone, Debug, Default)]
pub struct Application {
    /// Identifier of the requesting party.
    pub requestor: Option<String>,
    /// Identifier of the party asked about, or custom text.
    pub subject: Option<String>,
    /// The datasets.
    pub datasets: Vec<DatasetRequest>,
    /// Legal bases that the datasets refer to.
    pub legal_bases: Vec<LegalBasis>,
    /// Requested end of validity.
    pub valid_to: Option<Timestamp>,
    /// Shown to the subject.
    pub consent_reference: Option<String>,
    /// Free.
    pub external_reference: Option<String>,
    /// One of the context's languages.
    pub language: Option<String>,
    /// Where the subject goes after answering.
    pub consent_receipt_redirect_url: Option<String>,
    /// The caller tells the subject by itself.
    pub skip_notification: bool,
}

/// From which use case an inquiry comes. Set by the flow, never by the client (`engine.md` W-01).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `POST authorization`.
    Grant,
    /// `directharvest`.
    Direct,
    /// `evidence/{id}/{dataset}`: re-decided from what was granted.
    StoredHarvest,
}

/// One dataset of an inquiry, resolved in the caller's context.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What was asked.
    pub request: DatasetRequest,
    /// What it resolves to.
    pub offer: Arc<Offer>,
}

/// An application that makes sense: parties parsed, datasets found, parameters of the right type.
#[derive(Clone, Debug)]
pub struct Inquiry {
    /// Where it comes from.
    pub origin: Origin,
    /// The service it is made under.
    pub context: Arc<ServiceContext>,
    /// The organisation that owns the answer.
    pub owner: OrgNumber,
    /// Scopes of the caller's token.
    pub scopes: Vec<String>,
    /// The requesting party.
    pub requestor: Party,
    /// The party asked about; some datasets need none.
    pub subject: Option<Party>,
    /// The datasets, in the order they were asked for.
    pub asked: Vec<Asked>,
    /// The legal bases.
    pub legal_bases: Vec<LegalBasis>,
    /// Requested end of validity, within bounds.
    pub valid_to: Option<Timestamp>,
    /// Shown to the subject.
    pub consent_reference: Option<String>,
    /// Free.
    pub external_reference: Option<String>,
    /// As sent.
    pub language: Option<String>,
    /// Where the subject goes after answering.
    pub consent_receipt_redirect_url: Option<String>,
    /// The caller tells the subject by itself.
    pub skip_notification: bool,
    /// Tokens for the source.
    pub tokens: OfferedTokens,
}

/// Bounds on the end of validity, in days (`wire-api.md` §3.7).
#[derive(Clone, Copy, Debug)]
pub struct ValidityDays {
    /// Validity of a grant that asks for none.
    pub default: u32,
    /// Shortest.
    pub min: u32,
    /// Longest.
    pub max: u32,
}

impl Default for ValidityDays {
    fn default() -> Self {
        Self {
            default: 90,
            min: 2,
            max: 1825,
        }
    }
}

/// What an application is read against: state of now, and the node's settings.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// Catalogue snapshot.
    pub catalog: &'a Catalog,
    /// The moment.
    pub now: Timestamp,
    /// Which numbers are real here.
    pub realm: Realm,
    /// Bounds on validity.
    pub validity: ValidityDays,
}

impl Inquiry {
    /// Reads an application, checks 1 to 8 of `wire-api.md` §11 in that order.
    ///
    /// # Errors
    /// 1001, 1004, 1008, 1006, 1007, 1017, 1018 or 1014, the first that applies; 1019 when the caller's
    /// token stands for a person who is not the subject.
    pub fn new(
        application: Application,
        caller: &Caller,
        tokens: OfferedTokens,
        origin: Origin,
        reading: Reading<'_>,
    ) -> Result<Self, Fault> {
        let context = reading
            .catalog
            .context_by_id(caller.context_id())
            .ok_or_else(|| {
                Fault::with(
                    Code::ServiceContext,
                    "the API key belongs to a service this node does not serve",
                )
            })?;
        check_sizes(&application)?;
        let requestor = parse_requestor(application.requestor.as_deref(), reading.realm)?;
        let subject = parse_subject(&application, &context, reading)?;
        caller.check_subject(subject.as_ref())?;
        check_legal_bases(&application)?;
        check_datasets(&application.datasets)?;
        let asked = resolve(application.datasets, &context, reading)?;
        for one in &asked {
            check_parameters(&one.offer.dataset, &one.request.parameters).map_err(|text| {
                Fault::with(
                    Code::InvalidEvidenceRequestParameter,
                    format!("{}: {text}", one.request.name),
                )
            })?;
        }
        let valid_to = check_validity(application.valid_to, &asked, reading)?;
        Ok(Self {
            origin,
            context,
            owner: caller.owner(),
            scopes: caller.scopes().to_vec(),
            requestor,
            subject,
            asked,
            legal_bases: application.legal_bases,
            valid_to,
            consent_reference: application.consent_reference,
            external_reference: application.external_reference,
            language: application.language.filter(|text| !text.is_empty()),
            consent_receipt_redirect_url: application.consent_receipt_redirect_url,
            skip_notification: application.skip_notification,
            tokens,
        })
    }

    /// The end of validity: as requested, else now plus the shortest `valid_days_max` of the
    /// datasets asked for, else the node's default (`engine.md` W-15).
    #[must_use]
    pub fn effective_valid_to(&self, now: Timestamp, validity: ValidityDays) -> Timestamp {
        self.valid_to.unwrap_or_else(|| {
            let shortest = self
                .asked
                .iter()
                .filter_map(|one| one.offer.dataset.valid_days_max)
                .min();
            now.plus_days(shortest.unwrap_or(validity.default).min(validity.max))
        })
    }
}

fn check_sizes(application: &Application) -> Result<(), Fault> {
    let refuse = |text: &str| Err(Fault::with(Code::InvalidAuthorizationRequest, text));
    let references = [
        &application.consent_reference,
        &application.external_reference,
    ];
    if references
        .iter()
        .any(|r| r.as_ref().is_some_and(|r| r.len() > REFERENCE_BYTES_MAX))
    {
        return refuse("a reference is longer than 512 bytes");
    }
    if application.datasets.len() > DATASETS_MAX {
        return refuse("more than 256 datasets in one request");
    }
    if application.legal_bases.len() > LEGAL_BASES_MAX {
        return refuse("more than 64 legal bases in one request");
    }
    let ids = application
        .legal_bases
        .iter()
        .map(|basis| basis.id.as_str());
    let named = application
        .datasets
        .iter()
        .filter_map(|asked| asked.legal_basis_id.as_deref());
    if ids
        .chain(named)
        .any(|id| id.len() > LEGAL_BASIS_ID_BYTES_MAX)
    {
        return refuse("the identifier of a legal basis is longer than 64 bytes");
    }
    let contents = application
        .legal_bases
        .iter()
        .map(|basis| basis.content.len());
    if contents.fold(0, usize::saturating_add) > LEGAL_BASES_BYTES_MAX {
        return refuse("the legal bases are larger than 512 KiB together");
    }
    let redirect = application.consent_receipt_redirect_url.as_ref();
    if redirect.is_some_and(|url| url.len() > REDIRECT_BYTES_MAX) {
        return refuse("consentReceiptRedirectUrl is longer than 2048 bytes");
    }
    Ok(())
}

fn parse_requestor(text: Option<&str>, realm: Realm) -> Result<Party, Fault> {
    let text = text.ok_or_else(|| Fault::with(Code::InvalidRequestor, "requestor is required"))?;
    Party::parse(text, realm)
        .map_err(|error| Fault::with(Code::InvalidRequestor, error.to_string()))
}

/// A text that is no party is taken as a custom subject only when every dataset asked for has a
/// custom-subject rule in this context: decided per dataset, not per request (`engine.md` W-09).
fn parse_subject(
    application: &Application,
    context: &ServiceContext,
    reading: Reading<'_>,
) -> Result<Option<Party>, Fault> {
    let Some(text) = application.subject.as_deref() else {
        return Ok(None);
    };
    let error = match Party::parse(text, reading.realm) {
        Ok(party) => return Ok(Some(party)),
        Err(error) => error,
    };
    let takes_custom = |request: &DatasetRequest| {
        reading
            .catalog
            .offer(&context.name, &request.name)
            .is_some_and(|offer| offer.takes_custom_subject())
    };
    // A number of the other kind is a person, wherever else texts are welcome.
    let fits = error != PartyError::WrongRealm
        && !text.trim().is_empty()
        && text.len() <= crate::party::IDENTIFIER_BYTES_MAX;
    if fits && !application.datasets.is_empty() && application.datasets.iter().all(takes_custom) {
        return Ok(Some(Party::Custom(text.to_owned())));
    }
    Err(Fault::with(Code::InvalidSubject, error.to_string()))
}

fn check_legal_bases(application: &Application) -> Result<(), Fault> {
    for basis in &application.legal_bases {
        if basis.id.is_empty() || basis.content.is_empty() || basis.kind.is_none() {
            return Err(Fault::with(
                Code::InvalidLegalBasis,
                "each legal basis needs id, type and content",
            ));
        }
        let referred = application
            .datasets
            .iter()
            .any(|request| request.legal_basis_id.as_deref() == Some(basis.id.as_str()));
        if !referred {
            return Err(Fault::with(
                Code::InvalidLegalBasis,
                "each legal basis must be named by the legalBasisId of a dataset",
            ));
        }
    }
    Ok(())
}

fn check_datasets(datasets: &[DatasetRequest]) -> Result<(), Fault> {
    if datasets.is_empty() {
        return Err(Fault::with(
            Code::InvalidEvidenceRequest,
            "ask for at least one dataset in evidenceRequests",
        ));
    }
    let mut names: Vec<&str> = datasets
        .iter()
        .map(|request| request.name.as_str())
        .collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair.first() == pair.last()) {
        return Err(Fault::with(
            Code::InvalidEvidenceRequest,
            "the same dataset is asked for twice",
        ));
    }
    Ok(())
}

fn resolve(
    datasets: Vec<DatasetRequest>,
    context: &ServiceContext,
    reading: Reading<'_>,
) -> Result<Vec<Asked>, Fault> {
    datasets
        .into_iter()
        .map(|request| {
            let offer = reading
                .catalog
                .resolve(&context.name, &request.name, reading.now)?;
            Ok(Asked { request, offer })
        })
        .collect()
}

/// Check 7 of `wire-api.md` §11. The text never repeats a value.
fn check_parameters(dataset: &Dataset, given: &[Parameter]) -> Result<(), String> {
    let declared = &dataset.parameters;
    if given.len() > PARAMETERS_MAX {
        return Err(format!("more than {PARAMETERS_MAX} parameters"));
    }
    if declared.is_empty() && !given.is_empty() {
        return Err("this dataset takes no parameters".to_owned());
    }
    for spec in declared.iter().filter(|spec| spec.required) {
        if !given.iter().any(|parameter| parameter.name == spec.name) {
            return Err(format!("the parameter {} is required", spec.name));
        }
    }
    for (at, parameter) in given.iter().enumerate() {
        if given
            .iter()
            .take(at)
            .any(|earlier| earlier.name == parameter.name)
        {
            return Err("a parameter is given twice".to_owned());
        }
        let kind = declared
            .iter()
            .find(|spec| spec.name == parameter.name)
            .and_then(|spec| spec.parameter_type)
            .ok_or_else(|| {
                let known: Vec<&str> = declared.iter().map(|spec| spec.name.as_str()).collect();
                format!("unknown parameter; this dataset takes {}", known.join(", "))
            })?;
        if parameter
            .value
            .as_str()
            .is_some_and(|text| text.len() > PARAMETER_BYTES_MAX)
        {
            return Err(format!(
                "the parameter {} is longer than 4096 bytes",
                parameter.name
            ));
        }
        if !fits(kind, &parameter.value) {
            return Err(format!(
                "the parameter {} must be a {}",
                parameter.name,
                kind.wire_name()
            ));
        }
    }
    Ok(())
}

fn fits(kind: ValueType, value: &Value) -> bool {
    match (kind, value) {
        (_, Value::Array(_) | Value::Object(_)) => false,
        (ValueType::Boolean, Value::Bool(_)) | (ValueType::Number, Value::Number(_)) => true,
        (ValueType::Boolean, Value::String(text)) => {
            let text = text.trim();
            text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false")
        }
        (ValueType::Number, Value::String(text)) => is_decimal(text),
        (ValueType::DateTime, Value::String(text)) => Timestamp::parse(text).is_some(),
        (ValueType::Boolean | ValueType::Number | ValueType::DateTime, _) => false,
        _ => true,
    }
}

/// Sign, digits with thousands commas, decimal point; no exponent (`wire-api.md` §11 step 7).
fn is_decimal(text: &str) -> bool {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let numeric = |part: &str, comma: bool| {
        part.bytes()
            .all(|byte| byte.is_ascii_digit() || (comma && byte == b','))
    };
    digits.bytes().any(|byte| byte.is_ascii_digit())
        && numeric(whole, true)
        && numeric(fraction, false)
}

/// Check 8, with the shortest validity of the datasets asked for only (`engine.md` W-15).
fn check_validity(
    wanted: Option<Timestamp>,
    asked: &[Asked],
    reading: Reading<'_>,
) -> Result<Option<Timestamp>, Fault> {
    let Some(wanted) = wanted else {
        return Ok(None);
    };
    let days = reading.validity;
    let shortest = asked
        .iter()
        .filter_map(|one| one.offer.dataset.valid_days_max)
        .min();
    let max = shortest.unwrap_or(days.max).min(days.max);
    if wanted < reading.now.plus_days(days.min) || wanted > reading.now.plus_days(max) {
        return Err(Fault::with(
            Code::InvalidValidToDateTime,
            format!("validTo must lie between {} and {max} days ahead", days.min),
        ));
    }
    Ok(Some(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parameter_values_are_checked_by_type_w37() {
        for (kind, value, expected) in [
            (ValueType::Number, json!(2), true),
            (ValueType::Number, json!("2"), true),
            (ValueType::Number, json!("-1,234.5"), true),
            (ValueType::Number, json!("two"), false),
            (ValueType::Number, json!("1e3"), false),
            (ValueType::Number, json!(""), false),
            (ValueType::Number, json!("-"), false),
            (ValueType::Number, json!(null), false),
            (ValueType::Boolean, json!(" True "), true),
            (ValueType::Boolean, json!("yes"), false),
            (ValueType::Boolean, json!(1), false),
            (ValueType::DateTime, json!("2024-01-01"), true),
            (ValueType::DateTime, json!("01.01.2024"), false),
            (ValueType::String, json!(3), true),
            (ValueType::String, json!(["a"]), false),
        ] {
            assert_eq!(fits(kind, &value), expected, "{kind:?} {value}");
        }
    }
}
