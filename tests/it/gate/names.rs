//! Host and Origin: whose page, and by what name, may call this server.

use hyper::StatusCode;

use crate::gate::World;

#[actix_rt::test]
async fn only_a_request_by_a_name_of_this_server_is_let_in() {
    let world = World::new(|settings| settings.http.allowed_hosts = vec!["db.example".to_owned()]);
    for (host, is_right) in [
        ("localhost", true),
        ("LOCALHOST:8808", true),
        ("127.0.0.1:8808", true),
        ("[::1]:8808", true),
        ("db.example", true),
        ("DB.Example:443", true),
        ("evil.example", false),
        ("localhost.evil.example", false),
        ("127.0.0.1.evil.example:8808", false),
        ("db.example.evil", false),
        ("evil@localhost@x", false),
        ("127.0.0.2", false),
        ("", false),
    ] {
        for (method, path) in [("POST", "/mcp"), ("GET", "/healthz"), ("GET", "/")] {
            let answer = world.answer(world.request(method, path, &[("host", host)], "{}")).await;
            let expected = if is_right { StatusCode::OK } else { StatusCode::FORBIDDEN };
            assert_eq!(answer.status, expected, "{path} {host:?}: {answer:?}");
        }
        // What asks the actors does not come to them.
        for path in ["/readyz", "/metrics", "/status.json"].into_iter().filter(|_| !is_right) {
            let answer = world.answer(world.request("GET", path, &[("host", host)], "")).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {host:?}: {answer:?}");
        }
    }
    let nameless = world.answer(world.request("POST", "/mcp", &[], "{}")).await;
    assert_eq!(nameless.status, StatusCode::FORBIDDEN);
    let answer = world.answer(world.request("POST", "/mcp", &[("host", "evil.example")], "{}")).await;
    assert_eq!(
        answer.why(),
        "Host \"evil.example\" is no name of this server. The operator can add it to MCP_ALLOWED_HOSTS."
    );
}

#[actix_rt::test]
async fn a_page_calls_only_if_it_is_the_servers_own_or_is_allowed() {
    let world = World::new(|settings| settings.http.allowed_origins = vec!["https://app.example".to_owned()]);
    for (origin, is_right) in [
        ("http://localhost:8808", true),
        ("https://localhost:8808", true),
        ("https://app.example", true),
        ("http://localhost", false),
        ("http://localhost:8809", false),
        ("http://localhost:8808.evil.example", false),
        ("http://app.example", false),
        ("https://app.example:444", false),
        ("https://evil.example", false),
        ("null", false),
        ("", false),
    ] {
        let answer = world.ask(&[("origin", origin)]).await;
        let expected = if is_right { StatusCode::OK } else { StatusCode::FORBIDDEN };
        assert_eq!(answer.status, expected, "{origin:?}: {answer:?}");
    }
    assert_eq!(
        world.ask(&[("origin", "https://evil.example")]).await.why(),
        "Pages of \"https://evil.example\" may not call this server. The operator can add it to MCP_ALLOWED_ORIGINS."
    );
}
