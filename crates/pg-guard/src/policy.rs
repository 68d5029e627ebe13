//! Which statements are accepted, by their kinds (`kinds`) and by the functions and relations that they name.
//!
//! PostgreSQL's own functions are judged by the list in `builtin`: what is not in it is refused, however it is declared.
//! Functions of extensions are judged by the list in `extensions`; what is not in it is judged like a function of a user.
//! Such a function is accepted if it is not volatile, so that it promises to change nothing (PostgreSQL manual, section
//! 38.7), and is written in a trusted language.

use crate::catalog::{Catalog, Function, Text};
use crate::refusal::{Refusal, Rule};
use crate::secrets::check_secrets;
use crate::syntax::{Attribute, Name, Syntax};
use class::Class;

mod builtin;
mod class;
mod extensions;
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
    // A function with an argument of the type `internal` cannot be called by a statement, and a superuser has made it.
    if function.arguments.split(',').any(|argument| argument == "internal") {
        return Ok(function.is_builtin);
    }
    let class = match &function.extension {
        _ if function.is_builtin => builtin::class(function.version, name, Some(&function.arguments)),
        Some(extension) => extensions::class(extension, name, &function.arguments),
        None => Class::Unknown,
    };
    match class {
        Class::Harmless => return Ok(function.is_builtin),
        Class::Secret(_) if policy.sensitive => return Ok(function.is_builtin),
        Class::Secret(why) => return refused(Rule::FunctionSecret, why, ALLOW_SECRETS),
        Class::Live(why) => return refused(Rule::FunctionHarmful, why, &allow),
        Class::Unknown if function.is_builtin => {
            let why = format!("it is not in the list of the functions of PostgreSQL {}", function.version);
            return refused(Rule::FunctionUnknown, &why, &allow);
        }
        Class::AsDeclared | Class::Unknown => {}
    }
    if function.is_definer {
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
        texts.extend(function.text.clone());
    }
    Ok(false)
}
