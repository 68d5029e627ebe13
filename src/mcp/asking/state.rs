//! The state that goes to a client and comes back with its next call. A client can change whatever it sends, so the state is
//! sealed: with a key that only this process has, for one call (tool, caller, arguments), and for a short time.
//!
//! The seal does not make a state usable only once. A tool that must not do something twice for one answer has to see to that.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rmcp::model::{RequestStateCodec, SealOptions};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::{Duration, Instant};

use crate::messages::ask::{ANSWER_TIME, AskingCall, Question};

/// What has been asked and answered so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct RoundState {
    /// The digest of the question that the client is asked now, by its name.
    asked: BTreeMap<String, String>,
    /// The digest and the answer of those that it has answered, by their names.
    answers: BTreeMap<String, (String, Value)>,
}

impl RoundState {
    /// Whether the client was asked exactly this.
    pub(super) fn has_asked(&self, name: &str, question: &Question) -> bool {
        self.asked.get(name).is_some_and(|asked| *asked == digest(question))
    }

    /// The answer to exactly this question, if it was given before.
    pub(super) fn answer(&self, name: &str, question: &Question) -> Option<&Value> {
        self.answers.get(name).filter(|(asked, _)| *asked == digest(question)).map(|(_, answer)| answer)
    }

    /// The client has answered.
    pub(super) fn answered(&mut self, name: &str, question: &Question, answer: Value) {
        self.answers.insert(name.to_owned(), (digest(question), answer));
    }

    /// The state when this question is asked next.
    pub(super) fn asking(&self, name: &str, question: &Question) -> Self {
        let asked = BTreeMap::from([(name.to_owned(), digest(question))]);
        Self { asked, answers: self.answers.clone() }
    }
}

/// A question with other words or another form is another question.
fn digest(question: &Question) -> String {
    let text = json!([question.message, question.form]).to_string();
    URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}

/// Seals states and opens them.
pub(super) struct Sealer {
    codec: RequestStateCodec,
    /// The expiry of a state counts from here.
    began: Instant,
}

/// A state with its end.
#[derive(Serialize, Deserialize)]
struct Expiring {
    /// When the state ends, in milliseconds since the sealer began.
    expires: u64,
    state: RoundState,
}

impl Sealer {
    /// The one of this process; none if the system has no random numbers.
    pub(super) fn of_process() -> Option<&'static Self> {
        static SEALER: LazyLock<Option<Sealer>> = LazyLock::new(Sealer::new);
        SEALER.as_ref()
    }

    /// One with a key of its own.
    fn new() -> Option<Self> {
        let mut key = [0; RequestStateCodec::MIN_KEY_LENGTH];
        getrandom::fill(&mut key).ok()?;
        Some(Self { codec: RequestStateCodec::try_new(key).ok()?, began: Instant::now() })
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// The state as that call's client gets it.
    pub(super) fn seal(&self, state: &RoundState, call: AskingCall<'_>) -> String {
        let expires = (self.now() + ANSWER_TIME).as_millis() as u64;
        let state = json!(Expiring { expires, state: state.clone() }).to_string();
        self.codec.seal_with(state.as_bytes(), &SealOptions::new().associated_data(binding(call).as_bytes()))
    }

    /// The state that has come with that call; none if it is not one of ours for such a call, or has expired.
    pub(super) fn open(&self, sealed: &str, call: AskingCall<'_>) -> Option<RoundState> {
        let state = self.codec.open_with(sealed, binding(call).as_bytes()).ok()?;
        let Expiring { expires, state } = serde_json::from_slice(&state).ok()?;
        (self.now() < Duration::from_millis(expires)).then_some(state)
    }
}

/// What a state is bound to.
fn binding(call: AskingCall<'_>) -> String {
    json!([call.caller.principal().as_deref(), call.tool, call.arguments.canonical()]).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Caller;
    use crate::messages::RawArguments;

    fn arguments(json: &str) -> RawArguments {
        serde_json::from_str(json).unwrap()
    }

    fn state() -> RoundState {
        RoundState::default().asking("sure", &Question::confirmation("Sure?"))
    }

    #[test]
    fn a_state_opens_for_its_own_call_only() {
        let (sealer, another) = (Sealer::new().unwrap(), Sealer::new().unwrap());
        let (reader, writer) = (Caller::stdio(), Caller { name: "writer".into(), ..Caller::stdio() });
        let anonymous = |name: &str| Caller { name: name.into(), is_anonymous: true, ..Caller::stdio() };
        let given = arguments(r#"{"query":"delete from t","limit":{"a":1,"b":2.0}}"#);
        let call = AskingCall { tool: "run", caller: &writer, arguments: &given };
        let sealed = sealer.seal(&state(), call);
        assert_eq!(sealer.open(&sealed, call), Some(state()));
        assert_eq!(another.open(&sealed, call), None, "another process has another key");
        let again = arguments(r#"{ "limit": {"b":2.0, "a":1}, "query": "delete \u0066rom t" }"#);
        assert_eq!(sealer.open(&sealed, AskingCall { arguments: &again, ..call }), Some(state()), "written otherwise");
        for other in [
            r#"{"query":"delete from u","limit":{"a":1,"b":2.0}}"#,
            r#"{"query":"delete from t","limit":{"a":1,"b":2.1}}"#,
            r#"{"query":"delete from t"}"#,
            r#"{"query":"delete from t","limit":{"a":1,"b":2.0},"database":"other"}"#,
            "{}",
        ] {
            assert_eq!(sealer.open(&sealed, AskingCall { arguments: &arguments(other), ..call }), None, "{other}");
        }
        assert_eq!(sealer.open(&sealed, AskingCall { tool: "batch", ..call }), None);
        for caller in [&reader, &anonymous("writer")] {
            assert_eq!(sealer.open(&sealed, AskingCall { caller, ..call }), None, "{caller:?}");
        }
        let of_connection = AskingCall { caller: &anonymous("client 1"), ..call };
        let sealed = sealer.seal(&state(), of_connection);
        assert_eq!(sealer.open(&sealed, AskingCall { caller: &anonymous("client 2"), ..call }), Some(state()));
        assert_eq!(sealer.open(&sealed, call), None);
    }

    #[test]
    fn a_state_that_is_changed_anywhere_does_not_open() {
        let (sealer, caller, given) = (Sealer::new().unwrap(), Caller::stdio(), RawArguments::default());
        let call = AskingCall { tool: "run", caller: &caller, arguments: &given };
        let sealed = sealer.seal(&state(), call);
        assert!(sealed.is_ascii());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            // Another digit of base64; the last one of a part has bits that mean nothing, so a bit that means something.
            changed[at] = if changed[at] == b'A' { b'Q' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(sealer.open(&changed, call), None, "{changed}");
            assert_eq!(sealer.open(&sealed[..at], call), None);
        }
        for foreign in ["", ".", "..", "a.b.c", "rs1..", &format!("{sealed}A"), &format!("{sealed}.")] {
            assert_eq!(sealer.open(foreign, call), None, "{foreign}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_state_expires() {
        let (sealer, caller, given) = (Sealer::new().unwrap(), Caller::stdio(), RawArguments::default());
        let call = AskingCall { tool: "run", caller: &caller, arguments: &given };
        let sealed = sealer.seal(&state(), call);
        tokio::time::advance(ANSWER_TIME - Duration::from_secs(1)).await;
        assert_eq!(sealer.open(&sealed, call), Some(state()));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(sealer.open(&sealed, call), None);
    }
}
