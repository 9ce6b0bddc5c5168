//! Getting in and out.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::http::{Request, StatusCode, header};

use crate::desk::{KEY, cookie, desk, read};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_link_logs_in_once() {
    let desk = desk();
    let path = format!("/login?token={}", desk.login.issue());
    let head = desk.send(Request::head(&path).body(HttpBody::empty()).unwrap()).await;
    assert!(head.headers().get(header::SET_COOKIE).is_none(), "a preview does not use it up");

    let response = desk.get(&path).await;
    assert_eq!(
        (response.status(), &response.headers()[header::LOCATION]),
        (StatusCode::SEE_OTHER, &"/".parse().unwrap())
    );
    let set = response.headers()[header::SET_COOKIE].to_str().unwrap();
    for flag in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(set.split("; ").any(|part| part == flag), "{flag} in {set}");
    }
    assert!(!set.contains("Secure"), "plain HTTP: a secure cookie would be dropped");
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    let session = cookie(response.headers());
    assert_eq!(desk.get_with("/api/totals", &[("cookie", &session)]).await.status(), StatusCode::OK);

    let again = desk.get(&path).await;
    assert_eq!(again.status(), StatusCode::UNAUTHORIZED);
    assert!(again.headers().get(header::SET_COOKIE).is_none());
    let page = String::from_utf8(read(again).await.to_vec()).unwrap();
    assert!(page.contains("used already") && page.contains("name=\"key\""));
    let again = desk.get_with(&path, &[("cookie", &session)]).await;
    assert_eq!(again.status(), StatusCode::SEE_OTHER, "who is in already just goes on");
}

#[tokio::test(start_paused = true)]
async fn a_link_is_good_for_ten_minutes() {
    let desk = desk();
    let (early, late) = (desk.login.issue(), desk.login.issue());
    tokio::time::advance(9 * MINUTE).await;
    assert_eq!(desk.get(&format!("/login?token={early}")).await.status(), StatusCode::SEE_OTHER);
    tokio::time::advance(MINUTE).await;
    assert_eq!(desk.get(&format!("/login?token={late}")).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_key_logs_in_and_revoking_it_logs_out() {
    let desk = desk();
    let refused = desk.post("/login", "key=wrong", &[]).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(refused.headers().get(header::SET_COOKIE).is_none());

    let form = format!("key=+{KEY}+&next=%2Frequests%2F1%3Ftab%3Dcost");
    let response = desk.post("/login", &form, &[("origin", "http://console")]).await;
    assert_eq!(
        (response.status(), response.headers()[header::LOCATION].to_str().unwrap()),
        (StatusCode::SEE_OTHER, "/requests/1?tab=cost")
    );
    let session = cookie(response.headers());
    assert_eq!(
        desk.get_with("/api/requests", &[("cookie", &format!("a=b; {session}"))]).await.status(),
        StatusCode::OK
    );
    desk.keys.revoked.store(true, Ordering::Relaxed);
    assert_eq!(desk.get_with("/api/requests", &[("cookie", &session)]).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_cookie_is_secure_where_the_browser_speaks_tls() {
    let desk = desk();
    let response = desk.post("/login", &format!("key={KEY}"), &[("x-forwarded-proto", "https, http")]).await;
    assert!(response.headers()[header::SET_COOKIE].to_str().unwrap().ends_with("; Secure"));
}

#[tokio::test]
async fn logging_out_ends_the_session() {
    let desk = desk();
    let session = cookie(desk.post("/login", &format!("key={KEY}"), &[]).await.headers());
    let response = desk.post("/logout", "", &[("cookie", &session), ("origin", "http://console")]).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert!(response.headers()[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(desk.get_with("/api/requests", &[("cookie", &session)]).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(desk.get("/logout").await.status(), StatusCode::METHOD_NOT_ALLOWED, "a link cannot log anybody out");
}

#[tokio::test]
async fn other_sites_can_neither_log_in_nor_out() {
    let desk = desk();
    let session = cookie(desk.post("/login", &format!("key={KEY}"), &[]).await.headers());
    for foreign in [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        for path in ["/login", "/logout"] {
            let response = desk.post(path, &format!("key={KEY}"), &[foreign, ("cookie", &session)]).await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path} {foreign:?}");
        }
    }
    assert_eq!(desk.get_with("/api/requests", &[("cookie", &session)]).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_page_to_go_on_to_cannot_break_out_of_its_field() {
    let desk = desk();
    let page = read(desk.get("/login?next=/%22%3E%3Cscript%3E").await).await;
    let page = String::from_utf8(page.to_vec()).unwrap();
    assert!(page.contains("value=\"/&quot;&gt;&lt;script&gt;\"") && !page.contains("\"><script>"), "{page}");
}
