//! Questions of a call to its client, and what becomes of them. The test is the tool.

use std::time::Duration;

use actix_rt::task::JoinHandle;

use super::*;
use crate::caller::Caller;
use crate::messages::ask::{ANSWER_TIME, Asked as Outcome, CannotAsk, Question};
use crate::messages::call::CallContext;

/// A client that has opened a session of that revision, with these capabilities.
async fn session(revision: &str, capabilities: Value) -> Client {
    let mut client = Client::new();
    client.transport.lines.bytes_max = 100_000;
    client.initializes_with(revision, capabilities).await;
    client
}

fn question() -> Question {
    let form = json!({"type": "object", "properties": {"rows": {"type": "integer"}}, "required": ["rows"]});
    Question { message: "Delete \"all\"?".to_owned(), form }
}

/// The call as its tool sees it.
fn context(call: &Call) -> CallContext {
    let arguments = Arc::new(call.arguments.clone());
    CallContext { arguments, client: call.client.clone(), ..CallContext::new("a_tool", Caller::stdio()) }
}

/// The tool asks, by itself.
fn ask(mut call: CallContext) -> JoinHandle<(Outcome, CallContext)> {
    actix_rt::spawn(async move { (call.ask("sure", &question()).await, call) })
}

impl Client {
    /// The request that asks, from which its id is.
    async fn asked(&mut self) -> Value {
        let request = self.answer().await;
        assert_eq!(request["method"], "elicitation/create", "{request}");
        let parameters = json!({"message": question().message, "requestedSchema": question().form});
        assert_eq!(request["params"], parameters);
        request["id"].clone()
    }

    /// Respond to a request of the server. None of it reaches rmcp.
    async fn responds(&mut self, id: &Value, member: &str, value: Value) {
        self.send(format!("{}\n", json!({"jsonrpc": "2.0", "id": id, member: value}))).await;
        assert!(self.receives_nothing().await);
    }

    /// A call of a revision without sessions, with these parameters beside the usual ones.
    async fn calls_alone(&mut self, capabilities: &Value, arguments: &Value, more: Value) -> Asked {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": capabilities,
        });
        let mut params = json!({"name": "a_tool", "arguments": arguments, "_meta": meta});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        self.send(format!("{message}\n")).await;
        assert!(self.receives_nothing().await);
        self.calls.recv().await.unwrap()
    }
}

#[actix_rt::test]
async fn the_response_to_a_question_goes_to_the_call_that_asks_and_never_to_rmcp() {
    let accepted = |content: Value| Outcome::Accepted(content.as_object().unwrap().clone());
    let unusable = |why: &str| Outcome::CannotAsk(CannotAsk::Unusable(why.to_owned()));
    for revision in ["2025-06-18", "2025-11-25"] {
        let mut client = session(revision, json!({"elicitation": {}})).await;
        for (member, response, outcome) in [
            ("result", json!({"action": "accept", "content": {"rows": 7}}), accepted(json!({"rows": 7}))),
            ("result", json!({"action": "decline"}), Outcome::Declined),
            ("result", json!({"action": "cancel", "content": {}}), Outcome::Cancelled),
            ("result", json!({"action": "accept"}), unusable("`rows` is missing")),
            ("result", json!({"action": "accept", "content": [7]}), unusable("`content` is not an object")),
            ("result", json!({"action": "perhaps"}), unusable("`action` is not accept, decline or cancel")),
            ("result", json!({}), unusable("`action` is not accept, decline or cancel")),
            (
                "error",
                json!({"code": -32601, "message": "no such method"}),
                Outcome::CannotAsk(CannotAsk::Failed("no such method (-32601)".to_owned())),
            ),
        ] {
            let call = client.calls(json!(1)).await;
            assert_eq!(call.call.client.can_be_asked(), Ok(()));
            let tool = ask(context(&call.call));
            let id = client.asked().await;
            client.responds(&id, member, response.clone()).await;
            assert_eq!(tool.await.unwrap().0, outcome, "{revision}: {response}");
            call.answer(Answer::error("done"));
            assert_eq!(client.answer().await["result"]["content"][0]["text"], "done", "the next message is the answer");
        }
    }
}

#[actix_rt::test]
async fn each_question_has_its_own_id_and_a_response_that_nobody_waits_for_is_ignored() {
    let mut client = session("2025-11-25", json!({"elicitation": {"form": {}, "url": {}}})).await;
    let (one, other) = (client.calls(json!(1)).await, client.calls(json!(2)).await);
    let first = ask(context(&one.call));
    let first_id = client.asked().await;
    let second = ask(context(&other.call));
    let second_id = client.asked().await;
    assert_ne!(first_id, second_id);
    let unknown = json!(first_id.as_str().unwrap().replace('1', "99"));
    client.responds(&unknown, "result", json!({"action": "decline"})).await;
    client.responds(&second_id, "result", json!({"action": "cancel"})).await;
    client.responds(&second_id, "result", json!({"action": "decline"})).await;
    client.responds(&first_id, "result", json!({"action": "decline"})).await;
    assert_eq!((first.await.unwrap().0, second.await.unwrap().0), (Outcome::Declined, Outcome::Cancelled));
}

#[actix_rt::test]
async fn a_client_that_has_not_declared_forms_is_asked_nothing() {
    let old = |revision: &str| CannotAsk::OldRevision(revision.to_owned());
    for (revision, capabilities, why) in [
        ("2025-11-25", json!({}), CannotAsk::NotDeclared),
        ("2025-11-25", json!({"elicitation": {"url": {}}, "sampling": {}}), CannotAsk::NotDeclared),
        ("2025-03-26", json!({"elicitation": {}}), old("2025-03-26")),
        ("2024-11-05", json!({"elicitation": {"form": {}}}), old("2024-11-05")),
    ] {
        let mut client = session(revision, capabilities).await;
        let call = client.calls(json!(1)).await;
        assert_eq!(call.call.client.can_be_asked(), Err(why.clone()), "{revision}");
        assert_eq!(ask(context(&call.call)).await.unwrap().0, Outcome::CannotAsk(why), "{revision}");
        call.answer(Answer::error("done"));
        assert!(client.answer().await["result"].is_object(), "nothing was asked");
    }
    for capabilities in [json!({}), json!({"elicitation": {"url": {}}}), json!({"elicitation": null})] {
        // What a session has declared says nothing about a call that says all about itself.
        let mut client = session("2025-11-25", json!({"elicitation": {}})).await;
        let call = client.calls_alone(&capabilities, &json!({}), json!({})).await;
        let asked = ask(context(&call.call)).await.unwrap().0;
        assert_eq!(asked, Outcome::CannotAsk(CannotAsk::NotDeclared), "{capabilities}");
    }
}

#[actix_rt::test]
async fn a_cancelled_call_withdraws_its_question_and_a_late_response_is_ignored() {
    let mut client = session("2025-11-25", json!({"elicitation": {}})).await;
    let mut call = client.calls(json!(1)).await;
    let tool = ask(context(&call.call));
    let id = client.asked().await;
    client.send("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}}\n").await;
    client.received().await.unwrap();
    let withdrawn = client.answer().await;
    assert_eq!((&withdrawn["method"], &withdrawn["params"]["requestId"]), (&json!("notifications/cancelled"), &id));
    assert_eq!(tool.await.unwrap().0, Outcome::CannotAsk(CannotAsk::Gone));
    call.reply.closed().await;
    client.responds(&id, "result", json!({"action": "decline"})).await;
}

#[actix_rt::test]
async fn the_end_of_the_process_wakes_a_call_that_waits() {
    let mut client = session("2025-11-25", json!({"elicitation": {}})).await;
    let call = client.calls(json!(1)).await;
    let tool = ask(context(&call.call));
    client.asked().await;
    client.transport.traffic().end(tokio::time::Instant::now());
    assert_eq!(tool.await.unwrap().0, Outcome::CannotAsk(CannotAsk::Gone));
}

#[actix_rt::test]
async fn a_client_that_does_not_answer_holds_a_call_for_the_time_of_an_answer_and_no_longer_than_its_own() {
    tokio::time::pause();
    let mut client = session("2025-11-25", json!({"elicitation": {}})).await;
    let (short, long) = (Duration::from_secs(2), 2 * ANSWER_TIME);
    for (timeout, waits, left) in [
        (None, ANSWER_TIME, None),
        (Some(short), short, Some(Duration::ZERO)),
        (Some(long), ANSWER_TIME, Some(long - ANSWER_TIME)),
    ] {
        let call = client.calls(json!(1)).await;
        let began = tokio::time::Instant::now();
        let tool = ask(CallContext { timeout, ..context(&call.call) });
        let id = client.asked().await;
        let (asked, context) = tool.await.unwrap();
        assert_eq!(asked, Outcome::CannotAsk(CannotAsk::NoAnswer(waits)));
        assert_eq!(began.elapsed().as_secs(), waits.as_secs());
        // A timer fires up to a millisecond late.
        let is_left = |expected: Duration| context.timeout.is_some_and(|left| left.abs_diff(expected) < waits / 100);
        assert_eq!(context.timeout.is_some(), left.is_some());
        assert!(left.is_none_or(is_left), "{:?} instead of {left:?}", context.timeout);
        let withdrawn = client.answer().await;
        assert_eq!((&withdrawn["method"], &withdrawn["params"]["requestId"]), (&json!("notifications/cancelled"), &id));
        call.answer(Answer::error("done"));
        assert_eq!(client.answer().await["result"]["content"][0]["text"], "done");
    }
}

#[actix_rt::test]
async fn a_question_that_is_open_when_the_call_is_answered_is_withdrawn_before() {
    let mut client = session("2025-11-25", json!({"elicitation": {}})).await;
    let call = client.calls(json!(1)).await;
    let tool = ask(context(&call.call));
    let id = client.asked().await;
    call.answer(Answer::error("done"));
    let withdrawn = client.answer().await;
    assert_eq!((&withdrawn["method"], &withdrawn["params"]["requestId"]), (&json!("notifications/cancelled"), &id));
    assert_eq!(client.answer().await["result"]["content"][0]["text"], "done");
    assert_eq!(tool.await.unwrap().0, Outcome::CannotAsk(CannotAsk::Gone));
}

#[actix_rt::test]
async fn progress_is_told_while_the_client_is_asked() {
    tokio::time::pause();
    let mut client = session("2025-11-25", json!({"elicitation": {}})).await;
    let params = json!({"name": "a_tool", "_meta": {"progressToken": "t"}});
    client.send(format!("{}\n", json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}))).await;
    assert!(client.receives_nothing().await);
    let call = client.calls.recv().await.unwrap();
    let tool = ask(context(&call.call));
    let id = client.asked().await;
    assert_eq!(client.answer().await["method"], "notifications/progress");
    client.responds(&id, "result", json!({"action": "decline"})).await;
    assert_eq!(tool.await.unwrap().0, Outcome::Declined);
}

/// What a client without sessions gets of a call that asks, and sends back: its answer, and the state.
async fn round(client: &mut Client, call: Asked, outcome: Outcome) -> Value {
    let Outcome::Return(input) = outcome else { panic!("{outcome:?}") };
    call.reply.send(Ok(Reply::InputRequired(input))).unwrap();
    let result = client.answer().await["result"].clone();
    assert_eq!(result["resultType"], "input_required", "{result}");
    let request = &result["inputRequests"]["sure"];
    assert_eq!(request["method"], "elicitation/create", "{result}");
    assert_eq!(request["params"]["message"], question().message);
    result["requestState"].clone()
}

#[actix_rt::test]
async fn without_sessions_the_question_is_a_result_and_the_answer_comes_with_the_next_call() {
    let forms = json!({"elicitation": {}});
    let arguments = json!({"query": "delete from t"});
    let content = json!({"rows": 7});
    let accepts = json!({"sure": {"action": "accept", "content": content}});
    let mut client = session("2025-11-25", json!({"elicitation": {}})).await;
    let call = client.calls_alone(&forms, &arguments, json!({})).await;
    assert_eq!(call.call.client.can_be_asked(), Ok(()));
    let asked = context(&call.call).ask("sure", &question()).await;
    let state = round(&mut client, call, asked).await;

    let accepted = Outcome::Accepted(content.as_object().unwrap().clone());
    for (what, given, with, outcome) in [
        ("the answer", &arguments, json!({"inputResponses": accepts, "requestState": state}), Some(accepted.clone())),
        (
            "more than was asked",
            &arguments,
            {
                let mut more = accepts.clone();
                more["other"] = json!(7);
                json!({"inputResponses": more, "requestState": state})
            },
            Some(accepted),
        ),
        (
            "no",
            &arguments,
            json!({"inputResponses": {"sure": {"action": "decline"}}, "requestState": state}),
            Some(Outcome::Declined),
        ),
        (
            "closed",
            &arguments,
            json!({"inputResponses": {"sure": {"action": "cancel"}}, "requestState": state}),
            Some(Outcome::Cancelled),
        ),
        ("no answer", &arguments, json!({"requestState": state}), None),
        (
            "the answer to another",
            &arguments,
            json!({"inputResponses": {"other": accepts["sure"]}, "requestState": state}),
            None,
        ),
        (
            "an answer that does not fit",
            &arguments,
            json!({"inputResponses": {"sure": {"action": "accept"}}, "requestState": state}),
            None,
        ),
        ("an answer that is none", &arguments, json!({"inputResponses": {"sure": 7}, "requestState": state}), None),
        ("an answer to what was not asked", &arguments, json!({"inputResponses": accepts}), None),
        ("a state of another", &arguments, json!({"inputResponses": accepts, "requestState": "a.b.c"}), None),
        (
            "another call",
            &json!({"query": "delete from u"}),
            json!({"inputResponses": accepts, "requestState": state}),
            None,
        ),
    ] {
        let call = client.calls_alone(&forms, given, with).await;
        let asked = context(&call.call).ask("sure", &question()).await;
        match outcome {
            Some(outcome) => {
                assert_eq!(asked, outcome, "{what}");
                call.answer(Answer::error("done"));
                assert_eq!(client.answer().await["result"]["resultType"], "complete", "{what}");
            }
            // It is asked again.
            None => drop(round(&mut client, call, asked).await),
        }
    }
}

#[actix_rt::test]
async fn an_answer_counts_for_the_words_that_the_person_has_read() {
    let (forms, arguments) = (json!({"elicitation": {"form": {}}}), json!({}));
    let mut client = session("2025-11-25", json!({})).await;
    let call = client.calls_alone(&forms, &arguments, json!({})).await;
    let asked = context(&call.call).ask("sure", &question()).await;
    let state = round(&mut client, call, asked).await;
    let accepts = json!({"sure": {"action": "accept", "content": {"rows": 7}}});
    let call = client.calls_alone(&forms, &arguments, json!({"inputResponses": accepts, "requestState": state})).await;
    let changed = Question { message: "Delete 5 rows more?".to_owned(), ..question() };
    assert!(matches!(context(&call.call).ask("sure", &changed).await, Outcome::Return(_)));
}

#[actix_rt::test]
async fn a_call_that_asks_twice_has_the_first_answer_in_the_state() {
    let (forms, arguments) = (json!({"elicitation": {}}), json!({}));
    let (first, second) = (Question::confirmation("Begin?"), Question::confirmation("Go on?"));
    let mut client = session("2025-11-25", json!({})).await;
    let yes = json!({"action": "accept"});
    let mut with = json!({});
    for answered in [0, 1, 2] {
        let call = client.calls_alone(&forms, &arguments, with).await;
        let mut context = context(&call.call);
        let mut asked = context.ask("first", &first).await;
        let mut name = "first";
        if asked == Outcome::Accepted(Default::default()) {
            (name, asked) = ("second", context.ask("second", &second).await);
        }
        if answered == 2 {
            assert_eq!(asked, Outcome::Accepted(Default::default()));
            return;
        }
        assert_eq!(name, ["first", "second"][answered]);
        let Outcome::Return(input) = asked else { panic!("{asked:?}") };
        assert_eq!(input.requests.keys().collect::<Vec<_>>(), [name]);
        call.reply.send(Ok(Reply::InputRequired(input))).unwrap();
        let state = client.answer().await["result"]["requestState"].clone();
        with = json!({"inputResponses": {name: yes}, "requestState": state});
    }
}
