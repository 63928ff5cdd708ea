//! `Accept`: in which form an answer with evidence leaves (RFC 9110 §12.5.1).
//!
//! An answer has three forms: plain, one JWS (`application/jose`) and one `COSE_Sign1` (`application/cose`). The two
//! signed ones are for those who name them; a wildcard or no `Accept` at all means plain.

use dan_core::flow::Form;
use http::HeaderMap;
use http::header::ACCEPT;

/// Media ranges that are looked at, over all `Accept` fields; further ones are as if they were not there.
const RANGES_MAX: usize = 64;
/// Weight of a range that names none, in thousandths.
const WEIGHT_FULL: u16 = 1000;

/// The forms that a client may name, in the order of preference where it has none.
const SIGNED: [(Form, &str); 2] = [
    (Form::Jose, "application/jose"),
    (Form::Cose, "application/cose"),
];

/// What a client accepts. Empty means anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accept(Vec<Range>);

/// One media range. Parameters but `q` are not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    /// In lower case; `*` for any.
    kind: String,
    /// In lower case; `*` for any.
    subtype: String,
    /// In thousandths.
    weight: u16,
}

/// How closely a range names a media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Closeness {
    Anything,
    Kind,
    Exact,
}

impl Accept {
    /// Reads every `Accept` field. A range or a weight that cannot be read is left out, so that a client that misspells
    /// one is served as if it had not sent it.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let fields = headers.get_all(ACCEPT).iter();
        let texts = fields.filter_map(|field| field.to_str().ok());
        let ranges = texts.flat_map(|text| text.split(','));
        Self(ranges.filter_map(Range::read).take(RANGES_MAX).collect())
    }

    /// The form to answer in, `plain` being the media type of the plain answer, or `None` where it is known only once
    /// the source has answered. `None` when no form is acceptable.
    pub(crate) fn form(&self, plain: Option<&str>) -> Option<Form> {
        if self.0.is_empty() {
            return Some(Form::Plain);
        }
        let of_plain = match plain {
            Some(media_type) => self.weight(media_type).map(|(weight, _)| weight),
            None => self.weight_of_unknown(),
        };
        let of_plain = of_plain.unwrap_or(0);
        let mut signed = SIGNED.map(|(form, name)| (form, self.weight(name)));
        // The first of equals is the one that stands first above: sorting keeps their order.
        signed.sort_by_key(|(_, weight)| std::cmp::Reverse(weight.map_or(0, |(weight, _)| weight)));
        let acceptable = signed
            .into_iter()
            .filter_map(|(form, weight)| weight.map(|(weight, close)| (form, weight, close)))
            .filter(|(_, weight, _)| *weight > 0);
        let mut by_wildcard = None;
        for (form, weight, closeness) in acceptable {
            if closeness == Closeness::Exact && weight >= of_plain {
                return Some(form);
            }
            by_wildcard = by_wildcard.or(Some(form));
        }
        if of_plain > 0 {
            Some(Form::Plain)
        } else {
            by_wildcard
        }
    }

    /// The weight that the closest range gives a media type.
    fn weight(&self, media_type: &str) -> Option<(u16, Closeness)> {
        let ranges = self.0.iter();
        let matching = ranges.filter_map(|range| Some((range.matches(media_type)?, range.weight)));
        // Of two ranges that are alike the higher weight counts.
        matching
            .max()
            .map(|(closeness, weight)| (weight, closeness))
    }

    /// The weight of a media type that is not known yet: whatever range it falls under, but for those that mean a
    /// signed form.
    fn weight_of_unknown(&self) -> Option<u16> {
        let signed = |range: &&Range| SIGNED.iter().any(|(_, name)| range.is(name));
        let others = self.0.iter().filter(|range| !signed(range));
        others.map(|range| range.weight).max()
    }
}

impl Range {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let (kind, subtype) = (kind.to_ascii_lowercase(), subtype.to_ascii_lowercase());
        let fits = is_token(&kind) && is_token(&subtype) && (kind != "*" || subtype == "*");
        let mut weight = WEIGHT_FULL;
        for part in parts {
            if let Some((name, value)) = part.split_once('=')
                && name.trim().eq_ignore_ascii_case("q")
            {
                weight = read_weight(value.trim())?;
            }
        }
        fits.then_some(Self {
            kind,
            subtype,
            weight,
        })
    }

    fn matches(&self, media_type: &str) -> Option<Closeness> {
        let (kind, subtype) = media_type.split_once('/')?;
        if self.kind == "*" {
            Some(Closeness::Anything)
        } else if !self.kind.eq_ignore_ascii_case(kind) {
            None
        } else if self.subtype == "*" {
            Some(Closeness::Kind)
        } else {
            let same = self.subtype.eq_ignore_ascii_case(subtype);
            same.then_some(Closeness::Exact)
        }
    }

    fn is(&self, media_type: &str) -> bool {
        self.matches(media_type) == Some(Closeness::Exact)
    }
}

/// `0` to `1` with at most three decimals, in thousandths (RFC 9110 §12.4.2).
fn read_weight(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = decimals.bytes().all(|byte| byte.is_ascii_digit());
    if !matches!(whole, "0" | "1") || decimals.len() > 3 || !digits {
        return None;
    }
    let thousandths: u16 = format!("{decimals:0<3}").parse().ok()?;
    let whole = if whole == "1" { WEIGHT_FULL } else { 0 };
    whole
        .checked_add(thousandths)
        .filter(|weight| *weight <= WEIGHT_FULL)
}

/// Characters of a token (RFC 9110 §5.6.2).
fn is_token(text: &str) -> bool {
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(sign)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const JSON: Option<&str> = Some("application/json");
    const PLAIN: Option<Form> = Some(Form::Plain);
    const JOSE: Option<Form> = Some(Form::Jose);
    const COSE: Option<Form> = Some(Form::Cose);

    fn form(fields: &[&str], plain: Option<&str>) -> Option<Form> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(ACCEPT, HeaderValue::from_str(field).unwrap());
        }
        Accept::of(&headers).form(plain)
    }

    #[test]
    fn the_form_follows_what_is_named_and_how_much_it_is_wanted() {
        for (field, expected) in [
            // Nothing and anything are plain.
            ("", PLAIN),
            ("*/*", PLAIN),
            ("application/*", PLAIN),
            ("text/html, application/xhtml+xml, */*;q=0.8", PLAIN),
            ("application/json", PLAIN),
            ("APPLICATION/JSON; charset=utf-8", PLAIN),
            ("application/json;q=0.001", PLAIN),
            // Who names a signed form gets it, in any case and with a parameter.
            ("application/jose", JOSE),
            ("Application/JOSE ; x=y", JOSE),
            ("application/cose; cose-type=\"cose-sign1\"", COSE),
            ("application/jose, */*", JOSE),
            ("application/jose;q=0.5, */*;q=0.1", JOSE),
            ("application/json, application/jose", JOSE),
            ("application/cose, application/jose;q=0.9", COSE),
            ("application/cose;q=0.2, application/jose;q=0.3", JOSE),
            ("application/cose, application/jose", JOSE),
            // Unless it wants something else more.
            ("application/jose;q=0.5, application/json", PLAIN),
            ("application/jose;q=0.5, */*", PLAIN),
            ("application/jose;q=0, application/json;q=0.1", PLAIN),
            ("application/jose;q=0, */*", PLAIN),
            // The closest range counts, not the largest weight.
            (
                "application/json;q=0.2, application/*;q=0.9, application/jose;q=0.3",
                JOSE,
            ),
            ("application/json;q=0, */*", JOSE),
            ("application/json;q=0, application/jose;q=0, */*", COSE),
            // Of two alike the larger weight counts.
            (
                "application/json;q=0, application/json;q=0.3, text/x",
                PLAIN,
            ),
            // Nothing that there is.
            ("image/png", None),
            ("text/*, image/*;q=0.3", None),
            ("*/*;q=0", None),
            ("application/json;q=0", None),
            ("application/jose;q=0.000", None),
            ("application/jose+json", None),
        ] {
            assert_eq!(form(&[field], JSON), expected, "{field}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_as_if_it_were_not_there() {
        for (field, expected) in [
            ("application/jose;q=x", PLAIN),
            ("application/jose;q=1.001, application/json;q=0.1", PLAIN),
            ("application/jose;q=-1", PLAIN),
            ("application/jose;q=.5", PLAIN),
            ("application/jose;q=0.1234", PLAIN),
            ("application/jose;q=", PLAIN),
            ("application/jose;Q=1.000", JOSE),
            ("application/jose;q=1.", JOSE),
            ("jose", PLAIN),
            ("*/jose", PLAIN),
            ("/, ;, ,", PLAIN),
            ("application/jo se", PLAIN),
            ("image/png, application/jose;q=2", None),
        ] {
            assert_eq!(form(&[field], JSON), expected, "{field}");
        }
    }

    #[test]
    fn several_fields_are_one_list_and_a_flood_of_ranges_is_cut() {
        assert_eq!(form(&["text/html", "application/cose"], JSON), COSE);
        assert_eq!(form(&["text/html", "image/png"], JSON), None);
        let flood = |count| "a/b,".repeat(count);
        let too_late = form(&[&flood(RANGES_MAX), "application/jose"], JSON);
        assert_eq!(too_late, None);
        let in_time = form(&[&flood(RANGES_MAX - 1), "application/jose"], JSON);
        assert_eq!(in_time, JOSE);
    }

    #[test]
    fn a_plain_answer_of_unknown_type_may_be_anything_that_is_named() {
        for (field, expected) in [
            ("image/png", PLAIN),
            ("application/json", PLAIN),
            ("image/png;q=0.1", PLAIN),
            ("application/jose", JOSE),
            ("application/jose;q=0.5, image/png", PLAIN),
            ("application/jose, image/png", JOSE),
            ("*/*;q=0", None),
            ("application/jose;q=0", None),
        ] {
            assert_eq!(form(&[field], None), expected, "{field}");
        }
        assert_eq!(form(&["image/*"], Some("image/png")), PLAIN);
        assert_eq!(form(&["image/*"], Some("application/zip")), None);
    }
}
