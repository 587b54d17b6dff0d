use super::*;

#[test]
fn routes_of_chrome() {
    let new = |url: &'static str| Route::New(url.into());
    for (method, target, expected) in [
        ("GET", "/json/version", Some(Route::Version)),
        ("GET", "/json/version/", Some(Route::Version)),
        ("GET", "/json", Some(Route::List)),
        ("GET", "/json/", Some(Route::List)),
        ("GET", "/json/list", Some(Route::List)),
        ("GET", "/json/protocol/", Some(Route::Protocol)),
        ("PUT", "/json/new", Some(new("about:blank"))),
        (
            "GET",
            "/json/new?http://h/%C3%B6?a=b&c",
            Some(new("http://h/ö?a=b&c")),
        ),
        (
            "PUT",
            "/json/new?token=t&http://h/%",
            Some(new("http://h/%")),
        ),
        ("PUT", "/json/new?http://h/&token=t", Some(new("http://h/"))),
        ("PUT", "/json/new?token=t", Some(new("about:blank"))),
        ("GET", "/json/activate/A1", Some(Route::Activate("A1"))),
        ("GET", "/json/close/A1", Some(Route::Close("A1"))),
        ("GET", "/devtools/browser", Some(Route::Browser(None))),
        (
            "GET",
            "/devtools/browser/x",
            Some(Route::Browser(Some("x"))),
        ),
        ("GET", "/devtools/page/A-1", Some(Route::Page("A-1"))),
        ("GET", "/", None),
        ("GET", "/json/close/", None),
        ("GET", "/json/close/a%2e", None),
        ("GET", "/devtools/page/../x", None),
        ("GET", "/devtools/inspector.html", None),
        ("GET", "//json", None),
    ] {
        let (path, query) = target
            .split_once('?')
            .map_or((target, None), |(p, q)| (p, Some(q)));
        let method: Method = method.parse().unwrap();
        assert_eq!(route(&method, path, query).ok(), expected, "{target}");
    }
    for (method, path) in [
        ("POST", "/json"),
        ("PUT", "/json"),
        ("DELETE", "/json/close/A"),
    ] {
        let method: Method = method.parse().unwrap();
        assert_eq!(route(&method, path, None), Err(Failure::Method), "{path}");
    }
}

fn request(target: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = http::Request::builder().uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

#[test]
fn a_token_stands_in_three_places_and_is_kept_there() {
    let access = Access::new(Some("s3cret"));
    let admitted = |target: &str, headers: &[(&str, &str)]| {
        let request = request(target, headers);
        let admitted = access.admit(&request, None);
        admitted.map(|(path, reached)| (path.to_owned(), reached.prefix, reached.query))
    };
    let ok = |path: &str, prefix: &str, query: &str| {
        Ok((path.to_owned(), prefix.to_owned(), query.to_owned()))
    };
    for (target, header, expected) in [
        (
            "/s3cret/json/version/",
            "",
            ok("/json/version/", "/s3cret", ""),
        ),
        (
            "/json/version?token=s3cret",
            "",
            ok("/json/version", "", "?token=s3cret"),
        ),
        (
            "/json/new?http://h/&token=s3cret",
            "",
            ok("/json/new", "", "?token=s3cret"),
        ),
        (
            "/json/version",
            "Bearer s3cret",
            ok("/json/version", "", ""),
        ),
        (
            "/json/version",
            "bearer  s3cret",
            ok("/json/version", "", ""),
        ),
        ("/json/version", "", Err(Failure::Token)),
        ("/json/version", "Basic s3cret", Err(Failure::Token)),
        ("/json/version", "Bearer s3cre", Err(Failure::Token)),
        ("/json/version?token=", "", Err(Failure::Token)),
        ("/json/version?Token=s3cret", "", Err(Failure::Token)),
        ("/s3cret2/json/version", "", Err(Failure::Token)),
        ("/S3CRET/json/version", "", Err(Failure::Token)),
        ("//json", "", Err(Failure::Token)),
    ] {
        let headers = [("host", "localhost:1"), ("authorization", header)];
        assert_eq!(admitted(target, &headers), expected, "{target} {header}");
    }
    assert!(!Failure::Token.to_string().contains("s3cret"));
    assert!(
        Access::new(None)
            .admit(&request("/json", &[]), None)
            .is_ok()
    );
}

#[test]
fn addresses_are_those_by_which_the_client_came() {
    let local: SocketAddr = "127.0.0.1:8603".parse().unwrap();
    for (host, expected) in [
        ("127.0.0.1:9", "127.0.0.1:9"),
        ("localhost:8603", "localhost:8603"),
        ("[::1]:5", "[::1]:5"),
        ("bauta.internal", "bauta.internal"),
        ("127.0.0.1", "127.0.0.1:8603"),
        ("localhost", "127.0.0.1:8603"),
        ("[::1]", "127.0.0.1:8603"),
    ] {
        let request = request("/json", &[("host", host)]);
        assert_eq!(authority(&request, Some(local)), expected, "{host}");
    }
    let request = request("/json", &[("host", "localhost")]);
    assert_eq!(authority(&request, None), "localhost");
}

#[test]
fn ids_of_the_browser_are_fresh() {
    let (one, other) = (fresh_id().unwrap(), fresh_id().unwrap());
    assert_eq!(one.len(), 36);
    assert_ne!(one, other);
}
