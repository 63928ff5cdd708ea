//! Canonical JSON made by others. Of the suite `jcs-rfc8785` all six texts are run, and RFC 8785
//! Appendix B by heart. The files are read where they lie (`DAN_SHARED`) and never copied; without
//! them the test says so and passes.

#[cfg(test)]
mod suites {
    use std::path::Path;

    use dan_json::canonical::canonical_json;
    use serde_json::{Value, json};

    fn unhex(text: &str) -> Vec<u8> {
        let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
            .collect()
    }

    #[test]
    #[expect(clippy::print_stderr, reason = "a suite that was skipped must be seen")]
    fn canonical_json_is_that_of_rfc_8785_byte_for_byte() {
        let shared = std::env::var_os("DAN_SHARED")
            .unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").into());
        let folder = Path::new(&shared).join("suites/jcs-rfc8785");
        if !folder.is_dir() {
            eprintln!("skipped: the suite jcs-rfc8785 is not there");
            return;
        }
        for name in [
            "arrays",
            "french",
            "structures",
            "unicode",
            "values",
            "weird",
        ] {
            let read = |path: String| std::fs::read_to_string(folder.join(path)).unwrap();
            let input: Value = serde_json::from_str(&read(format!("input/{name}.json"))).unwrap();
            let canonical = canonical_json(&input).unwrap();
            assert_eq!(canonical, read(format!("output/{name}.json")), "{name}");
            let digits = read(format!("outhex/{name}.txt"));
            assert_eq!(canonical.as_bytes(), unhex(&digits), "{name}");
            // Canonical text is its own canonical text.
            let again: Value = serde_json::from_str(&canonical).unwrap();
            assert_eq!(canonical_json(&again).unwrap(), canonical, "{name}");
        }
        let files = std::fs::read_dir(folder.join("input")).unwrap().count();
        assert_eq!(files, 6, "the suite has grown");
    }

    /// RFC 8785 Appendix B: doubles, and how they are written.
    #[test]
    fn numbers_are_written_as_in_appendix_b() {
        for (bits, text) in [
            (0x0000_0000_0000_0000_u64, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0xc340_0000_0000_0000, "-9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0x41b3_de43_5555_5554, "333333333.33333325"),
            (0x41b3_de43_5555_5555, "333333333.3333333"),
            (0x41b3_de43_5555_5556, "333333333.3333334"),
            (0x41b3_de43_5555_5557, "333333333.33333343"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ] {
            let number = json!(f64::from_bits(bits));
            assert_eq!(canonical_json(&number).as_deref(), Ok(text), "{bits:016x}");
        }
    }
}
