//! No expression can overflow a stack, outrun its budget or stop the process.
#![expect(
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    reason = "a test may stop; its numbers are small"
)]

mod generator;

use std::thread;

use dan_jmespath::{
    BUILT_DEPTH_MAX, Budget, CompileError, DEPTH_MAX, EXPRESSION_BYTES_MAX, EvaluationError,
    Expression, Resource,
};
use serde_json::{Value, json};

use generator::Chance;

/// A quarter of the stack of a thread that serves requests.
const STACK_BYTES: usize = 512 * 1024;

/// Expressions made by chance, of each kind.
const GENERATED: u64 = 5_000;

/// Pieces that expressions are made of.
const PIECES: [&str; 48] = [
    "a",
    "b",
    "\"é\"",
    "abs",
    "sort_by",
    "map",
    "to_string",
    "not_null",
    "merge",
    "(",
    ")",
    "[",
    "]",
    "[]",
    "[?",
    "{",
    "}",
    ".",
    ",",
    ":",
    "*",
    "@",
    "&",
    "|",
    "||",
    "&&",
    "!",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "0",
    "-1",
    "`1`",
    "`{\"a\": [1]}`",
    "'x'",
    "'",
    "`",
    "\"",
    "\\",
    " ",
    "=",
    "-",
    "é",
    "a: @",
    "[*]",
];

const STEPS_EXCEEDED: EvaluationError = EvaluationError::BudgetExceeded(Resource::Steps);
const BYTES_EXCEEDED: EvaluationError = EvaluationError::BudgetExceeded(Resource::Bytes);

/// Runs `work` on a small stack.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(work)
        .expect("a thread")
        .join()
        .expect("the work is done");
}

fn compile(text: &str) -> Result<Expression, CompileError> {
    Expression::compile(text)
}

fn search(text: &str, document: &Value) -> Result<Value, EvaluationError> {
    compile(text)
        .expect("a valid expression")
        .search(document, &Budget::default())
}

fn exceeded(found: &Result<Value, EvaluationError>) -> bool {
    matches!(found, Err(EvaluationError::BudgetExceeded(_)))
}

/// The least memory a value can take.
fn size(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(size).sum(),
            Value::Object(members) => members
                .iter()
                .map(|(key, value)| size_of::<String>() + key.len() + size(value))
                .sum(),
        }
}

fn levels(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(levels).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(levels).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// `unit` as often as an expression has room for, after `start` and before `end`.
fn fill(start: &str, unit: &str, end: &str) -> String {
    let room = EXPRESSION_BYTES_MAX - start.len() - end.len();
    format!("{start}{}{end}", unit.repeat(room / unit.len()))
}

#[test]
fn an_expression_of_4097_bytes_is_refused() {
    for text in ["a".repeat(4097), "(".repeat(100_000), "!".repeat(1_000_000)] {
        assert_eq!(
            compile(&text).err(),
            Some(CompileError::TooLong { bytes: text.len() })
        );
    }
    assert!(compile(&"a".repeat(4096)).is_ok());
}

#[test]
fn thousands_of_open_brackets_are_refused() {
    on_a_small_stack(|| {
        for unit in [
            "(", "[", "{a:", "[?", "a[?", "abs(", "map(&", "[[", "a.[", "a.{b:", "!(", "[{a:(",
            "*.[",
        ] {
            let error = compile(&fill("", unit, "")).err();
            assert!(
                matches!(error, Some(CompileError::TooDeep { .. })),
                "{unit}: {error:?}"
            );
        }
        let functions = format!("{}a{}", "abs(".repeat(1000), ")".repeat(1000));
        assert!(matches!(
            compile(&functions).err(),
            Some(CompileError::TooLong { .. } | CompileError::TooDeep { .. })
        ));
        let functions = format!("{}a{}", "abs(".repeat(800), ")".repeat(800));
        assert!(matches!(
            compile(&functions).err(),
            Some(CompileError::TooDeep { .. })
        ));
        for unit in [
            "!", "&", "|", ".", "a[", "]", ")", "`[", "\"\\", "'\\", "``", "\u{0}", "é",
        ] {
            assert!(compile(&fill("", unit, "")).is_err(), "{unit}");
        }
    });
}

#[test]
fn the_deepest_brackets_are_evaluated_on_a_small_stack() {
    on_a_small_stack(|| {
        let document = json!({"a": {"a": 1}, "b": [[1]]});
        for (open, close) in [
            ("(", ")"),
            ("!(", ")"),
            ("[", "]"),
            ("{a:", "}"),
            ("[?", "]"),
            ("b[?", "]"),
            ("b[].[", "]"),
            ("@.[", "]"),
            ("(b | ", ") | b"),
            ("(a || ", ") || a"),
            ("(a && ", ") && a"),
            ("(a == ", ") == a"),
            ("(a)[?(", ") == a] "),
            ("to_array(", ")"),
            ("to_string(", ")"),
            ("not_null(a, ", ")"),
            ("merge(", ")"),
            ("map(&", ", b)"),
            ("sort_by(b, &", ")"),
            ("max_by(b[?", "], &@)"),
            ("contains(b, ", ")"),
        ] {
            let unit = open.matches(['(', '[', '{']).count() - open.matches("[]").count();
            let depth = DEPTH_MAX / unit.max(1);
            let text = format!("{}a{}", open.repeat(depth), close.repeat(depth));
            let expression = compile(&text).expect("within the limit");
            let found = expression.search(&document, &Budget::default());
            assert!(
                !matches!(found, Err(EvaluationError::BudgetExceeded(_))),
                "{open}: {found:?}"
            );
        }
    });
}

#[test]
fn the_deepest_values_are_handled_inside_the_deepest_brackets() {
    on_a_small_stack(|| {
        let depth = 127;
        let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let document: Value = serde_json::from_str(&text).expect("as deep as JSON may be");
        let wrapped = format!("@{}", "|[@]".repeat(BUILT_DEPTH_MAX));
        let inner = format!("({wrapped}) == ({wrapped}) && to_string({wrapped})");
        for (open, close) in [("[", "]"), ("(", ")"), ("not_null(", ")"), ("[@][?", "]")] {
            let nest = DEPTH_MAX - 2;
            let text = format!("{}{inner}{}", open.repeat(nest), close.repeat(nest));
            let found = search(&text, &document);
            assert!(found.is_ok(), "{open}: {found:?}");
        }
        let found = search(&wrapped, &document).expect("within the limit");
        assert_eq!(levels(&found), BUILT_DEPTH_MAX + depth);
        let text = fill("@", "|[@]", "");
        assert_eq!(search(&text, &document), Err(EvaluationError::TooDeep));
        let text = fill("@", "|{a:@}", "");
        assert_eq!(search(&text, &document), Err(EvaluationError::TooDeep));
    });
}

#[test]
fn chains_as_long_as_an_expression_are_evaluated_on_a_small_stack() {
    on_a_small_stack(|| {
        let document = json!({"a": {"a": [[[{"a": [1, 2]}]]]}});
        for (start, unit, end) in [
            ("a", ".a", ""),
            ("a", "|a", ""),
            ("a", "||a", ""),
            ("b", "||b", ""),
            ("a", "&&a", ""),
            ("a", "==a", ""),
            ("a", "<a", ""),
            ("", "!", "a"),
            ("", "[0]", ""),
            ("", "[]", ""),
            ("", "[*]", ""),
            ("", "[:]", ""),
            ("", "[::-1]", ""),
            ("*", ".*", ""),
            ("a", "[?a]", ""),
            ("a", "[?@]", ""),
            ("a", "|@", ""),
            ("a", "|*", ""),
            ("a", "|[]", ""),
            ("a", ".values(@)", ""),
            ("[*]", ".[@][*]", ""),
            ("*", ".{a:@}.*", ""),
            ("[@", ",a", "]"),
            ("{a:@", ",a:a", "}"),
            ("not_null(b", ",b", ")"),
            ("merge(@", ",@", ")"),
        ] {
            let text = fill(start, unit, end);
            let expression = compile(&text).expect("a chain may be long");
            let found = expression.search(&document, &Budget::default());
            assert!(
                matches!(
                    found,
                    Ok(_) | Err(EvaluationError::InvalidType { .. } | EvaluationError::TooDeep)
                ),
                "{start}{unit}: {found:?}"
            );
        }
        let even = format!("{}a", "!".repeat(4094));
        assert_eq!(search(&even, &document), Ok(json!(true)));
        let odd = format!("{}a", "!".repeat(4095));
        assert_eq!(search(&odd, &document), Ok(json!(false)));
    });
}

#[test]
fn doubling_ends_when_the_budget_does() {
    on_a_small_stack(|| {
        let document = json!({"a": "x"});
        for unit in ["|[@,@]", "|{a:@,b:@}", "|[@,@,@,@,@,@]"] {
            let text = format!("@{}", unit.repeat(24));
            let hasty = Budget {
                steps: 1_000_000,
                output_bytes: usize::MAX,
            };
            let found = compile(&text).expect("valid").search(&document, &hasty);
            assert_eq!(found, Err(STEPS_EXCEEDED), "{unit}");
            let frugal = Budget {
                steps: u64::MAX,
                output_bytes: 100_000,
            };
            let found = compile(&text).expect("valid").search(&document, &frugal);
            assert_eq!(found, Err(BYTES_EXCEEDED), "{unit}");
        }
        let text = format!("@{} == `1`", "|[@,@]".repeat(24));
        assert_eq!(
            search(&text, &document),
            Ok(json!(false)),
            "shared, not copied"
        );
        let doubled = "|[@,@]".repeat(24);
        let text = format!("[@{doubled}, @{doubled}] | @[0] == @[1]");
        assert!(exceeded(&search(&text, &document)), "{text}");
        let flattened = format!("@{}", "[]".repeat(30));
        for end in ["to_string(@)", &flattened] {
            let text = format!("@{doubled} | {end}");
            assert!(exceeded(&search(&text, &document)));
        }
        let text = fill("a", "|join(@,['','',''])", "");
        assert!(exceeded(&search(&text, &document)));
        let text = format!("a{}", "|join('',[@,@])".repeat(40));
        assert!(exceeded(&search(&text, &document)), "{text}");
        let text = format!("a{}", "|to_string([@,@])".repeat(40));
        assert!(exceeded(&search(&text, &document)), "{text}");
    });
}

#[test]
fn a_long_literal_for_every_element_is_paid_for() {
    on_a_small_stack(|| {
        let document = Value::Array(vec![json!(1); 10_000]);
        let text = fill("[*].['", "x", "']");
        assert!(exceeded(&search(&text, &document)), "{text}");
        let text = fill("length([*].['", "x", "'])");
        assert!(
            search(&text, &document).is_ok(),
            "borrowed until it is copied"
        );
        let text = fill("[*].[`[", "1,", "1]`]");
        assert!(exceeded(&search(&text, &document)));
        let text = fill("[*].length('", "x", "')");
        assert!(search(&text, &document).is_ok());
        let text = fill("[*].to_string(`[", "1,", "1]`)");
        assert!(exceeded(&search(&text, &document)), "{text}");
        let text = fill("[*].contains('", "x", "', 'y')");
        assert!(search(&text, &document).is_ok());
    });
}

#[test]
fn large_arrays_are_sorted_within_the_budget_or_refused() {
    on_a_small_stack(|| {
        let numbers: Vec<Value> = (0..100_000_u64)
            .map(|n| json!({"k": n.wrapping_mul(7_919) % 100_003}))
            .collect();
        let document = Value::Array(numbers);
        let found = search("sort_by(@, &k)[0:3].k", &document);
        assert_eq!(found, Ok(json!([0, 1, 2])));
        assert_eq!(
            search("sort([*].k)[::-1] | [0]", &document),
            Ok(json!(100_002))
        );
        assert!(exceeded(&search("sort_by(@, &to_string(@))", &document)));
        let text = fill("@", "|sort_by(@,&k)", "");
        assert!(exceeded(&search(&text, &document)), "{text}");
        let alike = Value::Array(vec![json!("x".repeat(10_000)); 1_000]);
        let budget = Budget {
            steps: 300_000,
            output_bytes: usize::MAX,
        };
        let found = compile("sort(@) | [0]")
            .expect("valid")
            .search(&alike, &budget);
        assert_eq!(found, Err(STEPS_EXCEEDED), "long keys cost more to compare");
    });
}

#[test]
fn functions_over_everything_are_paid_for() {
    on_a_small_stack(|| {
        let members: serde_json::Map<String, Value> = (0..20_000)
            .map(|n| (format!("key {n}"), json!(n)))
            .collect();
        let document = Value::Object(members);
        for text in [
            fill("merge(@", ",@", ")"),
            fill("[@", ",merge(@,@)", "]"),
            fill("@", "|merge(@,@)", ""),
            fill("[@", ",values(@)", "]"),
            fill("[@", ",keys(@)", "]"),
            fill("[values(@)|reverse(@)", ",values(@)|reverse(@)", "]"),
            fill("@", "|to_array(@)[]|merge([0],[0])", ""),
            fill("[`1`", ",to_string(@)", "]"),
            fill("@==@", "&&@==@", ""),
            "values(@)[*].[@,@,@,@,@,@,@,@,@,@,@,@,@]".to_owned(),
            "map(&to_string(@), values(@)) | map(&[@, @, @, @, @, @, @, @, @, @, @, @], @)"
                .to_owned(),
            "{a: values(@)} | map(&[@], a) | [*][*].[@, @, @, @, @, @, @, @, @, @, @]".to_owned(),
        ] {
            let found = search(&text, &document);
            assert!(
                matches!(found, Err(EvaluationError::BudgetExceeded(_))),
                "{text}: {:?}",
                found.map(|value| size(&value))
            );
        }
        let list: Vec<Value> = (0..3_000).map(|n| json!(n)).collect();
        let document = json!({"all": list});
        assert_eq!(
            search("map(&contains(`[1]`, @), all) | length(@)", &document),
            Ok(json!(3_000))
        );
        let text = fill("all[?@ != `0` && contains(`[", "0,", "0]`, @)]");
        assert!(exceeded(&search(&text, &document)));
    });
}

#[test]
fn slices_of_any_size_and_step_end() {
    on_a_small_stack(|| {
        let document = json!([1, 2, 3]);
        for (text, wanted) in [
            ("[0:9223372036854775807:9223372036854775807]", json!([1])),
            (
                "[9999999999999999999999:-9999999999999999999999:-1]",
                json!([3, 2, 1]),
            ),
            ("[::9999999999999999999999]", json!([1])),
            ("[::-9999999999999999999999]", json!([3])),
            ("[-9999999999999999999999:]", json!([1, 2, 3])),
            ("[9223372036854775807]", json!(null)),
            ("[-9223372036854775808]", json!(null)),
        ] {
            assert_eq!(search(text, &document), Ok(wanted), "{text}");
        }
        assert_eq!(
            compile("[::0]").err(),
            Some(CompileError::InvalidValue { position: 1 })
        );
    });
}

#[test]
fn a_selection_from_a_large_document_does_not_copy_the_document() {
    let role = json!({"person": {"name": "Kari", "note": "x".repeat(100)}, "type": "DAGL"});
    let document = json!({"roles": vec![role; 1_000]});
    assert!(size(&document) > 400_000);
    let frugal = Budget {
        steps: 10_000,
        output_bytes: 200_000,
    };
    let names = compile("roles[*].person.name").expect("valid");
    let found = names.search(&document, &frugal).expect("names alone");
    assert_eq!(found.as_array().map(Vec::len), Some(1_000));
    let tiny = Budget {
        steps: 20,
        output_bytes: 200,
    };
    let one = compile("roles[0].person.name").expect("valid");
    assert_eq!(one.search(&document, &tiny), Ok(json!("Kari")));
    let all = compile("@").expect("valid");
    assert_eq!(all.search(&document, &tiny), Err(BYTES_EXCEEDED));
}

#[test]
fn no_budget_gives_no_result() {
    let nothing = Budget {
        steps: 0,
        output_bytes: 0,
    };
    let expression = compile("@").expect("valid");
    assert_eq!(expression.search(&json!(1), &nothing), Err(STEPS_EXCEEDED));
}

#[test]
fn expressions_made_by_chance_keep_to_any_budget() {
    on_a_small_stack(|| {
        for seed in 1..=GENERATED {
            let mut chance = Chance::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let document = generator::document(&mut chance, 5);
            let text = generator::expression(&mut chance, 3);
            let expression = match compile(&text) {
                Ok(expression) => expression,
                Err(CompileError::TooLong { .. }) => continue,
                Err(error) => panic!("seed {seed}: {text}: {error}"),
            };
            let full = expression.search(&document, &Budget::default());
            let budget = Budget {
                steps: u64::try_from(chance.below(400)).unwrap_or(0),
                output_bytes: chance.below(4_000),
            };
            match expression.search(&document, &budget) {
                Ok(found) => {
                    assert!(size(&found) <= budget.output_bytes, "seed {seed}: {text}");
                    assert_eq!(Ok(found), full, "seed {seed}: {text}");
                }
                Err(EvaluationError::BudgetExceeded(_)) => {}
                Err(error) => assert_eq!(Err(error), full, "seed {seed}: {text}"),
            }
        }
    });
}

#[test]
fn tokens_in_any_order_never_stop_the_process() {
    on_a_small_stack(|| {
        let mut valid = 0_u64;
        for seed in 1..=GENERATED * 4 {
            let mut chance = Chance::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let document = generator::document(&mut chance, 3);
            let pieces = 1 + chance.below(10);
            let text: String = (0..pieces).map(|_| chance.pick(&PIECES)).collect();
            let expression = match compile(&text) {
                Ok(expression) => expression,
                Err(CompileError::Syntax { position, .. }) => {
                    assert!(position <= text.len(), "seed {seed}: {text}");
                    assert!(text.is_char_boundary(position), "seed {seed}: {text}");
                    continue;
                }
                Err(_) => continue,
            };
            valid += 1;
            if let Ok(found) = expression.search(&document, &Budget::default()) {
                assert!(levels(&found) <= 2 * BUILT_DEPTH_MAX, "seed {seed}: {text}");
            }
        }
        assert!(valid > GENERATED / 20, "only {valid} were valid");
    });
}
