//! Pages and assets.

use axum::http::{StatusCode, header};

use crate::desk::{call, desk, read};

async fn text(path: &str) -> String {
    String::from_utf8(read(desk().get(path).await).await.to_vec()).unwrap()
}

/// Addresses of assets in a page.
fn assets(page: &str) -> Vec<&str> {
    page.split('"').filter(|part| part.starts_with("/assets/")).collect()
}

#[tokio::test]
async fn every_answer_is_hardened() {
    let desk = desk();
    for path in ["/", "/login", "/api/requests", "/api/health", "/assets/0/app.js", "/nowhere", "/api/nowhere"] {
        let response = desk.get(path).await;
        let header = |name: &str| response.headers()[name].to_str().unwrap();
        let policy = header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'self';") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
    }
}

#[tokio::test]
async fn the_shell_is_served_for_the_list_and_for_a_request() {
    let desk = desk();
    let request = format!("/requests/{}?tab=cost", call(0).id);
    let pages = tachograph_console::PAGES.into_iter();
    for path in pages.chain(["/", &request, "/sessions/a%2Fb", "/login"]) {
        let response = desk.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert!(response.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    }
    assert_eq!(desk.get("/nowhere").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(desk.get("/assets/0/../Cargo.toml").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn pages_have_nothing_inline_and_name_no_other_host() {
    for path in ["/", "/login"] {
        let page = text(path).await;
        assert!(!page.contains("style=") && !page.contains("<style"), "{path}");
        assert!(!page.split_whitespace().any(|word| word.starts_with("on") && word.contains('=')), "{path}");
        assert!(
            page.split("<script")
                .skip(1)
                .all(|script| script.trim_start().contains("src=\"/assets/") && script.contains("></script>")),
            "{path}"
        );
        assert!(!page.contains("http://") && !page.contains("https://"), "{path}");
    }
}

#[tokio::test]
async fn assets_are_kept_for_good_under_their_version_and_checked_under_another() {
    let desk = desk();
    let page = text("/").await;
    let named = assets(&page);
    assert!(named.iter().any(|path| path.ends_with("/vendor/preact/hooks.js")), "modules are named at once: {named:?}");
    for path in &named {
        let response = desk.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "public, max-age=31536000, immutable", "{path}");
    }
    let app = named.iter().find(|path| path.ends_with("/app.js")).unwrap();
    let response = desk.get(app).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
    let tag = response.headers()[header::ETAG].to_str().unwrap().to_owned();

    let old = desk.get_with("/assets/0123/app.js", &[("if-none-match", &tag)]).await;
    assert_eq!(
        (old.status(), &old.headers()[header::CACHE_CONTROL]),
        (StatusCode::NOT_MODIFIED, &"no-cache".parse().unwrap())
    );
    assert!(read(old).await.is_empty());
    assert_eq!(desk.get("/assets/0123/nothing.js").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_import_leads_to_a_module() {
    let desk = desk();
    let (mut waiting, mut seen) = (vec!["app.js".to_owned()], Vec::<String>::new());
    while let Some(path) = waiting.pop() {
        let response = desk.get(&format!("/assets/0/{path}")).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let module = String::from_utf8(read(response).await.to_vec()).unwrap();
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for line in module
            .lines()
            .filter(|line| !path.starts_with("vendor/htm") && (line.contains("import") || line.contains("export")))
        {
            let Some((_, rest)) = line.split_once("from '").or(line.split_once("from\"")) else { continue };
            let target = rest.split(['\'', '"']).next().unwrap();
            let target = match (target.strip_prefix("./"), target.strip_prefix("../")) {
                (Some(near), _) if folder.is_empty() => near.to_owned(),
                (Some(near), _) => format!("{folder}/{near}"),
                (None, Some(above)) => {
                    folder.rsplit_once('/').map_or(above.to_owned(), |(up, _)| format!("{up}/{above}"))
                }
                (None, None) => panic!("{path} imports something that is no neighbour: {rest}"),
            };
            if !seen.contains(&target) {
                seen.push(target.clone());
                waiting.push(target);
            }
        }
    }
    assert!(seen.len() > 20, "{seen:?}");
}
