//! The names in a statement that are looked up.

use crate::secrets::holds_secrets;
use crate::syntax::{Call, Syntax};

/// A name of fewer bytes in UTF-8 was not cut by the parser, which keeps 63 bytes.
const NAME_BYTES_SURE: usize = 60;

/// The names in a statement, each once.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) functions: Vec<String>,
    /// Those of them that are written as calls.
    pub(super) functions_called: Vec<String>,
    pub(super) operators: Vec<String>,
    pub(super) types: Vec<String>,
    /// Those of them that are written as types.
    pub(super) types_written: Vec<String>,
    /// The types to which something may be cast by a function.
    pub(super) casts: Vec<String>,
    pub(super) relations: Vec<String>,
    pub(super) attributes: Vec<String>,
    /// The statement reads something that may contain secrets.
    pub(super) may_hold_secrets: bool,
}

impl Names {
    pub(super) fn of(syntax: &Syntax) -> Self {
        let distinct = |names: &mut Vec<String>| {
            names.sort_unstable();
            names.dedup();
        };
        let mut names = Self {
            functions: syntax.calls.iter().map(|call| call.function.name.clone()).collect(),
            operators: syntax.operators.iter().map(|name| name.name.clone()).collect(),
            types: syntax.types.iter().map(|name| name.name.clone()).collect(),
            casts: syntax.casts.iter().map(|name| name.name.clone()).collect(),
            relations: syntax.relations.iter().map(|relation| relation.name.name.clone()).collect(),
            functions_called: Vec::new(),
            types_written: Vec::new(),
            attributes: syntax.attributes.iter().map(|attribute| attribute.name.clone()).collect(),
            may_hold_secrets: syntax.show.is_some()
                || syntax.calls.iter().any(Call::reads_settings)
                || syntax.relations.iter().any(|relation| holds_secrets(&relation.name.name)),
        };
        distinct(&mut names.functions);
        distinct(&mut names.types);
        names.functions_called.clone_from(&names.functions);
        names.types_written.clone_from(&names.types);
        names.functions.extend(names.attributes.iter().cloned());
        // A type can be written like a function: date(x), (x).date.
        let types = names.functions.iter().cloned();
        names.casts.extend(types.clone());
        names.types.extend(types);
        distinct(&mut names.casts);
        distinct(&mut names.functions);
        distinct(&mut names.operators);
        distinct(&mut names.types);
        distinct(&mut names.attributes);
        distinct(&mut names.relations);
        names
    }

    pub(super) fn is_empty(&self) -> bool {
        self.functions.is_empty()
            && self.operators.is_empty()
            && self.types.is_empty()
            && self.relations.is_empty()
            && !self.may_hold_secrets
    }

    /// A name that a server with another encoding than UTF-8 may read otherwise than the guard's parser: it folds upper case
    /// letters beyond ASCII, and it cuts long names by their bytes in its encoding.
    pub(super) fn doubtful(&self) -> Option<&String> {
        let all = [&self.functions, &self.operators, &self.types, &self.relations, &self.attributes];
        all.into_iter().flatten().find(|name| {
            !name.is_ascii()
                && (name.len() >= NAME_BYTES_SURE || name.chars().any(|c| !c.is_ascii() && c.is_uppercase()))
        })
    }
}
