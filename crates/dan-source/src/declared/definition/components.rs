//! Reads `dataset`, `subject` and `params` of a `[[call]]`: another dataset of the catalogue.

use super::plans::{Reading, pieces, template_text};
use crate::catalog_folder::problem::suggestion;
use crate::catalog_folder::section::Section;
use crate::declared::compose::Component;
use crate::declared::template::Template;

/// The other dataset; `None` when it is not there or has a mistake of its own.
pub(super) fn read(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Option<Component> {
    let problems = section.problems();
    let name = section.required_text("dataset")?;
    for key in [
        "source", "get", "query", "headers", "token", "variant", "fail",
    ] {
        if section.has(key) {
            let what = format!("`{key}` in a call that is another dataset");
            let hint = "how sources are asked stands in the file of that dataset";
            problems.hint(section.place(), what, hint);
        }
    }
    let subject = section
        .text("subject")
        .map(|text| Template(pieces(&text, reading, problems)));
    let mut parameters = Vec::new();
    if let Some(mut table) = section.section("params") {
        for (name, item) in table.rest() {
            if let Some(text) = template_text(&name, item, problems) {
                let template = Template(pieces(&text, reading, problems));
                parameters.push((name, template));
            }
        }
    }
    let Some(found) = reading.around.datasets.get(&name.value) else {
        let known = reading.around.datasets.keys().map(String::as_str);
        let hint = suggestion(&name.value, known)
            .unwrap_or_else(|| format!("add datasets/{}.toml", name.value));
        let what = format!("there is no dataset `{}` in the files", name.value);
        problems.hint(&name.place, what, hint);
        return None;
    };
    let definition = found.clone()?;
    for (parameter, _) in &parameters {
        if !definition
            .parameters
            .iter()
            .any(|rule| rule.name == parameter.value)
        {
            let known = definition.parameters.iter().map(|rule| rule.name.as_str());
            let what = format!("{} has no parameter `{}`", name.value, parameter.value);
            let hint = suggestion(&parameter.value, known).unwrap_or_default();
            problems.hint(&parameter.place, what, hint);
        }
    }
    Some(Component {
        definition,
        subject,
        parameters: parameters
            .into_iter()
            .map(|(name, template)| (name.value, template))
            .collect(),
    })
}
