//! Rules over bodies as they come: whole, cut off, streamed, escaped, binary.
#![allow(clippy::unwrap_used, reason = "the whole crate is a test")]

use bytes::Bytes;
use proptest::prelude::*;
use tachograph_record::{
    Asked, Body, BodyState, Control, CostState, LogRecord, Outcome, Reading, RecordId, RecordedError, Timestamp, Timing,
};
use tachograph_redact::{Privacy, Redactor};

fn redactor(json: &str) -> Redactor {
    Redactor::new(&serde_json::from_str::<Privacy>(json).unwrap(), ["configured-key-1"]).unwrap()
}

fn record(request: &str, response: &str) -> LogRecord {
    LogRecord {
        id: RecordId::generate(),
        asked: Asked { body: Body::capture(&Bytes::copy_from_slice(request.as_bytes()), 1 << 20), ..Asked::default() },
        provider: None,
        provider_model: None,
        attempts: Vec::new(),
        status: Some(200),
        outcome: Outcome::Complete,
        error: None,
        timing: Timing {
            received_at: Timestamp::from_micros(0),
            upstream_sent_us: None,
            first_byte_us: None,
            first_token_us: None,
            end_us: 0,
        },
        reading: Reading::default(),
        cost: CostState::NoUsage,
        control: Control::default(),
        response: Body::capture(&Bytes::copy_from_slice(response.as_bytes()), 1 << 20),
    }
}

fn kept(redactor: &Redactor, response: &str) -> String {
    let mut record = record("{}", response);
    redactor.record(&mut record);
    String::from_utf8(record.response.bytes().to_vec()).unwrap()
}

#[test]
fn built_in_rules_find_what_they_name_and_nothing_else() {
    for (rule, hit, misses) in [
        ("email", "ada.lovelace+x@mail.example.co.uk", &["ada@", "@example.com", "a at b.com", "a@b"][..]),
        ("credit_card", "4111 1111 1111 1111", &["4111 1111 1111 1112", "1234567890123456", "0000000000000000"]),
        ("credit_card", "5500005555555559", &["chatcmpl-123456789012345678901234567890"]),
        ("iban", "DE89 3704 0044 0532 0130 00", &["DE88 3704 0044 0532 0130 00", "hello world this is text"]),
        ("phone", "+49 (0)221 4710 123", &["2026-11-24", "3.14159265", "1795000000"]),
        ("phone", "(212) 555-0123", &["12-34"]),
        ("us_ssn", "123-45-6789", &["000-45-6789", "123-00-6789"]),
        ("ip_address", "192.168.10.254", &["1.2.3", "999.1.1.1"]),
        ("secrets", "sk-proj-abcdefghijklmnopqrstuvwx", &["sk-short", "ask-me-anything-you-would-like"]),
        ("secrets", "AKIAIOSFODNN7EXAMPLE", &["AKIA"]),
        ("secrets", "AIzaSyA-1234567890abcdefghijklmnopqrstu", &["AIza"]),
        ("secrets", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0xx.c2lnbmF0dXJl", &["eyJ"]),
        ("secrets", "Bearer abcdefghijklmnop1234", &["bearer of news"]),
    ] {
        let redactor = redactor(&format!(r#"{{"redact":["{rule}"]}}"#));
        let told = kept(&redactor, &format!(r#"{{"content":"see {hit}, thanks"}}"#));
        assert!(!told.contains(hit) && told.contains("see "), "{rule}: {told}");
        for miss in misses {
            let body = format!(r#"{{"content":"see {miss} thanks"}}"#);
            assert_eq!(kept(&redactor, &body), body, "{rule}");
        }
    }
}

#[test]
fn json_is_cleaned_through_its_escapes_in_names_numbers_and_inner_json() {
    let redactor = redactor(r#"{"redact":["email","credit_card"]}"#);
    for (body, wanted) in [
        (
            r#"{"a":"x\u0040example.com  ok"}"#,
            r#"{"a":"x\u0040example.com  ok"}"#.replace(r"x\u0040example.com", "[email]"),
        ),
        (r#"{"ada@example.com" : 1.50}"#, r#"{"[email]" : 1.50}"#.to_owned()),
        (r#"{"card":4111111111111111}"#, r#"{"card":"[credit card]"}"#.to_owned()),
        (r#"{"arguments":"{\"to\":\"ada\\u0040example.com\"}"}"#, r#"{"arguments":"{\"to\":\"[email]\"}"}"#.to_owned()),
        // Cut off in the middle: nothing of it may stay.
        (r#"{"a":"to ada@example.co"#, r#"{"a":"to [email]""#.to_owned()),
        (r#"{"a":"to ada\u0040example.com \u00"#, r#"{"a":"to [email] ""#.to_owned()),
        ("plain ada@example.com text", "plain [email] text".to_owned()),
    ] {
        assert_eq!(kept(&redactor, body), wanted, "{body}");
    }
}

fn events(pieces: &[&str]) -> String {
    let event = |text: &&str| {
        let text = serde_json::to_string(text).unwrap();
        format!("data: {{\"id\":\"chatcmpl-1\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{text}}}}}]}}\n\n")
    };
    pieces.iter().map(event).collect::<String>() + "data: [DONE]\n\n"
}

fn said(stream: &str) -> String {
    let datas = stream.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    datas
        .map(|data| {
            let event: serde_json::Value = serde_json::from_str(data).unwrap();
            event["choices"][0]["delta"]["content"].as_str().unwrap().to_owned()
        })
        .collect()
}

proptest! {
    #[test]
    fn a_match_is_found_however_a_stream_is_cut_and_the_rest_stays(cuts in proptest::collection::vec(0_usize..60, 0..8)) {
        let text = "Write to ada.lovelace@example.com or 4111 1111 1111 1111!";
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < text.len()).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&str> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        let redactor = redactor(r#"{"redact":["email","credit_card"]}"#);
        prop_assert_eq!(said(&kept(&redactor, &events(&pieces))), "Write to [email] or [credit card]!");
    }

    #[test]
    fn what_no_rule_touches_stays_byte_for_byte(body in ".{0,200}") {
        let redactor = redactor(r#"{"redact":[{"pattern":"never-to-be-found-[0-9]{40}"}]}"#);
        prop_assert_eq!(kept(&redactor, &body), body);
    }
}

#[test]
fn parallel_texts_of_a_stream_are_told_apart() {
    let redactor = redactor(r#"{"redact":["email"]}"#);
    let event = |index: u8, text: &str| {
        format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{index},\"delta\":{{\"text\":\"{text}\"}}}}\n\n"
        )
    };
    let stream = event(0, "ada@exam") + &event(1, "bob@") + &event(0, "ple.com") + &event(1, "example.org");
    let wanted = event(0, "[email]") + &event(1, "[email]") + &event(0, "") + &event(1, "");
    assert_eq!(kept(&redactor, &stream), wanted);
}

#[test]
fn places_in_json_are_emptied_and_a_cut_body_is_not_kept_then() {
    let redactor =
        redactor(r#"{"redact":[{"json":"messages.*.name"},{"json":"**.ssn","replace":"-","name":"number"}]}"#);
    let mut told = record(r#"{"messages":[{"name":"Ada","content":"hi"}],"a":{"b":[{"ssn":7}]}}"#, "");
    redactor.record(&mut told);
    assert_eq!(
        told.asked.body.bytes(),
        r#"{"messages":[{"name":"[redacted]","content":"hi"}],"a":{"b":[{"ssn":"-"}]}}"#
    );
    assert_eq!(told.control.redacted, [("json".to_owned(), 1), ("number".to_owned(), 1)]);
    let mut cut = record("", "");
    cut.response = Body::capture(&Bytes::from_static(br#"{"messages":[{"name":"Ada"}]}"#), 20);
    redactor.record(&mut cut);
    assert_eq!((cut.response.state(), cut.response.kept()), (BodyState::Omitted, 0));
}

#[test]
fn every_text_of_a_record_is_looked_at_and_bytes_between_texts_stay() {
    let redactor = redactor(r#"{"redact":[{"pattern":"CANARY-[0-9]+"}]}"#);
    let mut told = record("", "");
    let form = [&b"--b\r\n\xff\xfe CANARY-1 \xff"[..], b" end"].concat();
    told.asked.body = Body::capture(&Bytes::from(form), 1 << 20);
    told.asked.path = "/v1/CANARY-2".into();
    told.asked.model = Some("CANARY-3".into());
    told.asked.attribution.user = Some("CANARY-4".into());
    told.asked.attribution.set_property("CANARY-5", "CANARY-6");
    told.asked.parameters.push(Bytes::from_static(b"stop"), Bytes::from_static(b"[\"CANARY-7\"]"));
    told.reading.model = Some("CANARY-8".into());
    told.error =
        Some(RecordedError { kind: "CANARY-9".into(), code: Some("CANARY-10".into()), message: "CANARY-11".into() });
    told.control.notes.push("CANARY-12".into());
    redactor.record(&mut told);
    assert!(!format!("{told:?}").contains("CANARY-"), "{told:?}");
    assert!(told.asked.body.bytes().starts_with(b"--b\r\n\xff\xfe [redacted] \xff"));
    assert_eq!(told.control.redacted, [("pattern".to_owned(), 12)]);
}

#[test]
fn known_secrets_and_keys_in_errors_never_stay() {
    let redactor = redactor("{}");
    let mut told = record(
        "{\"key\":\"configured-key-1\"}",
        r#"{"error":{"message":"Incorrect API key: sk-proj-abcdefghijklmnopqrst"}}"#,
    );
    (told.status, told.outcome) = (Some(401), Outcome::UpstreamFailed);
    redactor.record(&mut told);
    assert_eq!(told.asked.body.bytes(), "{\"key\":\"[secret]\"}");
    assert_eq!(told.response.bytes(), r#"{"error":{"message":"Incorrect API key: [secret]"}}"#);
    let ours = format!("{{\"k\":\"sk-tachograph-{}\"}}", "0a".repeat(24));
    assert_eq!(kept(&redactor, &ours), "{\"k\":\"[secret]\"}");
    let body = r#"{"text":"sk-proj-abcdefghijklmnopqrst"}"#;
    assert_eq!(kept(&redactor, body), body, "of what went well only what is asked for is taken out");
}

#[test]
fn policies_hold_for_whom_they_name_and_samples_are_a_share() {
    let redactor = redactor(
        r#"{"sample_bodies":25,"policies":[{"properties":{"Team":"medical"},"bodies":"none"},
            {"user":"ada","redact":["email"],"sample_bodies":100}]}"#,
    );
    let mut medical = record("{\"a\":1}", "{}");
    medical.asked.attribution.set_property("team", "medical");
    medical.outcome = Outcome::UpstreamFailed;
    redactor.record(&mut medical);
    assert_eq!((medical.asked.body.state(), medical.asked.body.len()), (BodyState::Omitted, 7));
    let kept = (0..4000)
        .filter(|_| {
            let mut one = record("{\"a\":1}", "{}");
            redactor.record(&mut one);
            one.asked.body.state() == BodyState::Whole
        })
        .count();
    assert!((800..1200).contains(&kept), "{kept} of 4000");
    let mut failed = record("{\"a\":1}", "{}");
    failed.outcome = Outcome::CutShort;
    redactor.record(&mut failed);
    assert_eq!(failed.asked.body.state(), BodyState::Whole);
}

#[test]
fn rules_that_cannot_be_run_are_all_told() {
    let privacy: Privacy =
        serde_json::from_str(r#"{"redact":["mail",{"pattern":"("},{"json":"a..b"}],"sample_bodies":101}"#).unwrap();
    assert_eq!(Redactor::new(&privacy, []).unwrap_err().len(), 4);
}
