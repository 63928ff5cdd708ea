//! What the specification leaves open, and what errors say.

use dan_jmespath::{Budget, Expression};
use serde_json::{Value, json};

/// The result, or the text of the error.
fn search(text: &str, document: &Value) -> Result<Value, String> {
    let expression = Expression::compile(text).map_err(|error| error.to_string())?;
    let found = expression.search(document, &Budget::default());
    found.map_err(|error| error.to_string())
}

#[test]
fn integers_stay_integers() {
    let document = json!({
        "whole": [1, 2, 3], "mixed": [1, 2.5], "even": [2, 4], "large": [18_446_744_073_709_551_615_u64, 1],
    });
    for (text, written) in [
        ("sum(whole)", "6"),
        ("sum(mixed)", "3.5"),
        ("avg(even)", "3"),
        ("avg(whole[:2])", "1.5"),
        ("avg(`[]`)", "null"),
        ("sum(`[]`)", "0"),
        ("ceil(mixed[1])", "3"),
        ("floor(`-0.5`)", "-1"),
        ("ceil(`-0.5`)", "0"),
        ("abs(`-9223372036854775808`)", "9223372036854775808"),
        ("sum(large)", "1.8446744073709552e+19"),
        ("max(mixed)", "2.5"),
        ("to_number('12')", "12"),
        ("to_number('12.0')", "12.0"),
        ("to_string(sum(whole))", "\"6\""),
        ("whole[0] == `1.0` && contains(whole, `2.0`)", "true"),
        ("`9007199254740993` == `9007199254740992.0`", "false"),
    ] {
        let found = search(text, &document).map(|value| value.to_string());
        assert_eq!(found.as_deref(), Ok(written), "{text}");
    }
}

#[test]
fn a_string_is_a_number_only_if_it_is_all_of_one() {
    for text in [
        "", " 1", "1 ", "\n1", "+1", "01", "1.", ".5", "0x1", "1e", "1e999", "NaN", "1_0", "--1",
        "-",
    ] {
        let document = json!(text);
        assert_eq!(search("to_number(@)", &document), Ok(Value::Null), "{text}");
    }
    for text in ["0", "-0", "1.5", "-1e-3", "1E2"] {
        let document = json!(text);
        assert_eq!(
            search("type(to_number(@))", &document),
            Ok(json!("number")),
            "{text}"
        );
    }
}

#[test]
fn of_equal_elements_the_first_is_taken_and_order_is_kept() {
    let document =
        json!([{"k": 1, "n": "a"}, {"k": 2, "n": "b"}, {"k": 1.0, "n": "c"}, {"k": 2, "n": "d"}]);
    assert_eq!(search("max_by(@, &k).n", &document), Ok(json!("b")));
    assert_eq!(search("min_by(@, &k).n", &document), Ok(json!("a")));
    assert_eq!(
        search("sort_by(@, &k)[*].n", &document),
        Ok(json!(["a", "c", "b", "d"]))
    );
}

#[test]
fn text_is_counted_and_reversed_in_characters() {
    let document = json!("æøå𝄞");
    assert_eq!(search("length(@)", &document), Ok(json!(4)));
    assert_eq!(search("reverse(@)", &document), Ok(json!("𝄞åøæ")));
    assert_eq!(search("contains(@, 'øå')", &document), Ok(json!(true)));
    assert_eq!(search("contains(@, `1`)", &document), Ok(json!(false)));
    assert_eq!(
        search("sort(['å', 'z', 'a'])", &document),
        Ok(json!(["a", "z", "å"]))
    );
}

#[test]
fn members_keep_the_order_they_were_written_in() {
    let document = json!({"z": 1, "a": 2, "m": 3});
    assert_eq!(search("keys(@)", &document), Ok(json!(["z", "a", "m"])));
    assert_eq!(search("*", &document), Ok(json!([1, 2, 3])));
    let found = search("merge(@, {b: a, z: m})", &document).map(|value| value.to_string());
    assert_eq!(found.as_deref(), Ok(r#"{"z":3,"a":2,"m":3,"b":2}"#));
    let found = search("{b: a, a: z, b: m}", &document).map(|value| value.to_string());
    assert_eq!(found.as_deref(), Ok(r#"{"b":3,"a":1}"#));
}

#[test]
fn not_binds_looser_than_a_chain_and_tighter_than_a_comparison() {
    let document = json!({"a": {"b": true}, "c": false, "list": [1]});
    assert_eq!(search("!a.b", &document), Ok(json!(false)));
    assert_eq!(search("!c == `true`", &document), Ok(json!(true)));
    assert_eq!(search("!list[]", &document), Ok(json!(false)));
    assert_eq!(search("!!list[?@ == `2`]", &document), Ok(json!(false)));
}

#[test]
fn nothing_selected_is_null_and_a_function_still_sees_it() {
    let document = json!({"a": null});
    assert_eq!(search("b.c[0].*.d", &document), Ok(Value::Null));
    assert_eq!(search("b.{c: c}", &document), Ok(Value::Null));
    assert_eq!(search("b | [c]", &document), Ok(Value::Null));
    assert_eq!(search("type(b.c)", &document), Ok(json!("null")));
    assert_eq!(search("a < b", &document), Ok(Value::Null));
    assert_eq!(search("a == b", &document), Ok(json!(true)));
}

#[test]
fn errors_say_what_is_wrong_and_where_without_repeating_data() {
    let document = json!({"id": "01010112345", "list": [1, "01010112345"]});
    for (text, error) in [
        (
            "id[",
            "syntax error at byte 3: expected an index, a slice or * in brackets; several values are selected with .[a, b]",
        ),
        (
            "id id",
            "syntax error at byte 3: expected an operator or the end of the expression",
        ),
        (
            "id = 'x'",
            "syntax error at byte 3: a comparison is written ==",
        ),
        (
            "`x`",
            "syntax error at byte 0: a literal between backticks must be JSON; plain text is written 'in single quotes'",
        ),
        (
            "abs(id)",
            "argument 1 of abs must be a number, found string",
        ),
        (
            "sum(list)",
            "argument 1 of sum must be an array of numbers, found string",
        ),
        (
            "join(',', list)",
            "argument 2 of join must be an array of strings, found number",
        ),
        (
            "sort(list)",
            "argument 1 of sort must be an array of numbers or an array of strings, found string",
        ),
        (
            "sort_by(list, &@)",
            "argument 2 of sort_by must be an expression that gives a number for every element, or a string for every element, found string",
        ),
        (
            "keys(list)",
            "argument 1 of keys must be an object, found array",
        ),
        (
            "length(`1`)",
            "argument 1 of length must be a string, an array or an object, found number",
        ),
        (
            "sum(`[1e308, 1e308]`)",
            "the result of sum is too large a number",
        ),
        ("lenght(id)", "unknown function lenght at byte 0"),
    ] {
        assert_eq!(search(text, &document), Err(error.to_owned()), "{text}");
    }
}

#[test]
fn an_expression_serves_many_documents() {
    let expression = Expression::compile("a || 'none'").expect("valid");
    for (document, wanted) in [(json!({"a": 1}), json!(1)), (json!({}), json!("none"))] {
        assert_eq!(expression.search(&document, &Budget::default()), Ok(wanted));
    }
}
