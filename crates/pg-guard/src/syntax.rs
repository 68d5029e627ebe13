//! What the guard wants to know of a statement's syntax: its kind, and every name in it that may stand for something
//! with an effect. Taken from PostgreSQL's own parse tree, of all of its nodes.

use serde::{Deserialize, Serialize};

use crate::walk::{Visitor, walk};

/// What a text holds. Names are as PostgreSQL takes them: in small letters unless quoted, escapes resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Syntax {
    /// How many statements.
    pub statements: usize,
    /// The parser's name for the kind of the first, such as `SelectStmt`; `None` for no statement.
    pub kind: Option<String>,
    /// The kinds of statements inside it that read nothing, such as `DeleteStmt`.
    pub inner: Vec<String>,
    /// It is an EXPLAIN that runs its statement.
    pub analyzes: bool,
    /// It has an INTO.
    pub has_into: bool,
    /// It has a FOR UPDATE or the like.
    pub has_locking: bool,
    /// What is called.
    pub calls: Vec<CallOf>,
    /// Every part of what stands for a column.
    pub columns: Vec<String>,
    /// Names after a dot in an expression: columns, or functions of what stands before the dot.
    pub attributes: Vec<Attribute>,
    /// The last parts of the names that stand where a column stands: each may be a whole row, by what that is called.
    pub rows: Vec<String>,
    /// What rows are called.
    pub aliases: Vec<String>,
    /// What the queries in WITH are called.
    pub with: Vec<String>,
    /// A `*` for columns, or a NATURAL JOIN.
    pub has_star: bool,
    /// Operators, also those that a keyword stands for.
    pub operators: Vec<Name>,
    /// Types, of casts for example.
    pub types: Vec<Name>,
    /// What is read from.
    pub relations: Vec<Relation>,
    /// What SHOW shows.
    pub shown: Option<String>,
}

/// A name, perhaps with its schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Name {
    /// Its schema, where it is given.
    pub schema: Option<String>,
    /// The name in it.
    pub name: String,
}

/// Functions that PostgreSQL's later versions have as syntax of their own, by the parser's nodes for them. To an earlier
/// one, which may run what we read here, each is a call of whatever has that name.
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

/// More arguments than anything takes: a call whose arguments are not counted.
const UNCOUNTED: usize = usize::MAX;

/// A function where it is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallOf {
    /// Which.
    pub function: Name,
    /// With how many arguments.
    pub arguments: usize,
    /// Its first argument, where that is a literal text.
    pub first: Option<String>,
}

impl CallOf {
    /// Whether it gives settings.
    pub(crate) fn is_about_settings(&self) -> bool {
        matches!(&*self.function.name, "current_setting" | "pg_show_all_settings")
    }
}

/// A name after a dot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// The name before the dot, where it is one.
    pub of: Option<String>,
    /// Itself.
    pub name: String,
}

/// A table, a view or the like where it is read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// Which.
    pub name: Name,
    /// What it is called here, if that is not its name.
    pub alias: Option<String>,
    /// Its columns have other names here.
    pub renames_columns: bool,
}

impl Name {
    fn bare(name: &str) -> Self {
        Self { schema: None, name: name.to_owned() }
    }

    /// Of the parts of a name; a database before the schema can only be the one we are connected to.
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
    /// What its rows are called here.
    pub fn called(&self) -> &str {
        self.alias.as_ref().unwrap_or(&self.name.name)
    }
}

impl Syntax {
    /// The syntax of `sql`.
    ///
    /// # Errors
    /// The parser's, in its words.
    pub fn of(sql: &str) -> Result<Self, String> {
        let parsed = pg_guard_sys::parse(sql).map_err(|error| error.to_string())?;
        let mut reader =
            Reader { syntax: Self { statements: parsed.stmts.len(), ..Self::default() }, nodes: Vec::new() };
        walk(&parsed.stmts, &mut reader);
        Ok(reader.syntax)
    }
}

/// A node that has begun and not ended.
struct Open {
    node: &'static str,
    field: &'static str,
    /// The texts in it, with their fields.
    texts: Vec<(&'static str, String)>,
    /// Arguments, of a call.
    arguments: usize,
    /// Its first argument, of a call where that is a literal text.
    first: Option<String>,
    /// Its alias,
    alias: Option<String>,
    /// which names columns, too.
    renames_columns: bool,
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
            // A statement in a statement. What reads is read on.
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
        if let Some(outer) = outer
            && outer.node == "FuncCall"
            && matches!(outer.field, "args" | "agg_order")
        {
            outer.arguments += 1;
        }
        self.nodes.push(Open {
            node,
            field: "",
            texts: Vec::new(),
            arguments: 0,
            first: None,
            alias: None,
            renames_columns: false,
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
        // A part of a name is a node of its own, and so is a constant's text.
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
                // What an option of EXPLAIN is set to.
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
                    // Later versions' syntax for that one function; an earlier one takes any of that name.
                    function.schema.take_if(|_| function.name == "json_object");
                    syntax.calls.push(CallOf { function, arguments: node.arguments, first: node.first });
                }
            }
            "AConst" => {
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
                // BETWEEN in its forms stands for these.
                Some(name) if name.name.ends_with("BETWEEN") || name.name.ends_with("SYMMETRIC") => {
                    syntax.operators.extend(["<", "<=", ">", ">="].map(Name::bare));
                }
                name => syntax.operators.extend(name),
            },
            "SortBy" => syntax.operators.extend(Name::of(of("use_op"))),
            "SubLink" => syntax.operators.push(Name::of(of("oper_name")).unwrap_or(Name::bare("="))),
            "CaseExpr" => syntax.operators.push(Name::bare("=")),
            "TypeName" => syntax.types.extend(Name::of(of("names"))),
            "ColumnRef" => {
                let mut fields = of("fields");
                syntax.rows.extend(fields.last().cloned());
                let pairs = fields.iter().zip(fields.iter().skip(1));
                syntax
                    .attributes
                    .extend(pairs.map(|(of, name)| Attribute { of: Some(of.clone()), name: name.clone() }));
                syntax.columns.append(&mut fields);
            }
            "AIndirection" => {
                syntax.columns.append(&mut of("indirection"));
                syntax.attributes.extend(of("indirection").into_iter().map(|name| Attribute { of: None, name }));
            }
            "JoinExpr" => {
                // Columns of its tables under other names.
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
                // Its method is a function, too; the two that PostgreSQL has are called like types.
                if let Some(function) = Name::of(of("method")) {
                    syntax.calls.push(CallOf { function, arguments: 1, first: None });
                }
            }
            "CommonTableExpr" => syntax.with.extend(one("ctename")),
            "IntoClause" => syntax.has_into = true,
            "LockingClause" => syntax.has_locking = true,
            "VariableShowStmt" => syntax.shown = one("name"),
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
                syntax.calls.extend(names.map(|name| CallOf {
                    function: Name::bare(name),
                    arguments: UNCOUNTED,
                    first: None,
                }));
            }
        }
    }
}
