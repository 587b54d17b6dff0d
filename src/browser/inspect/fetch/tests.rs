use super::*;

fn event(more: &str) -> String {
    format!(
        r#"{{"requestId":"interception-job-1.0","request":{{"url":"https://u:p@a.test:8443/x","method":"POST","headers":{{"a":"b"}},
           "postData":"\"{{\\","initialPriority":"High"}},"frameId":"F","resourceType":"Document"{more}}}"#
    )
}

#[test]
fn requests_that_wait_are_known_by_what_the_browser_says() {
    let (id, request) = seen(event(r#","networkId":"L""#).as_bytes()).unwrap();
    assert_eq!(id, "interception-job-1.0");
    assert_eq!(request.origin.unwrap().to_string(), "https://a.test:8443");
    assert_eq!(
        (&*request.frame, request.network.as_deref()),
        ("F", Some("L"))
    );
    assert!(request.may_be_document && !request.has_left && request.challenge.is_none());

    for more in [
        r#","responseStatusCode":200"#,
        r#","responseErrorReason":"Failed""#,
    ] {
        assert!(seen(event(more).as_bytes()).unwrap().1.has_left);
    }
    assert!(
        seen(event(r#","networkId":"""#).as_bytes())
            .unwrap()
            .1
            .network
            .is_none()
    );
    let script = event("").replace("Document", "Script");
    assert!(!seen(script.as_bytes()).unwrap().1.may_be_document);
    let unheard_of = event("").replace("Document", "Hologram");
    assert!(seen(unheard_of.as_bytes()).unwrap().1.may_be_document);
    let data = event("").replace("https://u:p@a.test:8443/x", "data:text/html,x");
    assert!(seen(data.as_bytes()).unwrap().1.origin.is_none());
    assert!(seen(b"{}").is_none() && seen(b"").is_none());
}

#[test]
fn a_challenge_is_of_the_server_or_of_nobody() {
    let challenge = |source: &str, origin: &str| {
        let more = format!(
            r#","authChallenge":{{{source}"origin":"{origin}","scheme":"basic","realm":"r"}}"#
        );
        let (_, request) = seen(event(&more).as_bytes()).unwrap();
        request.challenge.map(|origin| origin.to_string())
    };
    assert_eq!(
        challenge(r#""source":"Server","#, "https://a.test:8443").as_deref(),
        Some("https://a.test:8443")
    );
    assert_eq!(
        challenge(r#""source":"Proxy","#, "https://a.test:8443"),
        None
    );
    assert_eq!(challenge("", "https://a.test:8443"), None);
    assert_eq!(challenge(r#""source":"Server","#, "nonsense"), None);
}

#[test]
fn placeholders_in_bodies() {
    let accept =
        [("", ""), ("{{", "}}")].map(|(before, after)| crate::guard::Spelling::new(before, after));
    let finder = Finder::new(["x_password"], &accept);
    for (body, expected) in [
        ("p={{x_password}}", Some("x_password")),
        ("p=%7B%7Bx_password%7D%7D", Some("x_password")),
        ("\u{fffd}{{x_password}}", Some("x_password")),
        ("x_password=1", None),
        ("", None),
    ] {
        let mut data = Vec::new();
        base64::append(body.as_bytes(), &mut data);
        let data = String::from_utf8(data).unwrap();
        assert_eq!(in_body(&data, &finder).as_deref(), expected, "{body}");
    }
    assert_eq!(in_body("!", &finder), None);
}

#[test]
fn a_request_with_a_value_is_led_to_no_other_origin() {
    let inspector = Inspector::new(Arc::default());
    let (_, request) = seen(event(r#","networkId":"L""#).as_bytes()).unwrap();
    let request = Some(&request);
    for (url, passes) in [
        ("https://b.test/", true),
        ("file:///etc/passwd", false),
        ("data:text/html,x", false),
        ("chrome://settings", false),
    ] {
        assert_eq!(inspector.redirect(url, request).is_ok(), passes, "{url}");
    }
    inspector.note_sent(request).unwrap();
    for (url, passes) in [
        ("https://a.test:8443/y", true),
        ("https://b.test/", false),
        ("https://a.test/", false),
        ("http://a.test:8443/", false),
    ] {
        assert_eq!(inspector.redirect(url, request).is_ok(), passes, "{url}");
        assert!(inspector.redirect(url, None).is_err());
    }
    let (_, unnumbered) = seen(event("").as_bytes()).unwrap();
    assert!(
        inspector
            .redirect("https://b.test/", Some(&unnumbered))
            .is_err()
    );
    assert!(inspector.note_sent(Some(&unnumbered)).is_err());
    let (_, left) = seen(event(r#","networkId":"M","responseStatusCode":200"#).as_bytes()).unwrap();
    assert!(inspector.note_sent(Some(&left)).is_err());
    for n in 0..MOST_SHARED {
        inspector.shared.sent(&n.to_string());
    }
    let (_, another) = seen(event(r#","networkId":"N""#).as_bytes()).unwrap();
    assert!(
        inspector
            .redirect("https://b.test/", Some(&another))
            .is_err(),
        "once full, all are"
    );
}

#[test]
fn redirects_that_chromium_follows() {
    for (locations, follows) in [
        (&["/next?a=b#c"][..], true),
        (&["https://b.test/x"], true),
        (&["http://b.test:81"], true),
        (&[], false),
        (&[""], false),
        (&[" "], false),
        (&["//["], false),
        (&["http://["], false),
        (&["http://b.test:99999/"], false),
        (&["https:"], false),
        (&["javascript:1"], false),
        (&["data:text/html,x"], false),
        (&["/a\\b"], false),
        (&["/a", "/b"], false),
    ] {
        let named = |value: &&str| Header {
            name: "Location".to_owned(),
            value: (*value).to_owned(),
        };
        let headers: Vec<Header> = locations.iter().map(named).collect();
        assert_eq!(leads_somewhere(&headers), follows, "{locations:?}");
    }
}
