//! Expressions and documents by chance, the same ones for the same seed.

use serde_json::{Value, json};

/// A xorshift generator.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let limit = u64::try_from(limit.max(1)).unwrap_or(1);
        usize::try_from(self.0.checked_rem(limit).unwrap_or(0)).unwrap_or(0)
    }

    pub(crate) fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        let place = self.below(from.len());
        from.get(place).copied().unwrap_or("")
    }

    /// True once in `times`.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

const NAMES: [&str; 6] = ["a", "a", "b", "c", "d", "\"é x\""];
const KEYS: [&str; 5] = ["a", "b", "c", "é x", "d"];
const LITERALS: [&str; 16] = [
    "`0`",
    "`1`",
    "`-2`",
    "`1.0`",
    "`2.5`",
    "'x'",
    "''",
    "'yx'",
    "`true`",
    "`false`",
    "`null`",
    "`[]`",
    "`{}`",
    "`[3, 1, 2]`",
    "`[\"y\", \"x\"]`",
    "`{\"a\": [1, null], \"b\": {\"c\": 2}}`",
];

/// An object of at most `depth` levels.
pub(crate) fn document(chance: &mut Chance, depth: usize) -> Value {
    object(chance, depth, KEYS.len())
}

fn object(chance: &mut Chance, depth: usize, members: usize) -> Value {
    let inner = depth.saturating_sub(1);
    let keys = KEYS.iter().take(members);
    keys.map(|key| ((*key).to_owned(), value(chance, inner)))
        .collect()
}

fn value(chance: &mut Chance, depth: usize) -> Value {
    let kinds = if depth == 0 { 7 } else { 14 };
    match chance.below(kinds) {
        0 => Value::Null,
        1 => json!(chance.once_in(2)),
        2 => json!(chance.below(4)),
        3 => json!(1.0),
        4 => json!(2.5),
        5 => json!(chance.pick(&["", "x", "yx", "é\"\n"])),
        6 => json!(chance.pick(&["1", "-2.5", "z"])),
        7..=9 => {
            let items = chance.below(4);
            let inner = depth.saturating_sub(1);
            Value::Array((0..items).map(|_| value(chance, inner)).collect())
        }
        _ => {
            let members = chance.below(6);
            object(chance, depth, members)
        }
    }
}

/// A valid expression whose brackets nest at most `depth` deep.
///
/// Two things are left out, which implementations read in different ways: `!` before anything but
/// parentheses, and steps after a multi-select in a projection.
pub(crate) fn expression(chance: &mut Chance, depth: usize) -> String {
    let mut text = operand(chance, depth);
    while chance.once_in(4) {
        text.push_str(chance.pick(&[
            " | ", "|", " || ", " && ", " == ", " != ", " < ", " <= ", " > ", " >= ",
        ]));
        text.push_str(&operand(chance, depth));
    }
    text
}

fn operand(chance: &mut Chance, depth: usize) -> String {
    let inner = depth.saturating_sub(1);
    let mut projected = false;
    let mut text = match chance.below(if depth == 0 { 5 } else { 12 }) {
        0..=2 => chance.pick(&NAMES).to_owned(),
        3 => chance.pick(&["@", "[0]", "[-1]"]).to_owned(),
        4 => chance.pick(&LITERALS).to_owned(),
        5 => {
            let not = chance.pick(&["!", "!!"]);
            return format!("{not}({})", expression(chance, inner));
        }
        6 => format!("({})", expression(chance, inner)),
        7 => list(chance, inner),
        8 => record(chance, inner),
        9 => {
            projected = true;
            projection(chance, depth, "*")
        }
        _ => call(chance, inner),
    };
    while chance.once_in(2) {
        match chance.below(if depth == 0 { 6 } else { 9 }) {
            0..=2 => {
                text.push('.');
                text.push_str(chance.pick(&NAMES));
            }
            3 => text.push_str(chance.pick(&["[0]", "[1]", "[-1]", "[-2]"])),
            4 | 5 => {
                projected = true;
                text.push_str(&projection(chance, depth, ".*"));
            }
            6 => {
                text.push('.');
                text.push_str(&call(chance, inner));
            }
            _ => {
                let select = if chance.once_in(2) { list } else { record };
                text.push('.');
                text.push_str(&select(chance, inner));
                if projected {
                    break;
                }
            }
        }
    }
    text
}

fn projection(chance: &mut Chance, depth: usize, members: &str) -> String {
    match chance.below(if depth == 0 { 5 } else { 6 }) {
        0 => members.to_owned(),
        1 | 2 => "[*]".to_owned(),
        3 => "[]".to_owned(),
        4 => {
            let bound = ["", "0", "1", "2", "-1", "-2"];
            let (start, stop) = (chance.pick(&bound), chance.pick(&bound));
            let step = chance.pick(&["", ":", ":2", ":-1", ":-2"]);
            format!("[{start}:{stop}{step}]")
        }
        _ => format!("[?{}]", expression(chance, depth.saturating_sub(1))),
    }
}

fn list(chance: &mut Chance, depth: usize) -> String {
    let mut text = format!("[{}", expression(chance, depth));
    while chance.once_in(2) {
        text.push_str(", ");
        text.push_str(&expression(chance, depth));
    }
    // a lone star would be a wildcard
    if text == "[*" {
        "[@]".to_owned()
    } else {
        text + "]"
    }
}

fn record(chance: &mut Chance, depth: usize) -> String {
    let mut text = format!("{{{}: {}", chance.pick(&NAMES), expression(chance, depth));
    while chance.once_in(2) {
        let member = format!(", {}: {}", chance.pick(&NAMES), expression(chance, depth));
        text.push_str(&member);
    }
    text + "}"
}

fn call(chance: &mut Chance, depth: usize) -> String {
    let one = [
        "abs",
        "avg",
        "ceil",
        "floor",
        "keys",
        "length",
        "max",
        "min",
        "reverse",
        "sort",
        "sum",
        "to_array",
        "to_number",
        "to_string",
        "type",
        "values",
    ];
    let first = expression(chance, depth);
    let second = expression(chance, depth);
    match chance.below(8) {
        0..=3 => format!("{}({first})", chance.pick(&one)),
        4 => {
            let two = chance.pick(&["contains", "starts_with", "ends_with", "join"]);
            format!("{two}({first}, {second})")
        }
        5 => format!("map(&{first}, {second})"),
        6 => {
            let by = chance.pick(&["sort_by", "max_by", "min_by"]);
            format!("{by}({first}, &{second})")
        }
        _ => format!("{}({first}, {second})", chance.pick(&["merge", "not_null"])),
    }
}
