//! What two rows of a trace tell of one call is counted once, in whatever order they come.

use tachograph_record::{
    CostLine, CostState, Leaf, LogRecord, Money, OrgId, Origin, Step, Timestamp, Usage, UsageReading,
};
use tachograph_store::Filter;

use crate::backend::with_each;
use crate::sample::priced;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn line(meter: &str, tokens: u64, millionths: i128) -> CostLine {
    let amount = Money::from_atto(millionths * 1_000_000_000_000);
    let (meter, price) = (meter.into(), "1".into());
    CostLine { meter, quantity: tokens.to_string(), price, per: 1, amount, exact: true }
}

fn row(org: OrgId, origin: Origin, step: Step, span: Option<&str>, parent: Option<&str>) -> LogRecord {
    let mut record = priced(org, 1, Money::from_atto(255_000_000_000_000));
    record.asked.origin = origin;
    record.asked.step = step;
    record.asked.trace_id = Some(TRACE.into());
    record.asked.span_id = span.map(Into::into);
    record.asked.parent_span_id = parent.map(Into::into);
    if step == Step::Model {
        if let CostState::Priced(cost) = &mut record.cost {
            cost.lines = vec![line("input_tokens", 500, 75), line("output_tokens", 300, 180)];
        }
        record.reading.usage = UsageReading::Known(Usage::reported([(Leaf::INPUT, 500), (Leaf::OUTPUT, 300)]));
    } else {
        record.reading.usage = UsageReading::Absent;
        record.cost = CostState::NoUsage;
    }
    record
}

/// A workflow, an SDK's span of a call, the span of its HTTP request, and the call as the gateway measured it.
fn trace(org: OrgId) -> [LogRecord; 4] {
    [
        row(org, Origin::Span, Step::Span, Some("a"), None),
        row(org, Origin::Span, Step::Model, Some("b"), Some("a")),
        row(org, Origin::Span, Step::Span, Some("c"), Some("b")),
        row(org, Origin::Gateway, Step::Model, None, Some("c")),
    ]
}

#[tokio::test]
async fn a_span_whose_call_passed_the_gateway_is_counted_once_in_every_order_of_arrival() {
    with_each(async |backend, store| {
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [3, 1, 0, 2], [1, 3, 2, 0], [2, 0, 3, 1]] {
            for together in [false, true] {
                let org = OrgId::generate();
                let records = trace(org);
                let sorted: Vec<LogRecord> = order.iter().map(|&at| records[at].clone()).collect();
                if together {
                    store.append(&sorted).await.unwrap();
                } else {
                    for record in &sorted {
                        store.append(std::slice::from_ref(record)).await.unwrap();
                    }
                }
                store.append(&sorted).await.unwrap();
                let totals = store.totals(org, &Filter::default()).await.unwrap();
                let told = (totals.requests, totals.cost.to_string(), totals.input_tokens, totals.output_tokens);
                assert_eq!(told, (4, "0.000255".to_owned(), 500, 300), "{} {order:?} {together}", backend.name);
                let parts = [totals.parts.input, totals.parts.output].map(|part| part.to_string());
                assert_eq!(parts, ["0.000075", "0.00018"], "what was paid for adds up to the cost");
                let verified = store.verify_rollups(org, Timestamp::from_micros(1)).await.unwrap();
                assert_eq!((verified.hours, verified.differences), (1, Vec::new()));
                let span = store.fetch(org, records[1].id).await.unwrap().unwrap().row;
                assert_eq!(span.control.counted_by, Some(records[3].id));
                assert_eq!(span.usage.unwrap().input_total(), 500, "what it told is kept");
                assert_eq!(store.fetch(org, records[3].id).await.unwrap().unwrap().row.control.counted_by, None);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn only_the_same_call_is_joined() {
    with_each(async |backend, store| {
        let org = OrgId::generate();
        let mut other_trace = row(org, Origin::Gateway, Step::Model, None, Some("b"));
        other_trace.asked.trace_id = Some("1".repeat(32));
        let mut silent = row(org, Origin::Gateway, Step::Model, None, Some("b"));
        silent.reading.usage = UsageReading::Absent;
        silent.cost = CostState::NoUsage;
        let records = [
            row(org, Origin::Span, Step::Model, Some("b"), None),
            // A tool that a model's span holds asks a model itself: that is another call.
            row(org, Origin::Span, Step::Tool, Some("t"), Some("b")),
            row(org, Origin::Gateway, Step::Model, None, Some("t")),
            other_trace,
            silent,
        ];
        store.append(&records).await.unwrap();
        let totals = store.totals(org, &Filter::default()).await.unwrap();
        assert_eq!((totals.input_tokens, totals.requests), (1_500, 5), "{}", backend.name);
    })
    .await;
}
