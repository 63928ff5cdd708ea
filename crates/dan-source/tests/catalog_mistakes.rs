//! Every class of mistake in a catalogue is told with file, line and what would be right.

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use dan_core::secret::Secret;
    use dan_source::catalog_folder::{CatalogFiles, Environment, Problem, check_folder, load};

    const CONTEXT: &str = "name = \"Test\"\nowner = \"Digdir\"\n";
    const SOURCE: &str = "address = \"{setting.reg}\"\n";
    const GOOD: &str = r#"[dataset]
about = "x"
source = "Reg"
contexts = ["Test"]

[[parameter]]
name = "year"
type = "number"

[[call]]
id = "unit"
source = "reg"
get = "/units/{subject.org}"

[[value]]
name = "navn"
type = "string"
from = "unit.navn"

[[example]]
subject = "991825827"
answers = { unit = "examples/a.json" }
expect = "examples/a.values.json"
"#;

    fn problems_of(changes: &[(&str, &str)]) -> Vec<String> {
        let mut files = BTreeMap::from([
            ("contexts/test-product.toml", CONTEXT),
            ("sources/reg.toml", SOURCE),
            ("datasets/D.toml", GOOD),
            ("examples/a.json", "{\"navn\": \"x\"}"),
            ("examples/a.values.json", "{\"navn\": \"x\"}"),
        ]);
        files.extend(changes.iter().copied());
        let texts = files
            .into_iter()
            .map(|(path, text)| (path.to_owned(), text.to_owned()));
        let files = CatalogFiles::from_texts(texts);
        let settings = [
            ("reg", "https://reg.example"),
            ("owners", "991825827, 07056120454"),
            ("blank", ""),
        ];
        let settings = settings.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let settings = BTreeMap::from(settings);
        let key = |name: &str| (name == "key").then(|| Arc::new(Secret::new("u:p".to_owned())));
        match load(&files, &Environment::new(&settings, &key)) {
            Ok(loaded) => loaded
                .run_examples()
                .iter()
                .map(Problem::to_string)
                .collect(),
            Err(problems) => problems.iter().map(Problem::to_string).collect(),
        }
    }

    /// The one problem that appears when `old` in the good dataset becomes `new`.
    fn dataset_problem(old: &str, new: &str) -> String {
        assert!(GOOD.contains(old), "{old}");
        let changed = GOOD.replacen(old, new, 1);
        let found = problems_of(&[("datasets/D.toml", &changed)]);
        assert_eq!(found.len(), 1, "{new}: {found:#?}");
        found[0].clone()
    }

    #[test]
    fn the_good_files_are_good() {
        assert_eq!(problems_of(&[]), [""; 0]);
    }

    /// What to change in the good dataset, into what, and what is told then.
    const DATASET_MISTAKES: &[(&str, &str, &str)] = &[
        (
            "about = \"x\"",
            "abuot = \"x\"\nabout = \"x\"",
            "2: unknown key `abuot` in [dataset]; did you mean `about`?",
        ),
        (
            "about = \"x\"\n",
            "",
            "1: [dataset] has no `about`; add `about = …`",
        ),
        (
            "contexts = [\"Test\"]",
            "contexts = [\"test2\"]",
            "4: there is no context named `test2`; did you mean `Test`?",
        ),
        (
            "contexts = [\"Test\"]",
            "public = false",
            "1: the dataset belongs to no context and is not public; add contexts = [\"…\"] or public = true",
        ),
        (
            "contexts = [\"Test\"]",
            "contexts = [\"Test\"]\npublic = \"yes\"",
            "5: `public` in [dataset] is text; it must be true or false, without quotes",
        ),
        (
            "contexts = [\"Test\"]",
            "contexts = [\"Test\"]\nvalid_days = 0",
            "5: `valid_days` in [dataset] is a number; it must be a whole number from 1 to 1825",
        ),
        (
            "contexts = [\"Test\"]",
            "contexts = [\"Test\"]\nasynchronous = true",
            "5: `asynchronous` in [dataset] is not built yet; leave it out, or let a plugin serve this dataset",
        ),
        (
            "contexts = [\"Test\"]",
            "contexts = [\"Test\"]\nvalid_to = \"soon\"",
            "5: `valid_to` in [dataset] is text; it must be a date such as 2026-01-31",
        ),
        (
            "contexts = [\"Test\"]",
            "contexts = [\"Test\"]\ntimeout = 20",
            "5: `timeout` in [dataset] is a number; it must be text in quotes",
        ),
        (
            "contexts = [\"Test\"]",
            "contexts = [\"Test\"]\naliases = [{ context = \"Test\" }]",
            "5: [[aliases]] has no `name`; add `name = …`",
        ),
        (
            "[[parameter]]",
            "[[paramter]]\nname = \"q\"\ntype = \"string\"\n[[parameter]]",
            "6: unknown key `paramter` in this file; did you mean `parameter`?",
        ),
        (
            "type = \"number\"",
            "type = \"numer\"",
            "8: `numer` is no type of a parameter; did you mean `number`?",
        ),
        (
            "type = \"number\"",
            "type = \"number\"\nclamp = [5, 1]",
            "9: `clamp` in [[parameter]] is no pair of whole numbers; write clamp = [1, 5] on a parameter of type number",
        ),
        (
            "type = \"number\"",
            "type = \"number\"\ndefault = \"x\"",
            "9: `default` in [[parameter]] is of another type; write a value of the parameter's type",
        ),
        (
            "type = \"number\"",
            "type = \"number\"\nsplit = \",\"",
            "6: only text can be split; use type = \"string\"",
        ),
        (
            "type = \"number\"\n",
            "type = \"number\"\n[[parameter]]\nname = \"year\"\ntype = \"string\"\n",
            "10: the parameter `year` is there twice",
        ),
        (
            "source = \"reg\"",
            "source = \"rge\"",
            "12: there is no source `rge`; did you mean `reg`?",
        ),
        (
            "get = \"/units/{subject.org}\"\n",
            "",
            "10: [[call]] has no `get`; add `get = …`",
        ),
        (
            "{subject.org}",
            "{subject.orgnr}",
            "13: `{subject.orgnr}` is unknown; subject has org, id, person",
        ),
        (
            "{subject.org}",
            "{suject.org}",
            "13: unknown root `suject` in `{suject.org}`; did you mean `subject`?",
        ),
        (
            "{subject.org}",
            "{param.yaer}",
            "13: `{param.yaer}` names no plain [[parameter]] of this dataset; did you mean `year`?",
        ),
        (
            "{subject.org}",
            "{setting.regg}",
            "13: the setting `regg` is not in the node's configuration; did you mean `reg`?",
        ),
        (
            "get = \"/units/",
            "get = \"https://evil.example/",
            "13: the call leaves its source, whose address is https://reg.example; begin with / for a path below that address, or name another source",
        ),
        (
            "{subject.org}\"",
            "{unit.id}\"",
            "10: the call `unit` waits for itself; calls may use the answers of earlier ones, not in a circle",
        ),
        (
            "{subject.org}\"",
            "{subject.org}\"\ntimeout = \"40s\"",
            "10: up to and with the call `unit`, calls one after another may take 40 s; the dataset's own timeout is 35 s: lower `timeout` of the calls or raise the dataset's",
        ),
        (
            "{subject.org}\"",
            "{subject.org}\"\nfail = { 44 = \"caller:1\" }",
            "14: `44` is no failure of a call; did you mean `404`?",
        ),
        (
            "{subject.org}\"",
            "{subject.org}\"\nfail = { 404 = \"client:1\" }",
            "14: `client:1` is no meaning of a failure; write caller:N (3002), temporary:N (3001) or broken:N (3003)",
        ),
        (
            "{subject.org}\"",
            "{subject.org}\"\nheaders = { Host = \"x\" }",
            "14: the header `host` is not the catalogue's to set; credentials belong into [credential] of the source",
        ),
        (
            "{subject.org}\"",
            "{subject.org}\"\nheaders = { \"a b\" = \"x\" }",
            "14: `a b` is no name of a header",
        ),
        (
            "{subject.org}\"",
            "{subject.org}\"\ntoken = {}",
            "14: [token] has no `scope`; add `scope = …`",
        ),
        (
            "{subject.org}\"",
            "{subject.org}\"\ntoken = { scope = \"x\", resource = \"y\" }",
            "14: `resource` in [token] is not built yet; leave it out, or let a plugin serve this dataset",
        ),
        (
            "{subject.org}\"",
            "{subject.org}\"\ntoken = { scope = \"a  b\" }",
            "14: `a  b` is no scope; write scopes with one blank between them",
        ),
        (
            "{subject.org}\"",
            "{subject.org}\"\ntoken = \"maskinporten\"",
            "14: `token = \"maskinporten\"` is not built; write \"caller\" with scope = \"…\", \"consent\", or { scope = \"…\" } for a token of ours",
        ),
        (
            "{subject.org}\"",
            "{subject.org}\"\ntoken = \"caller\"",
            "10: [[call]] has no `scope`; add `scope = …`",
        ),
        (
            "{subject.org}\"",
            "{subject.org}\"\ntoken = \"caller\"\nscope = \"a,b\"",
            "15: `a,b` is no scope; write scopes with one blank between them",
        ),
        (
            "{subject.org}\"",
            "{subject.org}\"\nscope = \"a:b\"",
            "10: `scope` without the `token` it is for; write token = \"caller\" or token = { scope = \"…\" }",
        ),
        (
            "{subject.org}\"",
            "{subject.org}\"\npoll = \"x\"",
            "14: `poll` in [[call]] is not built yet; leave it out, or let a plugin serve this dataset",
        ),
        (
            "{subject.org}\"",
            "{subject.org}\"\nquery = { a = 1 }",
            "14: `a` is no text; write it in quotes",
        ),
        (
            "type = \"string\"",
            "type = \"text\"",
            "17: `text` is no type of a value; known here: boolean, number, string, dateTime, attachment, uri, amount, jsonSchema, binary",
        ),
        (
            "type = \"string\"",
            "type = \"binary\"",
            "16: a value of type binary is not the answer of the last call; write from = \"…\" with the id of the last [[call]]",
        ),
        (
            "from = \"unit.navn\"",
            "from = \"unit.[\"",
            "18: not JMESPath: syntax error at byte 6: expected an expression; see jmespath.org for the language",
        ),
        (
            "from = \"unit.navn\"",
            "from = \"uint.navn\"",
            "18: the expression `uint.navn` refers to nothing that is there; known here: subject, requestor, owner, param, now, unit",
        ),
        (
            "from = \"unit.navn\"",
            "from = \"unit.navn\"\ntext = \"x\"",
            "18: [[value]] needs either `from` or `text`; from = a JMESPath expression, text = a template",
        ),
        (
            "from = \"unit.navn\"",
            "from = \"unit.navn\"\nunit = \"NOK\"",
            "19: `unit` in [[value]] is for values of type amount; leave it out",
        ),
        (
            "from = \"unit.navn\"",
            "from = \"unit.navn\"\nskip_if_missing = \"uint\"",
            "19: `skip_if_missing` names no call: `uint`; did you mean `unit`?",
        ),
        (
            "from = \"unit.navn\"\n",
            "from = \"unit.navn\"\n[[value]]\nname = \"navn\"\ntype = \"string\"\nfrom = \"unit.x\"\n",
            "20: the value `navn` is there twice",
        ),
        (
            "from = \"unit.navn\"\n",
            "from = \"unit.navn\"\n[[remove]]\npath = \"unti.x\"\n",
            "20: the path `unti.x` begins with no call; did you mean `unit`?",
        ),
        (
            "from = \"unit.navn\"\n",
            "from = \"unit.navn\"\n[[remove]]\npath = \"unit.x\"\nwhen = \"unit.y\"\n",
            "19: [[remove]] has a `when` and no `when_missing`; write when_missing = \"remove\" or \"keep\": what holds when the condition cannot be answered",
        ),
        (
            "from = \"unit.navn\"\n",
            "from = \"unit.navn\"\n[[keep]]\npath = \"unit.x\"\nwhen = \"item.y\"\n",
            "19: [[keep]] is about the items of a list; end the path in [] to say whose items are judged",
        ),
        (
            "examples/a.json",
            "examples/b.json",
            "22: there is no file `examples/b.json`; examples lie in the folder examples/ and are named from the catalogue's root",
        ),
        (
            "answers = { unit = \"examples/a.json\" }",
            "answers = { uint = 404, unit = \"examples/a.json\" }",
            "22: `answers` names no call: `uint`; did you mean `unit`?",
        ),
        (
            "expect = \"examples/a.values.json\"",
            "fails = \"caller:1\"",
            "20: the example does not come out: it succeeds; correct the definition, or the file that is expected",
        ),
        (
            "expect = \"examples/a.values.json\"",
            "about = \"x\"",
            "20: [[example]] needs either `expect` or `fails`; expect = \"examples/file.values.json\", fails = \"caller:1\"",
        ),
        (
            "from = \"unit.navn\"",
            "from = \"unit.name\"",
            "20: the example does not come out: /navn is missing; correct the definition, or the file that is expected",
        ),
    ];

    #[test]
    fn mistakes_of_a_dataset_are_told_where_they_are() {
        for (old, new, expected) in DATASET_MISTAKES {
            let told = dataset_problem(old, new);
            assert_eq!(told, format!("datasets/D.toml:{expected}"));
        }
    }

    #[test]
    fn a_definition_without_an_example_is_refused() {
        let (rest, _) = GOOD.split_once("[[example]]").unwrap();
        let found = problems_of(&[("datasets/D.toml", rest)]);
        assert_eq!(
            found,
            [
                "datasets/D.toml:1: this definition has no example; add [[example]] with subject, answers and expect: what nobody tried is not served"
            ]
        );
    }

    /// A rule, and what is told of it.
    const RULE_MISTAKES: &[(&str, &str)] = &[
        (
            "kind = \"partey\"",
            "there is no rule of kind `partey`; did you mean `party`?",
        ),
        (
            "requestor = \"public-agency\"",
            "[[require]] has no `kind`; add `kind = …`",
        ),
        (
            "kind = \"party\"",
            "[[require]] says nothing about requestor, subject or owner; a rule that allows everything is no rule",
        ),
        (
            "kind = \"party\"\nrequestor = \"public\"",
            "`public` is no kind of party; known here: person, public-agency, enterprise, foreign",
        ),
        (
            "kind = \"party\"\nrequestr = \"person\"\nowner = \"person\"",
            "unknown key `requestr` in [[require]]; did you mean `requestor`?",
        ),
        (
            "kind = \"scope\"",
            "[[require]] has no `all`; add `all = …`",
        ),
        (
            "kind = \"scope\"\nall = \"a b\"",
            "`a b` is no single scope; write each scope as a text of its own",
        ),
        (
            "kind = \"same\"\nwho = [\"requestor\"]",
            "`who` in [[require]] is no pair of parties that can be compared; write who = [\"requestor\", \"owner\"]; pairs are requestor and owner, subject and owner, requestor and subject",
        ),
        (
            "kind = \"different\"\nwho = [\"subject\", \"owner\"]",
            "`who` in [[require]] is no pair of parties that can be compared; write who = [\"requestor\", \"owner\"]; pairs are requestor and owner, requestor and subject",
        ),
        (
            "kind = \"allow-list\"\nowner = \"123456789\"",
            "a listed party is wrong: not a valid Norwegian organisation number (9 digits) or identity number (11 digits)",
        ),
        (
            "kind = \"subject\"\nalso = \"(\"",
            "`also` in [[require]] is no regular expression: error: unclosed group",
        ),
        (
            "kind = \"reference\"\nreference = \"both\"",
            "`reference` in [[require]] is `both`; write \"consent\" or \"external\"",
        ),
        (
            "kind = \"legal-basis\"\naccepts = \"cvp\"",
            "`cvp` is no kind of legal basis; did you mean `cpv`?",
        ),
        (
            "kind = \"consent\"",
            "[[require]] has no `resource`; add `resource = …`",
        ),
        (
            "kind = \"role\"\nrole = \"DAGL\"\noffered_by = \"subjekt\"\ncovered_by = \"owner\"",
            "`subjekt` is no party of a request; did you mean `subject`?",
        ),
        (
            "kind = \"role\"\nrole = \"DAGL\"\noffered_by = \"owner\"\ncovered_by = \"owner\"",
            "`offered_by` and `covered_by` in [[require]] are the same; offered_by is who gives, covered_by is who may act",
        ),
        (
            "kind = \"role\"\nrole = \"DA GL\"\noffered_by = \"subject\"\ncovered_by = \"owner\"",
            "`DA GL` is nothing that Altinn knows; write a code such as \"DAGL\"",
        ),
        (
            "kind = \"role\"\ncode = \"DAGL\"\nrole = \"DAGL\"\noffered_by = \"subject\"\ncovered_by = \"owner\"",
            "unknown key `code` in [[require]]; did you mean `role`?",
        ),
        (
            "kind = \"right\"\noffered_by = \"subject\"\ncovered_by = \"owner\"",
            "[[require]] needs either `resource`, or `service` and `edition`; write resource = \"…\" as the resource register of Altinn has it",
        ),
        (
            "kind = \"right\"\nresource = \"r\"\nservice = \"1\"\nedition = \"1\"\noffered_by = \"subject\"\ncovered_by = \"owner\"",
            "[[require]] needs either `resource`, or `service` and `edition`; write resource = \"…\" as the resource register of Altinn has it",
        ),
        (
            "kind = \"right\"\nservice = \"5616\"\noffered_by = \"subject\"\ncovered_by = \"owner\"",
            "[[require]] has no `edition`; add `edition = …`",
        ),
        (
            "kind = \"right\"\nservice = \"a\"\nedition = \"1\"\noffered_by = \"subject\"\ncovered_by = \"owner\"",
            "`a` is nothing that Altinn knows; write digits in quotes, such as \"5616\"",
        ),
        (
            "kind = \"right\"\nresource = \"5616/1\"\noffered_by = \"subject\"\ncovered_by = \"owner\"",
            "`5616/1` is nothing that Altinn knows; write an identifier of lower-case letters, digits, _ and -",
        ),
        (
            "kind = \"right\"\nresource = \"r\"\nactions = [\"re ad\"]\noffered_by = \"subject\"\ncovered_by = \"owner\"",
            "`re ad` is nothing that Altinn knows; write a word such as \"read\"",
        ),
        (
            "kind = \"legal-basis\"\naccepts = \"cpv\"",
            "there is no table `cpv_risk`; add tables/cpv_risk.toml with the CPV codes",
        ),
        (
            "kind = \"legal-basis\"\naccepts = \"espd\"\ncpv = \"cpv_risk\"",
            "`cpv` in [[require]] without accepts = [\"cpv\"]; leave it out, or accept that basis",
        ),
        (
            "kind = \"allow-list-from-config\"",
            "[[require]] says nothing about requestor, subject or owner; a rule that allows everything is no rule",
        ),
        (
            "kind = \"allow-list-from-config\"\nowner = \"ownners\"",
            "the setting `ownners` is not in the node's configuration; did you mean `owners`?",
        ),
        (
            "kind = \"allow-list-from-config\"\nowner = \"owners\"",
            "entry 2 of the setting `owners`: not a valid Norwegian organisation number (9 digits) or identity number (11 digits); write identifiers with commas between them",
        ),
        (
            "kind = \"allow-list-from-config\"\nrequestor = \"blank\"",
            "entry 1 of the setting `blank`: not a valid Norwegian organisation number (9 digits) or identity number (11 digits); write identifiers with commas between them",
        ),
        (
            "kind = \"own-token\"\non_failure = \"allow\"",
            "`on_failure` in [[require]] is `allow`; write \"deny\" to refuse the request, \"skip\" to leave the dataset out",
        ),
        (
            "kind = \"own-token\"\ncontexts = [\"Other\"]",
            "the rule is limited to `Other`, where it can never apply; known here: Test",
        ),
        (
            "kind = \"srr\"\nservice = \"x\"",
            "unknown key `service` in [[require]]; known here: kind, on_failure, at_harvest, contexts",
        ),
    ];

    #[test]
    fn a_rule_that_cannot_be_understood_refuses_the_catalogue_w_06() {
        for (rule, expected) in RULE_MISTAKES {
            let told = dataset_problem(
                "[[parameter]]",
                &format!("[[require]]\n{rule}\n[[parameter]]"),
            );
            let rest = told.strip_prefix("datasets/D.toml:").unwrap();
            let (line, what) = rest.split_once(": ").unwrap();
            assert!((6..=10).contains(&line.parse::<u32>().unwrap()), "{told}");
            assert_eq!(what, *expected);
        }
    }

    /// A file, its text, and what is told of it.
    const FILE_MISTAKES: &[(&str, &str, &str)] = &[
        (
            "contexts/x.toml",
            "name = \"X\"\nowner = \"O\"\nlanguage = \"no-nb\"\n",
            "contexts/x.toml:3: unknown key `language` in this file; did you mean `languages`?",
        ),
        (
            "contexts/x.toml",
            "name = \"X\"\nowner = \"O\"\n[texts]\ntitle = \"t\"\n",
            "contexts/x.toml:3: `texts` in this file is not built yet; leave it out, or let a plugin serve this dataset",
        ),
        (
            "contexts/x.toml",
            "name = \"Test\"\nowner = \"O\"\n",
            "contexts/x.toml: the context is the same as contexts/test-product.toml by name or identifier",
        ),
        (
            "contexts/x.toml",
            "name = \"X\"\nowner = \"O\"\n[[require]]\nkind = \"own-token\"\ncontexts = \"X\"\n",
            "contexts/x.toml:5: the rule is limited to `X`, where it can never apply; rules of a context apply in that context; leave `contexts` out",
        ),
        (
            "sources/x.toml",
            "adress = \"https://x.example\"\naddress = \"https://x.example\"\n",
            "sources/x.toml:1: unknown key `adress` in this file; did you mean `address`?",
        ),
        (
            "sources/x.toml",
            "address = \"x.example\"\n",
            "sources/x.toml:1: the address is neither http nor https; write it as https://host/path, without ? and #",
        ),
        (
            "sources/x.toml",
            "address = \"https://{subject.org}.example\"\n",
            "sources/x.toml:1: unknown root `subject` in `{subject.org}`; known here: setting",
        ),
        (
            "sources/x.toml",
            "address = \"https://x.example\"\n[credential]\nmaskinporten = \"x\"\n",
            "sources/x.toml:3: `maskinporten` in [credential] is not built yet; leave it out, or let a plugin serve this dataset",
        ),
        (
            "sources/x.toml",
            "address = \"https://x.example\"\n[credential]\nbasic = \"user:pass\"\n",
            "sources/x.toml:3: a secret stands in a file of the catalogue; write \"secret:name\" and put it under [secrets] of the node's configuration",
        ),
        (
            "sources/x.toml",
            "address = \"https://x.example\"\n[credential]\nbasic = \"secret:nokey\"\n",
            "sources/x.toml:3: the secret `nokey` is not in the node's configuration; add it under [secrets]: nokey = { file = \"…\" }",
        ),
        (
            "sources/x.toml",
            "address = \"https://x.example\"\ncredential = \"mtls\"\n",
            "sources/x.toml:2: `mtls` is no credential; write \"none\", or a table [credential] with basic or api_key",
        ),
        (
            "sources/x.toml",
            "address = \"https://x.example\"\n[limits]\nparallel_max = 0\n",
            "sources/x.toml:3: `parallel_max` in [limits] is a number; it must be a whole number from 1 to 1024",
        ),
        (
            "tables/x.toml",
            "[[a]]\nn = 1\n[[b]]\nn = 1\n",
            "tables/x.toml:1: a table is one list of rows; write rows as [[row]]: every table of a file under the same name",
        ),
        (
            "tables/x.toml",
            "[[a]]\nbase = \"{setting.x}\"\n",
            "tables/x.toml:1: templates in tables are not built yet; write the text itself",
        ),
        (
            "tables/param.toml",
            "[[a]]\nn = 1\n",
            "tables/param.toml: `param` cannot name a table: it means something already; choose a name other than subject, requestor, owner, param, now, item, setting, each, call",
        ),
        (
            "tables/cpv_risk.toml",
            "[[code]]\ncode = \"45000000-7\"\n",
            "tables/cpv_risk.toml: a list of CPV codes has a version; write version = \"2025-01\" before the first row",
        ),
        (
            "tables/cpv_risk.toml",
            "version = 7\n[[code]]\ncode = \"45000000-7\"\n",
            "tables/cpv_risk.toml:1: a table is one list of rows; write rows as [[row]]: every table of a file under the same name",
        ),
        (
            "datasets/a b.toml",
            GOOD,
            "datasets/a b.toml:1: `a b` cannot name a dataset; use letters a to z, digits, `.`, `_` and `-`, at most 200",
        ),
        (
            "datasets/E.toml",
            "a = \n",
            "datasets/E.toml:1: not TOML: string values must be quoted, expected literal string; the form of the files is described in docs/catalog.md",
        ),
    ];

    #[test]
    fn mistakes_of_contexts_sources_and_tables_are_told() {
        for (path, text, expected) in FILE_MISTAKES {
            assert_eq!(problems_of(&[(path, text)]), [*expected]);
        }
    }

    const CPV_RULE: &str = "\n[[require]]\nkind = \"legal-basis\"\naccepts = \"cpv\"\n";

    /// A list that is none is told once, where it is; one that a rule names, where it is named.
    #[test]
    fn lists_of_cpv_codes_are_lists_of_cpv_codes() {
        let bad = "version = \"v\"\n[[code]]\ncode = \"45000000\"\n";
        let context = format!("{CONTEXT}{CPV_RULE}");
        let usual = problems_of(&[
            ("contexts/test-product.toml", &context),
            ("tables/cpv_risk.toml", bad),
        ]);
        assert_eq!(
            usual,
            [
                "tables/cpv_risk.toml: a row has no CPV code; write code = \"45000000-7\": eight digits, a hyphen and the control digit"
            ]
        );
        let context = format!("{context}cpv = \"own\"\n");
        let own = problems_of(&[
            ("contexts/test-product.toml", &context),
            ("tables/own.toml", bad),
        ]);
        assert_eq!(
            own,
            [
                "contexts/test-product.toml:7: the table `own` holds no CPV codes: a row has no CPV code; write code = \"45000000-7\": eight digits, a hyphen and the control digit"
            ]
        );
        let unread = problems_of(&[
            ("contexts/test-product.toml", &context),
            ("tables/own.toml", "n = 1\n"),
        ]);
        assert_eq!(unread.len(), 1, "{unread:?}");
    }

    #[test]
    fn a_call_has_one_authorization() {
        let source = "address = \"{setting.reg}\"\n[credential]\nbasic = \"secret:key\"\n";
        let call = GOOD.replace(
            "{subject.org}\"",
            "{subject.org}\"\ntoken = \"caller\"\nscope = \"a:b\"",
        );
        let found = problems_of(&[("sources/reg.toml", source), ("datasets/D.toml", &call)]);
        assert_eq!(
            found,
            [
                "datasets/D.toml:10: the call wants a token, and its source has `basic` or `oauth2`; a request has one Authorization: leave out one of the two"
            ]
        );
    }

    #[test]
    fn a_source_this_node_is_not_set_up_for_closes_its_datasets() {
        let files = [
            ("contexts/test-product.toml", CONTEXT),
            ("sources/reg.toml", "address = \"{setting.nope}/x\"\n"),
            ("datasets/D.toml", GOOD),
            ("examples/a.json", "{}"),
            ("examples/a.values.json", "{}"),
        ];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let settings = BTreeMap::new();
        let loaded = load(
            &CatalogFiles::from_texts(files),
            &Environment::new(&settings, &|_| None),
        );
        let loaded = loaded.unwrap();
        let why = loaded.datasets[0].dataset.unavailable.as_deref().unwrap();
        assert!(why.contains("reg needs the setting `nope`"), "{why}");
    }

    #[test]
    fn all_mistakes_of_all_files_come_in_one_run_by_file_and_line() {
        let dataset = GOOD
            .replace("about", "abuot")
            .replace("unit.navn", "uint.navn");
        let found = problems_of(&[
            ("datasets/D.toml", &dataset),
            ("datasets/E.toml", "[dataset]\n"),
            ("contexts/test-product.toml", "owner = 5\n"),
            ("sources/reg.toml", "address = \"nowhere\"\n"),
        ]);
        let places: Vec<&str> = found
            .iter()
            .map(|line| line.split(": ").next().unwrap())
            .collect();
        assert_eq!(
            places,
            [
                "contexts/test-product.toml:1",
                "contexts/test-product.toml:1",
                "datasets/D.toml:1",
                "datasets/D.toml:2",
                "datasets/D.toml:18",
                "datasets/E.toml:1",
                "datasets/E.toml:1",
                "datasets/E.toml:1",
                "datasets/E.toml:1",
                "datasets/E.toml:1",
                "sources/reg.toml:1",
            ],
            "{found:#?}"
        );
    }

    #[test]
    fn a_folder_is_checked_with_what_cannot_be_read_and_what_does_not_come_out() {
        let root = tempfile::tempdir().unwrap();
        for (path, bytes) in [
            ("contexts/test-product.toml", CONTEXT.as_bytes()),
            ("sources/reg.toml", SOURCE.as_bytes()),
            ("datasets/D.toml", GOOD.as_bytes()),
            ("datasets/.D.toml.swp", b"\xff"),
            ("datasets/E.toml", b"\xff\xfe"),
            ("dataset/F.toml", b"x"),
            ("examples/a.json", b"{}"),
            ("examples/a.values.json", b"{\"navn\": \"x\"}"),
            ("README.md", b"# Not part of it"),
        ] {
            let at = root.path().join(path);
            std::fs::create_dir_all(at.parent().unwrap()).unwrap();
            std::fs::write(at, bytes).unwrap();
        }
        let found = check_folder(root.path(), &Environment::invented()).unwrap_err();
        let lines: Vec<String> = found.iter().map(Problem::to_string).collect();
        assert_eq!(
            lines,
            [
                "dataset: unknown folder; did you mean `datasets`?",
                "datasets/D.toml:20: the example does not come out: /navn is missing; correct the definition, or the file that is expected",
                "datasets/E.toml: the file is no UTF-8 text",
            ]
        );
        let empty = tempfile::tempdir().unwrap();
        assert!(CatalogFiles::read_folder(empty.path()).is_err());
        assert!(CatalogFiles::read_folder(&empty.path().join("nowhere")).is_err());
    }
}
