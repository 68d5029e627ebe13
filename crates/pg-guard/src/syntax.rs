//! The facts about the syntax of a statement that the guard needs: its kind, and every name in it that can lead to an
//! effect. They are taken from all nodes of PostgreSQL's own parse tree.

use serde::{Deserialize, Serialize};

use crate::walk::{Visitor, walk};

/// The syntax of a text. Names are as PostgreSQL reads them: in lower case unless quoted, with escapes resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Syntax {
    /// The number of statements.
    pub statements: usize,
    /// The kind of the first statement, as the parser names it, such as `SelectStmt`; `None` without a statement.
    pub kind: Option<String>,
    /// The kinds of statements inside it that are no SELECT, such as `DeleteStmt`.
    pub inner: Vec<String>,
    /// It is an EXPLAIN with ANALYZE, which runs its statement.
    pub analyzes: bool,
    /// It has an INTO clause.
    pub has_into: bool,
    /// It has FOR UPDATE or a similar clause.
    pub has_locking: bool,
    /// The function calls.
    pub calls: Vec<Call>,
    /// Every part of the names of columns.
    pub columns: Vec<String>,
    /// Names after a dot in an expression: each is a column, or a function that is called with the part before the dot.
    pub attributes: Vec<Attribute>,
    /// The last parts of the names of columns. Each can be a whole row, named by its table or alias.
    pub rows: Vec<String>,
    /// The aliases of tables and subqueries.
    pub aliases: Vec<String>,
    /// The names of the queries in WITH.
    pub with: Vec<String>,
    /// It has a `*` for all columns, or a NATURAL JOIN.
    pub has_star: bool,
    /// The operators, including those that a keyword stands for.
    pub operators: Vec<Name>,
    /// The types, for example of casts.
    pub types: Vec<Name>,
    /// The types among them to which a value is cast that is neither a text literal nor a parameter: PostgreSQL reads those by
    /// the input function of the type, and calls no cast function.
    pub casts: Vec<Name>,
    /// The tables and views that it reads.
    pub relations: Vec<Relation>,
    /// The setting that SHOW shows.
    pub show: Option<String>,
}

/// A name, with its schema if it has one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Name {
    /// The schema, if it is given.
    pub schema: Option<String>,
    /// The name without the schema.
    pub name: String,
}

/// Functions for which later versions of PostgreSQL have a syntax of their own, by the parser's nodes. An earlier
/// PostgreSQL, which may run this statement, calls any function with this name.
const CALLS_BY_SYNTAX: &[(&str, &[&str])] = &[
    ("JsonArrayAgg", &["json_arrayagg"]),
    ("JsonArrayConstructor", &["json_array"]),
    ("JsonArrayQueryConstructor", &["json_array"]),
    ("JsonFuncExpr", &["json_exists", "json_query", "json_value"]),
    ("JsonObjectAgg", &["json_objectagg"]),
    ("JsonObjectConstructor", &["json_object"]),
    ("JsonParseExpr", &["json"]),
    ("JsonScalarExpr", &["json_scalar"]),
    ("JsonSerializeExpr", &["json_serialize"]),
    ("JsonTable", &["json_table"]),
    ("MergeSupportFunc", &["merge_action"]),
];

/// The call of a function whose arguments are not counted.
const ANY_NUMBER: usize = usize::MAX;

/// The call of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The name of the function.
    pub function: Name,
    /// The number of arguments.
    pub arguments: usize,
    /// The first argument, if it is a literal text.
    pub first: Option<String>,
}

impl Call {
    /// Whether it returns settings.
    pub(crate) fn reads_settings(&self) -> bool {
        matches!(&*self.function.name, "current_setting" | "pg_show_all_settings")
    }
}

/// A name after a dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attribute {
    /// The name before the dot, if there is one.
    pub qualifier: Option<String>,
    /// The name after the dot.
    pub name: String,
}

/// A table or view that is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// Its name.
    pub name: Name,
    /// Its alias in the statement, if it has one.
    pub alias: Option<String>,
    /// The alias renames its columns.
    pub renames_columns: bool,
}

impl Name {
    fn bare(name: &str) -> Self {
        Self { schema: None, name: name.to_owned() }
    }

    /// From the parts of a name. A database before the schema can only be the current database.
    fn of(mut parts: Vec<String>) -> Option<Self> {
        let name = parts.pop()?;
        Some(Self { schema: parts.pop(), name })
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl Relation {
    /// The name of its rows in the statement.
    pub fn alias_or_name(&self) -> &str {
        self.alias.as_ref().unwrap_or(&self.name.name)
    }
}

impl Syntax {
    /// How many names it has, which is a measure of the work to judge it.
    pub(crate) fn names(&self) -> usize {
        self.calls.len() + self.columns.len() + self.operators.len() + self.types.len() + self.relations.len()
    }

    /// Parses `sql`.
    ///
    /// # Errors
    /// The error message of the parser.
    pub fn of(sql: &str) -> Result<Self, String> {
        let parsed = pg_guard_sys::parse(sql).map_err(|error| error.to_string())?;
        let mut reader =
            Reader { syntax: Self { statements: parsed.stmts.len(), ..Self::default() }, nodes: Vec::new() };
        walk(&parsed.stmts, &mut reader);
        Ok(reader.syntax)
    }
}

/// A node that is being visited.
struct Open {
    node: &'static str,
    field: &'static str,
    /// The texts in it, each with its field.
    texts: Vec<(&'static str, String)>,
    /// The number of arguments, if it is a call.
    arguments: usize,
    /// The first argument, if it is a call and the argument is a literal text.
    first: Option<String>,
    /// The alias of a table.
    alias: Option<String>,
    /// Whether the alias renames columns.
    renames_columns: bool,
    /// The type, if it is a cast.
    cast_type: Option<Name>,
    /// Whether it is the cast of a literal or a parameter.
    casts_literal: bool,
}

struct Reader {
    syntax: Syntax,
    nodes: Vec<Open>,
}

impl Visitor for Reader {
    fn enter(&mut self, node: &'static str) {
        let outer = self.nodes.last_mut();
        match (node, &outer) {
            ("AStar", _) => self.syntax.has_star = true,
            // A statement inside a statement. The parts of a SELECT are checked like the rest.
            (node, outer) if node.ends_with("Stmt") && node != "RawStmt" => {
                let is_first = outer.as_ref().is_some_and(|outer| outer.node == "RawStmt");
                if is_first && self.syntax.kind.is_none() {
                    self.syntax.kind = Some(node.to_owned());
                } else if node != "SelectStmt" {
                    self.syntax.inner.push(node.to_owned());
                }
            }
            _ => {}
        }
        match outer {
            Some(outer) if outer.node == "FuncCall" && matches!(outer.field, "args" | "agg_order") => {
                outer.arguments += 1;
            }
            Some(outer) if outer.node == "TypeCast" && outer.field == "arg" => {
                outer.casts_literal = node == "ParamRef";
            }
            _ => {}
        }
        self.nodes.push(Open {
            node,
            field: "",
            texts: Vec::new(),
            arguments: 0,
            first: None,
            alias: None,
            renames_columns: false,
            cast_type: None,
            casts_literal: false,
        });
    }

    fn field(&mut self, name: &'static str) {
        if let Some(node) = self.nodes.last_mut() {
            node.field = name;
        }
    }

    fn text(&mut self, value: &str) {
        if value.is_empty() {
            return;
        }
        // A part of a name is a node of its own, and so is the text of a constant.
        let depth = match self.nodes.last() {
            Some(node) if node.node == "String" => 2,
            _ => 1,
        };
        let Some(at) = self.nodes.len().checked_sub(depth) else { return };
        let node = &mut self.nodes[at];
        node.texts.push((node.field, value.to_owned()));
    }

    fn number(&mut self, value: i64) {
        let Some(at) = self.nodes.len().checked_sub(1) else { return };
        let node = &mut self.nodes[at];
        match (node.node, node.field) {
            ("JoinExpr", "is_natural") if value != 0 => self.syntax.has_star = true,
            ("Integer" | "Boolean", _) => {
                let is_set = value != 0;
                // The value of an option of EXPLAIN.
                if let Some(outer) = at.checked_sub(1).map(|at| &mut self.nodes[at])
                    && outer.node == "DefElem"
                {
                    outer.texts.push(("arg", if is_set { "on" } else { "off" }.to_owned()));
                }
            }
            _ => {}
        }
    }

    fn leave(&mut self) {
        let Some(node) = self.nodes.pop() else { return };
        let syntax = &mut self.syntax;
        let of = |field: &str| -> Vec<String> {
            node.texts.iter().filter(|(name, _)| *name == field).map(|(_, text)| text.clone()).collect()
        };
        let one = |field: &str| of(field).into_iter().next();
        match node.node {
            "FuncCall" => {
                if let Some(mut function) = Name::of(of("funcname")) {
                    // The parser replaces json_object by its own function. An earlier PostgreSQL calls any function
                    // with this name.
                    function.schema.take_if(|_| function.name == "json_object");
                    syntax.calls.push(Call { function, arguments: node.arguments, first: node.first });
                }
            }
            "AConst" => {
                if let Some(outer) = self.nodes.last_mut()
                    && outer.node == "TypeCast"
                    && outer.field == "arg"
                {
                    // Any other literal has a type, from which it is cast.
                    outer.casts_literal = !node.texts.is_empty();
                }
                // The first argument of a call, if it is a text.
                if let Some(outer) = self.nodes.last_mut()
                    && outer.node == "FuncCall"
                    && outer.field == "args"
                    && outer.arguments == 1
                {
                    outer.first = node.texts.into_iter().next().map(|(_, text)| text);
                }
            }
            "AExpr" => match Name::of(of("name")) {
                // All forms of BETWEEN use these operators.
                Some(name) if name.name.ends_with("BETWEEN") || name.name.ends_with("SYMMETRIC") => {
                    syntax.operators.extend(["<", "<=", ">", ">="].map(Name::bare));
                }
                name => syntax.operators.extend(name),
            },
            "SortBy" => syntax.operators.extend(Name::of(of("use_op"))),
            "SubLink" => syntax.operators.push(Name::of(of("oper_name")).unwrap_or(Name::bare("="))),
            "CaseExpr" => syntax.operators.push(Name::bare("=")),
            "TypeName" => {
                if let Some(name) = Name::of(of("names")) {
                    if let Some(outer) = self.nodes.last_mut()
                        && outer.node == "TypeCast"
                    {
                        outer.cast_type = Some(name.clone());
                    }
                    syntax.types.push(name);
                }
            }
            "TypeCast" if !node.casts_literal => syntax.casts.extend(node.cast_type),
            "ColumnRef" => {
                let mut fields = of("fields");
                syntax.rows.extend(fields.last().cloned());
                let pairs = fields.iter().zip(fields.iter().skip(1));
                syntax
                    .attributes
                    .extend(pairs.map(|(of, name)| Attribute { qualifier: Some(of.clone()), name: name.clone() }));
                syntax.columns.append(&mut fields);
            }
            "AIndirection" => {
                syntax.columns.append(&mut of("indirection"));
                syntax.attributes.extend(of("indirection").into_iter().map(|name| Attribute { qualifier: None, name }));
            }
            "JoinExpr" => {
                // The alias can rename the columns of the joined tables.
                syntax.has_star |= node.renames_columns;
                syntax.columns.append(&mut of("using_clause"));
                syntax.operators.push(Name::bare("="));
            }
            "RangeVar" => {
                if let Some(name) = one("relname") {
                    let name = Name { schema: one("schemaname"), name };
                    let (alias, renames_columns) = (node.alias, node.renames_columns);
                    syntax.relations.push(Relation { name, alias, renames_columns });
                }
            }
            "Alias" => {
                let renames = !of("colnames").is_empty();
                syntax.aliases.extend(one("aliasname"));
                if let Some(outer) = self.nodes.last_mut() {
                    outer.alias = one("aliasname");
                    outer.renames_columns = renames;
                }
            }
            "RangeTableSample" => {
                // The sampling method is a function too. The two that are part of PostgreSQL are called like types.
                if let Some(function) = Name::of(of("method")) {
                    syntax.calls.push(Call { function, arguments: 1, first: None });
                }
            }
            "CommonTableExpr" => syntax.with.extend(one("ctename")),
            "IntoClause" => syntax.has_into = true,
            "LockingClause" => syntax.has_locking = true,
            "VariableShowStmt" => syntax.show = one("name"),
            "DefElem" => {
                let is_off = |text: &String| ["off", "false", "0", "no"].contains(&&*text.to_lowercase());
                let is_explain = self.nodes.last().is_some_and(|outer| outer.node == "ExplainStmt");
                if is_explain
                    && one("defname").as_deref() == Some("analyze")
                    && !one("arg").is_some_and(|arg| is_off(&arg))
                {
                    syntax.analyzes = true;
                }
            }
            node => {
                let names = CALLS_BY_SYNTAX.iter().filter(|(syntax, _)| *syntax == node).flat_map(|(_, names)| *names);
                syntax.calls.extend(names.map(|name| Call {
                    function: Name::bare(name),
                    arguments: ANY_NUMBER,
                    first: None,
                }));
            }
        }
    }
}
