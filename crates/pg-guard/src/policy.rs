//! Which statements are accepted, by their kinds (`kinds`) and by the functions and relations that they name (`functions`
//! has what is known of functions).
//!
//! A function that is not volatile (manual, section 38.7) promises to change nothing, and stays usable; a volatile one
//! must be known as harmless. So a function that a later PostgreSQL or an extension brings is refused until somebody
//! has looked at it, unless it promises. Those that promise and break it are listed.

use crate::catalog::{Catalog, Function, Text};
use crate::refusal::{Refusal, Rule};
use crate::secrets::check_no_secret_is_read;
use crate::syntax::{Attribute, Name, Syntax};
use functions::{
    HARMFUL, HARMFUL_ALTHOUGH_NOT_VOLATILE, HARMLESS, HARMLESS_OF_EXTENSIONS, SENSITIVE_FUNCTIONS, SENSITIVE_NAMES, has,
};

mod functions;
mod kinds;

pub(crate) use kinds::{ACCEPTED, kinds, kinds_behind};

/// What the operator wants otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Functions that may run all the same, by name or by schema and name.
    pub allow: Vec<String>,
    /// Functions that may not run, likewise.
    pub deny: Vec<String>,
    /// Password hashes, other sessions' statements and the like may be read.
    pub sensitive: bool,
}

/// What is known of a statement that may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    /// It calls nothing, and reads nothing, that could leave anything on its connection.
    pub(crate) leaves_nothing: bool,
}

/// Whether all that a statement names may run.
///
/// # Errors
/// Why not.
pub(crate) fn names(syntax: &Syntax, catalog: Catalog, policy: &Policy) -> Result<(Known, Vec<Text>), Refusal> {
    let mut texts = Vec::new();
    let mut leaves_nothing = syntax.kind.as_deref() == Some("SelectStmt")
        && !catalog.has_own_types
        && catalog.texts.is_empty()
        && catalog.relations.iter().all(|relation| relation.is_plain);
    for call in &syntax.calls {
        let candidates: Vec<_> =
            catalog.functions.iter().filter(|function| function.answers_to(&call.function)).collect();
        let fitting = candidates.iter().filter(|function| function.takes(call.arguments));
        // With none that fits, PostgreSQL will say so; or it counts otherwise than we do.
        let fitting: Vec<_> = if fitting.clone().next().is_none() { candidates } else { fitting.copied().collect() };
        for function in &fitting {
            leaves_nothing &= judge(function, policy, &mut texts)?;
        }
    }
    for attribute in &syntax.attributes {
        let name = Name { schema: None, name: attribute.name.clone() };
        let is_column = is_column(attribute, syntax, &catalog);
        let called = catalog.functions.iter().filter(|function| function.answers_to(&name) && function.takes(1));
        for function in called.filter(|function| function.is_builtin || !is_column) {
            leaves_nothing &= judge(function, policy, &mut texts)?;
        }
    }
    for hidden in catalog.functions.iter().filter(|function| !function.is_called) {
        let judged = judge(hidden, policy, &mut texts);
        judged.map_err(|refusal| {
            refusal.reworded(|why| format!("{} stands for a function. {why}", hidden.requested_name))
        })?;
        leaves_nothing = false;
    }
    if !policy.sensitive {
        let is_found = |name: &str| catalog.relations.iter().any(|found| found.name == name);
        check_no_secret_is_read(syntax, is_found, &catalog.secrets)?;
    }
    texts.extend(catalog.texts);
    Ok((Known { leaves_nothing }, texts))
}

/// Whether a name after a dot is a column, and so no function: of the tables that are called what stands before the dot,
/// or, where that is something else, of any.
fn is_column(attribute: &Attribute, syntax: &Syntax, catalog: &Catalog) -> bool {
    let of: Vec<_> = syntax
        .relations
        .iter()
        .filter(|relation| {
            attribute.of.as_deref() == Some(relation.called()) && !syntax.with.contains(&relation.name.name)
        })
        .collect();
    let mut columns = catalog.columns.iter().filter(|(_, column)| *column == attribute.name);
    match of.is_empty() {
        true => columns.next().is_some(),
        false => of.iter().all(|relation| columns.clone().any(|(table, _)| *table == relation.name.name)),
    }
}

/// Whether a function may run; and then, whether it is one of PostgreSQL's own that leaves nothing on its connection.
/// What it runs is added to `texts`.
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
    let extension = function.extension.as_deref();
    let is_known = function.is_builtin || extension.is_some();
    let why_harmful = || HARMFUL.iter().find(|(_, names)| is_known && has(names, name)).map(|(why, _)| *why);
    if is_known
        && !policy.sensitive
        && let Some((why, _)) = SENSITIVE_FUNCTIONS.iter().find(|(_, names)| has(names, name))
    {
        return refused(Rule::FunctionSecret, why, "The operator can allow it by MCP_SENSITIVE_CATALOGS=allow.");
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
        // An extension's C is the extension's promise; C by itself has been put there by a superuser, for anything.
        if !function.is_trusted && extension.is_none() && !function.is_builtin {
            let why = format!("it is written in {}, which can do anything on the server", function.language);
            return refused(Rule::FunctionLanguage, &why, &allow);
        }
        texts.extend(function.text.clone());
        return Ok(function.is_builtin);
    }
    let is_harmless = (function.is_builtin && has(HARMLESS, name))
        || (has(SENSITIVE_NAMES, name) && policy.sensitive && is_known)
        || HARMLESS_OF_EXTENSIONS.iter().any(|(of, names)| extension == Some(of) && has(names, name));
    if is_harmless {
        return Ok(function.is_builtin);
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
