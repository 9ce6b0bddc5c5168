//! Helicone's own tables of how its limiter answers.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test")]

use serde_json::Value;
use tachograph_ratelimit::{Bucket, Policy, Segment, Shape, Subject, Unit, bucket_key, seconds_to_full};

/// A table, where it is there; else one line that says so.
fn cases(name: &str) -> Vec<Value> {
    let named = std::env::var_os("TACHOGRAPH_SHARED").map(std::path::PathBuf::from);
    let beside = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let file = named.unwrap_or(beside).join("helicone-cases").join(format!("{name}.json"));
    let Ok(text) = std::fs::read_to_string(&file) else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "the tables must be there under CI");
        eprintln!("skipped: no table {name} (set TACHOGRAPH_SHARED)");
        return Vec::new();
    };
    let table: Value = serde_json::from_str(&text).unwrap();
    table["cases"].as_array().unwrap().clone()
}

fn described(policy: &Policy, text: &str) -> Value {
    let segment = match policy.segment() {
        Segment::Global => serde_json::json!({ "type": "global" }),
        Segment::User => serde_json::json!({ "type": "user" }),
        other => serde_json::json!({ "type": "property", "name": other.name() }),
    };
    let quota: f64 = policy.quota().parse().unwrap();
    serde_json::json!({
        "quota": quota, "windowSeconds": policy.window_s(), "unit": policy.unit().code(), "segment": segment,
        "policyString": text.trim(),
    })
}

fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, value)| b.get(name).is_some_and(|other| same(value, other)))
        }
        (a, b) => a == b,
    }
}

#[test]
fn policies_are_read_and_written_as_helicone_does() {
    for case in cases("ratelimit_policy") {
        let (argument, result) = (&case["args"][0], &case["result"]);
        let text = argument.as_str().unwrap_or_default();
        match case["fn"].as_str().unwrap() {
            "parseRateLimitPolicy" if text.is_empty() => assert!(Policy::several(text).0.is_empty()),
            "parseRateLimitPolicy" => match text.parse::<Policy>() {
                Ok(policy) => {
                    let ours = described(&policy, text);
                    assert!(same(&ours, &result["data"]), "{text}: {ours} not {}", result["data"]);
                }
                Err(fault) => {
                    let ours =
                        serde_json::json!({ "field": fault.field, "message": fault.message, "value": fault.value });
                    assert_eq!(ours, result["error"], "{text}");
                }
            },
            "buildPolicyString" => {
                let segment = match argument["segment"]["type"].as_str().unwrap() {
                    "global" => String::new(),
                    "user" => ";s=user".to_owned(),
                    _ => format!(";s={}", argument["segment"]["name"].as_str().unwrap()),
                };
                let (quota, window, unit) =
                    (&argument["quota"], &argument["windowSeconds"], argument["unit"].as_str().unwrap());
                let policy: Policy = format!("{quota};w={window};u={unit}{segment}").parse().unwrap();
                assert_eq!(policy.to_string(), result.as_str().unwrap());
            }
            "isValidPolicy" => {
                let is_valid = text.is_empty() || text.parse::<Policy>().is_ok();
                assert_eq!(is_valid, result.as_bool().unwrap(), "{text:?}");
            }
            other => panic!("nobody answers {other}"),
        }
    }
}

#[test]
fn buckets_are_told_apart_as_helicone_does() {
    for case in cases("ratelimit_segments") {
        let (arguments, result) = (&case["args"], &case["result"]);
        match case["fn"].as_str().unwrap() {
            "buildDurableObjectKey" => {
                let told = &arguments[1];
                let segment = match told["type"].as_str().unwrap() {
                    "global" => Segment::Global,
                    "user" => Segment::User,
                    _ => Segment::Property(told["propertyName"].as_str().unwrap().to_owned()),
                };
                let unit = if arguments[2] == "cents" { Unit::Cents } else { Unit::Request };
                let key = bucket_key(arguments[0].as_str().unwrap(), &segment, told["value"].as_str().unwrap(), unit);
                assert_eq!(key, result.as_str().unwrap());
            }
            // What is asked of the source it makes stands in the test's name.
            "createPropertySourceFromHeaders" => {
                let properties: Vec<(String, String)> = arguments[0]
                    .as_object()
                    .unwrap()
                    .iter()
                    .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
                    .collect();
                let subject =
                    Subject { org: "o", user: arguments[1].as_str(), properties: &properties, ..Subject::default() };
                let test = case["test"].as_str().unwrap();
                assert_eq!(subject.share(&Segment::Global), Some(""), "{test}");
                let user = arguments[1].as_str().filter(|user| !user.is_empty());
                assert_eq!(subject.share(&Segment::User), user, "{test}");
                for (name, value) in &properties {
                    let shouted = Segment::Property(name.to_uppercase());
                    assert_eq!(subject.share(&shouted), Some(value.as_str()), "{test}");
                    let key = bucket_key("o", &shouted, value, Unit::Request);
                    assert_eq!(key.matches(':').count(), 5, "no colon of a value is in the key {key:?}: {test}");
                }
                assert_eq!(subject.property("missing"), None, "{test}");
            }
            other => panic!("nobody answers {other}"),
        }
    }
}

#[test]
fn a_bucket_fills_and_empties_as_helicones_does() {
    const GRAINS: f64 = 1_000_000.0;
    for case in cases("ratelimit_bucket") {
        let mut bucket: Option<Bucket> = None;
        for step in case["steps"].as_array().unwrap() {
            let (asked, told) = (&step["request"], &step["response"]);
            let policy: Policy = asked["policyString"].as_str().unwrap().parse().unwrap();
            let window_ms = i64::try_from(policy.window_s()).unwrap() * 1_000;
            let shape = Shape { capacity: policy.capacity(), window_ms };
            let now = step["at_ms"].as_i64().unwrap();
            let bucket = bucket.get_or_insert_with(|| Bucket::full(shape, now));
            let cost = (asked["cost"].as_f64().unwrap().clamp(0.0, GRAINS) * GRAINS) as i64;
            let only_looks = asked["checkOnly"] == true;
            let before = bucket.level_at(shape, now);
            let allowed = if policy.unit() == Unit::Request {
                let is_there = before >= cost.max(1);
                bucket.take(shape, now, if is_there && !only_looks { cost } else { 0 });
                is_there
            } else {
                bucket.take(shape, now, if only_looks { 0 } else { cost });
                bucket.level_at(shape, now) > 0
            };
            let level = bucket.level_at(shape, now);
            let name = case["name"].as_str().unwrap();
            assert_eq!(allowed, told["allowed"], "{name} at {now}");
            assert_eq!(level.div_euclid(1_000_000).max(0), told["remaining"].as_i64().unwrap(), "{name} at {now}");
            assert_eq!(seconds_to_full(shape, level), told["resetSeconds"].as_u64().unwrap(), "{name} at {now}");
            assert!(
                (level as f64 / GRAINS - step["tokens_after"].as_f64().unwrap()).abs() < 2e-6,
                "{name} at {now}: {level}"
            );
            assert_eq!(policy.to_string(), told["policy"].as_str().unwrap());
        }
    }
}
