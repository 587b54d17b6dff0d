//! Scopes and who sees them, what makes a secret, and the places into which a value may go.

use bauta::config::Config;
use bauta::secret::{
    Field, Fill, Id, Identity, Kind, MaskOption, NotAllowed, Options, Place, Scope, ScopeError,
    Secret, SecretError, Unseen, Use,
};

use super::scopes_view::{secret, value, with};

#[test]
fn scopes_are_written_as_they_are_read() {
    let longest = format!("agent:{}", "x".repeat(128));
    for text in [
        "task:0123",
        "agent:a",
        "agent:a:b:c",
        "user:alice@example.com",
        "profile:sales-crm",
        "org:a_b.c",
        &longest,
    ] {
        let scope: Scope = text.parse().unwrap();
        assert_eq!(scope.to_string(), text);
        assert_eq!(format!("{}:{}", scope.kind(), scope.id()), text);
    }
    let too_long = format!("agent:{}", "x".repeat(129));
    for text in [
        "agent:",
        "agent: a",
        "agent:a ",
        "agent:a/b",
        "agent:a\n",
        "agent:ä",
        "agent:a\0",
        "org:\u{202e}a",
        &too_long,
    ] {
        let error = text.parse::<Scope>().unwrap_err();
        assert!(matches!(error, ScopeError::Id(_)), "{text}: {error}");
        assert!(!error.to_string().contains(['\n', '\0', '\u{202e}']));
    }
    for text in [
        "", "agent", ":", ":a", "Agent:a", "group:a", " agent:a", "agents:a", "\n:\n",
    ] {
        let error = text.parse::<Scope>().unwrap_err();
        assert!(matches!(error, ScopeError::Kind(_)), "{text}: {error}");
        assert!(!error.to_string().contains('\n'));
    }
    assert_eq!(
        "team:a".parse::<Scope>().unwrap_err().to_string(),
        "Invalid scope 'team:a'. Use task:ID, agent:ID, user:ID, profile:NAME or org:ID"
    );
}

#[test]
fn the_narrower_scope_is_the_lesser() {
    let order = [
        "task:z",
        "agent:a",
        "agent:b",
        "user:a",
        "profile:a",
        "org:a",
    ];
    let scopes: Vec<Scope> = order.iter().map(|text| text.parse().unwrap()).collect();
    assert!(scopes.is_sorted());
    let ranks: Vec<u8> = scopes.iter().map(Scope::rank).collect();
    assert_eq!(ranks, [0, 1, 1, 2, 3, 4]);
}

/// The command line turns what the configuration took for an id into one.
#[test]
fn what_the_configuration_takes_for_an_id_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bauta.toml");
    for code in 0..=0x17f_u32 {
        let Some(character) = char::from_u32(code) else {
            continue;
        };
        let text = format!("a{character}b");
        let written = format!("[agent]\nid = \"a\\u{code:04x}b\"\n");
        std::fs::write(&file, written).unwrap();
        let taken: Option<Config> = bauta::config::load(Some(&file)).ok();
        let taken = taken.map(|config| config.agent.id);
        assert_eq!(
            taken,
            text.parse::<Id>().ok().map(|id| id.to_string()),
            "{text:?}"
        );
    }
}

#[test]
fn an_agent_sees_what_is_its_own_and_what_it_was_given() {
    let some = |text: &str| Some(text.to_owned());
    let full = Identity {
        agent: "a".to_owned(),
        user: some("u"),
        organization: some("o"),
        profiles: vec!["p".to_owned(), "q".to_owned()],
    };
    let bare = Identity {
        agent: "a".to_owned(),
        ..Identity::default()
    };
    for (scope, identity, assigned, expected) in [
        ("agent:a", &full, false, Ok(())),
        ("agent:a", &bare, false, Ok(())),
        ("agent:b", &full, false, Err(Unseen::Agent)),
        ("agent:b", &full, true, Err(Unseen::Agent)),
        ("agent:A", &full, false, Err(Unseen::Agent)),
        ("user:u", &full, true, Ok(())),
        ("user:u", &full, false, Err(Unseen::Unassigned)),
        ("user:v", &full, true, Err(Unseen::User)),
        ("user:u", &bare, true, Err(Unseen::User)),
        ("user:a", &full, true, Err(Unseen::User)),
        ("profile:p", &full, false, Ok(())),
        ("profile:q", &full, false, Ok(())),
        ("profile:r", &full, true, Err(Unseen::Profile)),
        ("profile:p", &bare, true, Err(Unseen::Profile)),
        ("org:o", &full, false, Ok(())),
        ("org:u", &full, true, Err(Unseen::Org)),
        ("org:o", &bare, true, Err(Unseen::Org)),
        ("task:a", &full, true, Err(Unseen::Task)),
        ("task:t", &bare, true, Err(Unseen::Task)),
    ] {
        let scope: Scope = scope.parse().unwrap();
        assert_eq!(
            scope.seen_by(identity, assigned),
            expected,
            "{scope} {assigned}"
        );
    }
}

#[test]
fn parts_that_do_not_fit_make_no_secret() {
    let make = |options: Options, text: &str| {
        let (key, scope) = ("x_a".parse().unwrap(), "agent:a".parse().unwrap());
        let made = Secret::new(
            key,
            "example.com".parse().unwrap(),
            scope,
            options,
            value(text),
        );
        made.err()
    };
    let base = Options::default;
    let any_case = || Options {
        ignore_case: true,
        ..base()
    };
    let uses = |max_uses| Options { max_uses, ..base() };
    let totp = || Options {
        kind: Kind::Totp,
        ..base()
    };
    assert_eq!(make(base(), "x_a value"), None);
    assert_eq!(make(base(), "x_a"), Some(SecretError::EqualsName));
    assert_eq!(make(base(), "X_A"), None);
    assert_eq!(make(any_case(), "X_A"), Some(SecretError::EqualsName));
    assert_eq!(make(uses(0), "some value"), Some(SecretError::Uses));
    assert_eq!(make(uses(1), "some value"), None);
    assert_eq!(make(uses(100), "some value"), None);
    assert_eq!(make(uses(101), "some value"), Some(SecretError::Uses));
    assert_eq!(make(totp(), "JBSWY3DPEHPK3PXP"), None);
    // A seed is masked in any case, so it must not be a name in any.
    let (key, scope) = (
        "JBSWY3DPEHPK3PXP".parse().unwrap(),
        "agent:a".parse().unwrap(),
    );
    let seed = value("jbsw y3dp ehpk 3pxp");
    let made = Secret::new(key, "example.com".parse().unwrap(), scope, totp(), seed);
    assert_eq!(made.err(), Some(SecretError::EqualsName));
    let error = make(totp(), "hunter2, no seed").unwrap();
    assert!(matches!(error, SecretError::Seed(_)));
    assert!(!error.to_string().contains("hunter2"));
}

#[test]
fn what_is_likely_not_meant_is_said() {
    let warnings = |kind, mask, text: &str| {
        let options = Options {
            kind,
            mask,
            ..Options::default()
        };
        with("x_a", "agent:a", "example.com", options, text)
            .warnings()
            .len()
    };
    assert_eq!(warnings(Kind::Credential, MaskOption::Auto, "1234"), 0);
    assert_eq!(warnings(Kind::Credential, MaskOption::Auto, "123"), 1);
    assert_eq!(warnings(Kind::Credential, MaskOption::Word, "123"), 0);
    assert_eq!(
        warnings(Kind::Totp, MaskOption::Auto, "JBSWY3DPEHPK3PXP"),
        0
    );
    assert_eq!(warnings(Kind::Totp, MaskOption::Auto, "password"), 1);
    assert_eq!(warnings(Kind::Totp, MaskOption::Never, "password"), 1);
}

fn go(secret: &Secret, place: Place, header: Option<&str>, uses: u32) -> Result<(), NotAllowed> {
    secret.may_go(&Use {
        place,
        header,
        uses,
    })
}

#[test]
fn a_value_goes_only_into_the_places_that_allow_lists() {
    let all = [
        Place::Field,
        Place::Header,
        Place::Basic,
        Place::Query,
        Place::Path,
        Place::Body,
    ];
    for one in all {
        let options = Options {
            allow: [one].into(),
            ..Options::default()
        };
        let secret = with("x_a", "agent:a", "example.com", options, "some value");
        for place in all {
            let expected = if place == one {
                Ok(())
            } else {
                Err(NotAllowed::Place(place))
            };
            assert_eq!(go(&secret, place, Some("x-api-key"), 1), expected);
        }
    }
    let nowhere = Options {
        allow: [].into(),
        ..Options::default()
    };
    let nowhere = with("x_a", "agent:a", "example.com", nowhere, "some value");
    let usual = secret("x_a", "agent:a", "example.com");
    for place in all {
        assert_eq!(
            go(&nowhere, place, Some("x-api-key"), 1),
            Err(NotAllowed::Place(place))
        );
        let allowed = matches!(place, Place::Field | Place::Header | Place::Basic);
        assert_eq!(go(&usual, place, Some("x-api-key"), 1).is_ok(), allowed);
    }
}

#[test]
fn headers_that_are_public_or_frame_a_message_take_no_value() {
    let secret = secret("x_a", "agent:a", "example.com");
    for name in [
        "Authorization",
        "X-Api-Key",
        "x-goog-api-key",
        "api-key",
        "PRIVATE-TOKEN",
        "X_Vault_Token",
        "Sec-WebSocket-Protocol",
        "X-Host",
        "Hostess",
        "x-auth-cookie",
    ] {
        assert_eq!(go(&secret, Place::Header, Some(name), 1), Ok(()), "{name}");
    }
    for name in [
        "Host",
        "Origin",
        "Referer",
        "User-Agent",
        "Cookie",
        "host",
        "ORIGIN",
        "rEFERER",
        "user-agent",
        "USER_AGENT",
        "User_agent",
        "Cookie2",
        "Content-Length",
        "content_length",
        "Transfer-Encoding",
        "transfer_encoding",
        "Connection",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Upgrade",
        "Expect",
        "Proxy-Authorization",
        "Proxy-Connection",
        "Content-Type",
        "Content-Encoding",
        "Range",
        "Forwarded",
        "Via",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "x_forwarded_proto",
        "Sec-Fetch-Site",
        "Sec-CH-UA",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Extensions",
        "HTTP2-Settings",
        "X-HTTP-Method-Override",
    ] {
        let refused = go(&secret, Place::Header, Some(name), 1);
        assert!(
            matches!(refused, Err(NotAllowed::Header(_))),
            "{name}: {refused:?}"
        );
    }
    for name in [
        "",
        ":authority",
        "x api key",
        "x-api-key:",
        "x\r\ny",
        "x\0",
        "clé",
        " host",
        "host ",
    ] {
        assert_eq!(
            go(&secret, Place::Header, Some(name), 1),
            Err(NotAllowed::HeaderName),
            "{name:?}"
        );
    }
    assert_eq!(
        go(&secret, Place::Header, None, 1),
        Err(NotAllowed::HeaderName)
    );
    // A name says nothing about other places.
    assert_eq!(go(&secret, Place::Field, Some("Host"), 1), Ok(()));
    assert_eq!(go(&secret, Place::Basic, None, 1), Ok(()));
}

#[test]
fn a_value_cannot_end_the_header_it_stands_in() {
    let all = || Options {
        allow: [Place::Field, Place::Header, Place::Basic, Place::Body].into(),
        ..Options::default()
    };
    for (text, header, basic) in [
        ("plain value", true, true),
        ("gr\u{fc}n", true, true),
        ("with\ttab", true, false),
        ("line\r\nSet-Cookie: a=b", false, false),
        ("line\nfeed", false, false),
        ("carriage\rreturn", false, false),
        ("ends with one\n", false, false),
        ("bell\u{7}", false, false),
        ("delete\u{7f}", false, false),
        ("next line\u{85}", true, false),
    ] {
        let secret = with("x_a", "agent:a", "example.com", all(), text);
        let answer = |fine| {
            if fine {
                Ok(())
            } else {
                Err(NotAllowed::ControlCharacters)
            }
        };
        assert_eq!(
            go(&secret, Place::Header, Some("x-key"), 1),
            answer(header),
            "{text:?}"
        );
        assert_eq!(
            go(&secret, Place::Basic, None, 1),
            answer(basic),
            "{text:?}"
        );
        assert_eq!(go(&secret, Place::Field, None, 1), Ok(()), "{text:?}");
        assert_eq!(go(&secret, Place::Body, None, 1), Ok(()), "{text:?}");
    }
    // What goes of a seed is a code.
    let seed = Options {
        kind: Kind::Totp,
        ..all()
    };
    let seed = with(
        "x_a",
        "agent:a",
        "example.com",
        seed,
        "JBSWY3DP\nEHPK3PXP\n",
    );
    assert_eq!(go(&seed, Place::Header, Some("x-otp"), 1), Ok(()));
}

#[test]
fn a_value_is_used_so_often_and_no_more() {
    let usual = secret("x_a", "agent:a", "example.com");
    assert_eq!(go(&usual, Place::Field, None, 1), Ok(()));
    assert_eq!(go(&usual, Place::Field, None, 2), Err(NotAllowed::Uses(1)));
    let twice = Options {
        max_uses: 2,
        ..Options::default()
    };
    let twice = with("x_a", "agent:a", "example.com", twice, "some value");
    assert_eq!(go(&twice, Place::Field, None, 2), Ok(()));
    assert_eq!(go(&twice, Place::Field, None, 3), Err(NotAllowed::Uses(2)));
    assert_eq!(
        go(&twice, Place::Field, None, u32::MAX),
        Err(NotAllowed::Uses(2))
    );
}

#[test]
fn options_are_read_by_their_words() {
    assert_eq!("totp".parse(), Ok(Kind::Totp));
    assert_eq!("never".parse(), Ok(MaskOption::Never));
    assert_eq!("query".parse(), Ok(Place::Query));
    assert_eq!("any".parse(), Ok(Field::Any));
    assert_eq!("network".parse(), Ok(Fill::Network));
    assert_eq!(
        "hunter2".parse::<Kind>().unwrap_err().to_string(),
        "must be one of: credential, env, totp"
    );
}
