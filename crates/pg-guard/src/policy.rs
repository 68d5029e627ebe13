//! Which statements are accepted, by their kinds (`kinds`) and by the functions and relations that they name.
//!
//! PostgreSQL's own functions are judged by a list (`known`): what is not in it is refused, however it is declared.
//! Functions of extensions are judged by another; what is not in it is judged like a function of a user.
//! Such a function is accepted if it is not volatile, so that it promises to change nothing (PostgreSQL manual, section
//! 38.7), and is written in a trusted language.

use std::collections::HashSet;

use crate::facts::{Facts, Function, Object, Path, Text, same_types};
use crate::known::Class;
use crate::reach::{Place, Reach};
use crate::refusal::{Refusal, Rule};
use crate::secrets::{SecretSource, check_secrets};
use crate::syntax::{Attribute, Syntax};
use rows::{CouldBe, Rows};

mod kinds;
mod rows;

pub(crate) use kinds::{ACCEPTED, kinds, kinds_in_text};

/// What the operator allows and denies in addition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Functions that may run although the guard would refuse them: `name`, `schema.name`, `schema.*` or, for one overload,
    /// `name(argument types)` or `schema.name(argument types)`.
    pub allow: Vec<String>,
    /// Functions that may not run, in the same form.
    pub deny: Vec<String>,
    /// Password hashes, the statements of other sessions and similar secrets may be read.
    pub sensitive: bool,
}

impl Policy {
    /// The names of the functions in its entries.
    pub(crate) fn function_names(&self) -> Vec<String> {
        let path = |entry: &String| entry.split('(').next().unwrap_or_default().trim().to_owned();
        let name = |path: String| path.rsplit('.').next().unwrap_or_default().to_owned();
        self.allow.iter().chain(&self.deny).map(path).map(name).collect()
    }
}

/// How an operator allows functions that return secrets.
const ALLOW_SECRETS: &str = "The operator can allow it by MCP_SENSITIVE_CATALOGS=allow.";

/// What is known about an accepted statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    /// It calls and reads nothing that could leave session state on its connection.
    pub(crate) leaves_no_state: bool,
}

/// Checks all names of a statement, or of the SQL text of an object; `is_policy` if it is the condition of a policy.
/// `secrets` are the sources that contain secrets. Returns what is known about it, and the SQL texts that must be checked
/// too.
///
/// # Errors
/// Why the statement is refused.
pub(crate) fn names(
    syntax: &Syntax,
    reach: &Reach<'_>,
    secrets: &[(SecretSource, String)],
    policy: &Policy,
    is_policy: bool,
) -> Result<(Known, Vec<Text>), Refusal> {
    if let Some(name) = &reach.doubtful_name {
        let why = format!(
            "The name {name} cannot be checked: this database is not encoded in UTF-8, so PostgreSQL may read the name \
             otherwise than the guard. Use names of at most 60 bytes, without capital letters beyond ASCII."
        );
        return Err(Refusal::new(Rule::DoubtfulName, name.as_str(), why));
    }
    let mut judge = Judge { reach, policy, is_policy, texts: Vec::new() };
    let mut leaves_no_state = syntax.kind.as_deref() == Some("SelectStmt") && reach.is_plain && reach.texts.is_empty();
    let calls: HashSet<_> = syntax.calls.iter().map(|call| (&call.function, call.arguments)).collect();
    for (name, arguments) in calls {
        for function in reach.meant(name, arguments) {
            leaves_no_state &= judge.judge(&function)?;
        }
    }
    let rows = Rows::of(syntax, reach);
    let attributes: HashSet<&Attribute> = syntax.attributes.iter().collect();
    for attribute in attributes {
        let could_be = rows.could_be_function(attribute);
        for function in reach.meant_after_dot(attribute) {
            let is_meant = match could_be {
                _ if function.is_builtin => true,
                CouldBe::AnyFunction => true,
                CouldBe::FunctionOfRow => function.takes_row,
                CouldBe::ColumnOnly => false,
            };
            if is_meant {
                leaves_no_state &= judge.judge(&function)?;
            }
        }
    }
    for (function, runs_it) in &reach.nameless {
        judge
            .judge_nameless(function)
            .map_err(|refusal| refusal.reworded(|why| format!("{runs_it} stands for a function. {why}")))?;
        leaves_no_state &= function.is_declared_harmless();
    }
    if !policy.sensitive {
        let found: HashSet<&str> = reach.relations.iter().map(|found| &*found.name).collect();
        check_secrets(syntax, |name| found.contains(name), secrets)?;
    }
    let mut texts = judge.texts;
    texts.extend(reach.texts.iter().cloned());
    Ok((Known { leaves_no_state }, texts))
}

/// Judges functions one by one.
struct Judge<'a> {
    reach: &'a Reach<'a>,
    policy: &'a Policy,
    /// The condition of a policy calls them.
    is_policy: bool,
    /// The SQL texts that they run.
    texts: Vec<Text>,
}

impl Judge<'_> {
    /// Decides on a function that runs without being named. The author of an extension, which a superuser has installed,
    /// answers for what its types and operators run in C, as long as it is not volatile; even if no list has the extension.
    fn judge_nameless(&mut self, function: &Function) -> Result<(), Refusal> {
        let is_in_c = &*function.language == "c" && function.extension.is_some() && function.class == Class::Unknown;
        let is_denied = self.policy.deny.iter().any(|entry| fits(entry, function));
        if is_in_c && !function.is_volatile && !function.is_definer && !is_denied {
            return Ok(());
        }
        self.judge(function).map(|_| ())
    }

    /// Decides on one function. Returns whether it is a function of PostgreSQL that leaves no session state. If it runs an
    /// SQL text, the text is added to `texts`.
    fn judge(&mut self, function: &Function) -> Result<bool, Refusal> {
        let Function { schema, name, .. } = function;
        let whole = format!("{schema}.{name}");
        let listed = |entries: &[String]| entries.iter().any(|entry| fits(entry, function));
        let refused = |rule, why: &str, instead: &str| {
            let why = format!("The function {whole} is not accepted in read-only mode: {why}. {instead}");
            Err(Refusal::new(rule, whole.as_str(), why))
        };
        let allow = format!("The operator can allow it by MCP_FUNCTIONS_ALLOW={whole}.");
        if listed(&self.policy.deny) {
            return refused(
                Rule::FunctionExcluded,
                "the operator has excluded it (MCP_FUNCTIONS_DENY)",
                "Do without it.",
            );
        }
        if listed(&self.policy.allow) {
            return Ok(false);
        }
        // A function with an argument of the type `internal` cannot be called by a statement, and a superuser has made it.
        if function.arguments.split(',').any(|argument| argument == "internal") {
            return Ok(function.is_builtin);
        }
        let class = function.class;
        match class {
            Class::Harmless => return Ok(function.is_builtin),
            Class::Secret(_) if self.policy.sensitive => return Ok(function.is_builtin),
            Class::Secret(why) => return refused(Rule::FunctionSecret, why, ALLOW_SECRETS),
            Class::Live(why) => return refused(Rule::FunctionHarmful, why, &allow),
            Class::Unknown if function.is_builtin => {
                let why = format!("it is not in the list of the functions of PostgreSQL {}", self.reach.facts.version);
                return refused(Rule::FunctionUnknown, &why, &allow);
            }
            Class::AsDeclared | Class::Unknown => {}
        }
        // The owner of the table has put it into the policy, so it runs for everybody who reads the table. A helper that looks
        // up the caller's rights is usually such a function.
        let is_helper = self.is_policy && !function.is_volatile;
        if function.is_definer && !is_helper {
            return refused(
                Rule::FunctionDefiner,
                "it runs with the rights of its owner, not of this session (SECURITY DEFINER)",
                &allow,
            );
        }
        if function.is_volatile {
            return refused(
                Rule::FunctionVolatile,
                "it is volatile, so it may do what no transaction undoes",
                &format!("If it changes nothing, declare it STABLE or IMMUTABLE. {allow}"),
            );
        }
        // The author of a known extension answers for its functions in C. Any other was created by a superuser and can do
        // anything.
        if class == Class::Unknown {
            if !function.is_trusted {
                let language = &function.language;
                let why = match &function.extension {
                    None => format!("it is written in {language}, which can do anything on the server"),
                    Some(extension) => format!(
                        "it is written in {language}, which can do anything on the server, and it is not in the list of the \
                         functions of known extensions (it belongs to {extension})"
                    ),
                };
                return refused(Rule::FunctionLanguage, &why, &allow);
            }
            if let (true, Some(setting)) = (function.has_text, &function.setting) {
                let why = format!("it sets {setting} for itself, which may change how its SQL text is read");
                return refused(Rule::FunctionSettings, &why, &allow);
            }
            if function.has_text {
                let any_schema = function.has_search_path || matches!(self.reach.path, Path::Any);
                self.texts.push(Text { object: Object::Function(function.oid), name: whole, any_schema });
            }
        }
        Ok(false)
    }
}

/// Decides on one function that runs without being named.
///
/// # Errors
/// Why it is refused.
pub(crate) fn judge_alone(function: &Function, facts: &Facts, policy: &Policy) -> Result<(), Refusal> {
    let (syntax, place) = (Syntax::default(), Place::default());
    let reach = Reach::of(&syntax, facts, place);
    let mut judge = Judge { reach: &reach, policy, is_policy: false, texts: Vec::new() };
    judge.judge_nameless(function)
}

/// Whether an entry of [`Policy`] means a function of this database.
pub(crate) fn means_a_function(entry: &str, facts: &Facts) -> bool {
    let path = entry.split('(').next().unwrap_or_default().trim();
    match path.strip_suffix(".*") {
        Some(schema) => schema == "pg_catalog" || facts.has_functions_in(schema),
        None => {
            let name = path.rsplit('.').next().unwrap_or_default();
            facts.functions_named(name).any(|function| fits(entry, &function))
        }
    }
}

/// Whether an entry of [`Policy`] means this function.
fn fits(entry: &str, function: &Function) -> bool {
    let (path, arguments) = match entry.split_once('(') {
        Some((path, arguments)) => (path.trim(), Some(arguments.trim_end().trim_end_matches(')'))),
        None => (entry, None),
    };
    let is_named = match path.rsplit_once('.') {
        Some((schema, "*")) => schema == &*function.schema,
        Some((schema, name)) => schema == &*function.schema && name == &*function.name,
        None => path == &*function.name,
    };
    is_named && arguments.is_none_or(|arguments| same_types(arguments, &function.arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_extension_answers_for_its_types_but_not_for_its_functions() {
        let facts = Facts::for_no_names();
        let of = |language: &str, extension: Option<&str>, is_volatile| Function {
            schema: "public".into(),
            name: "cell_in".into(),
            language: language.into(),
            extension: extension.map(Into::into),
            is_volatile,
            ..Function::default()
        };
        let policy = Policy::default();
        let denied = Policy { deny: vec!["cell_in".to_owned()], ..Policy::default() };
        for (function, policy, passes) in [
            (of("c", Some("cells"), false), &policy, true),
            (of("c", Some("cells"), false), &denied, false),
            (of("c", Some("cells"), true), &policy, false),
            (of("c", None, false), &policy, false),
            (of("internal", Some("cells"), false), &policy, false),
        ] {
            assert_eq!(judge_alone(&function, &facts, policy).is_ok(), passes, "{function:?}");
            let (syntax, place) = (Syntax::default(), Place::default());
            let reach = Reach::of(&syntax, &facts, place);
            let called = Judge { reach: &reach, policy, is_policy: false, texts: Vec::new() }.judge(&function);
            assert!(called.is_err(), "a call of {function:?}");
        }
    }
}
