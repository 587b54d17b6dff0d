//! One-time codes: the vectors of RFC 6238, and what is taken for a seed.

use bauta::secret::{
    Code, Kind, Limits, Options, Secret, SecretError, SeedError, TotpError, code, parse_submission,
};

use proptest::prelude::*;

use super::scopes_view::{secret, value, with};

const SHA1: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const SHA256: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZA";
const SHA512: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNA";

fn totp() -> Options {
    Options {
        kind: Kind::Totp,
        ..Options::default()
    }
}

fn seed(text: &str) -> Result<Secret, SecretError> {
    let (key, scope) = ("x_otp".parse().unwrap(), "agent:a".parse().unwrap());
    Secret::new(
        key,
        "example.com".parse().unwrap(),
        scope,
        totp(),
        value(text),
    )
}

fn at(text: &str, time: u64) -> Code {
    let made = seed(text).unwrap_or_else(|error| panic!("{error}"));
    code(&made, time).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn codes_are_those_of_rfc_6238() {
    // Appendix B.
    for (time, sha1, sha256, sha512) in [
        (59, "94287082", "46119246", "90693936"),
        (1_111_111_109, "07081804", "68084774", "25091201"),
        (1_111_111_111, "14050471", "67062674", "99943326"),
        (1_234_567_890, "89005924", "91819424", "93441116"),
        (2_000_000_000, "69279037", "90698825", "38618901"),
        (20_000_000_000, "65353130", "77737706", "47863826"),
    ] {
        for (name, text, expected) in [
            ("SHA1", SHA1, sha1),
            ("SHA256", SHA256, sha256),
            ("SHA512", SHA512, sha512),
        ] {
            let uri = format!(
                "otpauth://totp/RFC:6238?secret={text}&algorithm={name}&digits=8&period=30"
            );
            let code = at(&uri, time);
            assert_eq!(code.value.expose(), expected, "{name} at {time}");
            assert_eq!(code.expires, (time / 30 + 1) * 30);
            assert_eq!(code.masked_until, code.expires + 30);
        }
        // Fewer digits are the last of them.
        let last = |count: usize| &sha1[8 - count..];
        assert_eq!(at(SHA1, time).value.expose(), last(6));
        let uri = format!("otpauth://totp/a?secret={SHA1}&digits=7");
        assert_eq!(at(&uri, time).value.expose(), last(7));
    }
}

#[test]
fn a_seed_is_read_as_people_write_it() {
    let expected = at(SHA1, 59).value.expose().to_owned();
    assert_eq!(expected, "287082");
    for text in [
        "gezdgnbvgy3tqojqgezdgnbvgy3tqojq",
        "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ",
        " gezd-gnbv-gy3t-qojq\ngezd-gnbv-gy3t-qojq \n",
        "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ======",
        "otpauth://totp/Example:alice@example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Example",
        "OTPAUTH://TOTP/x?Secret=gezdgnbvgy3tqojqgezdgnbvgy3tqojq",
        "otpauth://totp?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
        "otpauth://totp/?secret=GEZDGNBVGY3TQOJQ%47%45ZDGNBVGY3TQOJQ",
        "otpauth://totp/a%3Fb?image=x&secret=gezd+gnbv+gy3t+qojq+gezd%20gnbv%20gy3t%20qojq%3D%3D&algorithm=sha-1&digits=6&period=30#x",
        "\notpauth://totp/Issuer:who?issuer=Another&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&algorithm=Sha1\n",
    ] {
        assert_eq!(at(text, 59).value.expose(), expected, "{text}");
    }
    // 80 bits, as many sites give out.
    assert_eq!(at("JBSWY3DPEHPK3PXP", 0).value.expose(), "282760");
    let slow = at("otpauth://totp/a?secret=JBSWY3DPEHPK3PXP&period=60", 90);
    assert_eq!((slow.expires, slow.masked_until), (120, 180));
    assert_eq!(
        slow.value.expose(),
        at("JBSWY3DPEHPK3PXP", 30).value.expose()
    );
}

#[test]
fn p3_what_is_no_seed_is_refused_without_a_word_of_it() {
    use SeedError::{Algorithm, Base32, Digits, Incomplete, Missing, Period, Twice, Type};
    let long = format!(
        "otpauth://totp/a?secret=HUNTERSEED234567&period={}",
        "9".repeat(4000)
    );
    for (text, expected) in [
        ("hunterseed 0189", Base32),
        ("====", Base32),
        (" ", Base32),
        ("287082", Base32),
        ("https://example.com/?secret=HUNTERSEED234567", Base32),
        ("otpauth:totp/a?secret=HUNTERSEED234567", Base32),
        ("HUNTERSEED2345678", Base32),
        ("HUNTERSEED234567H", Incomplete),
        ("HUNTERSEED234567HUN", Incomplete),
        ("otpauth://hotp/a?secret=HUNTERSEED234567&counter=1", Type),
        ("otpauth://steam/a?secret=HUNTERSEED234567", Type),
        (
            "otpauth://totp/a?secret=HUNTERSEED234567&encoder=steam",
            Type,
        ),
        ("otpauth:///a?secret=HUNTERSEED234567", Type),
        ("otpauth://", Type),
        ("otpauth://totp/HUNTERSEED234567", Missing),
        ("otpauth://totp/a?seed=HUNTERSEED234567", Missing),
        ("otpauth://totp/a#?secret=HUNTERSEED234567", Missing),
        (
            "otpauth://totp/a?secret=HUNTERSEED234567&secret=HUNTERSEED234567",
            Missing,
        ),
        ("otpauth://totp/a?secret=HUNTERSEED234567&SECRET=", Missing),
        ("otpauth://totp/a?secret=", Base32),
        ("otpauth://totp/a?secret", Base32),
        ("otpauth://totp/a?secret=%ff%fe", Base32),
        ("otpauth://totp/a?secret=HUNTERSEED%3", Base32),
        (
            "otpauth://totp/a?secret=HUNTERSEED234567&digits=6&digits=8",
            Twice,
        ),
        (
            "otpauth://totp/a?secret=HUNTERSEED234567&algorithm=MD5",
            Algorithm,
        ),
        (
            "otpauth://totp/a?secret=HUNTERSEED234567&algorithm=",
            Algorithm,
        ),
        (
            "otpauth://totp/a?secret=HUNTERSEED234567&algorithm=SHA12",
            Algorithm,
        ),
        ("otpauth://totp/a?secret=HUNTERSEED234567&digits=5", Digits),
        ("otpauth://totp/a?secret=HUNTERSEED234567&digits=9", Digits),
        ("otpauth://totp/a?secret=HUNTERSEED234567&digits=06", Digits),
        (
            "otpauth://totp/a?secret=HUNTERSEED234567&digits=256",
            Digits,
        ),
        ("otpauth://totp/a?secret=HUNTERSEED234567&period=0", Period),
        (
            "otpauth://totp/a?secret=HUNTERSEED234567&period=3601",
            Period,
        ),
        (
            "otpauth://totp/a?secret=HUNTERSEED234567&period=-30",
            Period,
        ),
        ("otpauth://totp/a?secret=HUNTERSEED234567&period=", Period),
        (
            "otpauth://totp/a?secret=HUNTERSEED234567&period=18446744073709551616",
            Period,
        ),
        (&long, Period),
    ] {
        let error = seed(text)
            .err()
            .unwrap_or_else(|| panic!("{text} was taken"));
        assert_eq!(error, SecretError::Seed(expected), "{text}");
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(!shown.to_ascii_uppercase().contains("HUNTER"), "{shown}");
        }
    }
}

#[test]
fn p8_no_time_and_no_kind_makes_it_panic() {
    let made = seed(SHA1).ok().unwrap();
    for time in [0, 1, 29, 30, u64::from(u32::MAX), u64::MAX - 200] {
        assert_eq!(code(&made, time).ok().unwrap().value.expose().len(), 6);
    }
    assert_eq!(code(&made, u64::MAX).err(), Some(TotpError::Time));
    let plain = secret("x_a", "agent:a", "example.com");
    assert_eq!(code(&plain, 59).err(), Some(TotpError::Kind));
}

#[test]
fn a_submission_says_that_a_seed_is_none() {
    let json = r#"{"https://example.com": {"x_a": {"value": "hunter2 is 1 no seed", "kind": "totp"}, "x_b": {"value": "JBSWY3DPEHPK3PXP", "kind": "totp"}}}"#;
    let problems = parse_submission(json.as_bytes().to_vec().into(), &Limits::default())
        .err()
        .unwrap();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].key.as_deref(), Some("x_a"));
    assert_eq!(problems[0].text, SeedError::Base32.to_string());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn p8_no_text_makes_it_panic(text in "(otpauth://(totp|hotp)?[/?]?)?(secret|digits|period|algorithm|[=&?#%+ a-zA-Z2-7\\PC-]){1,40}") {
        if let Ok(made) = seed(&text) {
            let code = code(&made, 59).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let digits = code.value.expose();
            prop_assert!((6..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()));
        }
    }

    /// The seed's text is made here from its bits, one at a time.
    #[test]
    fn base32_of_any_bytes_is_read_in_any_spelling(bytes in proptest::collection::vec(any::<u8>(), 1..80), spelling in 0..4_u8) {
        let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect();
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let mut text = String::new();
        for five in bits.chunks(5) {
            let number = (0..5).fold(0, |sum, at| sum << 1 | usize::from(five.get(at).copied().unwrap_or(0)));
            text.push(char::from(letters[number]));
        }
        let canonical = text.clone();
        match spelling {
            0 => text.make_ascii_lowercase(),
            1 => text.extend(std::iter::repeat_n('=', (8 - canonical.len() % 8) % 8)),
            2 => text = format!("otpauth://totp/a?secret={text}"),
            _ => {}
        }
        let made = seed(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!(texts(&made).contains(&(canonical, true)));
        let reference = totp_rs::Builder::new().with_secret(bytes).build_noncompliant();
        let code = code(&made, 1_234_567_890).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(code.value.expose(), reference.generate(1_234_567_890).to_string());
    }
}

/// Every text that stands for a secret.
fn texts(secret: &Secret) -> Vec<(String, bool)> {
    let mut texts = Vec::new();
    secret.expose_each(|text, any_case| texts.push((text.to_owned(), any_case)));
    texts
}

#[test]
fn a_seed_is_masked_in_its_spellings() {
    let owned = |rows: &[(&str, bool)]| -> Vec<(String, bool)> {
        rows.iter()
            .map(|(text, case)| ((*text).to_owned(), *case))
            .collect()
    };
    let canonical = ("JBSWY3DPEHPK3PXP", true);
    let grouped = ("JBSW Y3DP EHPK 3PXP", true);
    for text in [
        "jbsw-y3dp-ehpk-3pxp",
        "otpauth://totp/a?secret=jbswy3dpehpk3pxp",
    ] {
        let made = seed(text).ok().unwrap();
        assert_eq!(texts(&made), owned(&[(text, false), canonical, grouped]));
    }
    let former = seed(SHA1).ok().unwrap().with_former(vec![
        value("jbswy3dpehpk3pxp"),
        value("a former password, 1"),
    ]);
    let grouped_now = "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ";
    assert_eq!(
        texts(&former),
        owned(&[
            (SHA1, false),
            ("jbswy3dpehpk3pxp", false),
            ("a former password, 1", false),
            (SHA1, true),
            (grouped_now, true),
            canonical,
            grouped,
        ])
    );
    let plain = with(
        "x_a",
        "agent:a",
        "example.com",
        Options::default(),
        "JBSWY3DPEHPK3PXP",
    );
    assert_eq!(texts(&plain), owned(&[("JBSWY3DPEHPK3PXP", false)]));
}
