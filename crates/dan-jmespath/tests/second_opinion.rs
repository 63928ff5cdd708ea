//! Another implementation of JMESPath gives the same answers.

mod generator;
mod suite;

use dan_jmespath::{Budget, Expression};
use serde_json::{Value, json};

use generator::Chance;

/// Expressions that are made by chance.
const GENERATED: u64 = 20_000;

type Answer = Result<Value, String>;

/// Our answer and theirs.
fn both(text: &str, document: &Value) -> (Answer, Answer) {
    let ours = Expression::compile(text)
        .map_err(|error| error.to_string())
        .and_then(|expression| {
            expression
                .search(document, &Budget::default())
                .map_err(|error| error.to_string())
        });
    let runtime = jpx_core::Runtime::strict();
    let theirs = runtime
        .compile(text)
        .and_then(|expression| expression.search(document))
        .map_err(|error| error.to_string());
    (ours, theirs)
}

fn agree(ours: &Answer, theirs: &Answer) -> bool {
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => suite::same(ours, theirs),
        (Err(_), Err(_)) => true,
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    }
}

#[test]
fn results_and_errors_of_the_suite_are_the_same() {
    let Some(cases) = suite::cases() else {
        return;
    };
    for case in &cases {
        let (ours, theirs) = both(&case.expression, &case.given);
        assert!(
            agree(&ours, &theirs),
            "{}: {ours:?}, {theirs:?}",
            case.expression
        );
        match &case.expected {
            suite::Expected::Error(class) => assert!(ours.is_err(), "{class}: {}", case.expression),
            suite::Expected::Result(wanted) => assert!(agree(&ours, &Ok(wanted.clone()))),
            suite::Expected::AnyResult => assert!(ours.is_ok(), "{}", case.expression),
        }
    }
}

#[test]
fn results_of_a_table_are_the_same() {
    let document = json!({
        "n": 3, "s": "text", "empty": [], "nothing": null,
        "people": [
            {"name": "Kari", "age": 40, "tags": ["x", "y"], "home": {"city": "Oslo"}},
            {"name": "Per", "age": 35.5, "tags": [], "home": null},
            {"name": "Anne", "age": 40, "home": {"city": "Bergen", "zip": "5003"}},
        ],
        "matrix": [[1, 2], [3, [4, 5]], 6],
    });
    for text in [
        "people[*].name",
        "people[?age > `36`].{name: name, city: home.city}",
        "people[?home].home.*",
        "people[].tags[]",
        "people[*].tags[*]",
        "people[*].tags | []",
        "people[::-1].name | [0]",
        "people[?contains(tags || `[]`, 'x')].name",
        "sort_by(people, &age)[*].name",
        "max_by(people, &age).name",
        "min_by(people, &age).name",
        "length(people[?age == `40.0`])",
        "people[*].[name, not_null(home.zip, home.city, 'none')]",
        "matrix[]",
        "matrix[][]",
        "matrix[*][0]",
        "matrix[1][1][::-1]",
        "sum(people[*].age)",
        "avg(people[*].age)",
        "join(', ', people[*].name)",
        "to_string(people[0])",
        "map(&home.city, people)",
        "merge(people[0], people[2].home, {n: n})",
        "keys(people[0]) | sort(@)",
        "values(people[2].home)",
        "type(nothing) == 'null' && n || s",
        "n > `2` && s == 'text'",
        "s < 'z'",
        "!(n) || !(empty)",
        "nothing.x.y[0].z",
        "reverse(s)",
        "(people[*].name)[1]",
        "people[*].name[1]",
        "*.home",
        "people[0].*.city",
        "empty[*].x",
        "s[*]",
        "`[1, 2]`[?@ > `1`]",
        "[n, s][?type(@) == 'string']",
        "abs(`-3`) == n",
    ] {
        let (ours, theirs) = both(text, &document);
        assert!(ours.is_ok(), "{text}");
        assert!(agree(&ours, &theirs), "{text}: {ours:?}, {theirs:?}");
    }
}

#[test]
fn expressions_made_by_chance_have_the_same_result_or_both_fail() {
    let mut results: u64 = 0;
    for seed in 1..=GENERATED {
        let mut chance = Chance::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let document = generator::document(&mut chance, 4);
        let text = generator::expression(&mut chance, 2);
        let (ours, theirs) = both(&text, &document);
        results = results.saturating_add(u64::from(matches!(&ours, Ok(found) if !found.is_null())));
        assert!(
            agree(&ours, &theirs),
            "seed {seed}: {text}\non {document}\n{ours:?}\n{theirs:?}"
        );
    }
    suite::tell(&format!(
        "{results} results, not null, of {GENERATED} expressions"
    ));
    assert!(results > GENERATED / 4, "only {results} results");
}
