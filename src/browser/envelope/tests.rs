//! The envelope against serde_json, and against what Chromium answered when it was asked.

use std::fmt;

use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::*;

fn told(text: &str) -> Result<Command, String> {
    command(Bytes::copy_from_slice(text.as_bytes())).map_err(|error| error.answer())
}

#[test]
fn a_command_is_taken_apart() {
    let text = r#" { "id" : -5 , "method":"Input.insertText","params" : {"text":"a}\"{"} ,"sessionId":"S1"} "#;
    let command = told(text).unwrap();
    assert_eq!(command.id, -5);
    assert_eq!(&*command.method, "Input.insertText");
    assert_eq!(command.session.as_deref(), Some("S1"));
    assert_eq!(command.params(), br#"{"text":"a}\"{"}"#);
    assert_eq!(&command.message[..], text.as_bytes());
    let command =
        told(r#"{"id":2147483647,"method":"A\u002eb","params":null,"sessionId":""}"#).unwrap();
    assert_eq!((command.id, &*command.method), (2_147_483_647, "A.b"));
    assert_eq!((command.session, command.params), (None, None));
}

/// The answers are Chromium's own, but for what it says of JSON's errors.
#[test]
fn what_is_no_command_is_answered_as_chromium_does() {
    const ID: &str =
        r#"{"error":{"code":-32600,"message":"Message must have integer 'id' property"}}"#;
    for (text, expected) in [
        (r#"{"id":1.5,"method":"X.y"}"#, ID),
        (r#"{"id":"1","method":"X.y"}"#, ID),
        (r#"{"id":2147483648,"method":"X.y"}"#, ID),
        (r#"{"id":-2147483649,"method":"X.y"}"#, ID),
        (r#"{"id":null,"method":"X.y"}"#, ID),
        (r#"{"method":"X.y"}"#, ID),
        ("{}", ID),
        (
            r#"{"id":1,"method":"X.y","foo":1}"#,
            r#"{"id":1,"error":{"code":-32600,"message":"Message has property other than 'id', 'method', 'sessionId', 'params'"}}"#,
        ),
        (
            r#"{"id":3,"id":4,"method":"X.y"}"#,
            r#"{"id":3,"error":{"code":-32700,"message":"CBOR: duplicate map key at position 8"}}"#,
        ),
        (
            r#"{"id":3,"method":""}"#,
            r#"{"id":3,"error":{"code":-32600,"message":"Message must have string 'method' property"}}"#,
        ),
        (
            r#"{"id":3}"#,
            r#"{"id":3,"error":{"code":-32600,"message":"Message must have string 'method' property"}}"#,
        ),
        (
            r#"{"id":3,"method":"X.y","sessionId":5}"#,
            r#"{"id":3,"error":{"code":-32600,"message":"Message may have string 'sessionId' property"}}"#,
        ),
        (
            r#"{"id":3,"method":"X.y","params":[]}"#,
            r#"{"id":3,"error":{"code":-32600,"message":"Message may have object 'params' property"}}"#,
        ),
        (
            "[]",
            r#"{"error":{"code":-32600,"message":"Message must be an object"}}"#,
        ),
        (
            "3",
            r#"{"error":{"code":-32600,"message":"Message must be an object"}}"#,
        ),
        (
            "",
            r#"{"error":{"code":-32700,"message":"JSON: invalid token at position 0"}}"#,
        ),
        (
            "not json",
            r#"{"error":{"code":-32700,"message":"JSON: invalid token at position 0"}}"#,
        ),
    ] {
        assert_eq!(told(text).unwrap_err(), expected, "{text}");
    }
}

/// Keys are what their escapes say: else one could be hidden from us, and not from Chromium.
#[test]
fn a_key_counts_by_what_its_escapes_say() {
    let command = told(r#"{"\u0069d":7,"m\u0065thod":"A.b","s\u0065ssionId":"S"}"#).unwrap();
    assert_eq!((command.id, command.session.as_deref()), (7, Some("S")));
    for twice in [
        r#"{"id":1,"\u0069d":2,"method":"A.b"}"#,
        r#"{"id":1,"method":"A.b","method":"A.c"}"#,
        r#"{"id":1,"method":"A.b","sessionId":"S","session\u0049d":"T"}"#,
        r#"{"id":1,"method":"A.b","params":null,"params":{}}"#,
        r#"{"id":1,"method":"A.b","params":{},"p\u0061rams":null}"#,
    ] {
        assert!(told(twice).unwrap_err().contains("duplicate"), "{twice}");
    }
    assert!(
        told(r#"{"id":1,"method":"A.b","sessionId":"\ud800"}"#).is_err(),
        "half a character"
    );
}

/// What some reader takes and another does not: were it passed on, the two would differ on where the parameters end.
#[test]
fn what_readers_could_differ_on_is_refused() {
    for params in [
        r#"{/*"*/},"sessionId":"VICTIM","x":{/*"*/}"#,
        "{//\"\n}",
        "{'a':1}",
        "{a:1}",
        "{]",
        "[}",
        r#"{"a":[}}"#,
        r#"{"a":1,}"#,
        r#"{"a":[1,]}"#,
        r#"{"a":01}"#,
        r#"{"a":+1}"#,
        r#"{"a":1.}"#,
        r#"{"a":.5}"#,
        r#"{"a":-}"#,
        r#"{"a":1e}"#,
        r#"{"a":0x1}"#,
        r#"{"a":NaN}"#,
        r#"{"a":Infinity}"#,
        r#"{"a":True}"#,
        r#"{"a":nul}"#,
        r#"{"a" 1}"#,
        r#"{"a":1 "b":2}"#,
        r#"{"a":"\x41"}"#,
        r#"{"a":"\u12g4"}"#,
        "{\"a\":\"\t\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\0\"}",
        "{\"a\":1}\0{\"id\":2,\"method\":\"Browser.close\"}",
        "{\u{a0}}",
        "\u{feff}{}",
        "{}}",
        "{",
        r#"{"a"#,
        r#"{"a":"\"#,
        r#"{"a":"\u00"#,
    ] {
        let text = format!(r#"{{"id":1,"method":"A.b","params":{params}}}"#);
        assert!(told(&text).is_err(), "{params:?}");
    }
    let text = b"{\"id\":1,\"method\":\"A.b\",\"params\":{\"a\":\"\xff\"}}";
    assert!(command(Bytes::from_static(text)).is_err(), "not UTF-8");
    assert!(told(r#"{"id":1,"method":"A.b"}x"#).is_err());
}

#[test]
fn nesting_is_as_deep_as_chromium_takes_it() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| {
            let (open, close) = (open.repeat(depth), close.repeat(depth));
            format!(r#"{{"id":1,"method":"A.b","params":{{"a":{open}1{close}}}}}"#)
        };
        assert!(told(&nested(DEEPEST - 2)).is_ok());
        assert!(told(&nested(DEEPEST - 1)).is_err());
        assert!(told(&nested(1_000_000)).is_err());
    }
}

#[test]
fn messages_of_the_browser() {
    let text = br#"{"id":7,"result":{"a":[1,"}"]},"sessionId":"S"}"#;
    let found = of_browser(text).unwrap();
    assert_eq!(found.id, Some(7));
    assert_eq!(&text[found.id_at.unwrap()], b"7");
    assert_eq!(&text[found.result.unwrap()], br#"{"a":[1,"}"]}"#);
    assert_eq!(&text[found.session.unwrap()], b"S");
    assert_eq!(&text[found.session_entry.unwrap()], br#""sessionId":"S""#);
    let text = br#"{"method":"A.b","params":{},"new":[{}]}"#;
    let found = of_browser(text).unwrap();
    assert_eq!(&text[found.method.unwrap()], b"A.b");
    assert_eq!(&text[found.params.unwrap()], b"{}");
    assert_eq!(found.id, None);
    assert!(of_browser(br#"{"id":1,"error":5}"#).is_err());
    assert!(
        of_browser(br#"{"id":1,"result":null}"#)
            .unwrap()
            .result
            .is_some()
    );
}

/// An object's entries, in order, duplicates kept.
#[derive(Debug)]
struct Entries(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Walk;

        impl<'de> Visitor<'de> for Walk {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Walk)
    }
}

/// What a slow reader finds, by serde_json: the entries of a command, or nothing if it is none.
fn slow(text: &str) -> Option<(i32, String, Option<String>, Option<Value>)> {
    let Entries(entries) = serde_json::from_str(text).ok()?;
    let one = |name: &str| -> Option<Option<Value>> {
        let mut found = entries.iter().filter(|(key, _)| key == name);
        let first = found.next().map(|(_, value)| value.clone());
        found.next().is_none().then_some(first)
    };
    let known = ["id", "method", "sessionId", "params"];
    if entries
        .iter()
        .any(|(key, _)| !known.contains(&key.as_str()))
    {
        return None;
    }
    let id = i32::try_from(one("id")??.as_i64()?).ok()?;
    let method = one("method")??.as_str()?.to_owned();
    let session = match one("sessionId")? {
        None => None,
        Some(session) => Some(session.as_str()?.to_owned()),
    };
    let params = match one("params")? {
        None | Some(Value::Null) => None,
        Some(params @ Value::Object(_)) => Some(params),
        Some(_) => return None,
    };
    let session = session.filter(|session| !session.is_empty());
    (!method.is_empty()).then_some((id, method, session, params))
}

fn value() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        "[ -~äß😀]{0,6}",
        r#"(\\"|\\\\|\\u0041|\\ud83d\\ude00|[a{}\[\],:]){0,6}"#
    ];
    let text = text.prop_map(|text: String| {
        let plain = text.replace(['"', '\\'], "");
        let whole = serde_json::from_str::<String>(&format!("\"{text}\"")).is_ok();
        if whole {
            format!("\"{text}\"")
        } else {
            format!("\"{plain}\"")
        }
    });
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?([eE][+-]?[0-9])?",
        text.clone(),
    ];
    leaf.prop_recursive(6, 40, 5, move |inner| {
        let entry =
            (text.clone(), inner.clone()).prop_map(|(key, value)| format!("{key}: {value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(|all| format!("[{}]", all.join(" ,"))),
            prop::collection::vec(entry, 0..5).prop_map(|all| format!("{{{}}}", all.join(",\n\t"))),
        ]
    })
}

fn entry() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        8 => Just("id"), 8 => Just("method"), 6 => Just("sessionId"), 8 => Just("params"),
        1 => Just("result"), 1 => Just("Id"), 1 => Just(""),
    ];
    let apt = |key: &str| match key {
        "id" => "-?[0-9]{1,11}".boxed(),
        "method" | "sessionId" => r#""[A-Za-z.]{0,9}""#.boxed(),
        _ => value()
            .prop_filter("an object", |value| value.starts_with('{'))
            .boxed(),
    };
    let pair = key.prop_flat_map(move |key| {
        let value = prop_oneof![6 => apt(key), 1 => value().boxed()];
        (Just(key), value, any::<u16>())
    });
    (pair, "[ \t\n\r]{0,2}").prop_map(|((key, value, escaped), blank)| {
        let mut written = String::new();
        for (at, letter) in key.chars().enumerate() {
            if escaped >> 12 == 0 && escaped >> at & 1 == 1 {
                written.extend(format!("\\u{:04x}", u32::from(letter)).chars());
            } else {
                written.push(letter);
            }
        }
        format!("{blank}\"{written}\"{blank}:{blank}{value}{blank}")
    })
}

fn message() -> impl Strategy<Value = String> {
    prop::collection::vec(entry(), 0..6).prop_map(|entries| format!("{{{}}}", entries.join(",")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_command_is_what_serde_json_finds(text in message()) {
        // To serde_json this one is no integer.
        prop_assume!(!text.contains("-0"));
        let found = command(Bytes::copy_from_slice(text.as_bytes())).ok().map(|command| {
            let params = command.params.clone().map(|at| serde_json::from_str(&text[at]).unwrap());
            (
                i32::try_from(command.id).unwrap(),
                command.method.to_string(),
                command.session.as_deref().map(str::to_owned),
                params,
            )
        });
        prop_assert_eq!(found, slow(&text));
    }

    #[test]
    fn json_is_what_serde_json_takes_for_it(
        text in message(), cuts in prop::collection::vec((any::<prop::sample::Index>(), "[\\[\\]{}\",:\\\\0eE.+-]?"), 0..3),
    ) {
        let mut text = text.into_bytes();
        for (at, with) in cuts {
            if !text.is_empty() {
                let at = at.index(text.len());
                text.splice(at..=at, with.bytes());
            }
        }
        let Ok(text) = String::from_utf8(text) else { return Ok(()) };
        let is_json = serde_json::from_str::<IgnoredAny>(&text).is_ok();
        match of_browser(text.as_bytes()) {
            Ok(_) => prop_assert!(is_json, "{text}"),
            Err(error) if matches!(error.reason, Reason::Syntax(_)) => prop_assert!(!is_json, "{text}"),
            Err(_) => {}
        }
    }

    #[test]
    fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = of_browser(&bytes);
        let _ = command(bytes.into());
    }
}
