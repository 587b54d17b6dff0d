//! Values nowhere: after a run that used each value, nothing that was written, logged, said or answered holds one.
//!
//! A run of the real binary with a vault: every command, requests with every value in it that pass, that are refused in
//! each way, and that a provider answers badly; a credential, a one-time code, a value that was replaced. Then all that came of it
//! is searched (`nowhere::search`): the log, what commands said, what clients were answered, what providers received, and every
//! file, the database and its WAL while the process runs and after it was killed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use super::cli::{run, run_with_input, said};
use super::model_child::Process;
use super::model_kit::{Message, Upstream, Wire, contains, post};
use super::nowhere::{Search, base64, random, random_base32};

/// What is known of the run: where it is, what is searched for, and all that was seen.
struct Scene {
    process: Process,
    upstream: Upstream,
    search: Search,
    /// Everything but files and the log: where it comes from, and the bytes.
    seen: Vec<(String, Vec<u8>)>,
    /// What clients sent: here values are.
    sent: Vec<u8>,
}

/// The secrets of the run, by key; all but the seed are found under it.
struct Values {
    password: String,
    api_key: String,
    new_api_key: String,
    note: String,
    user: String,
    word: String,
    variable: String,
    seed: String,
    credential: String,
}

impl Values {
    fn new() -> Self {
        let pem = |line: String| {
            format!(
                "-----BEGIN KEY-----\n{line}\n{}\n-----END KEY-----\n",
                random(40)
            )
        };
        Self {
            password: format!("{} \"gr\u{fc}n\\/<&>\" {}", random(12), random(12)),
            api_key: format!("sk-live-{}", random(24)),
            new_api_key: format!("sk-new-{}", random(24)),
            note: pem(random(40)),
            user: format!("Alice.{}", random(12)),
            word: random(7),
            variable: format!("env-{}", random(20)),
            seed: random_base32(32),
            credential: format!("sk-prov-{}", random(24)),
        }
    }

    /// Those that a client sends as text, by key.
    fn of_text(&self) -> [(&'static str, &str); 8] {
        [
            ("x_password", &self.password),
            ("x_api_key", &self.api_key),
            ("x_note", &self.note),
            ("x_user", &self.user),
            ("x_word", &self.word),
            ("x_variable", &self.variable),
            ("x_otp", &self.seed),
            ("x_credential", &self.credential),
        ]
    }

    fn uri(&self) -> String {
        format!(
            "otpauth://totp/Example:alice?secret={}&digits=8&issuer=Example",
            self.seed
        )
    }
}

fn config(upstream: &Upstream) -> String {
    let url = upstream.url();
    format!(
        "state_dir = \"data\"\n[agent]\nid = \"a1\"\nuser = \"u1\"\norganization = \"o1\"\nprofiles = [\"p1\"]\n\
         [log]\nformat = \"json\"\nlevel = \"trace\"\n[health]\nlisten = \"127.0.0.1:0\"\n[model]\nlisten = \"127.0.0.1:0\"\n\
         [[model.provider]]\nname = \"plain\"\nupstream = \"{url}\"\n\
         [[model.provider]]\nname = \"ours\"\nupstream = \"{url}\"\nsecret = \"x_credential\"\n\
         [[model.provider]]\nname = \"codes\"\nupstream = \"{url}\"\nsecret = \"x_otp\"\ninject = \"always\"\n\
         [[model.provider]]\nname = \"wrong\"\nupstream = \"{url}\"\nsecret = \"x_password\"\n\
         [[model.provider]]\nname = \"gone\"\nupstream = \"http://127.0.0.1:1\"\n"
    )
}

impl Scene {
    /// Stores the secrets and starts the process.
    fn begin(values: &Values) -> Self {
        let upstream = Upstream::bind();
        let folder = folder();
        fs::write(folder.path().join("bauta.toml"), config(&upstream)).unwrap();
        let search = Search::new(&values.of_text());
        let mut seen = Vec::new();
        store(folder.path(), values, &mut seen);
        let mut command = Command::new(env!("CARGO_BIN_EXE_bauta"));
        command
            .args(["serve", "-v"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        Self {
            process: Process::of(command, folder),
            upstream,
            search,
            seen,
            sent: Vec::new(),
        }
    }

    fn command(&mut self, args: &[&str], input: &[u8]) -> i32 {
        let folder = self.process.folder.path().to_owned();
        command(&folder, args, input, &mut self.seen)
    }

    fn send(&mut self, request: &[u8]) -> Wire {
        self.sent.extend_from_slice(request);
        let mut client = self.process.connect();
        // What is refused at once need not be read to its end.
        let _ = client.try_send(request);
        client
    }

    fn answered(&mut self, what: &str, answer: &Message) {
        let all = [answer.head.as_bytes(), &answer.body].concat();
        self.seen.push((format!("the answer to {what}"), all));
    }

    /// A request that we answer ourselves.
    fn refused(&mut self, what: &str, status: u16, request: &[u8]) {
        let mut client = self.send(request);
        let answer = client.message("POST");
        assert_eq!(
            answer.status(),
            status,
            "{what}: {}",
            String::from_utf8_lossy(&answer.body)
        );
        self.answered(what, &answer);
    }

    /// A request that a provider answers so; what it received.
    fn passed(&mut self, what: &str, request: &[u8], answer: &str) -> Message {
        let mut client = self.send(request);
        let mut peer = self.upstream.accept();
        let received = peer.request();
        peer.send(answer);
        let answer = client.message("POST");
        self.answered(what, &answer);
        received
    }

    fn received(&mut self, what: &str, received: &Message) {
        let all = [received.head.as_bytes(), &received.body].concat();
        self.seen
            .push((format!("what the provider got of {what}"), all));
    }

    /// Everything seen so far, and every file under the folder.
    fn check(&mut self, when: &str) {
        for (what, bytes) in &self.seen {
            self.search.nothing_in(what, bytes);
        }
        let mut names = BTreeSet::new();
        for (name, bytes) in files(self.process.folder.path()) {
            self.search.nothing_in(&format!("{name} {when}"), &bytes);
            names.insert(name);
        }
        for name in [
            "bauta.toml",
            "data/vault.db",
            "data/vault.db-wal",
            "data/audit.log",
            "data/master.key",
        ] {
            assert!(names.contains(name), "no {name} among {names:?}");
        }
    }
}

/// In memory where there is such a place: on a disk that others keep busy, an event may take longer than the second for which
/// a substitution waits, and be refused as it should.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// All files below a folder by their paths in it.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                let name = path
                    .strip_prefix(folder)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.push((name, bytes));
            }
        }
    }
    found
}

/// Runs a command and keeps what it says; its exit code.
fn command(folder: &Path, args: &[&str], input: &[u8], seen: &mut Vec<(String, Vec<u8>)>) -> i32 {
    let output = if input.is_empty() {
        run(folder, args)
    } else {
        run_with_input(folder, args, input)
    };
    let (code, out, err) = said(&output);
    seen.push((
        format!("bauta {args:?}"),
        format!("{out}\n{err}").into_bytes(),
    ));
    code
}

/// What was seen last, for people.
fn last(seen: &[(String, Vec<u8>)]) -> String {
    let (_, bytes) = seen.last().unwrap();
    String::from_utf8_lossy(bytes).into_owned()
}

/// Stores every value, by each way in.
fn store(folder: &Path, values: &Values, seen: &mut Vec<(String, Vec<u8>)>) {
    let submission = json!({
        "https://example.com": {
            "x_password": values.password,
            "x_user": {"value": values.user, "ignore_case": true},
            "x_word": {"value": values.word, "mask": "word"},
            "x_variable": {"value": values.variable, "kind": "env"},
        },
        "*.example.com": {"x_note": values.note},
    });
    let submission = submission.to_string().into_bytes();
    assert_eq!(
        command(folder, &["secret", "import", "-"], &submission, seen),
        0,
        "{}",
        last(seen)
    );
    for (key, value, more) in [
        (
            "x_api_key",
            &values.api_key,
            &["--domain", "https://api.example.com", "--scope", "user:u1"][..],
        ),
        (
            "x_credential",
            &values.credential,
            &["--domain", "http://127.0.0.1:*", "--scope", "org:o1"],
        ),
        (
            "x_otp",
            &values.uri(),
            &[
                "--domain",
                "http://127.0.0.1:*",
                "--kind",
                "totp",
                "--scope",
                "profile:p1",
            ],
        ),
    ] {
        let args = [&["secret", "set", key], more].concat();
        assert_eq!(
            command(folder, &args, value.as_bytes(), seen),
            0,
            "{key}: {}",
            last(seen)
        );
    }
    let assign = ["secret", "assign", "x_api_key", "--agent", "a1"];
    assert_eq!(command(folder, &assign, b"", seen), 0, "{}", last(seen));
}

/// One request with every value, in JSON, in the path, the query and headers, plain and coded.
fn request_with_all(values: &Values) -> Vec<u8> {
    let mut query = String::new();
    let mut headers = String::from("Content-Type: application/json\r\n");
    let mut body = serde_json::Map::new();
    for (at, (_, value)) in values.of_text().iter().enumerate() {
        let percent: String = value.bytes().map(|byte| format!("%{byte:02x}")).collect();
        query.push_str(&format!("&q{at}={percent}"));
        headers.push_str(&format!("X-Coded-{at}: {}\r\n", base64(value.as_bytes())));
        if !value.contains(['\n', '\u{fc}']) {
            headers.push_str(&format!("X-Plain-{at}: {value}\r\n"));
        }
        let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        let within = json!({ "arguments": value }).to_string();
        body.insert(
            format!("m{at}"),
            json!([value, within, hex, base64(value.as_bytes())]),
        );
    }
    // In any case, and in a JSON key.
    body.insert(values.api_key.clone(), json!(values.user.to_uppercase()));
    let body = serde_json::Value::Object(body).to_string();
    post(
        &format!("/plain/v1/{}?a=b{query}", values.api_key),
        &headers,
        body.as_bytes(),
    )
}

/// Requests that we refuse, each for another reason, each with values where the reason is.
fn refusals(scene: &mut Scene, values: &Values) {
    let (key, word) = (&values.api_key, &values.variable);
    let body = format!("{key} {word} {}", values.password);
    let body = body.as_bytes();
    let post = |path: &str, headers: &str| post(path, headers, body);
    let plain = |head: String| [head.as_bytes(), b"\r\n\r\n"].concat();
    let signed = json!({"messages": [{"role": "assistant", "content": [
        {"type": "thinking", "thinking": format!("it is {key}"), "signature": "c2lnbmVk"}]}]});
    let rows: Vec<(&str, u16, Vec<u8>)> = vec![
        (
            "an unknown coding",
            415,
            post("/plain/x", &format!("Content-Encoding: {key}\r\n")),
        ),
        (
            "a broken coding",
            400,
            post("/plain/x", "Content-Encoding: gzip\r\n"),
        ),
        (
            "an unknown charset",
            415,
            post(
                "/plain/x",
                &format!("Content-Type: text/plain; charset={key}\r\n"),
            ),
        ),
        (
            "a boundary that is not there",
            400,
            post(
                "/plain/x",
                &format!("Content-Type: multipart/form-data; boundary={key}\r\n"),
            ),
        ),
        (
            "a header's name",
            400,
            post("/plain/x", &format!("{key}: 1\r\n")),
        ),
        ("an unknown route", 404, post(&format!("/{key}/x"), "")),
        ("a path trick", 400, post(&format!("/plain/../{key}"), "")),
        (
            "another host",
            421,
            plain(format!(
                "POST /plain/{key} HTTP/1.1\r\nHost: {word}.example.com\r\nContent-Length: 0"
            )),
        ),
        (
            "a page",
            403,
            post(
                "/plain/x",
                &format!("Origin: https://{word}.example.com\r\n"),
            ),
        ),
        (
            "no HTTP",
            400,
            plain(format!(
                "POST /plain/x {key} {word} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0"
            )),
        ),
        (
            "a header that is none",
            400,
            plain(format!(
                "POST /plain/x HTTP/1.1\r\nHost: localhost\r\n{key} {word}\r\nContent-Length: 0"
            )),
        ),
        (
            "another credential",
            403,
            post("/wrong/x", "Authorization: Bearer x_password\r\n"),
        ),
        ("nobody there", 502, post(&format!("/gone/{key}"), "")),
        ("a reserved path", 404, post(&format!("/bauta/{key}"), "")),
    ];
    for (what, status, request) in rows {
        scene.refused(what, status, &request);
    }
    let signed = signed.to_string();
    let request = super::model_kit::post(
        "/plain/x",
        "Content-Type: application/json\r\n",
        signed.as_bytes(),
    );
    scene.refused("a signed block", 422, &request);
}

const CLOSED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// The credential by its placeholder, and by itself; the provider repeats it in its error.
fn use_credential(scene: &mut Scene, values: &Values) {
    let echo =
        json!({"error": {"message": format!("Incorrect API key provided: {}", values.credential)}})
            .to_string();
    let echo = format!(
        "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nX-Key: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{echo}",
        values.credential,
        echo.len()
    );
    for given in ["x_credential", &values.credential] {
        let request = post(
            "/ours/v1/chat",
            &format!("Authorization: Bearer {given}\r\n"),
            values.credential.as_bytes(),
        );
        let mut received = scene.passed("the use of a credential", &request, &echo);
        let header = format!("Bearer {}", values.credential);
        assert_eq!(received.header("authorization"), Some(header.clone()));
        // This is where it belongs, and the only place.
        received.head = received.head.replacen(&header, "", 1);
        scene.received("the use of a credential", &received);
    }
}

/// A one-time code, which from then on is masked as well.
fn use_code(scene: &mut Scene) {
    let request = post("/codes/v1/chat", "", b"hello");
    let mut received = scene.passed("the use of a code", &request, CLOSED);
    let header = received.header("authorization").unwrap();
    let code = header.strip_prefix("Bearer ").unwrap().to_owned();
    assert!(
        code.len() == 8 && code.bytes().all(|byte| byte.is_ascii_digit()),
        "{header}"
    );
    received.head = received.head.replacen(&header, "", 1);
    scene.received("the use of a code", &received);
    scene.search.add_plain(&code);
    let body = format!("the code was {code}, was it not?");
    let received = scene.passed(
        "a code that was used",
        &post("/plain/x", "", body.as_bytes()),
        CLOSED,
    );
    assert!(
        contains(&received.body, "was x_otp, was"),
        "{}",
        String::from_utf8_lossy(&received.body)
    );
    scene.received("a code that was used", &received);
}

/// Every command that says something, right and wrong.
fn say_everything(scene: &mut Scene, values: &Values) {
    for flags in [&[][..], &["--json"], &["-v"]] {
        for (args, code) in [
            (&["secret", "list"][..], 0),
            (&["secret", "list", "--stale", "0"], 0),
            (&["secret", "show", "x_password"], 0),
            (&["secret", "show", "x_otp"], 0),
            (&["secret", "show", "x_api_key"], 0),
            (
                &[
                    "secret",
                    "why",
                    "x_api_key",
                    "--origin",
                    "https://api.example.com",
                ],
                0,
            ),
            (
                &[
                    "secret",
                    "why",
                    "x_api_key",
                    "--origin",
                    "https://example.com",
                ],
                1,
            ),
            (&["key", "status"], 0),
            (&["audit", "verify"], 0),
            (&["audit", "tail", "-n", "1000"], 0),
            (&["audit", "search"], 0),
            (&["check"], 0),
        ] {
            let args = [flags, args].concat();
            let got = scene.command(&args, b"");
            assert_eq!(got, code, "{args:?}: {}", scene.last());
        }
    }
    let url = format!(
        "https://{}:{}@example.com/?k={}",
        values.variable, values.api_key, values.api_key
    );
    let bad_seed = format!("{} is no seed: 1", values.api_key);
    let bad_uri = values.uri().replace("digits=8", "digits=9");
    let nul = format!("{}\0", values.api_key);
    let submission = json!({url.clone(): {"x_c": values.api_key}, "https://example.com": {"x_d": {"value": values.api_key, "kind": values.api_key}}});
    let broken = format!(
        "{{\"https://example.com\": {{\"x_c\": \"{}\" \"",
        values.api_key
    );
    for (args, input) in [
        (
            &["secret", "import", "-"][..],
            submission.to_string().as_str(),
        ),
        (&["secret", "import", "-"], &broken),
        (&["secret", "set", "x_c", "--domain", &url], &values.api_key),
        (&["secret", "set", "x_c", "--domain", "example.com"], &nul),
        (
            &[
                "secret",
                "set",
                "x_c",
                "--domain",
                "example.com",
                "--kind",
                "totp",
            ],
            &bad_seed,
        ),
        (
            &[
                "secret",
                "set",
                "x_c",
                "--domain",
                "example.com",
                "--kind",
                "totp",
            ],
            &bad_uri,
        ),
        (&["secret", "rotate", "x_nobody"], &values.api_key),
        (&["secret", "test", &url, "https://example.com"], ""),
        (
            &[
                "secret",
                "test",
                "example.com",
                &url.replace("https", "ftp"),
            ],
            "",
        ),
    ] {
        let got = scene.command(args, input.as_bytes());
        assert_ne!(got, 0, "{args:?}: {}", scene.last());
    }
    let text: Vec<&str> = values.of_text().iter().map(|(_, value)| *value).collect();
    assert_eq!(
        scene.command(&["mask", "--count"], text.join("\n, ").as_bytes()),
        0,
        "{}",
        scene.last()
    );
    let masked = scene.last();
    for (key, _) in values.of_text() {
        assert!(masked.contains(key), "{key} in {masked}");
    }
}

impl Scene {
    fn last(&self) -> String {
        last(&self.seen)
    }

    /// Health, whose answers go to anyone.
    fn ask_health(&mut self) {
        let addr = self.process.listening("health");
        for path in ["/healthz", "/readyz", "/metrics"] {
            let mut client = Wire::new(std::net::TcpStream::connect(addr).unwrap());
            client.send(format!(
                "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            ));
            let answer = client.message("GET");
            self.answered(path, &answer);
        }
    }

    /// The keys that the log has of a kind of event.
    fn keys_of_events(&mut self, kind: &str) -> BTreeSet<String> {
        assert_eq!(
            self.command(&["--json", "audit", "search", "--event", kind], b""),
            0
        );
        let lines = self.last();
        let events = lines
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        events
            .filter_map(|event| event["key"].as_str().map(str::to_owned))
            .collect()
    }
}

#[test]
fn p3_after_a_run_that_used_each_value_none_is_anywhere() {
    let values = Values::new();
    let mut scene = Scene::begin(&values);
    scene.ask_health();

    let request = request_with_all(&values);
    let received = scene.passed("a request with all values", &request, CLOSED);
    scene.received("a request with all values", &received);
    use_credential(&mut scene, &values);
    use_code(&mut scene);
    refusals(&mut scene, &values);

    // The old value is superseded, and masked all the same.
    assert_eq!(
        scene.command(
            &["secret", "rotate", "x_api_key"],
            values.new_api_key.as_bytes()
        ),
        0,
        "{}",
        scene.last()
    );
    scene.search.add("x_api_key", &values.new_api_key);
    let body = format!("{} {}", values.api_key, values.new_api_key);
    let received = scene.passed(
        "both values",
        &post("/plain/x", "", body.as_bytes()),
        CLOSED,
    );
    assert_eq!(received.body, b"x_api_key x_api_key");
    scene.received("both values", &received);

    say_everything(&mut scene, &values);
    assert_eq!(
        scene.command(&["key", "rotate"], b""),
        0,
        "{}",
        scene.last()
    );
    let masked = scene.keys_of_events("mask");
    let all: BTreeSet<String> = values
        .of_text()
        .iter()
        .map(|(key, _)| (*key).to_owned())
        .collect();
    assert_eq!(masked, all, "not every value was used");
    let put_in = scene.keys_of_events("substitute");
    assert_eq!(put_in, ["x_credential", "x_otp"].map(str::to_owned).into());

    // The search finds what the agent sent, each value; so what it does not find elsewhere is not there.
    for (key, value) in values.of_text() {
        assert!(
            scene.search.finds(key, &scene.sent),
            "the search does not find {value} of {key}"
        );
    }
    scene.check("while it runs");
    assert_eq!(
        scene.command(&["secret", "rm", "x_word", "--yes"], b""),
        0,
        "{}",
        scene.last()
    );
    // As a crash leaves it, WAL and all.
    scene.process.signal(Signal::KILL);
    scene.process.wait();
    let log = scene.process.rest_of_log();
    assert!(
        log.matches("\"path\"").count() + log.matches("\"request\"").count() > 10,
        "{log}"
    );
    scene.seen.push(("the log".to_owned(), log.into_bytes()));
    scene.check("after it was killed");
}
