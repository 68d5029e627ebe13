//! Which statements are accepted, by their kinds (`kinds`) and by the functions and relations that they name.
//!
//! PostgreSQL's own functions are judged by the list in `builtin`: what is not in it is refused, however it is declared.
//! Of other functions one that is not volatile promises to change nothing (PostgreSQL manual, section 38.7), so it is
//! accepted. A volatile function is accepted only if it is known to be harmless. So a volatile function of an unknown
//! extension is refused until somebody has examined it. Functions that break the promise are listed (`functions`).

use crate::catalog::{Catalog, Function, Text};
use crate::refusal::{Refusal, Rule};
use crate::secrets::check_secrets;
use crate::syntax::{Attribute, Name, Syntax};
use class::Class;
use functions::{
    HARMFUL, HARMFUL_ALTHOUGH_NOT_VOLATILE, HARMLESS_OF_EXTENSIONS, SENSITIVE_FUNCTIONS, SENSITIVE_NAMES, has,
};

mod builtin;
mod class;
mod functions;
mod kinds;
mod versions;

pub(crate) use kinds::{ACCEPTED, kinds, kinds_in_text};

/// What the operator allows and denies in addition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Functions that may run although the guard would refuse them, as `name` or `schema.name`.
    pub allow: Vec<String>,
    /// Functions that may not run, in the same form.
    pub deny: Vec<String>,
    /// Password hashes, the statements of other sessions and similar secrets may be read.
    pub sensitive: bool,
}

/// How an operator allows functions that return secrets.
const ALLOW_SECRETS: &str = "The operator can allow it by MCP_SENSITIVE_CATALOGS=allow.";

/// What is known about an accepted statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    /// It calls and reads nothing that could leave session state on its connection.
    pub(crate) leaves_no_state: bool,
}

/// Checks all names of a statement. Returns what is known about it, and the SQL texts that must be checked too.
///
/// # Errors
/// Why the statement is refused.
pub(crate) fn names(syntax: &Syntax, catalog: Catalog, policy: &Policy) -> Result<(Known, Vec<Text>), Refusal> {
    let mut texts = Vec::new();
    let mut leaves_no_state = syntax.kind.as_deref() == Some("SelectStmt")
        && !catalog.has_user_types
        && catalog.texts.is_empty()
        && catalog.relations.iter().all(|relation| relation.is_plain);
    for call in &syntax.calls {
        let candidates: Vec<_> = catalog.functions.iter().filter(|function| function.matches(&call.function)).collect();
        let fitting = candidates.iter().filter(|function| function.takes(call.arguments));
        // If no function takes this number of arguments, PostgreSQL reports an error, or it counts differently. So all
        // are checked.
        let fitting: Vec<_> = if fitting.clone().next().is_none() { candidates } else { fitting.copied().collect() };
        for function in &fitting {
            leaves_no_state &= judge(function, policy, &mut texts)?;
        }
    }
    for attribute in &syntax.attributes {
        let name = Name { schema: None, name: attribute.name.clone() };
        let is_column = is_column(attribute, syntax, &catalog);
        let called = catalog.functions.iter().filter(|function| function.matches(&name) && function.takes(1));
        for function in called.filter(|function| function.is_builtin || !is_column) {
            leaves_no_state &= judge(function, policy, &mut texts)?;
        }
    }
    for implicit in catalog.functions.iter().filter(|function| !function.is_called) {
        let judged = judge(implicit, policy, &mut texts);
        judged.map_err(|refusal| {
            refusal.reworded(|why| format!("{} stands for a function. {why}", implicit.requested_name))
        })?;
        leaves_no_state = false;
    }
    if !policy.sensitive {
        let is_found = |name: &str| catalog.relations.iter().any(|found| found.name == name);
        check_secrets(syntax, is_found, &catalog.secrets)?;
    }
    texts.extend(catalog.texts);
    Ok((Known { leaves_no_state }, texts))
}

/// Whether a name after a dot is a column, and not a function. It is looked up in the tables that have the name before
/// the dot, or in all tables of the statement if there are none.
fn is_column(attribute: &Attribute, syntax: &Syntax, catalog: &Catalog) -> bool {
    let tables: Vec<_> = syntax
        .relations
        .iter()
        .filter(|relation| {
            attribute.qualifier.as_deref() == Some(relation.alias_or_name())
                && !syntax.with.contains(&relation.name.name)
        })
        .collect();
    let mut columns = catalog.columns.iter().filter(|(_, column)| *column == attribute.name);
    match tables.is_empty() {
        true => columns.next().is_some(),
        false => tables.iter().all(|relation| columns.clone().any(|(table, _)| *table == relation.name.name)),
    }
}

/// Decides on one function. Returns whether it is a function of PostgreSQL that leaves no session state. If it runs an
/// SQL text, the text is added to `texts`.
fn judge(function: &Function, policy: &Policy, texts: &mut Vec<Text>) -> Result<bool, Refusal> {
    let Function { schema, name, .. } = function;
    let whole = format!("{schema}.{name}");
    let listed = |names: &[String]| names.iter().any(|listed| listed == name || *listed == whole);
    let refused = |rule, why: &str, instead: &str| {
        let why = format!("The function {whole} is not accepted in read-only mode: {why}. {instead}");
        Err(Refusal::new(rule, whole.as_str(), why))
    };
    let allow = format!("The operator can allow it by MCP_FUNCTIONS_ALLOW={whole}.");
    if listed(&policy.deny) {
        return refused(Rule::FunctionExcluded, "the operator has excluded it (MCP_FUNCTIONS_DENY)", "Do without it.");
    }
    if listed(&policy.allow) {
        return Ok(false);
    }
    if function.is_builtin {
        // A function with an argument of the type `internal` cannot be called by a statement.
        let is_internal = function.arguments.split(',').any(|argument| argument == "internal");
        let class = builtin::class(function.version, name, Some(&function.arguments));
        return match class {
            _ if is_internal => Ok(true),
            Class::Harmless => Ok(true),
            Class::Secret(_) if policy.sensitive => Ok(true),
            Class::Secret(why) => refused(Rule::FunctionSecret, why, ALLOW_SECRETS),
            Class::Live(why) => refused(Rule::FunctionHarmful, why, &allow),
            Class::Unknown => {
                let why = format!("it is not in the list of the functions of PostgreSQL {}", function.version);
                refused(Rule::FunctionUnknown, &why, &allow)
            }
        };
    }
    let extension = function.extension.as_deref();
    let is_known = extension.is_some();
    let why_harmful = || HARMFUL.iter().find(|(_, names)| is_known && has(names, name)).map(|(why, _)| *why);
    if is_known
        && !policy.sensitive
        && let Some((why, _)) = SENSITIVE_FUNCTIONS.iter().find(|(_, names)| has(names, name))
    {
        return refused(Rule::FunctionSecret, why, ALLOW_SECRETS);
    }
    if function.is_definer {
        return refused(
            Rule::FunctionDefiner,
            "it runs with the rights of its owner, not of this session (SECURITY DEFINER)",
            &allow,
        );
    }
    if !function.is_volatile {
        if extension.is_some() && has(HARMFUL_ALTHOUGH_NOT_VOLATILE, name) {
            return refused(Rule::FunctionHarmful, why_harmful().unwrap_or("it does more than it promises"), &allow);
        }
        // The author of an extension answers for its C functions. Any other C function was created by a superuser and
        // can do anything.
        if !function.is_trusted && extension.is_none() {
            let why = format!("it is written in {}, which can do anything on the server", function.language);
            return refused(Rule::FunctionLanguage, &why, &allow);
        }
        texts.extend(function.text.clone());
        return Ok(false);
    }
    let is_harmless = (has(SENSITIVE_NAMES, name) && policy.sensitive && is_known)
        || HARMLESS_OF_EXTENSIONS.iter().any(|(of, names)| extension == Some(of) && has(names, name));
    if is_harmless {
        return Ok(false);
    }
    match why_harmful() {
        Some(why) => refused(Rule::FunctionHarmful, why, &allow),
        None => refused(
            Rule::FunctionVolatile,
            "it is volatile, so it may do what no transaction undoes",
            &format!("If it changes nothing, declare it STABLE or IMMUTABLE. {allow}"),
        ),
    }
}
