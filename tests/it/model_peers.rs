//! What other masking proxies and agents are known to get wrong, each as requests that come through right here.

use std::thread;

use bauta::config::Limits;

use super::model_kit::{
    Message, OK, SECRETS, Sidecar, TOKEN, Upstream, VALUE, config, contains, last, post,
};

/// What upstream sees of these bodies, in their order.
fn seen(secrets: &str, bodies: &[String]) -> Vec<String> {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::with(&config(&upstream.url(), Limits::default()), secrets);
    bodies
        .iter()
        .map(|body| {
            let mut client = sidecar.connect();
            client.send(post(
                "/p/v1/messages",
                "Content-Type: application/json\r\n",
                body.as_bytes(),
            ));
            let mut peer = upstream.accept();
            let message = peer.request();
            peer.send(last(OK));
            assert_eq!(client.message("POST").body, b"ok");
            String::from_utf8(message.body).unwrap()
        })
        .collect()
}

/// Of one body.
fn seen_one(body: &str) -> String {
    seen(SECRETS, &[body.to_owned()]).remove(0)
}

/// Where values stood that peers left there: block types that they skipped, tools' definitions, keys that they took for
/// harmless, all but the first of several parts. `@` stands for the value.
const BLOCKS: [&str; 27] = [
    r#"{"system":"@"}"#,
    r#"{"system":[{"type":"text","text":"@","cache_control":{"type":"ephemeral"}}]}"#,
    r#"{"messages":[{"role":"tool","tool_call_id":"call_1","content":"@"}]}"#,
    r#"{"messages":[{"role":"tool","content":[{"type":"text","text":"a"},{"type":"text","text":"@ @"}]}]}"#,
    r#"{"messages":[{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\": {\"b\": \"@\"}}"}}]}]}"#,
    r#"{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{"token":"@","deep":[{"api_key":"@"}]}}]}]}"#,
    r#"{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","is_error":true,"content":"exit 1: @"}]}]}"#,
    r#"{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"@"},{"type":"text","text":"@"}]}]}]}"#,
    r#"{"messages":[{"role":"assistant","content":[{"type":"mcp_tool_use","id":"m","name":"f","server_name":"s","input":{"q":"@"}}]}]}"#,
    r#"{"messages":[{"role":"user","content":[{"type":"mcp_tool_result","tool_use_id":"m","content":[{"type":"text","text":"@"}]}]}]}"#,
    r#"{"messages":[{"role":"user","content":[{"type":"bash_code_execution_tool_result","content":{"stdout":"@","stderr":"@","return_code":0}}]}]}"#,
    r#"{"messages":[{"role":"user","content":[{"type":"web_fetch_tool_result","content":{"url":"https://a.example/?k=@"}}]}]}"#,
    r#"{"messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"the key is @"}}]}]}"#,
    r#"{"tools":[{"name":"f","description":"Runs with @.","input_schema":{"type":"object","properties":{"a":{"enum":["@"],"default":"@"}}}}]}"#,
    r#"{"tools":[{"type":"mcp","server_url":"https://mcp.example/sse","authorization":"@","headers":{"Authorization":"Bearer @"}}]}"#,
    r#"{"input":[{"type":"function_call","call_id":"c","name":"f","arguments":"{\"a\":\"@\"}"}]}"#,
    r#"{"input":[{"type":"function_call_output","call_id":"c","output":"@"}]}"#,
    r#"{"input":[{"type":"custom_tool_call","call_id":"c","name":"apply_patch","input":"*** Begin Patch\n+KEY=@\n"}]}"#,
    r#"{"input":[{"type":"custom_tool_call_output","call_id":"c","output":"@"}]}"#,
    r#"{"input":[{"type":"local_shell_call","action":{"type":"exec","command":["echo","@"],"env":{"REDIS_PASSWORD":"@"}}}]}"#,
    r#"{"instructions":"@","metadata":{"@":"@"},"user":"@","prompt_cache_key":"@"}"#,
    r#"{"contents":[{"role":"user","parts":[{"text":"@"},{"functionCall":{"name":"f","args":{"k":"@"}}}]}]}"#,
    r#"{"contents":[{"role":"function","parts":[{"functionResponse":{"name":"f","response":{"output":"@"}}}]}],"systemInstruction":{"parts":[{"text":"@"}]}}"#,
    r#"{"prompt":"@","suffix":"@","stop":["@"],"logit_bias":{}}"#,
    r#"{"input":["@","b @"],"model":"text-embedding-3-small"}"#,
    r#"{"query":"@","documents":["@",{"text":"@"}]}"#,
    r#"{"messages":[{"role":"user","content":"REDIS_PASSWORD=@ redis-cli -a '@' <task-notification>@</task-notification>"}]}"#,
];

#[test]
fn p1_every_kind_of_block_is_masked() {
    let bodies = BLOCKS.map(|block| block.replace('@', TOKEN));
    for (block, seen) in BLOCKS.iter().zip(seen(SECRETS, &bodies)) {
        assert_eq!(seen, block.replace('@', "x_token"));
    }
}

#[test]
fn p7_what_only_looks_like_a_secret_stays() {
    for text in [
        r#"{"a":"ghp_000000000000000000000000000000000000 AKIAIOSFODNN7EXAMPLE"}"#,
        r#"{"a":"<task-notification>done</task-notification>","password":"hunter2","api_key":"none"}"#,
        r#"{"id":"toolu_01A09q90qw90lq917835lq9","created":1763856000,"card":"4111 1111 1111 1111"}"#,
        // Names that stand there already are not masked again.
        r#"{"a":"type x_token and {{x_password}}, <secret>x_token</secret>"}"#,
    ] {
        assert_eq!(seen_one(text), text);
    }
}

/// A provider caches by the bytes of a conversation's beginning.
#[test]
fn p7_a_grown_conversation_keeps_its_masked_beginning() {
    let mut turns = String::from(
        "{ \"model\" : \"m\",\"z\":1e2 ,\n\t\"messages\":[{\"role\":\"user\",\"content\":\"say caf\\u00e9 \\/ @\"}",
    );
    let mut before = String::new();
    for _ in 0..4 {
        let body = format!("{turns}],\"a\":{{}} }}").replace('@', TOKEN);
        let seen = seen_one(&body);
        assert_eq!(seen, body.replace(TOKEN, "x_token"));
        assert!(seen.starts_with(&before), "{seen}");
        before = turns.replace('@', "x_token");
        turns += ",{\"content\":\"@ and again @\",\"role\":\"assistant\"}";
    }
}

/// A short value that stands in a picture by chance; to mask it there would wreck the conversation for good.
#[test]
fn p7_a_picture_with_a_short_value_in_it_arrives_as_it_was() {
    let secrets = r#"{"https://example.com": {"x_pin": "4711", "x_word": "Zk3q", "x_token": "sk-live-51Hx2eKfQ9wZ"}}"#;
    let noise = |seed: u32, length: usize| -> String {
        let mut state = seed;
        let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        (0..length)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                char::from(digits[(state >> 26) as usize])
            })
            .collect()
    };
    let picture = format!(
        "iVBORw0KGgoAAAANSUhEUgAA{}/4711/{}+Zk3q+{}/4711==",
        noise(1, 3000),
        noise(2, 70_000),
        noise(3, 400)
    );
    let bodies = [
        r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,@"}}]}]}"#,
        r#"{"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"@"}}]}]}"#,
        r#"{"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"@","format":"wav"}}]}]}"#,
        r#"{"messages":[{"role":"user","content":[{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,@"}}]}]}"#,
        r#"{"input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,@"}]}]}"#,
        r#"{"input":[{"type":"computer_call_output","call_id":"c","output":{"type":"computer_screenshot","image_url":"data:image/png;base64,@"}}]}"#,
        r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"@"}}]}]}"#,
        r#"{"type":"input_audio_buffer.append","audio":"@"}"#,
        r#"{"messages":[{"role":"user","content":[{"image":{"format":"png","source":{"bytes":"@"}}}]}]}"#,
    ]
    .map(|body| body.replace('@', &picture));
    for (body, seen) in bodies.iter().zip(seen(secrets, &bodies)) {
        let at = body.bytes().zip(seen.bytes()).position(|(a, b)| a != b);
        assert!(*body == seen, "{} at {at:?}", &body[..90]);
    }
}

/// A stream of events without a type, and one whose type lies.
#[test]
fn p1_events_are_masked_whatever_their_type_says() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::masking_answers(&upstream, Limits::default());
    let escaped = serde_json::to_string(VALUE).unwrap();
    let events = format!(
        "event: delta\ndata: {{\"delta\":\"is {TOKEN}\"}}\n\ndata: {{\"t\":{escaped}}}\n\ndata: [DONE]\n\n"
    );
    let expected = "event: delta\ndata: {\"delta\":\"is x_token\"}\n\ndata: {\"t\":\"x_password\"}\n\ndata: [DONE]\n\n";
    for header in [
        "",
        "Content-Type: application/json\r\n",
        "Content-Type: text/plain\r\n",
        "Content-Type: text/event-stream\r\n",
    ] {
        let mut client = sidecar.connect();
        client.send("GET /p/x HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut peer = upstream.accept();
        peer.request();
        let answer = format!(
            "HTTP/1.1 200 OK\r\n{header}Connection: close\r\nContent-Length: {}\r\n\r\n{events}",
            events.len()
        );
        let writer = thread::spawn(move || peer.send(answer));
        let got: Message = client.message("GET");
        writer.join().unwrap();
        assert_eq!(String::from_utf8(got.body).unwrap(), expected, "{header}");
        assert!(!contains(&client.seen, TOKEN));
    }
}
