//! Clients that leave their streams: `cancel` lets the provider go at once, `drain` reads on what it still says.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tachograph_tests::{Cut, Gateway, Open, Pace, Upstream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::endings::{WAYS, Way, eventually};
use crate::fields::cost_faults;

const DRAIN: &str = "streams: { on_disconnect: drain }";
const CANCEL: &str = "streams: { on_disconnect: cancel }";

/// An upstream that sends so many frames, and the others when it is told to.
async fn told(way: Way, first: usize) -> (Upstream, Arc<Semaphore>) {
    let permits = Arc::new(Semaphore::new(first));
    let pace = Pace::Told(permits.clone());
    (Upstream::answering(move |_| way.golden.events().paced(pace.clone())).await, permits)
}

fn request(way: Way, header: Option<&'static str>) -> http::Request<bytes::Bytes> {
    let mut request = way.request(true);
    if let Some(value) = header {
        request.headers_mut().insert("tachograph-on-disconnect", value.parse().unwrap());
    }
    request
}

/// The only row, with its notes and the working of its cost.
async fn only_row(gateway: &Gateway) -> Value {
    let id = gateway.rows().await.remove(0)["id"].as_str().unwrap().to_owned();
    gateway.row_of(&id).await
}

/// Leaves, and waits until the gateway has noticed.
async fn leave(gateway: &Gateway, open: Open) {
    let sockets = gateway.sockets();
    open.leave();
    eventually("the gateway sees that its client left", || gateway.sockets() < sockets).await;
}

fn notes(row: &Value) -> String {
    row["control"]["notes"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_02_drain_reads_on_what_the_client_left_and_the_row_has_the_providers_own_numbers() {
    for way in WAYS {
        let all = way.golden.events().len();
        let whole_cost = if way.path == WAYS[0].path { "0.000255" } else { "0.001933" };
        for (config, header) in [(DRAIN, None), (CANCEL, Some("drain")), ("", Some(" Drain "))] {
            for frames in [1, 4] {
                let (upstream, permits) = told(way, frames).await;
                let gateway = Gateway::before(&upstream).config(config).start().await;
                let open = gateway.open(request(way, header)).await;
                eventually("the frames have left", || upstream.sent() >= frames).await;
                leave(&gateway, open).await;
                assert_eq!((upstream.sent(), upstream.left()), (frames, 0), "{} after {frames}", way.path);
                permits.add_permits(1_000);
                eventually("the rest is read", || upstream.sent() == all).await;
                let row = only_row(&gateway).await;
                assert_eq!(row["outcome"], "client_gone", "{row:#}");
                assert_eq!(row["usage"]["source"], "reported", "{row:#}");
                assert_eq!((&row["usage"]["input_tokens"], &row["usage"]["output_tokens"]), (&500.into(), &300.into()));
                assert_eq!(row["cost"]["total"], whole_cost, "{row:#}");
                assert_eq!(cost_faults(&row), Vec::<String>::new());
                assert!(notes(&row).contains("the client left after"), "{}", notes(&row));
                assert_eq!(upstream.left(), 0, "it was heard to its end");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_02_cancel_lets_the_provider_go_at_once_and_what_was_used_is_marked_as_estimated() {
    for way in WAYS {
        for (config, header) in [("", None), (CANCEL, None), (DRAIN, Some("cancel"))] {
            let (upstream, permits) = told(way, 5).await;
            let gateway = Gateway::before(&upstream).config(config).start().await;
            let mut open = gateway.open(request(way, header)).await;
            open.frame().await.unwrap().unwrap();
            eventually("the frames have left", || upstream.sent() >= 5).await;
            open.leave();
            eventually("the upstream is let go", || upstream.left() == 1).await;
            permits.add_permits(1_000);
            let row = only_row(&gateway).await;
            assert_eq!(upstream.sent(), 5, "not one byte more");
            assert_eq!(row["outcome"], "client_gone", "{row:#}");
            assert_eq!(row["usage"]["source"], "estimated", "{row:#}");
            assert_eq!(row["cost"]["estimated"], true, "{row:#}");
            assert_eq!(cost_faults(&row), Vec::<String>::new());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_case_01_what_is_read_on_is_given_up_at_its_bounds() {
    for way in WAYS {
        for (config, bound) in [
            ("streams: { on_disconnect: drain, drain_for: 300ms }", "streams.drain_for"),
            ("streams: { on_disconnect: drain, drain_bytes: 100B }", "streams.drain_bytes"),
        ] {
            let permits = Arc::new(Semaphore::new(1));
            let pace = Pace::Told(permits.clone());
            let upstream =
                Upstream::answering(move |_| way.golden.events().paced(pace.clone()).cut_after(4, Cut::Silence)).await;
            let gateway = Gateway::before(&upstream).config(config).start().await;
            let open = gateway.open(request(way, None)).await;
            leave(&gateway, open).await;
            permits.add_permits(1_000);
            eventually("the upstream is let go", || upstream.left() == 1).await;
            let row = only_row(&gateway).await;
            assert_eq!(row["outcome"], "client_gone", "{row:#}");
            assert_eq!(row["usage"]["source"], "estimated", "{row:#}");
            assert!(notes(&row).contains(bound), "{}", notes(&row));
            assert_eq!(cost_faults(&row), Vec::<String>::new());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_the_head_is_drained_too() {
    for way in WAYS {
        for stream in [false, true] {
            let upstream =
                Upstream::answering(move |_| way.golden.as_asked(stream).after(Duration::from_millis(800))).await;
            let gateway = Gateway::before(&upstream).config(DRAIN).start().await;
            let gone = timeout(Duration::from_millis(200), gateway.try_open(way.request(stream))).await;
            assert!(gone.is_err(), "the upstream was still silent");
            let row = only_row(&gateway).await;
            assert_eq!(row["outcome"], "client_gone", "{row:#}");
            assert_eq!(row["usage"]["output_tokens"], 300, "{row:#}");
            assert_eq!(row["timing"]["first_token_us"], Value::Null, "the client saw none");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_what_is_read_on() {
    let way = WAYS[1];
    let (upstream, permits) = told(way, 2).await;
    let mut gateway = Gateway::before(&upstream).config(DRAIN).start().await;
    let open = gateway.open(way.request(true)).await;
    eventually("the frames have left", || upstream.sent() >= 2).await;
    leave(&gateway, open).await;
    gateway.signal("TERM");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(upstream.left(), 0, "the gateway still listens to it");
    permits.add_permits(1_000);
    assert!(gateway.ended().await.success());
    let again = gateway.again().start().await;
    let row = again.rows_when_there_are(1).await.remove(0);
    assert_eq!((&row["outcome"], &row["usage"]["output_tokens"]), (&"client_gone".into(), &300.into()), "{row:#}");
}
