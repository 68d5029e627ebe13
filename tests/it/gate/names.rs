//! Host and Origin: whose page, and by what name, may call this server.

use hyper::StatusCode;

use crate::gate::World;
use mcp_server_postgres::settings::Address;

#[actix_rt::test]
async fn only_a_request_by_a_name_of_this_server_is_let_in() {
    let world = World::new(|settings| {
        settings.http.allowed_hosts = vec!["db.example".to_owned(), "2001:db8::1".to_owned()];
        settings.http.addresses = vec![Address::Tcp("Listens.Example".to_owned(), 0), Address::Tcp("::".to_owned(), 0)];
    });
    for (host, is_right) in [
        ("localhost", true),
        ("LOCALHOST:8808", true),
        ("127.0.0.1:8808", true),
        ("[::1]:8808", true),
        ("db.example", true),
        ("DB.Example:443", true),
        ("db.example.", true),
        ("[2001:DB8:0::1]:443", true),
        // What it listens on is its name.
        ("listens.example:8808", true),
        ("192.0.2.7", true),
        ("[::ffff:192.0.2.7]:8808", true),
        ("127.0.0.2", true),
        ("evil.example", false),
        ("localhost.evil.example", false),
        ("127.0.0.1.evil.example:8808", false),
        ("db.example.evil", false),
        ("evil@localhost@x", false),
        // Host has no user, and is one host.
        ("user@localhost", false),
        ("user:secret@localhost:8808", false),
        ("@localhost", false),
        ("localhost, evil.example", false),
        ("localhost evil.example", false),
        ("localhost/evil.example", false),
        ("192.0.2.8", false),
        ("0.0.0.0:8808", false),
        ("[::]", false),
        ("", false),
    ] {
        let is_no_name = host.is_empty() || host.starts_with("192.") || host.starts_with("0.") || host == "[::]";
        for (method, path) in [("POST", "/mcp"), ("GET", "/healthz"), ("GET", "/")] {
            let is_right = is_right || path == "/healthz" && is_no_name;
            let answer = world.answer(world.request(method, path, &[("host", host)], "{}")).await;
            let expected = if is_right { StatusCode::OK } else { StatusCode::FORBIDDEN };
            assert_eq!(answer.status, expected, "{path} {host:?}: {answer:?}");
        }
        // What asks the actors does not come to them.
        for path in ["/metrics", "/status.json"].into_iter().filter(|_| !is_right) {
            let answer = world.answer(world.request("GET", path, &[("host", host)], "")).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {host:?}: {answer:?}");
        }
    }
    for hosts in [["localhost", "evil.example"], ["evil.example", "localhost"], ["localhost", "localhost"]] {
        for path in ["/mcp", "/healthz", "/"] {
            let answer = world.answer(world.request("GET", path, &hosts.map(|host| ("host", host)), "")).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {hosts:?}: {answer:?}");
        }
    }
    let rebound = world.answer(world.request("GET", "/readyz", &[("host", "evil.example")], "")).await;
    assert_eq!(rebound.status, StatusCode::FORBIDDEN);
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

#[actix_rt::test]
async fn a_probe_that_knows_no_name_or_only_an_address_is_answered_and_a_page_is_not() {
    let world = World::new(|_| {});
    for host in [None, Some(""), Some("10.42.0.17:8808"), Some("[fd00::17]:8808"), Some("localhost")] {
        let headers: Vec<_> = host.iter().map(|host| ("host", *host)).collect();
        let answer = world.answer(world.request("GET", "/healthz", &headers, "")).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "ok\n"), "{host:?}");
        let headers = [&headers[..], &[("origin", "https://evil.example")]].concat();
        let page = world.answer(world.request("GET", "/healthz", &headers, "")).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{host:?}");
    }
}
