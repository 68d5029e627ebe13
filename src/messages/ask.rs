//! Asking the client of a call: the person who uses the client answers a question by filling in a form.
//!
//! How a question reaches the client depends on the revision of the protocol; a tool does not need to know it. It asks by
//! [`CallContext::ask`](super::call::CallContext::ask), and returns the reply that it is given if it is given one.

use std::fmt;
use std::future::ready;
use std::pin::Pin;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::RawArguments;
use super::answer::InputRequired;
use crate::caller::Caller;

/// How long a person has for an answer. A call that waits for one longer goes on without.
pub const ANSWER_TIME: Duration = Duration::from_secs(5 * 60);

/// A question to the person who uses a client.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// What the person reads. It must not ask for a secret: clients show and log what is answered.
    pub message: String,
    /// What the person fills in: a JSON Schema of an object with members that are strings, numbers or booleans.
    pub form: Value,
}

/// What has become of a question.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// The person has agreed, and has filled in the form like this.
    Accepted(Map<String, Value>),
    /// The person has said no.
    Declined,
    /// The person has closed the question without an answer.
    Cancelled,
    /// There is no answer, and there will be none.
    CannotAsk(CannotAsk),
    /// The tool has to return this. The client calls the tool again, with the answer.
    Return(InputRequired),
}

/// Why a question has no answer. Its text is a sentence for the answer of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CannotAsk {
    /// The call has no client: the server has made it itself.
    NoClient,
    /// The client's revision of the protocol has no questions.
    OldRevision(String),
    /// The client has not declared that it shows forms.
    NotDeclared,
    /// The client has not answered within this time.
    NoAnswer(Duration),
    /// The client has answered with an error.
    Failed(String),
    /// The answer does not fit the form.
    Unusable(String),
    /// The client has gone.
    Gone,
    /// The system has no random numbers to protect the state of a question with.
    NoRandomNumbers,
}

/// The call that asks: an answer counts for this call only.
#[derive(Debug, Clone, Copy)]
pub struct AskingCall<'a> {
    /// The name of its tool.
    pub tool: &'a str,
    /// Its client.
    pub caller: &'a Caller,
    /// Its arguments as the client wrote them.
    pub arguments: &'a RawArguments,
}

/// What becomes of a question, once that is known.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Asked> + Send + 'a>>;

/// A client that a call can ask.
pub trait AskClient: fmt::Debug + Send + Sync {
    /// Whether it can be asked.
    ///
    /// # Errors
    /// Why it cannot.
    fn can_be_asked(&self) -> Result<(), CannotAsk>;

    /// Ask a question. Its name is the call's own: two questions of one call have two names. Dropped, the question is
    /// withdrawn.
    fn ask<'a>(&'a self, call: AskingCall<'a>, name: &'a str, question: &'a Question) -> Asking<'a>;
}

/// A client that cannot be asked, for this reason.
impl AskClient for CannotAsk {
    fn can_be_asked(&self) -> Result<(), CannotAsk> {
        Err(self.clone())
    }

    fn ask<'a>(&'a self, _: AskingCall<'a>, _: &'a str, _: &'a Question) -> Asking<'a> {
        Box::pin(ready(Asked::CannotAsk(self.clone())))
    }
}

impl Question {
    /// A question to agree to. Its form is empty, because there is nothing to fill in.
    pub fn confirmation(message: impl Into<String>) -> Self {
        Self { message: message.into(), form: json!({"type": "object", "properties": {}}) }
    }

    /// What in `content` does not fit the form, as a clause.
    pub fn misfit(&self, content: &Map<String, Value>) -> Option<String> {
        let required = self.form["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for name in required {
            if !content.contains_key(name) {
                return Some(format!("`{name}` is missing"));
            }
        }
        let properties = self.form["properties"].as_object()?;
        properties.iter().find_map(|(name, schema)| {
            let value = content.get(name)?;
            let fits = match schema["type"].as_str() {
                Some("string") => value.is_string(),
                Some("integer") => value.as_f64().is_some_and(|number| number.fract() == 0.0),
                Some("number") => value.is_number(),
                Some("boolean") => value.is_boolean(),
                _ => true,
            };
            let is_a_choice = schema["enum"].as_array().is_none_or(|choices| choices.contains(value));
            (!fits || !is_a_choice).then(|| format!("`{name}` is not what the form asks for"))
        })
    }
}

impl fmt::Display for CannotAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoClient => f.write_str("This call has no client that could be asked."),
            Self::OldRevision(revision) => write!(
                f,
                "The client cannot be asked: it speaks revision {revision} of the protocol, and questions exist from \
                 2025-06-18 on."
            ),
            Self::NotDeclared => f.write_str(
                "The client cannot be asked: it has not declared that it shows forms (the capability `elicitation`).",
            ),
            Self::NoAnswer(after) => write!(f, "The client was asked and did not answer within {after:?}."),
            Self::Failed(why) => write!(f, "The client was asked and answered with an error: {why}."),
            Self::Unusable(why) => write!(f, "The client was asked, and its answer does not fit the question: {why}."),
            Self::Gone => f.write_str("The client was asked and has gone."),
            Self::NoRandomNumbers => f.write_str("The client cannot be asked: the system has no random numbers."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_fits_its_form_by_names_types_and_choices() {
        let form = json!({
            "type": "object",
            "properties": {
                "reason": {"type": "string"},
                "rows": {"type": "integer"},
                "share": {"type": "number"},
                "sure": {"type": "boolean"},
                "how": {"type": "string", "enum": ["now", "later"]},
            },
            "required": ["sure"],
        });
        let question = Question { message: "Delete?".to_owned(), form };
        for (content, misfit) in [
            (json!({"sure": true}), None),
            (json!({"sure": false, "reason": "a", "rows": 7.0, "share": 0.5, "how": "now", "more": []}), None),
            (json!({}), Some("`sure` is missing")),
            (json!({"sure": "yes"}), Some("`sure` is not what the form asks for")),
            (json!({"sure": true, "reason": 7}), Some("`reason` is not what the form asks for")),
            (json!({"sure": true, "rows": 7.5}), Some("`rows` is not what the form asks for")),
            (json!({"sure": true, "rows": "7"}), Some("`rows` is not what the form asks for")),
            (json!({"sure": true, "share": null}), Some("`share` is not what the form asks for")),
            (json!({"sure": true, "how": "never"}), Some("`how` is not what the form asks for")),
        ] {
            let Value::Object(members) = &content else { unreachable!() };
            assert_eq!(question.misfit(members).as_deref(), misfit, "{content}");
        }
        assert_eq!(Question::confirmation("Sure?").misfit(&Map::new()), None);
    }
}
