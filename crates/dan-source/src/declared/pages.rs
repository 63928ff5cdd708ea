//! [`Pages`]: an answer that comes in parts — asked for one after another, up to a stated number,
//! and joined into one list.

use dan_core::jmespath::Budget;
use serde_json::{Map, Value};

use super::expression::{Expr, is_true};
use super::url::encoded;

/// Most parts that a definition may allow.
pub(crate) const PAGES_MAX: u32 = 100;
/// Name under which expressions see a part.
pub(crate) const PAGE_ROOT: &str = "page";
/// Name under which they see what the next part would be asked with.
pub(crate) const NEXT_ROOT: &str = "next";
/// Most items of all parts together.
pub(crate) const ITEMS_MAX: usize = 100_000;
/// Longest value that a source may give to ask for the next part, in bytes.
const CURSOR_BYTES_MAX: usize = 1024;
/// What an expression over a part may cost.
const BUDGET: Budget = Budget {
    steps: 1_000_000,
    output_bytes: 16 * 1024 * 1024,
};

/// How parts are asked for.
#[derive(Debug)]
pub(crate) struct Pages {
    /// Encoded name in the query.
    pub(crate) query: String,
    pub(crate) order: Order,
    /// The items of a part.
    pub(crate) items: Expr,
    pub(crate) most: u32,
}

/// What follows a part.
#[derive(Debug)]
pub(crate) enum Order {
    /// A number that grows, as long as `more` is true of the part.
    Count { first: u64, step: u64, more: Expr },
    /// What the part itself gives; nothing ends it.
    Cursor(Expr),
}

/// Why parts make no list. Never repeats them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unjoined(pub(crate) &'static str);

/// Where the asking stands.
pub(crate) struct Reading<'a> {
    pages: &'a Pages,
    items: Vec<Value>,
    asked: u32,
    /// What the part to be asked now is asked with; `None`: no such name in its query.
    now: Option<String>,
    number: u64,
}

impl Pages {
    pub(crate) fn begin(&self) -> Reading<'_> {
        let first = match self.order {
            Order::Count { first, .. } => Some(first),
            Order::Cursor(_) => None,
        };
        Reading {
            pages: self,
            items: Vec::new(),
            asked: 0,
            now: first.map(|first| first.to_string()),
            number: first.unwrap_or_default(),
        }
    }
}

impl Reading<'_> {
    /// The address of the part to be asked now.
    pub(crate) fn address(&self, url: &str) -> String {
        let Some(value) = &self.now else {
            return url.to_owned();
        };
        let between = if url.contains('?') { '&' } else { '?' };
        format!("{url}{between}{}={}", self.pages.query, encoded(value))
    }

    /// Takes a part; true when there is another one to ask for.
    ///
    /// # Errors
    /// A part without a list, a next one that cannot be asked for, or too many: what is left out
    /// unsaid would be a lie.
    pub(crate) fn take(&mut self, page: Value) -> Result<bool, Unjoined> {
        self.asked = self.asked.saturating_add(1);
        let step = match self.pages.order {
            Order::Count { step, .. } => step,
            Order::Cursor(_) => 0,
        };
        let next = self.number.saturating_add(step);
        let seen = [(PAGE_ROOT, page), (NEXT_ROOT, Value::from(next))];
        let whole: Map<String, Value> = seen
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect();
        let whole = Value::Object(whole);
        let find = |expr: &Expr| {
            expr.search(&whole, BUDGET)
                .map_err(|_error| Unjoined("an expression over a page fails"))
        };
        match find(&self.pages.items)? {
            Value::Array(items) => self.items.extend(items),
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                return Err(Unjoined("the items of a page are no list"));
            }
        }
        if self.items.len() > ITEMS_MAX {
            return Err(Unjoined("the pages have too many items"));
        }
        let before = self.now.take();
        self.now = match &self.pages.order {
            Order::Count { more, .. } => is_true(&find(more)?).then(|| next.to_string()),
            Order::Cursor(cursor) => match find(cursor)? {
                Value::String(text) if text.is_empty() => None,
                Value::String(text) => Some(text),
                Value::Number(number) => Some(number.to_string()),
                Value::Null | Value::Bool(_) => None,
                Value::Array(_) | Value::Object(_) => {
                    return Err(Unjoined("what the next page is asked with is no text"));
                }
            },
        };
        self.number = next;
        let Some(now) = &self.now else {
            return Ok(false);
        };
        if now.len() > CURSOR_BYTES_MAX || before.as_ref() == Some(now) {
            return Err(Unjoined("what the next page is asked with cannot be right"));
        }
        if self.asked >= self.pages.most {
            return Err(Unjoined("there are more pages than the definition allows"));
        }
        Ok(true)
    }

    /// All items.
    pub(crate) fn end(self) -> Value {
        Value::Array(self.items)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn expr(text: &str) -> Expr {
        let roots = [PAGE_ROOT, NEXT_ROOT].map(str::to_owned);
        Expr::compile(text, &roots).unwrap()
    }

    fn counted(most: u32) -> Pages {
        Pages {
            query: "offset".to_owned(),
            order: Order::Count {
                first: 0,
                step: 2,
                more: expr("page.total > next"),
            },
            items: expr("page.rows"),
            most,
        }
    }

    #[test]
    fn parts_are_asked_for_until_there_are_no_more() {
        let pages = counted(3);
        let mut reading = pages.begin();
        assert_eq!(reading.address("https://x/a"), "https://x/a?offset=0");
        assert_eq!(reading.take(json!({"total": 3, "rows": [1, 2]})), Ok(true));
        assert_eq!(
            reading.address("https://x/a?b=c"),
            "https://x/a?b=c&offset=2"
        );
        assert_eq!(reading.take(json!({"total": 3, "rows": [3]})), Ok(false));
        assert_eq!(reading.end(), json!([1, 2, 3]));
    }

    #[test]
    fn a_cursor_is_followed_and_encoded() {
        let pages = Pages {
            order: Order::Cursor(expr("page.next")),
            query: "etter".to_owned(),
            items: expr("page.rows"),
            most: 9,
        };
        let mut reading = pages.begin();
        assert_eq!(reading.address("https://x/a"), "https://x/a");
        assert_eq!(
            reading.take(json!({"next": "a&b=c", "rows": [1]})),
            Ok(true)
        );
        assert_eq!(
            reading.address("https://x/a"),
            "https://x/a?etter=a%26b%3Dc"
        );
        let again = json!({"next": "a&b=c", "rows": [1]});
        assert!(
            reading.take(again).is_err(),
            "the same part again and again"
        );
    }

    #[test]
    fn a_list_that_would_be_cut_is_none() {
        let pages = counted(1);
        let mut reading = pages.begin();
        assert!(reading.take(json!({"total": 9, "rows": [1, 2]})).is_err());
        let pages = counted(2);
        assert!(pages.begin().take(json!({"rows": {}})).is_err());
    }
}
