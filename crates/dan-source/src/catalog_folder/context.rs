//! Reads `contexts/<id>.toml`: a service, who answers for it, and the rules of all its datasets.

use dan_core::context::ServiceContext;

use super::problem::Problems;
use super::require;
use super::section;
use crate::declared::definition::Surroundings;

/// Contexts without `order` come after all that have one.
const ORDER_LAST: u32 = 100_000;

/// A context, and what its file says to people.
#[derive(Clone, Debug)]
pub struct ContextFile {
    /// As the core knows it.
    pub context: ServiceContext,
    /// Whom to ask about the service.
    pub contact: Option<String>,
    /// The law or agreement under which its consumers ask.
    pub legal_clearance: Option<String>,
    /// Place in lists.
    pub(crate) order: u32,
}

/// The context in a file; `None` when the file has a mistake.
pub(crate) fn read(
    (file, id, text): (&str, &str, &str),
    around: &Surroundings<'_>,
    problems: &Problems,
) -> Option<ContextFile> {
    let before = problems.count();
    let mut section = section::read(file, text, problems)?;
    let name = section.required_text("name");
    let owner = section.required_text("owner");
    let description = section.text("description");
    let contact = section.text("contact");
    let legal_clearance = section.text("legal_clearance");
    let order = section.number("order", 0..=ORDER_LAST);
    let languages = section.texts("languages");
    let rule_owner = name.as_ref().map_or(id, |name| name.value.as_str());
    let rules = require::read(&mut section, rule_owner, None, around);
    section.not_built(&["texts", "consent"]);
    section.finish();
    if problems.count() > before {
        return None;
    }
    let languages = if languages.is_empty() {
        vec![ServiceContext::DEFAULT_LANGUAGE.to_owned()]
    } else {
        languages.into_iter().map(|text| text.value).collect()
    };
    Some(ContextFile {
        context: ServiceContext {
            id: id.to_owned(),
            name: name?.value,
            owner: owner?.value,
            description: description.map(|text| text.value),
            languages,
            rules,
        },
        contact: contact.map(|text| text.value),
        legal_clearance: legal_clearance.map(|text| text.value),
        order: order.map_or(ORDER_LAST, |order| order.value),
    })
}
