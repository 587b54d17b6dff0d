//! The browser's command line: what we always say, and what nobody may add.
//!
//! An operator's arguments are his: he may point names at other addresses, name a proxy, load an extension, trust the one key of a
//! test site. Refused is what would break a promise without anybody noticing: another way to the browser than through us, origins
//! that mean nothing any more, and files outside the profile in which values would land.

use std::ffi::OsString;
use std::path::Path;

/// An argument that is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the browser may not be started with {switch}: {why}")]
pub struct Refused {
    /// The switch without its value, which may be anything.
    pub switch: String,
    /// Why, and what to do instead.
    pub why: &'static str,
}

const AROUND: &str = "it would open a way to the browser around Bauta. Remove it";
const PROFILE: &str = "each start gets a private profile, which is removed afterwards. Remove it";
const ORIGIN: &str = "with it a page's origin proves nothing, and secrets are bound to origins. Remove it; for a test site of your \
                      own, name its key by --ignore-certificate-errors-spki-list";
const FILE: &str =
    "it writes what pages show or send into files outside the private profile. Remove it";
const EXIT: &str = "with it the browser does one thing and exits. Remove it";

/// Switches that are refused, without their dashes. `*` at the end: all that begin so.
const REFUSED: [(&str, &str); 24] = [
    ("remote-debugging-*", AROUND),
    ("remote-allow-origins", AROUND),
    ("custom-devtools-frontend", AROUND),
    ("silent-debugger-extension-api", AROUND),
    ("enable-unsafe-extension-debugging", AROUND),
    ("user-data-dir", PROFILE),
    ("temp-profile", PROFILE),
    ("ignore-certificate-errors", ORIGIN),
    ("allow-insecure-localhost", ORIGIN),
    ("disable-web-security", ORIGIN),
    ("disk-cache-dir", FILE),
    ("media-cache-dir", FILE),
    ("crash-dumps-dir", FILE),
    ("enable-crash-reporter*", FILE),
    ("full-memory-crash-report", FILE),
    ("log-file", FILE),
    ("log-net-log", FILE),
    ("ssl-key-log-file", FILE),
    ("trace-*", FILE),
    ("dump-browser-histograms", FILE),
    ("webrtc-event-logging", FILE),
    ("screenshot", EXIT),
    ("print-to-pdf", EXIT),
    ("dump-dom", EXIT),
];

/// What we always say. An operator's own come behind them, and of two the last counts.
const ALWAYS: [&str; 17] = [
    "--remote-debugging-pipe",
    // So that the bubble which offers to keep a password does not, and the command line can be read back.
    "--enable-automation",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-service-autorun",
    "--disable-background-networking",
    "--disable-client-side-phishing-detection",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    // What may come to stand between us and the network reads HTTP over TCP.
    "--disable-quic",
    // Dumps hold memory, and memory holds values.
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--noerrdialogs",
    // Not the keyring of whoever started us.
    "--password-store=basic",
    "--use-mock-keychain",
];

/// What we say where no window is shown: pictures of whole pages would have scroll bars, or lose them while they are taken.
const HEADLESS: [&str; 2] = ["--headless", "--hide-scrollbars"];

/// The page that it begins with: one that clients may drive, unlike the browser's own.
const PAGE: &str = "about:blank";

/// The whole command line.
///
/// # Errors
/// One of the operator's arguments is refused.
pub(super) fn arguments(
    headless: bool,
    more: &[String],
    profile: &Path,
) -> Result<Vec<OsString>, Refused> {
    for argument in more {
        let Some(name) = name(argument) else {
            return Err(Refused {
                switch: "an argument that is no switch".to_owned(),
                why: "only --name and --name=value are taken. A page is opened by the client, and a value belongs behind its =",
            });
        };
        judge_name(name)?;
    }
    let mut data = OsString::from("--user-data-dir=");
    data.push(profile);
    let headless = headless.then_some(HEADLESS).into_iter().flatten();
    let said = headless.chain(ALWAYS).map(OsString::from);
    let more = more.iter().map(OsString::from);
    let page = std::iter::once(PAGE.into());
    Ok(said
        .chain(std::iter::once(data))
        .chain(more)
        .chain(page)
        .collect())
}

/// Judges the command line that the browser says it has, after whatever wrapper started it: it may have one `user-data-dir` and
/// one pipe, which are ours.
///
/// # Errors
/// A switch of it is refused, and not ours.
pub(in super::super) fn judge<'a>(arguments: impl Iterator<Item = &'a str>) -> Result<(), Refused> {
    let mut seen = [false; 2];
    for argument in arguments.skip(1) {
        // As Chromium reads them: a switch begins with one dash or two, blanks around it do not count, and after -- there are none.
        let argument = argument.trim();
        if argument == "--" {
            break;
        }
        let switch = argument
            .strip_prefix("--")
            .or_else(|| argument.strip_prefix('-'));
        let Some(switch) = switch else { continue };
        let name = switch.split('=').next().unwrap_or_default();
        let ours = ["remote-debugging-pipe", "user-data-dir"]
            .iter()
            .position(|ours| *ours == name);
        match ours {
            Some(at) if !seen[at] => seen[at] = true,
            _ => judge_name(name)?,
        }
    }
    Ok(())
}

/// The name of a switch; `None`: it is written otherwise than we would read it.
fn name(argument: &str) -> Option<&str> {
    let switch = argument.strip_prefix("--")?;
    let name = switch.split('=').next()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_plain = !name.is_empty() && name.bytes().all(plain);
    // A zero byte can be in no argument.
    (is_plain && !argument.contains('\0')).then_some(name)
}

fn judge_name(name: &str) -> Result<(), Refused> {
    let found = REFUSED
        .iter()
        .find(|(pattern, _)| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => *pattern == name,
        });
    match found {
        None => Ok(()),
        Some((_, why)) => Err(Refused {
            switch: format!("--{name}"),
            why,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments_of(more: &[&str]) -> Result<Vec<OsString>, Refused> {
        let more: Vec<String> = more.iter().map(|&more| more.to_owned()).collect();
        arguments(true, &more, Path::new("/profile"))
    }

    #[test]
    fn what_would_open_a_door_is_refused() {
        for (switch, _) in REFUSED {
            let name = switch.replace('*', "x");
            for argument in [format!("--{name}"), format!("--{name}=1")] {
                let refused = arguments_of(&[&argument]).unwrap_err();
                assert_eq!(refused.switch, format!("--{name}"), "{argument}");
                let line = ["chromium", &argument];
                assert!(judge(line.into_iter()).is_err() || name == "user-data-dir");
            }
        }
        for port in ["port=9222", "address=0.0.0.0", "pipe", "socket-name=x"] {
            let refused = arguments_of(&[&format!("--remote-debugging-{port}")]).unwrap_err();
            assert!(refused.why.contains("around"), "{refused}");
        }
    }

    #[test]
    fn what_chromium_would_read_as_a_switch_is_refused_in_any_writing() {
        for argument in [
            "-remote-debugging-port=1",
            " --remote-debugging-port=1",
            "--remote-debugging-port =1",
            "--",
            "-",
            "",
            "--=",
            "https://example.com",
            "file:///etc/passwd",
            "--a\0b",
        ] {
            assert!(arguments_of(&[argument]).is_err(), "{argument:?}");
        }
    }

    #[test]
    fn an_operators_switches_stand_last() {
        let got = arguments_of(&["--no-sandbox", "--host-resolver-rules=MAP a b"]).unwrap();
        assert_eq!(
            got[..3],
            ["--headless", "--hide-scrollbars", "--remote-debugging-pipe"]
        );
        let last = [
            "--user-data-dir=/profile",
            "--no-sandbox",
            "--host-resolver-rules=MAP a b",
            "about:blank",
        ];
        assert_eq!(got[got.len() - last.len()..], last);
    }

    #[test]
    fn a_wrapper_may_add_no_door() {
        let ours = ["chromium", "--remote-debugging-pipe", "--user-data-dir=/p"];
        let line = |more: &[&'static str]| judge(ours.iter().copied().chain(more.iter().copied()));
        assert_eq!(line(&["--enable-gpu-rasterization", "about:blank"]), Ok(()));
        for more in [
            "--remote-debugging-port=0",
            "-remote-debugging-port=0",
            " --remote-debugging-port ",
            "--remote-debugging-pipe=cbor",
            "--user-data-dir=/q",
            "--ignore-certificate-errors",
        ] {
            assert!(line(&[more]).is_err(), "{more}");
        }
        assert_eq!(line(&["--", "--remote-debugging-port=0"]), Ok(()));
    }
}
