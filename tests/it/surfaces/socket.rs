//! WebSockets: whatever frames a message comes in, it goes on as masking makes of it, in its order among the others; what may not
//! be sent ends the connection, and nothing after it is passed on.

use bauta::guard::{Answers, Refusal, Syntax};

use super::body::runtime;
use super::input::Input;
use super::parts::{is_marked, is_wide_json};
use super::socket_model::{
    CLOSE, CONTINUATION, Direction, Ending, Rules, Said, TEXT, direction, inflated,
};
use super::socket_wire::{Run, run, stream};
use super::texts::{assert_clean, masked, masked_answer};

/// Bytes of a control frame.
const MOST_CONTROL: usize = 125;

/// What goes on, and how it ends.
struct Expected {
    said: Vec<Said>,
    /// The close codes of which the sender gets one, if it must get one.
    codes: Vec<u16>,
    must_tell: bool,
    /// What follows in a message that turns out to be bad may be missing, or be there.
    unsure: bool,
}

pub fn check_upward(input: &mut Input) {
    let settings = input.byte();
    let most = [100, 1000, 20_000, 100_000][usize::from(settings >> 4 & 3)];
    let rules = Rules {
        client: true,
        deflate: settings & 1 == 1,
        most,
        utf8: true,
    };
    let upstream_deflate = settings & 2 == 2;
    let sizes = input.sizes();
    let bytes = stream(input, rules);
    let sent = direction(&bytes, rules);
    let expected = expected(&sent, Some(&masked));
    let run = runtime(run(
        &bytes,
        sizes,
        rules,
        upstream_deflate,
        Answers::Untouched,
    ));
    let what = || {
        format!(
            "{rules:?} {upstream_deflate} {sizes:?} b\"{}\"\nended: {}, by the model {:?}",
            bytes.escape_ascii(),
            run.end,
            sent.ending
        )
    };

    let receives = Rules {
        client: true,
        deflate: upstream_deflate,
        most: usize::MAX,
        utf8: true,
    };
    let got = direction(&run.got, receives);
    assert!(got.open.is_none(), "half a message went on: {}", what());
    whole_messages(&run.got, &what);
    compare(&got, &expected, &what);
    told(&run, rules.client, &expected, &what);
    for said in &got.said {
        assert_clean(&said.payload, "a message");
    }
}

pub fn check_downward(input: &mut Input) {
    let settings = input.byte();
    let masks = settings & 1 == 1;
    let rules = Rules {
        client: false,
        deflate: settings & 2 == 2,
        most: usize::MAX,
        utf8: masks,
    };
    let sizes = input.sizes();
    let bytes = stream(input, rules);
    let sent = direction(&bytes, rules);
    let mask: Mask = &masked_answer;
    let expected = expected(&sent, masks.then_some(mask));
    let answers = if masks {
        Answers::All
    } else {
        Answers::Untouched
    };
    let run = runtime(run(&bytes, sizes, rules, rules.deflate, answers));
    let what = || {
        format!(
            "masked: {masks} {sizes:?} b\"{}\"\nended: {}, by the model {:?}",
            bytes.escape_ascii(),
            run.end,
            sent.ending
        )
    };

    let got = direction(
        &run.got,
        Rules {
            client: false,
            deflate: false,
            most: usize::MAX,
            utf8: masks,
        },
    );
    compare(&got, &expected, &what);
    told(&run, rules.client, &expected, &what);
}

type Mask<'a> = &'a dyn Fn(&[u8], Syntax) -> Result<(Vec<u8>, bool), Refusal>;

/// What must come of a direction.
fn expected(sent: &Direction, mask: Option<Mask>) -> Expected {
    let mut expected = Expected {
        said: Vec::new(),
        codes: Vec::new(),
        must_tell: false,
        unsure: false,
    };
    let is_bad = |mask| {
        sent.open
            .as_ref()
            .is_some_and(|open| passed(open, mask).is_err())
    };
    // What came of the message that did not end may have been noticed first.
    let noticed = [1003, 1007, 1008, 1009];
    let is_open_bad = sent.compressed || mask.is_some_and(is_bad);
    for said in &sent.said {
        match mask.map_or_else(|| Ok(said.clone()), |mask| passed(said, mask)) {
            Ok(said) => expected.said.push(said),
            Err(code) => {
                expected.codes = vec![code];
                if is_open_bad && said.opcode >= CLOSE {
                    expected.codes.extend(noticed);
                }
                expected.must_tell = true;
                // Control frames that stood in the message may have gone on before it.
                expected.unsure = true;
                return expected;
            }
        }
    }
    expected.must_tell = matches!(sent.ending, Ending::Violation(_) | Ending::Content);
    match sent.ending {
        Ending::Lost | Ending::Closed => {}
        Ending::Violation(code) => expected.codes = vec![code],
        Ending::Content => {
            expected.codes = noticed.to_vec();
            expected.unsure = true;
        }
    }
    if is_open_bad {
        expected.codes.extend(noticed);
        expected.unsure = true;
    }
    expected
}

/// What goes on for something that was said, or the close code.
fn passed(said: &Said, mask: Mask) -> Result<Said, u16> {
    let Said { opcode, payload } = said;
    let payload = match *opcode {
        CLOSE => {
            let (code, reason) = payload.split_at(payload.len().min(2));
            let reason = if reason.is_empty() {
                Vec::new()
            } else {
                mask(reason, Syntax::Text).map_err(|_| 1008_u16)?.0
            };
            let reason = String::from_utf8_lossy(&reason).into_owned();
            let fits = reason.len() + 2 <= MOST_CONTROL;
            [code, if fits { reason.as_bytes() } else { b"" }].concat()
        }
        9.. => {
            let payload = mask(payload, Syntax::Text).map_err(|_| 1008_u16)?.0;
            if payload.len() > MOST_CONTROL {
                return Err(1008);
            }
            payload
        }
        TEXT if is_marked(payload) || is_wide_json(payload) => return Err(1003),
        TEXT => String::from_utf8_lossy(&mask(payload, Syntax::Json).map_err(|_| 1008_u16)?.0)
            .into_owned()
            .into_bytes(),
        _ => mask(payload, Syntax::Json).map_err(|_| 1008_u16)?.0,
    };
    Ok(Said {
        opcode: *opcode,
        payload,
    })
}

fn compare(got: &Direction, expected: &Expected, what: &dyn Fn() -> String) {
    let mut said = &got.said[..];
    // Our own last word comes after all that went on, unless a close did.
    let closed_by_peer = expected
        .said
        .last()
        .is_some_and(|said| said.opcode == CLOSE);
    // What was noticed in time may have kept a peer's close from going on: then ours is the last word as well.
    let is_ours = |last: &Said| {
        let begins = |code: u16| last.payload.starts_with(&code.to_be_bytes());
        begins(1001) || begins(1011)
    };
    if let [rest @ .., last] = said
        && last.opcode == CLOSE
        && (!closed_by_peer
            || expected.unsure && is_ours(last) && Some(last) != expected.said.last())
    {
        said = rest;
    }
    let same = if expected.unsure {
        let (shorter, controls) = said.split_at(said.len().min(expected.said.len()));
        // What is missing or is more are control frames only.
        shorter == &expected.said[..shorter.len()]
            && expected.said[shorter.len()..]
                .iter()
                .chain(controls)
                .all(|said| said.opcode >= CLOSE)
    } else {
        said == expected.said
    };
    assert!(
        same,
        "{}\ngot: {}\nexpected: {}",
        what(),
        shown(&got.said),
        shown(&expected.said)
    );
}

fn shown(said: &[Said]) -> String {
    let one = |said: &Said| format!("{} \"{}\"", said.opcode, said.payload.escape_ascii());
    said.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// That the sender was told why, where its side is at fault.
fn told(run: &Run, client: bool, expected: &Expected, what: &dyn Fn() -> String) {
    let rules = Rules {
        client: !client,
        deflate: false,
        most: usize::MAX,
        utf8: true,
    };
    let told = direction(&run.told, rules);
    let code = told
        .said
        .iter()
        .find(|said| said.opcode == CLOSE)
        .map(|said| {
            let code = said
                .payload
                .first_chunk()
                .map(|code| u16::from_be_bytes(*code));
            code.unwrap_or_default()
        });
    assert!(
        told.said.len() <= 1 && told.ending == Ending::Closed,
        "more or less than a last word: {}",
        what()
    );
    if expected.must_tell {
        // An upstream whose message cannot be masked is told no more than that we leave.
        let known = |code| expected.codes.contains(&code) || !client && code == 1001;
        assert!(
            code.is_some_and(known),
            "told {code:?}, not {:?}: {}",
            expected.codes,
            what()
        );
    }
}

/// That each message is in one frame, whatever it came in, and that what is compressed can be read alone.
fn whole_messages(bytes: &[u8], what: &dyn Fn() -> String) {
    let mut rest = bytes;
    while let [first, second, ..] = rest {
        assert!(
            first & 0x80 != 0 && first & 0x0f != CONTINUATION,
            "a message in several frames: {}",
            what()
        );
        let length = usize::from(second & 0x7f);
        let (wide, length) = match length {
            126 => (2, usize::from(u16::from_be_bytes([rest[2], rest[3]]))),
            127 => (
                8,
                rest[2..10]
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
            ),
            short => (0, short),
        };
        let at = 2 + wide + 4;
        if first & 0x40 != 0 {
            let payload: Vec<u8> = rest[at..at + length]
                .iter()
                .enumerate()
                .map(|(n, byte)| byte ^ rest[2 + wide + n % 4])
                .collect();
            assert!(
                inflated(&payload).is_some(),
                "a message cannot be read alone: {}",
                what()
            );
        }
        rest = &rest[at + length..];
    }
}
