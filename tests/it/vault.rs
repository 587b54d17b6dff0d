//! The vault: what goes in comes out for those who may have it, and nothing else does.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use bauta::secret::vault::{Access, Filter, Selector, VaultError, VersionState};
use bauta::secret::{Identity, Limits, MaskOption, Options};

use crate::vault_kit::{
    Place, agent, mode, secret, selector, shown, stands_in, submission, value, values,
};

const SITE: &str = "https://example.com";

fn texts(error: &VaultError) -> Vec<String> {
    match error {
        VaultError::Invalid(problems) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("another error: {other}"),
    }
}

#[test]
fn a_vault_is_made_once() {
    let place = Place::new();
    assert!(matches!(
        place.open(Access::ReadWrite),
        Err(VaultError::NotThere(_))
    ));
    assert!(!place.database().exists() && !place.master_key().exists());

    let opened = place.open(Access::Create).unwrap();
    assert_eq!(opened.notices.len(), 1);
    assert!(opened.notices[0].contains("made a master key in"));
    for file in [place.database(), &place.master_key()] {
        assert_eq!(mode(file), 0o600);
    }
    assert_eq!(mode(place.database().parent().unwrap()), 0o700);
    let wal = place.database().with_extension("db-wal");
    assert_eq!(mode(&wal), 0o600);
    drop(opened);

    assert!(place.open(Access::Create).unwrap().notices.is_empty());
    assert!(place.open(Access::ReadWrite).unwrap().notices.is_empty());
    assert!(matches!(
        bauta::secret::vault::Vault::key_init(&place.settings),
        Err(VaultError::Exists(_))
    ));
}

#[test]
fn p4_what_goes_in_comes_out_and_stands_nowhere_in_plain() {
    let (place, vault) = Place::made();
    let before = vault.generation().unwrap();
    let made = vault
        .set(secret(
            "x_password",
            SITE,
            "agent:a",
            "correct horse battery",
        ))
        .unwrap();
    assert!(made.created && made.version == 1);
    assert!(vault.generation().unwrap() > before);
    assert_eq!(values(&vault, "x_password"), ["correct horse battery"]);
    assert!(!stands_in(place.database().parent().unwrap(), b"horse"));
    drop(vault);
    assert!(!stands_in(place.database().parent().unwrap(), b"horse"));
    let vault = place.vault();
    assert_eq!(values(&vault, "x_password"), ["correct horse battery"]);
}

#[test]
fn a_superseded_value_is_former_until_it_is_destroyed() {
    let (place, vault) = Place::made();
    vault
        .set(secret("x_token", SITE, "agent:a", "first value"))
        .unwrap();
    let second = vault
        .rotate(&selector("x_token"), value("second value"), None)
        .unwrap();
    assert!(!second.created && second.version == 2);
    assert_eq!(values(&vault, "x_token"), ["second value", "first value"]);

    // `set` rotates too, and takes the new options.
    let mut third = secret("x_token", SITE, "agent:a", "third value");
    third.options.mask = MaskOption::Always;
    vault.set(third).unwrap();
    assert_eq!(
        values(&vault, "x_token"),
        ["third value", "first value", "second value"]
    );
    let entry = vault.entries(&Filter::default()).unwrap().remove(0);
    assert_eq!(entry.options.mask, MaskOption::Always);
    let states: Vec<VersionState> = entry.versions.iter().map(|one| one.state).collect();
    assert_eq!(
        states,
        [
            VersionState::Former,
            VersionState::Former,
            VersionState::Current
        ]
    );
    assert_eq!(
        entry.versions[0].destroyed_at,
        Some(entry.versions[1].created + 3600)
    );

    // Without a grace, the one before goes at once.
    vault
        .rotate(
            &selector("x_token"),
            value("fourth value"),
            Some(Duration::ZERO),
        )
        .unwrap();
    assert_eq!(
        values(&vault, "x_token"),
        ["fourth value", "first value", "second value"]
    );
    drop(vault);
    assert_eq!(
        values(&place.vault(), "x_token"),
        ["fourth value", "first value", "second value"]
    );
}

#[test]
fn removing_leaves_nothing() {
    let (_place, vault) = Place::made();
    vault
        .set(secret("x_token", SITE, "user:u", "some value"))
        .unwrap();
    vault.assign(&selector("x_token"), "a").unwrap();
    vault.remove(&selector("x_token")).unwrap();
    assert!(vault.view(&agent()).unwrap().is_empty());
    assert!(vault.entries(&Filter::default()).unwrap().is_empty());
    assert!(matches!(
        vault.remove(&selector("x_token")),
        Err(VaultError::Unknown(_))
    ));
}

#[test]
fn a_view_holds_what_its_agent_may_use() {
    let (_place, vault) = Place::made();
    for scope in [
        "agent:a",
        "agent:b",
        "user:u",
        "user:v",
        "profile:p",
        "profile:q",
        "org:o",
        "org:n",
        "task:t",
    ] {
        let text = format!("value of {scope}");
        vault.set(secret("x_key", SITE, scope, &text)).unwrap();
    }
    let in_view = |identity: &Identity| -> Vec<String> {
        shown(&vault.view(identity).unwrap())
            .into_values()
            .map(|(value, _)| value)
            .collect()
    };
    let without = ["value of agent:a", "value of org:o", "value of profile:p"];
    assert_eq!(in_view(&agent()), without);
    let of_user = Selector {
        scope: Some("user:u".parse().unwrap()),
        ..selector("x_key")
    };
    let of_other = Selector {
        scope: Some("user:v".parse().unwrap()),
        ..selector("x_key")
    };
    vault.assign(&of_user, "a").unwrap();
    vault.assign(&of_other, "a").unwrap();
    let with = [
        "value of agent:a",
        "value of org:o",
        "value of profile:p",
        "value of user:u",
    ];
    assert_eq!(in_view(&agent()), with);
    assert!(matches!(
        vault.assign(&of_user, "a"),
        Err(VaultError::Assigned { assigned: true, .. })
    ));
    vault.unassign(&of_user, "a").unwrap();
    assert_eq!(in_view(&agent()), without);
    assert!(matches!(
        vault.unassign(&of_user, "a"),
        Err(VaultError::Assigned {
            assigned: false,
            ..
        })
    ));
    let nobody = Identity {
        agent: "z".to_owned(),
        ..Identity::default()
    };
    assert!(in_view(&nobody).is_empty());
    // Only a user's secrets are assigned, and only to what can be an agent.
    let of_org = Selector {
        scope: Some("org:o".parse().unwrap()),
        ..selector("x_key")
    };
    assert!(matches!(
        vault.assign(&of_org, "a"),
        Err(VaultError::NotAUsers(_))
    ));
    assert!(matches!(
        vault.assign(&of_user, "not an id"),
        Err(VaultError::Name(_))
    ));
}

#[test]
fn promotion_keeps_id_and_history() {
    let (_place, vault) = Place::made();
    let made = vault
        .set(secret("x_token", SITE, "agent:a", "first value"))
        .unwrap();
    vault
        .rotate(&selector("x_token"), value("second value"), None)
        .unwrap();
    let before = vault.entries(&Filter::default()).unwrap().remove(0);
    let promoted = vault.promote(&selector("x_token"), "u").unwrap();
    assert_eq!(promoted.id, made.id);
    let after = vault.entries(&Filter::default()).unwrap().remove(0);
    assert_eq!(after.id, before.id);
    assert_eq!(after.versions, before.versions);
    assert_eq!(after.created, before.created);
    assert_eq!(after.scope, "user:u".parse().unwrap());
    assert_eq!(after.agents[0].agent, "a");
    assert_eq!(values(&vault, "x_token"), ["second value", "first value"]);
    // It is a user's now; and where one is, another cannot go.
    assert!(matches!(
        vault.promote(&selector("x_token"), "u"),
        Err(VaultError::NotAnAgents(_))
    ));
    vault
        .set(secret("x_token", SITE, "agent:a", "other value"))
        .unwrap();
    let of_agent = Selector {
        scope: Some("agent:a".parse().unwrap()),
        ..selector("x_token")
    };
    assert!(matches!(
        vault.promote(&of_agent, "u"),
        Err(VaultError::Taken(_))
    ));
}

#[test]
fn a_selector_must_mean_one_secret() {
    let (_place, vault) = Place::made();
    vault
        .set(secret("x_key", SITE, "agent:a", "value one"))
        .unwrap();
    vault
        .set(secret(
            "x_key",
            "https://example.org",
            "agent:a",
            "value two",
        ))
        .unwrap();
    let Err(VaultError::Ambiguous { what, mut fits }) = vault.remove(&selector("x_key")) else {
        panic!("not ambiguous");
    };
    assert_eq!(what, "x_key");
    // In the order of their ids, which are random.
    fits.sort();
    assert_eq!(
        fits,
        [
            "x_key for https://example.com in agent:a",
            "x_key for https://example.org in agent:a"
        ]
    );
    let one = Selector {
        pattern: Some("example.org".parse().unwrap()),
        ..selector("x_key")
    };
    vault.remove(&one).unwrap();
    assert_eq!(values(&vault, "x_key"), ["value one"]);
}

#[test]
fn an_import_is_all_or_nothing() {
    let (_place, vault) = Place::made();
    let scope = "agent:a".parse().unwrap();
    let all = submission(
        r#"{"https://example.com": {"x_user": "somebody@example.com", "x_password": "pass word one"},
            "https://example.org": {"x_token": {"value": "token one", "allow": ["query"]}}}"#,
    );
    let changed = vault.import(all, &scope).unwrap();
    assert_eq!(changed.len(), 3);
    assert!(changed.iter().all(|one| one.created && one.version == 1));
    let generation = vault.generation().unwrap();

    // The last one breaks a rule that only the vault can see: it reads as a name that is there.
    let bad = submission(
        r#"{"https://example.com": {"x_password": "pass word two"}, "https://a.example": {"x_more": "x_user"}}"#,
    );
    let error = vault.import(bad, &scope).unwrap_err();
    assert_eq!(
        texts(&error),
        ["Secret value must not equal a placeholder name"]
    );
    assert_eq!(vault.generation().unwrap(), generation);
    assert_eq!(values(&vault, "x_password"), ["pass word one"]);

    let again = submission(
        r#"{"https://example.com": {"x_password": "pass word two", "x_new": "new one"}}"#,
    );
    let changed = vault.import(again, &scope).unwrap();
    assert_eq!(
        changed
            .iter()
            .map(|one| (one.created, one.version))
            .collect::<Vec<_>>(),
        [(false, 2), (true, 1)]
    );
    assert_eq!(
        values(&vault, "x_password"),
        ["pass word two", "pass word one"]
    );
}

#[test]
fn no_value_reads_as_a_name_of_its_view() {
    let (_place, vault) = Place::made();
    vault
        .set(secret("x_user", SITE, "agent:a", "some value"))
        .unwrap();
    let clash = "Secret value must not equal a placeholder name";
    for (key, text) in [("x_other", "x_user"), ("x_own", "x_own")] {
        let error = vault.set(secret(key, SITE, "agent:a", text)).unwrap_err();
        assert_eq!(texts(&error), [clash]);
    }
    let error = vault
        .rotate(&selector("x_user"), value("x_user"), None)
        .unwrap_err();
    assert_eq!(texts(&error), [clash]);
    // In any case, where the value is found in any.
    let mut any_case = secret("x_other", SITE, "agent:a", "X_USER");
    any_case.options = Options {
        ignore_case: true,
        ..Options::default()
    };
    assert_eq!(texts(&vault.set(any_case).unwrap_err()), [clash]);
    // A new name that is a value already; also a former one, which is still masked.
    vault
        .set(secret("x_other", SITE, "agent:a", "x_taken"))
        .unwrap();
    vault
        .rotate(&selector("x_other"), value("another value"), None)
        .unwrap();
    let error = vault
        .set(secret("x_taken", SITE, "agent:a", "some value"))
        .unwrap_err();
    assert_eq!(texts(&error), [clash]);
    // What no agent sees together does not clash, and nobody learns from it what others have.
    vault
        .set(secret("x_taken", SITE, "agent:b", "some value"))
        .unwrap();
    vault
        .set(secret("x_mine", SITE, "user:u", "x_user"))
        .unwrap();
    let of_user = selector("x_mine");
    assert_eq!(texts(&vault.assign(&of_user, "a").unwrap_err()), [clash]);
    vault.assign(&of_user, "b").unwrap();
}

#[test]
fn limits_hold_for_what_one_agent_sees() {
    let mut place = Place::new();
    place.settings.limits = Limits {
        max_secrets: 3,
        max_domains: 2,
        max_value_bytes: 20,
        max_total_bytes: 40,
    };
    place.settings.identity = Some(agent());
    let vault = place.open(Access::Create).unwrap().vault;
    let set = |key: &str, pattern: &str, scope: &str, text: &str| {
        vault.set(secret(key, pattern, scope, text))
    };
    set("k1", SITE, "agent:a", "0123456789").unwrap();
    let error = set("k2", SITE, "agent:a", "012345678901234567890").unwrap_err();
    assert_eq!(texts(&error), ["Secret value too large (max 20 bytes)"]);
    set("k2", SITE, "agent:a", "0123456789").unwrap();
    let error = set("k3", SITE, "agent:a", "01234567890123456789x").unwrap_err();
    assert_eq!(texts(&error), ["Secret value too large (max 20 bytes)"]);
    set("k3", "https://b.example", "org:o", "0123456789").unwrap();
    // Whatever the scope: it is the whole view that counts.
    for scope in ["agent:a", "org:o", "profile:p"] {
        let error = set("k4", "https://c.example", scope, "01234567890").unwrap_err();
        assert_eq!(
            texts(&error),
            [
                "Maximum 3 secrets allowed per agent",
                "Maximum 2 domains allowed per agent",
                "Total secrets size too large (max 40 bytes)"
            ],
            "{scope}"
        );
    }
    // Another agent has a view of its own.
    set("k4", "https://c.example", "agent:b", "0123456789").unwrap();
    set("k5", SITE, "user:u", "0123456789").unwrap();
    let error = vault.assign(&selector("k5"), "a").unwrap_err();
    assert_eq!(texts(&error), ["Maximum 3 secrets allowed per agent"]);
    vault.assign(&selector("k5"), "b").unwrap();
    // A rotation adds no secret.
    vault
        .rotate(&selector("k1"), value("9876543210"), None)
        .unwrap();
    let error = vault
        .rotate(&selector("k1"), value("01234567890123456789"), None)
        .map(|_| ())
        .and_then(|()| vault.rotate(&selector("k2"), value("01234567890123456789"), None))
        .unwrap_err();
    assert_eq!(
        texts(&error),
        ["Total secrets size too large (max 40 bytes)"]
    );
    drop(vault);

    // Limits that were lowered stand in the way of more, but not of a rotation.
    place.settings.limits.max_secrets = 1;
    let vault = place.vault();
    vault
        .rotate(&selector("k1"), value("leaked no more"), None)
        .unwrap();
    let error = vault
        .set(secret("k9", SITE, "agent:a", "0123456789"))
        .unwrap_err();
    assert!(texts(&error).contains(&"Maximum 1 secrets allowed per agent".to_owned()));
    vault.remove(&selector("k2")).unwrap();
}

#[test]
fn former_values_are_bounded() {
    let (_place, vault) = Place::made();
    vault
        .set(secret("x_token", SITE, "agent:a", "value 0"))
        .unwrap();
    let rotate = |number: usize, grace| {
        vault.rotate(
            &selector("x_token"),
            value(&format!("value {number}")),
            grace,
        )
    };
    for number in 1..=64 {
        rotate(number, None).unwrap();
    }
    assert!(matches!(
        rotate(65, None),
        Err(VaultError::TooManyVersions { count: 64, .. })
    ));
    for number in 65..=110 {
        rotate(number, Some(Duration::ZERO)).unwrap();
    }
    let found = values(&vault, "x_token");
    assert_eq!(found.len(), 65);
    assert_eq!(found[0], "value 110");
    // Of those that were destroyed, the last 32 are listed.
    let entry = vault.entries(&Filter::default()).unwrap().remove(0);
    assert_eq!(entry.versions.len(), 65 + 32);
    assert_eq!(entry.versions.last().unwrap().number, 111);
}

#[test]
fn heads_of_logs_go_forward_only_and_wake_nobody() {
    use bauta::secret::vault::StoredHead;
    let (place, vault) = Place::made();
    let generation = vault.generation().unwrap();
    assert_eq!(vault.audit_head("audit.log").unwrap(), None);
    let head = |seq| StoredHead {
        seq,
        mac: [u8::try_from(seq).unwrap(); 32],
    };
    for seq in [1, 7, 5, 7] {
        vault.store_audit_head("audit.log", &head(seq)).unwrap();
    }
    vault.store_audit_head("other.log", &head(2)).unwrap();
    assert_eq!(vault.generation().unwrap(), generation);
    let key = vault.audit_key().unwrap();
    drop(vault);
    let vault = place.vault();
    assert_eq!(vault.audit_head("audit.log").unwrap(), Some(head(7)));
    assert_eq!(vault.audit_head("other.log").unwrap(), Some(head(2)));
    assert_eq!(vault.audit_key().unwrap(), key);
}

/// 10,000 secrets with raised limits: they go in at once, come out, rotate and move to another key.
#[test]
fn ten_thousand_secrets() {
    let mut place = Place::new();
    place.settings.limits = Limits {
        max_secrets: 20_000,
        max_domains: 20_000,
        max_total_bytes: 20_000_000,
        ..Limits::default()
    };
    let vault = place.open(Access::Create).unwrap().vault;
    let mut text = String::from("{");
    for site in 0..1000 {
        write!(text, "\"https://s{site}.example.com\": {{").unwrap();
        for key in 0..10 {
            write!(text, "\"x_{site}_{key}\": \"value {site} of {key}\",").unwrap();
        }
        text.pop();
        text += "},";
    }
    text.pop();
    text.push('}');
    vault
        .import(submission(&text), &"agent:a".parse().unwrap())
        .unwrap();
    assert_eq!(vault.view(&agent()).unwrap().len(), 10_000);
    vault
        .rotate(&selector("x_999_9"), value("another value"), None)
        .unwrap();
    let rotated = vault.key_rotate(&mut |_, _| ()).unwrap();
    assert_eq!(rotated.moved, 10_001);
    drop(vault);
    let begun = Instant::now();
    let vault = place.vault();
    let view = vault.view(&agent()).unwrap();
    println!("opened and read 10,000 secrets in {:?}", begun.elapsed());
    assert_eq!(view.len(), 10_000);
    let found = view.of("x_999_9");
    assert_eq!(found[0].value().expose(), "another value");
    assert_eq!(view.of("x_123_4")[0].value().expose(), "value 123 of 4");
}
