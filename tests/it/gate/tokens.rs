//! Tokens: who comes with one, who comes without, and what becomes of one that is taken away.

use std::collections::BTreeMap;
use std::sync::Arc;

use hyper::StatusCode;
use mcp_server_postgres::settings::AccessMode;

use crate::gate::{World, authorization, token};

#[actix_rt::test]
async fn without_tokens_a_connection_is_a_client() {
    let mut world = World::new(|_| {});
    assert_eq!(world.ask(&[]).await.body, "client 1 sends 2 bytes");
    assert_eq!(world.ask(&[]).await.body, "client 1 sends 2 bytes");
    world.connect();
    assert_eq!(world.ask(&[]).await.body, "client 2 sends 2 bytes");
    let first = world.let_in.recv().await.unwrap();
    // Its statements may do what the process may, but it is no operator.
    assert_eq!((first.caller.access, first.is_operator), (AccessMode::ReadWrite, false));
}

#[actix_rt::test]
async fn with_tokens_nobody_is_let_in_without_a_right_one() {
    let (right, rights) = token("alice");
    let mut world = World::new(|settings| settings.http.tokens = Some(BTreeMap::from([("alice".to_owned(), rights)])));
    for (header, status, challenge, says) in [
        (None, StatusCode::UNAUTHORIZED, r#"Bearer realm="mcp-server-postgres""#, "A token is needed"),
        (
            Some("Basic YWxpY2U6eA==".to_owned()),
            StatusCode::UNAUTHORIZED,
            r#"Bearer realm="mcp-server-postgres""#,
            "A token is needed",
        ),
        (
            Some(authorization("guess")),
            StatusCode::UNAUTHORIZED,
            r#"Bearer realm="mcp-server-postgres", error="invalid_token""#,
            "The token is not known, or no longer.",
        ),
        (
            Some(authorization(&right[..right.len() - 1])),
            StatusCode::UNAUTHORIZED,
            r#"Bearer realm="mcp-server-postgres", error="invalid_token""#,
            "The token is not known",
        ),
        (
            Some(authorization("")),
            StatusCode::UNAUTHORIZED,
            r#"Bearer realm="mcp-server-postgres", error="invalid_token""#,
            "The token is not known",
        ),
        (Some(authorization(&right)), StatusCode::OK, "", "alice sends 2 bytes"),
        (Some(format!("bearer  {right}")), StatusCode::OK, "", "alice sends 2 bytes"),
    ] {
        let headers: Vec<_> = header.iter().map(|value| ("authorization", value.as_str())).collect();
        let answer = world.ask(&headers).await;
        assert_eq!(answer.status, status, "{header:?}");
        assert_eq!(answer.header("www-authenticate").unwrap_or(""), challenge, "{header:?}");
        let said = if status == StatusCode::OK { answer.body.clone() } else { answer.why() };
        assert!(said.starts_with(says), "{header:?}: {said}");
        assert!(!answer.body.contains("guess"));
    }
    // A token is one client, on however many connections.
    let first = world.let_in.recv().await.unwrap();
    world.connect();
    world.ask(&[("authorization", &authorization(&right))]).await;
    world.let_in.recv().await.unwrap();
    assert!(Arc::ptr_eq(&first, &world.let_in.recv().await.unwrap()));
    assert_eq!((&*first.caller.name, first.caller.access), ("alice", AccessMode::ReadOnly));
}

#[actix_rt::test]
async fn a_bearer_is_offered_the_databases_of_its_token_alone() {
    let (right, mut rights) = token("alice");
    rights.databases = vec!["stock".to_owned()];
    let mut world = World::with_databases(&["main", "stock"], |settings| {
        settings.http.tokens = Some(BTreeMap::from([("alice".to_owned(), rights)]));
    });
    world.ask(&[("authorization", &authorization(&right))]).await;
    assert_eq!(world.let_in.recv().await.unwrap().access.now().databases, ["stock".into()]);
}

#[actix_rt::test]
async fn a_token_that_is_taken_away_turns_its_bearer_out_at_once_and_nobody_else() {
    let ((alices, alice), (bobs, bob)) = (token("alice"), token("bob"));
    let mut world = World::new(|settings| {
        settings.http.tokens = Some(BTreeMap::from([("alice".to_owned(), alice), ("bob".to_owned(), bob)]));
    });
    for token in [&alices, &bobs] {
        world.ask(&[("authorization", &authorization(token))]).await;
    }
    let (alice, bob) = (world.let_in.recv().await.unwrap(), world.let_in.recv().await.unwrap());
    world.change(|settings| drop(settings.http.tokens.as_mut().unwrap().remove("alice"))).await;
    assert!(alice.ending.is_cancelled() && !bob.ending.is_cancelled());
    assert_eq!(world.ask(&[("authorization", &authorization(&alices))]).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.ask(&[("authorization", &authorization(&bobs))]).await.status, StatusCode::OK);
    // The end of the process is everybody's.
    world.ending.cancel();
    assert!(bob.ending.is_cancelled());
}

#[actix_rt::test]
async fn a_token_is_rotated_without_an_end_of_what_its_bearer_does() {
    let (old, mut rights) = token("alice");
    let tokens = |rights| Some(BTreeMap::from([("alice".to_owned(), rights)]));
    let mut world = World::new(|settings| settings.http.tokens = tokens(rights.clone()));
    world.ask(&[("authorization", &authorization(&old))]).await;
    let alice = world.let_in.recv().await.unwrap();
    // For a while both are good.
    let (new, next) = token("alice");
    rights.hashes.extend(next.hashes);
    world.change(|settings| settings.http.tokens = tokens(rights.clone())).await;
    for token in [&old, &new] {
        assert_eq!(world.ask(&[("authorization", &authorization(token))]).await.status, StatusCode::OK);
        assert!(Arc::ptr_eq(&alice, &world.let_in.recv().await.unwrap()));
    }
    rights.hashes.remove(0);
    world.change(|settings| settings.http.tokens = tokens(rights.clone())).await;
    assert_eq!(world.ask(&[("authorization", &authorization(&old))]).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.ask(&[("authorization", &authorization(&new))]).await.status, StatusCode::OK);
    assert!(!alice.ending.is_cancelled());
    // Other rights are another client.
    rights.access = AccessMode::ReadWrite;
    world.change(|settings| settings.http.tokens = tokens(rights.clone())).await;
    assert!(alice.ending.is_cancelled());
    world.ask(&[("authorization", &authorization(&new))]).await;
    world.let_in.recv().await.unwrap();
    assert_eq!(world.let_in.recv().await.unwrap().caller.access, AccessMode::ReadWrite);
}

#[actix_rt::test]
async fn when_tokens_come_those_who_came_without_are_turned_out() {
    let mut world = World::new(|_| {});
    world.ask(&[]).await;
    let stranger = world.let_in.recv().await.unwrap();
    let (right, rights) = token("alice");
    world.change(|settings| settings.http.tokens = Some(BTreeMap::from([("alice".to_owned(), rights)]))).await;
    assert!(stranger.ending.is_cancelled());
    assert_eq!(world.ask(&[]).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.ask(&[("authorization", &authorization(&right))]).await.status, StatusCode::OK);
}
