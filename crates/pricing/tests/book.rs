//! What a call costs, in cases that need no file from outside: each rule at its boundary, with the exact decimal.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod support;

use support::{cost, friday_noon_plus, now, total, with_overlay};
use tachograph_pricing::{Catalog, PriceBook, PriceContext};
use tachograph_record::{
    CacheTtl, CostState, Direction, Kind, Leaf, Modality, Money, Quantity, Unit, Usage, UsageReading, UsageSource,
};

const ACME: &str = r#"
    [provider]
    id = "acme"
    [[model]]
    id = "tiered"
    [[model.price]]
    input = "3"
    cache_read = "0.3"
    cache_write = "3.75"
    cache_write_1h = "6"
    output = "15"
    web_search = { price = "10", per = 1000 }
    [[model.price.when]]
    over_input = 200000
    input = "6"
    cache_read = "0.6"
    output = "22.5"
    [[model.price.when]]
    tier = "batch"
    input = "1.5"
    output = "7.5"
    [[model.price.when]]
    tier = "batch"
    over_input = 200000
    input = "3"
    output = "11.25"
    [[model.price.when]]
    tier = "priority"
    input = "6"
    output = "30"

    [[model]]
    id = "inclusive"
    [[model.price]]
    input = "2"
    output = "6"
    [[model.price.when]]
    over_input = 200000
    inclusive = true
    input = "4"
    output = "12"

    [[model]]
    id = "plain"
    [[model.price]]
    input = "1"
    output = "4"

    [[model]]
    id = "dated"
    [[model.price]]
    input = "1"
    [[model.price]]
    until = "2026-08-17"
    input = "3"
    [[model.price]]
    from = "2026-08-17"
    until = "2026-11-20"
    input = "2"

    [[model]]
    id = "peaks"
    [[model.price]]
    input = "1"
    [[model.price.when]]
    window = [{ hours = ["01:00-04:00", "06:00-10:00"], weekdays = [1, 2, 3, 4, 5] }]
    input = "2"

    [[model]]
    id = "places"
    [[model.price]]
    input = "10"
    web_search = { price = "10", per = 1000 }
    [[model.price.when]]
    region = "eu"
    input = "11"
    [[model.price.when]]
    deployment = "data_zone"
    input = "12"
    [[model.multiplier]]
    factor = "1.1"
    region = ["us", "eu"]
    [[model.multiplier]]
    factor = "2"
    with = { speed = "fast" }

    [[model]]
    id = "anywhere"
    [[model.price]]
    input = "10"
    [[model.multiplier]]
    factor = "1.1"
    region = "*"

    [[model]]
    id = "units"
    [[model.price]]
    request = { price = "5", per = 1000 }
    web_search = { price = "35", per = 1000 }
    storage_search = { price = "2.5", per = 1000 }
    rerank_search = { price = "2", per = 1000 }
    code_session = { price = "0.03", per = 1 }
    image = { price = "0.04", per = 1 }
    input_second = { price = "0.111", per = 3600 }
    output_second = { price = "0.1", per = 1 }
    input_character = { price = "15", per = 1000000 }
    output_character = { price = "30", per = 1000000 }
    page = { price = "1", per = 1000 }
    annotated_page = { price = "3", per = 1000 }
    input_images = { price = "0.001", per = 1 }
    input_video_second = { price = "0.0007", per = 1 }
    input_pixel = { price = "0.05", per = 1000000 }
    output_pixel = { price = "0.06", per = 1000000 }
    megapixel = { price = "0.07", per = 1 }
    compute_second = { price = "39.6", per = 3600 }
    x_search = { price = "5", per = 1000 }
    enterprise_web_search = { price = "45", per = 1000 }
    attachment_search = { price = "10", per = 1000 }
    maps_grounding = { price = "25", per = 1000 }
    code_execution = { price = "5", per = 1000 }
    guardrail = { price = "0.15", per = 1000 }
    routing_unit = { price = "0.14", per = 1000000 }
    text_message = { price = "0.01", per = 1 }
    ocr_credit = { price = "0.015", per = 1 }
    vector_store_gb_day = { price = "0.1", per = 1 }
    file_search_gb_day = { price = "0.2", per = 1 }
    [[model.price.when]]
    with = { size = "1024x1536", quality = "high" }
    image = { price = "0.2", per = 1 }

    [[model]]
    id = "bounded"
    [[model.price]]
    input_second = { price = "0.036", per = 3600, at_least = "10" }
    web_search = { price = "35", per = 1000, at_most = "1" }

    [[model]]
    id = "by-pixel"
    [[model.price]]
    input_pixel = { price = "2", per = 1000000 }
    output_pixel = { price = "0", per = 1000000 }
    [[model.price.when]]
    with = { size = "1024x1024", quality = "high" }
    input_pixel = { price = "4", per = 1000000 }

    [[model]]
    id = "by-megapixel"
    [[model.price]]
    megapixel = { price = "0.03", per = 1 }

    [[model]]
    id = "explicit-cache"
    [[model.price]]
    input = "2"
    cache_read = "0.5"
    [[model.price.when]]
    with = { cache_type = "ephemeral" }
    cache_read = "0.2"

    [[model]]
    id = "modal"
    [[model.price]]
    input = "1"
    cache_read = "0.1"
    input_audio = "10"
    cache_read_audio = "2"
    output = "4"
    output_audio = "20"
    output_reasoning = "8"

    [[model]]
    id = "free-cache"
    [[model.price]]
    input = "1"
    cache_read = "0"

    [[model]]
    id = "odd"
    [[model.price]]
    input = { price = "1", per = 3 }

    [[map]]
    from = "chat-prod"
    to = "tiered"
    [[map]]
    from = "plain"
    provider = "openai"
    to = "gpt-4o-mini"
"#;

fn book() -> Catalog {
    with_overlay("book", ACME).unwrap()
}

fn leaf(direction: Direction, kind: Kind, modality: Modality) -> Leaf {
    Leaf::new(direction, kind, modality)
}

#[test]
fn hard_case_20_every_bucket_is_billed_exactly_once() {
    let usage = Usage::reported([
        (Leaf::INPUT, 44),
        (Leaf::CACHE_READ, 26_048),
        (Leaf::cache_write(CacheTtl::FiveMinutes), 359),
        (Leaf::CACHE_WRITE, 41),
        (Leaf::cache_write(CacheTtl::OneHour), 147),
        (Leaf::OUTPUT, 900),
        (Leaf::REASONING, 73),
    ]);
    let cost = cost(&book(), "tiered", &usage, &now());
    let lines: Vec<_> =
        cost.lines.iter().map(|l| (l.meter.as_str(), l.quantity.as_str(), l.amount.to_string())).collect();
    let line = |meter, quantity, amount: &str| (meter, quantity, amount.to_owned());
    assert_eq!(
        lines,
        [
            line("input_tokens", "44", "0.000132"),
            line("cache_read_tokens", "26048", "0.0078144"),
            line("cache_write_tokens", "400", "0.0015"),
            line("cache_write_1h_tokens", "147", "0.000882"),
            line("output_tokens", "973", "0.014595"),
        ]
    );
    assert_eq!(cost.total.to_string(), "0.0249234");
    assert_eq!((cost.provider.as_str(), cost.model.as_str(), cost.matched_by.as_str()), ("acme", "tiered", "exact"));
}

#[test]
fn hard_case_21_the_threshold_reprices_the_whole_request() {
    let book = book();
    let at = |fresh, cached| {
        total(&book, "tiered", &[(Leaf::INPUT, fresh), (Leaf::CACHE_READ, cached), (Leaf::OUTPUT, 1000)], &now())
    };
    assert_eq!(at(200_000, 0), "0.615", "strictly above");
    assert_eq!(at(200_001, 0), "1.222506");
    assert_eq!(at(1, 200_000), "0.142506", "cached tokens count towards the threshold");
    let inclusive = |fresh| total(&book, "inclusive", &[(Leaf::INPUT, fresh)], &now());
    assert_eq!((inclusive(199_999).as_str(), inclusive(200_000).as_str()), ("0.399998", "0.8"));
    let batch = PriceContext { batch: true, ..now() };
    assert_eq!(total(&book, "tiered", &[(Leaf::INPUT, 200_001), (Leaf::OUTPUT, 1000)], &batch), "0.611253");
    let cached = [(Leaf::INPUT, 200_001), (Leaf::CACHE_READ, 1000)];
    assert_eq!(
        total(&book, "tiered", &cached, &batch),
        "0.600603",
        "reads have no batch price: the standard one above"
    );
    let priority = PriceContext { service_tier: Some("priority"), ..now() };
    let long = [(Leaf::INPUT, 200_001), (Leaf::OUTPUT, 1000)];
    assert_eq!(total(&book, "tiered", &long, &priority), "1.222506", "above it only the standard prices are listed");
}

#[test]
fn hard_case_21_the_thresholds_of_the_built_in_book() {
    let book = Catalog::embedded();
    let at = |model, count| total(book, model, &[(Leaf::INPUT, count)], &now());
    assert_eq!((at("openai gpt-5.4", 272_000).as_str(), at("openai gpt-5.4", 272_001).as_str()), ("0.68", "1.360005"));
    assert_eq!((at("xai grok-4.7", 199_999).as_str(), at("xai grok-4.7", 200_000).as_str()), ("0.399998", "0.8"));
    assert_eq!(at("google gemini-2.5-pro", 200_000), "0.25");
    assert_eq!(at("google gemini-2.5-pro", 200_001), "0.5000025");
}

#[test]
fn hard_case_22_the_tier_that_served_is_billed() {
    let book = book();
    let leaves = [(Leaf::INPUT, 1000), (Leaf::CACHE_READ, 1000), (Leaf::OUTPUT, 1000)];
    let at = |service_tier, batch| total(&book, "tiered", &leaves, &PriceContext { service_tier, batch, ..now() });
    assert_eq!(at(None, false), "0.0183");
    assert_eq!(at(Some("default"), false), "0.0183", "asked for priority, served at the default");
    assert_eq!(at(Some("priority"), false), "0.0363", "cached input has no priority price: the standard one holds");
    assert_eq!(at(Some("fast"), false), "0.0363", "another word for priority");
    assert_eq!(at(Some("flex"), false), "0.0183", "a tier without prices");
    assert_eq!(at(None, true), "0.0093");
    assert_eq!(at(Some("batch"), false), "0.0093");
    assert_eq!(at(Some("priority"), true), "0.0093", "a batch is a batch");
}

#[test]
fn hard_case_23_every_unit_has_its_price() {
    let book = book();
    let at = |unit, quantity: &str, attributes: &[(&str, &str)]| {
        let mut usage = Usage::new(UsageSource::Reported);
        usage.add_unit(unit, quantity.parse().unwrap());
        let cost = cost(&book, "units", &usage, &PriceContext { attributes, ..now() });
        assert_eq!((cost.lines.len(), cost.lines[0].meter.as_str()), (1, unit.name()));
        assert_eq!(cost.lines[0].quantity, quantity);
        cost.total.to_string()
    };
    for (unit, quantity, amount) in [
        (Unit::Requests, "1", "0.005"),
        (Unit::WebSearches, "3", "0.105"),
        (Unit::FileSearches, "2", "0.005"),
        (Unit::RerankSearches, "25", "0.05"),
        (Unit::CodeSessions, "1", "0.03"),
        (Unit::Images, "4", "0.16"),
        (Unit::OutputSeconds, "7.25", "0.725"),
        (Unit::InputCharacters, "1000", "0.015"),
        (Unit::OutputCharacters, "1000", "0.03"),
        (Unit::Pages, "22", "0.022"),
        (Unit::AnnotatedPages, "4", "0.012"),
        (Unit::InputSeconds, "3600", "0.111"),
        (Unit::InputImages, "3", "0.003"),
        (Unit::InputVideoSeconds, "10.5", "0.00735"),
        (Unit::InputPixels, "1048576", "0.0524288"),
        (Unit::OutputPixels, "1048576", "0.06291456"),
        (Unit::Megapixels, "1.5", "0.105"),
        (Unit::ComputeSeconds, "60", "0.66"),
        (Unit::XSearches, "3", "0.015"),
        (Unit::EnterpriseWebSearches, "1", "0.045"),
        (Unit::AttachmentSearches, "2", "0.02"),
        (Unit::MapsGroundings, "1", "0.025"),
        (Unit::CodeExecutions, "2", "0.01"),
        (Unit::Guardrails, "4", "0.0006"),
        (Unit::RoutingUnits, "1000", "0.00014"),
        (Unit::TextMessages, "2", "0.02"),
        (Unit::OcrCredits, "2", "0.03"),
        (Unit::VectorStoreGbDays, "0.5", "0.05"),
        (Unit::FileSearchGbDays, "0.5", "0.1"),
    ] {
        assert_eq!(at(unit, quantity, &[]), amount, "{unit:?}");
    }
    let high = [("size", "1024x1536"), ("quality", "high")];
    assert_eq!(at(Unit::Images, "2", &high), "0.4");
    assert_eq!(at(Unit::Images, "2", &high[..1]), "0.08", "half of the attributes is not the special case");
}

#[test]
fn a_request_is_billed_for_at_least_and_at_most_so_many() {
    let book = book();
    let at = |unit, quantity: &str| {
        let mut usage = Usage::new(UsageSource::Reported);
        usage.add_unit(unit, quantity.parse().unwrap());
        let cost = cost(&book, "bounded", &usage, &now());
        (cost.lines[0].quantity.clone(), cost.total.to_string())
    };
    let told = |quantity: &str, amount: &str| (quantity.to_owned(), amount.to_owned());
    assert_eq!(at(Unit::InputSeconds, "7"), told("10", "0.0001"));
    assert_eq!(at(Unit::InputSeconds, "10"), told("10", "0.0001"));
    assert_eq!(at(Unit::InputSeconds, "10.5"), told("10.5", "0.000105"));
    assert_eq!(at(Unit::WebSearches, "1"), told("1", "0.035"));
    assert_eq!(at(Unit::WebSearches, "9"), told("1", "0.035"), "by the grounded prompt");
    let none = cost(&book, "bounded", &Usage::new(UsageSource::Reported), &now());
    assert_eq!((none.total, none.lines.len()), (Money::ZERO, 0), "what used none is billed for none");
    for (bounds, why) in [
        ("at_least = \"1e1\"", "no count with at most six decimals"),
        ("at_least = \"2\", at_most = \"1\"", "`at_least` is more than `at_most`"),
    ] {
        let text = format!(
            "[provider]\nid = \"a\"\n[[model]]\nid = \"m\"\n[[model.price]]\npage = {{ price = \"1\", per = 1, {bounds} }}\n"
        );
        let error = with_overlay("bounds", &text).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    let tokens = "[provider]\nid = \"a\"\n[[model]]\nid = \"m\"\n[[model.price]]\ninput = { price = \"1\", per = 1, at_least = \"1\" }\n";
    assert!(with_overlay("bounds", tokens).unwrap_err().to_string().contains("only what is no token has bounds"));
}

#[test]
fn images_of_a_model_that_is_sold_by_pixels_are_billed_by_their_size() {
    let book = book();
    let at = |model, size: &str, quality: &str| {
        let mut usage = Usage::new(UsageSource::Reported);
        usage.add_unit(Unit::Images, Quantity::whole(2).unwrap());
        let attributes = [("size", size), ("quality", quality)];
        book.cost("acme", model, &UsageReading::Known(usage), &PriceContext { attributes: &attributes, ..now() })
            .total()
            .map(|total| total.to_string())
    };
    assert_eq!(at("by-pixel", "1000x500", "low").as_deref(), Some("2"), "a million pixels");
    assert_eq!(at("by-pixel", "1024x1024", "high").as_deref(), Some("8.388608"));
    assert_eq!(at("by-megapixel", "1000x500", "low").as_deref(), Some("0.03"));
    assert_eq!(at("by-pixel", "auto", "low"), None, "unknown, not nothing");
    assert_eq!(at("by-pixel", "99999999999x99999999999", "low"), None);
}

#[test]
fn what_the_answer_says_of_how_it_was_served_goes_before_what_was_asked_for() {
    let book = book();
    let mut usage = Usage::reported([(Leaf::CACHE_READ, 1_000_000)]);
    assert_eq!(cost(&book, "explicit-cache", &usage, &now()).total.to_string(), "0.5");
    let asked = [("cache_type", "ephemeral")];
    let asking = PriceContext { attributes: &asked, ..now() };
    assert_eq!(cost(&book, "explicit-cache", &usage, &asking).total.to_string(), "0.2");
    usage.add_fact("cache_type", "automatic");
    assert_eq!(cost(&book, "explicit-cache", &usage, &asking).total.to_string(), "0.5");
    let mut served = Usage::reported([(Leaf::CACHE_READ, 1_000_000)]);
    served.add_fact("cache_type", "Ephemeral");
    assert_eq!(cost(&book, "explicit-cache", &served, &now()).total.to_string(), "0.2");
}

#[test]
fn hard_case_24_unknown_is_never_zero() {
    let book = book();
    let known = |leaves: &[(Leaf, u64)]| UsageReading::Known(Usage::reported(leaves.iter().copied()));
    let of = |model, reading: &UsageReading| book.cost("acme", model, reading, &now());
    let some = known(&[(Leaf::INPUT, 1)]);
    assert_eq!(of("no-such-model", &some), CostState::UnknownModel);
    assert_eq!(of("units", &some), CostState::UnknownModel, "sold by units: tokens have no price there");
    assert_eq!(of("tiered", &UsageReading::Absent), CostState::NoUsage);
    let wrong = UsageReading::Invalid("negative".to_owned());
    assert_eq!(of("tiered", &wrong), CostState::InvalidUsage { why: "negative".to_owned() });
    assert!(
        matches!(of("tiered", &known(&[(Leaf::INPUT, u64::MAX)])), CostState::Priced(_)),
        "20 digits are no overflow"
    );
    assert_eq!(of("tiered", &known(&[])).total(), Some(Money::ZERO), "nothing used of a known model costs nothing");
}

#[test]
fn hard_case_25_a_bad_file_keeps_the_old_book() {
    let path = support::directory("reload", &[("acme.toml", ACME)]);
    let book = PriceBook::open(vec![path.clone()]).unwrap();
    let before = book.current();
    assert!(!book.reload().unwrap(), "nothing changed");

    std::fs::write(path.join("acme.toml"), ACME.replace("input = \"3\"", "input = \"3e0\"")).unwrap();
    std::fs::write(path.join("other.toml"), "[provider]\nid = \"other\"\nnmae = \"x\"\n").unwrap();
    let error = book.reload().unwrap_err();
    let text = error.to_string();
    assert!(error.faults.len() >= 3, "all faults of all files: {text}");
    assert!(text.contains("acme.toml:5: model \"tiered\": `input`: the price \"3e0\" has an exponent"), "{text}");
    assert!(text.contains("other.toml:3: unknown field `nmae`"), "{text}");
    assert_eq!(book.current().version(), before.version(), "the old book stays");
    assert_eq!(book.faults(), error.faults.len(), "the alarm is set, and health shows it");
    assert!(!book.poll().unwrap(), "told once for each change");
    assert_eq!(book.faults(), error.faults.len(), "the alarm stays while the files are bad");

    std::fs::write(path.join("acme.toml"), ACME.replace("input = \"3\"", "input = \"4\"")).unwrap();
    std::fs::remove_file(path.join("other.toml")).unwrap();
    assert!(book.reload().unwrap());
    assert_eq!(book.faults(), 0, "the alarm is off");
    assert_ne!(book.current().version(), before.version());
    let leaves = [(Leaf::INPUT, 100_000)];
    assert_eq!(total(&before, "tiered", &leaves, &now()), "0.3", "who holds the old book still has it");
    assert_eq!(total(&book.current(), "tiered", &leaves, &now()), "0.4");
}

#[test]
fn hard_case_26_a_million_rows_add_up_exactly() {
    let one = cost(
        Catalog::embedded(),
        "openai gpt-4o-mini",
        &Usage::reported([(Leaf::INPUT, 500), (Leaf::OUTPUT, 300)]),
        &now(),
    );
    assert_eq!(one.total.to_string(), "0.000255");
    let sum: Money = std::iter::repeat_n(one.total, 1_000_000).sum();
    assert_eq!(sum.to_string(), "255");
}

#[test]
fn cache_prices_that_are_missing_and_free() {
    let book = book();
    let cached = [(Leaf::CACHE_READ, 1_000_000), (Leaf::CACHE_WRITE, 1_000_000)];
    assert_eq!(total(&book, "anywhere", &cached, &now()), "20", "as plain input");
    assert_eq!(total(&book, "free-cache", &cached[..1], &now()), "0", "an explicit 0 is a price");
}

#[test]
fn modalities_and_reasoning_roll_up() {
    let book = book();
    let million = |leaf| total(&book, "modal", &[(leaf, 1_000_000)], &now());
    let (input, output) = (Direction::Input, Direction::Output);
    for (leaf, amount) in [
        (leaf(input, Kind::Plain, Modality::Audio), "10"),
        (leaf(input, Kind::Plain, Modality::Image), "1"),
        (leaf(input, Kind::Plain, Modality::Video), "1"),
        (leaf(input, Kind::Tool, Modality::Text), "1"),
        (leaf(input, Kind::CacheRead, Modality::Audio), "2"),
        (leaf(input, Kind::CacheRead, Modality::Image), "0.1"),
        (leaf(output, Kind::Plain, Modality::Audio), "20"),
        (leaf(output, Kind::Plain, Modality::Image), "4"),
        (leaf(output, Kind::Citation, Modality::Text), "4"),
        (Leaf::REASONING, "8"),
    ] {
        assert_eq!(million(leaf), amount, "{}", leaf.name());
    }
}

#[test]
fn a_request_is_priced_at_its_own_date() {
    let book = book();
    let at = |hours| total(&book, "dated", &[(Leaf::INPUT, 1_000_000)], &PriceContext::at(friday_noon_plus(hours)));
    let august_17 = -95 * 24 - 12;
    assert_eq!((at(august_17 - 1).as_str(), at(august_17).as_str()), ("3", "2"));
    assert_eq!((at(-13).as_str(), at(-12).as_str()), ("2", "1"), "an undated price holds where no dated one does");
}

#[test]
fn peak_hours_of_working_days() {
    let book = book();
    let at = |hours| total(&book, "peaks", &[(Leaf::INPUT, 1_000_000)], &PriceContext::at(friday_noon_plus(hours)));
    assert_eq!([at(-12), at(-11), at(-9), at(-8), at(-6), at(-2)], ["1", "2", "2", "1", "2", "1"]);
    assert_eq!(at(24 - 11), "1", "Saturday");
    assert_eq!(at(72 - 11), "2", "Monday");
}

#[test]
fn regions_deployments_and_factors() {
    let book = book();
    let at = |context: PriceContext<'_>| total(&book, "places", &[(Leaf::INPUT, 1_000_000)], &context);
    assert_eq!(at(now()), "10");
    assert_eq!(at(PriceContext { region: Some("US"), ..now() }), "11", "by the factor");
    assert_eq!(at(PriceContext { region: Some("eu"), ..now() }), "11", "by its own price, without the factor on top");
    assert_eq!(at(PriceContext { region: Some("jp"), ..now() }), "10");
    assert_eq!(at(PriceContext { deployment: Some("data_zone"), ..now() }), "12");
    let fast = PriceContext { region: Some("us"), attributes: &[("speed", "fast")], ..now() };
    assert_eq!(at(fast), "22", "factors multiply");

    let mut searched = Usage::reported([(Leaf::INPUT, 1_000_000)]);
    searched.add_unit(Unit::WebSearches, Quantity::whole(3).unwrap());
    let cost = cost(&book, "places", &searched, &fast);
    assert_eq!(cost.lines[0].price, "22", "the list price with its factors");
    assert_eq!(
        (cost.lines[1].amount.to_string().as_str(), cost.total.to_string().as_str()),
        ("0.03", "22.03"),
        "not on fees"
    );

    let anywhere = |region| total(&book, "anywhere", &[(Leaf::INPUT, 1_000_000)], &PriceContext { region, ..now() });
    assert_eq!([anywhere(None), anywhere(Some("global")), anywhere(Some("us-east5"))], ["10", "10", "11"]);
}

#[test]
fn a_price_that_is_no_whole_number_of_atto_dollars_is_rounded_once() {
    let book = book();
    let of = |count| cost(&book, "odd", &Usage::reported([(Leaf::INPUT, count)]), &now()).lines[0].clone();
    assert_eq!((of(3).amount.to_string().as_str(), of(3).exact), ("1", true));
    assert_eq!((of(1).amount.to_string().as_str(), of(1).exact), ("0.333333333333333333", false));
    assert_eq!((of(2).amount.to_string().as_str(), of(2).per), ("0.666666666666666667", 3));
}

#[test]
fn what_has_no_price_is_told_and_estimates_are_marked() {
    let book = book();
    let mut usage = Usage::new(UsageSource::Estimated);
    usage.add(Leaf::INPUT, 1000);
    usage.add_unit(Unit::Pages, Quantity::whole(2).unwrap());
    let cost = cost(&book, "inclusive", &usage, &now());
    assert!(cost.estimated);
    assert_eq!(cost.warnings, ["2 pages have no price in the list"]);
    assert_eq!(cost.total.to_string(), "0.002");
}

#[test]
fn the_operators_mapping_goes_before_all() {
    let book = book();
    let found = book.resolve("acme", "chat-prod").unwrap();
    assert_eq!((&*found.model.id, found.matched_by()), ("tiered", "user_mapping"));
    let elsewhere = book.resolve("acme", "plain").unwrap();
    assert_eq!((&*elsewhere.provider, &*elsewhere.model.id), ("openai", "gpt-4o-mini"), "though acme lists a `plain`");
}

#[test]
fn prices_of_the_built_in_book() {
    let book = Catalog::embedded();
    let of = |model, leaves: &[(Leaf, u64)], context: PriceContext<'_>| total(book, model, leaves, &context);
    let both = [(Leaf::INPUT, 1000), (Leaf::OUTPUT, 1000)];
    assert_eq!(of("anthropic claude-haiku-4-5", &both, now()), "0.006");
    assert_eq!(of("anthropic claude-haiku-4-5", &both, PriceContext { batch: true, ..now() }), "0.003");
    assert_eq!(
        of("anthropic claude-opus-5-5", &both, PriceContext { attributes: &[("speed", "fast")], ..now() }),
        "0.048"
    );
    assert_eq!(of("demo demo/echo", &both, now()), "0.00075");
    let peak = PriceContext::at(friday_noon_plus(-10));
    assert_eq!(of("deepseek deepseek-v4-flash", &both, peak), "0.0015");
    assert_eq!(of("deepseek deepseek-v4-flash", &both, now()), "0.00075");
    assert_eq!(
        of("deepseek deepseek-v4-flash", &both, PriceContext::at(friday_noon_plus(24 - 10))),
        "0.00075",
        "Saturday"
    );
    let january = 42 * 24 - 12;
    assert_eq!(of("google gemini-3.7-flash", &both, PriceContext::at(friday_noon_plus(january - 1))), "0.0045");
    assert_eq!(of("google gemini-3.7-flash", &both, PriceContext::at(friday_noon_plus(january))), "0.009");
}
