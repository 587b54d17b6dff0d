use super::*;
use crate::guard::{NotAllowed, Spelling as Written};

#[test]
fn schemes_are_read_as_browsers_read_them() {
    for (url, expected) in [
        ("http://a.test/", Some(Kind::Web)),
        ("https://a.test", Some(Kind::Web)),
        ("HTTPS://a.test", Some(Kind::Web)),
        ("https:a.test", Some(Kind::Web)),
        (" \u{1}https://a.test \n", Some(Kind::Web)),
        ("ht\ttps://a.test", Some(Kind::Web)),
        ("", Some(Kind::Local)),
        (" ", Some(Kind::Local)),
        ("about:blank", Some(Kind::Local)),
        ("about:blank#a", Some(Kind::Local)),
        ("data:text/html,<b>", Some(Kind::Local)),
        ("blob:https://a.test/1", Some(Kind::Local)),
        ("blob:null/1", Some(Kind::Local)),
        ("file:///etc/passwd", None),
        ("FILE:///etc/passwd", None),
        (" file:///etc/passwd", None),
        ("\u{1f}file:///etc/passwd", None),
        ("fi\nle:///etc/passwd", None),
        ("f\ti\tl\te\t:///etc/passwd", None),
        ("file:/etc/passwd", None),
        ("view-source:https://a.test", None),
        ("View-Source:file:///etc/passwd", None),
        ("chrome://settings", None),
        ("chrome-untrusted://x", None),
        ("chrome-extension://abc/x.html", None),
        ("chrome-error://chromewebdata/", None),
        ("devtools://devtools/bundled/inspector.html", None),
        ("about:version", None),
        ("about:blankly", None),
        ("about:srcdoc", None),
        ("about://blank", None),
        ("javascript:alert(1)", None),
        ("java\nscript:alert(1)", None),
        ("filesystem:https://a.test/temporary/x", None),
        ("blob:chrome://settings/1", None),
        ("blob:file:///1", None),
        ("blob:blob:https://a.test/1", None),
        ("ftp://a.test", None),
        ("ws://a.test", None),
        ("mailto:a@a.test", None),
        ("intent://a.test", None),
        ("a.test", None),
        ("/etc/passwd", None),
        ("://a.test", None),
        ("1http://a.test", None),
        ("\u{ff48}ttp://a.test", None),
    ] {
        assert_eq!(check(url).ok(), expected, "{url:?}");
    }
}

/// What became of an address: `None` as it was, `Ok` with `[key]` for a hole, `Err` with the key.
fn became(url: &str, allowed: &[Place]) -> Option<Result<String, String>> {
    let accept = [
        ("", ""),
        ("<secret>", "</secret>"),
        ("{{", "}}"),
        ("%", "%"),
        ("$[secret:", "]"),
    ];
    let accept = accept.map(|(before, after)| Written::new(before, after));
    let finder = Finder::new(["x_user", "x_password", "pin"], &accept);
    let may = |_: &str, place: Place, origin: &Origin| {
        let is_ours = origin.to_string() == "https://a.test";
        if is_ours && allowed.contains(&place) {
            Ok(())
        } else {
            Err(NotAllowed::Place(place).into())
        }
    };
    match draft(url, &finder, may) {
        Ok(None) => None,
        Ok(Some((draft, origin))) => Some(Ok(format!("{origin} {}", draft.shown()))),
        Err(Wrong::Denied(key, _) | Wrong::Place(key, _)) => Some(Err(key)),
    }
}

#[test]
fn values_go_into_the_user_information_of_their_origin() {
    let basic = &[Place::Basic];
    for (url, expected) in [
        (
            "https://u:{{x_password}}@a.test/p?q#f",
            "https://u:[x_password]@a.test/p?q#f",
        ),
        (
            "https://x_user:x_password@a.test/",
            "https://[x_user]:[x_password]@a.test/",
        ),
        ("https://pin@a.test/", "https://[pin]@a.test/"),
        (
            "https://u:<secret>x_password</secret>@a.test/",
            "https://u:[x_password]@a.test/",
        ),
        (
            "https://u:$[secret:x_password]@a.test/",
            "https://u:[x_password]@a.test/",
        ),
        (
            "https://u:%x_password%@a.test/",
            "https://u:[x_password]@a.test/",
        ),
        (
            "https://u:%7B%7Bx_password%7D%7D@a.test/",
            "https://u:[x_password]@a.test/",
        ),
        (
            "https://:x_password@a.test/",
            "https://:[x_password]@a.test/",
        ),
        (
            "https://u:{{x_pass\nword}}@a.test/",
            "https://u:[x_password]@a.test/",
        ),
        (
            "HTTPS://u:x_password@A.test",
            "HTTPS://u:[x_password]@A.test",
        ),
    ] {
        let expected = format!("https://a.test {expected}");
        assert_eq!(became(url, basic), Some(Ok(expected)), "{url}");
    }
}

#[test]
fn placeholders_elsewhere_in_an_address_are_refused_or_words() {
    let basic = &[Place::Basic];
    for url in [
        "https://u:{{x_password}}@b.test/",
        "http://u:x_password@a.test/",
        "https://u:x_password@a.test:8443/",
        "https://u:x_password@a.test.b.test/",
        // The last '@' counts; what is before it is the password.
        "https://a.test/@u:{{x_password}}@b.test/",
        "https://{{x_password}}.a.test/",
        "https://a.test/{{x_password}}",
        "https://a.test/%7B%7Bx_password%7D%7D",
        "https://a.test/?a={{x_password}}",
        "https://a.test/?{{x_password}}=a",
        "https://a.test/?a=b{{x_password}}",
        "https://a.test/#{{x_password}}",
        "https://u:a{{x_password}}@a.test/",
        "https:\\\\u:{{x_password}}@a.test/",
        "https:/u:{{x_password}}@a.test/",
        "https://u:{{x_password}}@a.test\\@b.test/",
        "https://u:{{x_password}}\\@a.test/",
        "https:///u:{{x_password}}@a.test/",
    ] {
        let became = became(url, basic);
        assert_eq!(became, Some(Err("x_password".to_owned())), "{url}");
    }
    for url in [
        "https://a.test/",
        "https://a.test/x_password",
        "https://a.test/?q=x_password",
        "https://a.test/?q=pin&x_password",
        "https://a.test/#x_password",
        "https://x_password.a.test/",
        "https://a.test/u:x_password@b",
        "https://a.test/?u:pin@b",
        "https://u:a-x_password@a.test/",
        "https://[::1/",
    ] {
        assert_eq!(became(url, basic), None, "{url}");
    }
}

#[test]
fn a_parameter_takes_a_value_where_the_secret_allows_a_query() {
    let query = &[Place::Query];
    for (url, expected) in [
        (
            "https://a.test/?a=b&k={{x_password}}&c=d",
            "https://a.test/?a=b&k=[x_password]&c=d",
        ),
        ("https://a.test/?k=pin#f", "https://a.test/?k=[pin]#f"),
        ("https://a.test?k=%7b%7bpin%7d%7d", "https://a.test?k=[pin]"),
    ] {
        let expected = format!("https://a.test {expected}");
        assert_eq!(became(url, query), Some(Ok(expected)), "{url}");
    }
    for url in [
        "https://b.test/?a={{pin}}",
        "https://a.test/{{pin}}?a={{pin}}",
        "https://a.test/?a={{pin}}2",
    ] {
        assert_eq!(became(url, query), Some(Err("pin".to_owned())), "{url}");
    }
}
