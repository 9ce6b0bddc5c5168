//! The cache's headers and keys as Helicone's own code answers for them, where its cases are at hand.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "the whole crate is a test")]

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tachograph_cache::{CacheKey, Subject, Tenant, Usual, Wish};

fn cases() -> Option<Value> {
    table("cache")
}

fn table(name: &str) -> Option<Value> {
    let Some(shared) = std::env::var_os("TACHOGRAPH_SHARED") else {
        println!("TACHOGRAPH_SHARED is not set: Helicone's cases of the cache are not compared");
        return None;
    };
    let path = std::path::Path::new(&shared).join(format!("helicone-cases/{name}.json"));
    Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
}

fn headers(of: &Value) -> HeaderMap {
    let pairs = of.as_object().unwrap().iter();
    let header = |(name, value): (&String, &Value)| {
        (name.parse::<HeaderName>().unwrap(), value.as_str().unwrap().parse::<HeaderValue>().unwrap())
    };
    pairs.map(header).collect()
}

#[test]
fn headers_mean_what_they_mean_to_helicone() {
    let Some(cases) = cases() else { return };
    for case in cases["settings"].as_array().unwrap() {
        let wish = Wish::of(&headers(&case["headers"]), Usual::default());
        let told = &case["result"];
        if let Some(error) = told["error"].as_str() {
            let ours = wish.unwrap_err();
            // A difference on purpose: Helicone answers 500 for what is the caller's mistake.
            assert_eq!((ours.status().as_u16(), ours.message()), (400, error));
            continue;
        }
        let (wish, told) = (wish.unwrap(), &told["data"]);
        let age: u64 =
            told["cacheControl"].as_str().unwrap().strip_prefix("public, max-age=").unwrap().parse().unwrap();
        assert_eq!(wish.read, told["shouldReadFromCache"], "{case}");
        assert_eq!(wish.save, told["shouldSaveToCache"], "{case}");
        assert_eq!(wish.ttl, Duration::from_secs(age), "{case}");
        assert_eq!(u64::from(wish.buckets), told["bucketSettings"]["bucketSize"], "{case}");
        assert_eq!(wish.seed.as_deref(), told["cacheSeed"].as_str(), "{case}");
    }
}

/// Two of Helicone's requests share a key here exactly where they do there.
#[test]
fn requests_are_the_same_where_they_are_to_helicone() {
    let Some(cases) = cases() else { return };
    let key = |case: &Value| -> CacheKey {
        let sent = headers(&case["headers"]);
        let ignore: Vec<String> = serde_json::from_value(case["ignore"].clone()).ok().unwrap_or_default();
        let keys = ["authorization", "x-api-key", "helicone-auth"];
        let kept = sent.iter().filter(|(name, _)| keys.contains(&name.as_str()));
        let subject = Subject {
            tenant: Tenant::new(b"org"),
            route: &["POST", case["url"].as_str().unwrap()],
            headers: kept.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())).collect(),
            seed: case["seed"].as_str(),
            ignore: &ignore,
            body: case["body"].as_str().unwrap().as_bytes(),
        };
        subject.key().served_by("openai/gpt-4o-mini").slot(u32::try_from(case["index"].as_u64().unwrap()).unwrap())
    };
    let all = cases["key"].as_array().unwrap();
    for (index, a) in all.iter().enumerate() {
        for b in &all[index + 1..] {
            let there = a["key_sha256_hex"] == b["key_sha256_hex"];
            assert_eq!(key(a) == key(b), there, "{a}\n{b}");
        }
    }
}

#[test]
fn differences_on_purpose() {
    let wish = |pairs: &[(&'static str, &'static str)]| {
        let pairs = pairs.iter();
        let headers = pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        Wish::of(&headers.collect(), Usual { enabled: true, ..Usual::default() }).unwrap()
    };
    // Helicone ignores both: a caller who says that nothing is to be stored means it.
    let none = wish(&[("cache-control", "no-store")]);
    assert!(!none.read && !none.save);
    let fresh = wish(&[("cache-control", "no-cache")]);
    assert!(!fresh.read && fresh.save, "a fresh answer, which is then kept");
    // Its documentation has bare names, its code refuses them.
    let bare = wish(&[("helicone-cache-ignore-keys", "request_id, timestamp")]);
    let quoted = wish(&[("helicone-cache-ignore-keys", "\"request_id\",\"timestamp\"")]);
    assert_eq!((bare.ignore.len(), &bare.ignore), (2, &quoted.ignore));
    // The configuration turned it on, the caller off.
    let off = wish(&[("helicone-cache-enabled", "false")]);
    assert!(off.is_empty());
    let read_only = wish(&[("tachograph-cache-read", "True")]);
    assert!(read_only.read && !read_only.save);
}

/// What Helicone's own parser makes of headers that are not about the cache alone.
#[test]
fn headers_say_of_the_cache_what_they_say_to_helicone() {
    let Some(cases) = table("headers") else { return };
    for case in cases["cases"].as_array().unwrap() {
        let sent = case["headers"].as_object().unwrap().iter();
        // Values that no client could send are left out.
        let header = |(name, value): (&String, &Value)| {
            Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value.as_str()?).ok()?))
        };
        let wish = Wish::of(&sent.filter_map(header).collect(), Usual::default()).unwrap();
        let told = &case["parsed"]["cacheHeaders"];
        // What they refuse for its fallbacks says nothing of the cache; the gateway's own test reads it.
        if case["throws"].as_str().is_some_and(|why| why.contains("helicone-fallbacks")) {
            continue;
        }
        if told.is_null() {
            // Named difference: names without quotes, which its documentation shows and its code refuses, are read.
            assert!(!wish.ignore.is_empty(), "{case}");
            continue;
        }
        // Named difference: its logged flag is true for the exact text alone, its cache for any case; here both agree.
        let enabled =
            case["headers"]["Helicone-Cache-Enabled"].as_str().is_some_and(|text| text.eq_ignore_ascii_case("true"));
        assert_eq!((wish.read, wish.save), (enabled, enabled), "{case}");
        assert!(enabled || told["cacheEnabled"] == false, "{case}");
        assert_eq!(u64::from(wish.buckets), told["cacheBucketMaxSize"].as_u64().unwrap_or(1), "{case}");
        assert!(told["cacheSeed"].is_null() || wish.seed.is_some(), "{case}");
    }
}
