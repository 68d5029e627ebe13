//! Facts about an SQL text that need no parser: its first keyword, its names, and its form without literals.
//!
//! This is not for security: PostgreSQL decides whether a statement may run. The tokens are those of section 4.1
//! (Lexical Structure) of the PostgreSQL manual. If a token is ambiguous, it counts as a literal, because a literal
//! that is shown leaks data, and an identifier that is hidden does not.

use std::fmt;

/// The kind of statement, by the first keyword in upper case (`SELECT`, `WITH`, `CREATE` …).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Operation(&'static str);

impl Operation {
    /// Changes a setting, or a property of the transaction.
    pub const SET: Self = Self("SET");
    /// Resets a setting.
    pub const RESET: Self = Self("RESET");

    /// The operation of `sql`. `OTHER` if the first word begins no known statement, `EMPTY` if there is no token.
    pub fn of(sql: &str) -> Self {
        // A SELECT can be in parentheses.
        let first = Tokens::new(sql).find(|token| !matches!(token, Token::Symbol("(" | ";")));
        match first {
            None => Self("EMPTY"),
            Some(Token::Word(word)) => {
                let known = OPERATIONS.iter().find(|known| known.eq_ignore_ascii_case(word));
                Self(known.copied().unwrap_or("OTHER"))
            }
            Some(_) => Self("OTHER"),
        }
    }

    /// Whether the text has no token.
    pub fn is_none(self) -> bool {
        self.0 == "EMPTY"
    }

    /// Whether it can be a subquery in the FROM clause of another statement, if nothing in it writes.
    pub fn is_a_query(self) -> bool {
        matches!(self.0, "SELECT" | "WITH" | "VALUES" | "TABLE")
    }

    /// Whether it can be a statement that only reads.
    pub fn may_only_read(self) -> bool {
        self.is_a_query() || matches!(self.0, "SHOW" | "EXPLAIN")
    }

    /// The keyword.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// Whether the number in PostgreSQL's command tag counts changed rows.
    pub fn changes_rows(self) -> bool {
        matches!(self.0, "INSERT" | "UPDATE" | "DELETE" | "MERGE")
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The first words of all statements of PostgreSQL 18 (part VI of the manual, SQL Commands).
pub(crate) const OPERATIONS: &[&str] = &[
    "ABORT",
    "ALTER",
    "ANALYZE",
    "BEGIN",
    "CALL",
    "CHECKPOINT",
    "CLOSE",
    "CLUSTER",
    "COMMENT",
    "COMMIT",
    "COPY",
    "CREATE",
    "DEALLOCATE",
    "DECLARE",
    "DELETE",
    "DISCARD",
    "DO",
    "DROP",
    "END",
    "EXECUTE",
    "EXPLAIN",
    "FETCH",
    "GRANT",
    "IMPORT",
    "INSERT",
    "LISTEN",
    "LOAD",
    "LOCK",
    "MERGE",
    "MOVE",
    "NOTIFY",
    "PREPARE",
    "REASSIGN",
    "REFRESH",
    "REINDEX",
    "RELEASE",
    "RESET",
    "REVOKE",
    "ROLLBACK",
    "SAVEPOINT",
    "SECURITY",
    "SELECT",
    "SET",
    "SHOW",
    "START",
    "TABLE",
    "TRUNCATE",
    "UNLISTEN",
    "UPDATE",
    "VACUUM",
    "VALUES",
    "WITH",
];

/// `sql` up to its last token, without the semicolons and comments after it.
pub fn without_tail(sql: &str) -> &str {
    let mut tokens = Tokens::new(sql);
    let mut end = 0;
    while let Some(token) = tokens.next() {
        if token != Token::Symbol(";") {
            end = sql.len() - tokens.rest.len();
        }
    }
    &sql[..end]
}

/// The last part of the name (`orders` of `sales.orders`) that begins at `character` of `sql`, counted from 1. Like
/// PostgreSQL it turns a name into lower case, unless it is quoted.
pub fn name_at(sql: &str, character: usize) -> Option<String> {
    let (start, _) = sql.char_indices().nth(character.checked_sub(1)?)?;
    let mut name = None;
    let mut tokens = Tokens::new(&sql[start..]);
    loop {
        name = match tokens.next() {
            Some(Token::Word(word)) => Some(word.to_lowercase()),
            Some(Token::Quoted(text)) => Some(unquoted(text)),
            _ => return name,
        };
        if tokens.next() != Some(Token::Symbol(".")) {
            return name;
        }
    }
}

/// Every word of `sql` that can be a name, in lower case unless it is quoted. Keywords are included, literals are not.
pub fn names(sql: &str) -> Vec<String> {
    let name = |token| match token {
        Token::Word(word) => Some(word.to_lowercase()),
        Token::Quoted(text) => Some(unquoted(text)),
        Token::Literal | Token::Symbol(_) => None,
    };
    Tokens::new(sql).filter_map(name).collect()
}

/// Whether it may be that `sql` removes something or makes it other than it was: DROP, TRUNCATE, DELETE, ALTER, or a WITH in
/// which one of these words stands.
pub fn destroys(sql: &str) -> bool {
    const DESTROYING: [&str; 4] = ["DROP", "TRUNCATE", "DELETE", "ALTER"];
    let is_one =
        |token| matches!(token, Token::Word(word) if DESTROYING.iter().any(|one| one.eq_ignore_ascii_case(word)));
    match Operation::of(sql).as_str() {
        "WITH" => Tokens::new(sql).any(is_one),
        operation => DESTROYING.contains(&operation),
    }
}

/// A quoted identifier without its quotes.
fn unquoted(text: &str) -> String {
    text.trim_matches('"').replace("\"\"", "\"")
}

/// `sql` without comments, with one space for each white space and `?` for each literal, cut at `chars_max` characters.
/// Metrics and logs show statements in this form.
pub fn normalised(sql: &str, chars_max: usize) -> String {
    let mut text = String::new();
    let mut glue = true;
    for token in Tokens::new(sql) {
        let piece = match token {
            Token::Literal => "?",
            Token::Word(word) | Token::Quoted(word) | Token::Symbol(word) => word,
        };
        let sticks_left = matches!(piece, "," | ")" | ";" | "." | "]" | "::" | "[" | ":");
        let calls = piece == "(" && text.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if !(glue || sticks_left || calls) {
            text.push(' ');
        }
        text.push_str(piece);
        glue = matches!(piece, "(" | "." | "[" | "::" | ":");
        if text.chars().nth(chars_max).is_some() {
            text = text.chars().take(chars_max).collect();
            text.push('…');
            break;
        }
    }
    text
}

/// One token of an SQL text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    /// A keyword, an unquoted identifier or a `$1`.
    Word(&'a str),
    /// A quoted identifier with its quotes.
    Quoted(&'a str),
    /// A string, bit string, dollar-quoted string or number.
    Literal,
    /// Anything else: one character, or `::`.
    Symbol(&'a str),
}

/// The tokens of an SQL text, comments and white space left out.
#[derive(Debug)]
pub struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    /// The tokens of `sql`, from its beginning.
    pub fn new(sql: &'a str) -> Self {
        Self { rest: sql }
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (token, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        token
    }

    fn skip_space_and_comments(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
            if self.rest.starts_with("--") {
                let end = self.rest.find(['\n', '\r']).unwrap_or(self.rest.len());
                self.rest = &self.rest[end..];
            } else if self.rest.starts_with("/*") {
                self.rest = &self.rest[block_comment_bytes(self.rest)..];
            } else {
                return;
            }
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_space_and_comments();
        let rest = self.rest;
        let first = rest.chars().next()?;
        Some(match first {
            '\'' => self.literal(quoted_bytes(rest, '\'', false)),
            '"' => Token::Quoted(self.take(quoted_bytes(rest, '"', false))),
            '$' => match dollar_quoted_bytes(rest) {
                Some(bytes) => self.literal(bytes),
                None => Token::Word(self.take(1 + digits(&rest[1..]))),
            },
            '0'..='9' => self.literal(number_bytes(rest)),
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => self.literal(number_bytes(rest)),
            c if is_word_start(c) => {
                let bytes = rest.find(|c| !is_word_start(c) && !c.is_ascii_digit() && c != '$').unwrap_or(rest.len());
                let (word, after) = rest.split_at(bytes);
                if after.starts_with('\'') && matches!(word, "e" | "E" | "b" | "B" | "x" | "X" | "n" | "N") {
                    let escapes = matches!(word, "e" | "E");
                    self.literal(bytes + continued_bytes(after, escapes))
                } else if matches!(word, "u" | "U") && after.starts_with("&'") {
                    self.literal(bytes + 1 + quoted_bytes(&after[1..], '\'', false))
                } else {
                    Token::Word(self.take(bytes))
                }
            }
            ':' if rest.starts_with("::") => Token::Symbol(self.take(2)),
            c => Token::Symbol(self.take(c.len_utf8())),
        })
    }
}

impl<'a> Tokens<'a> {
    fn literal(&mut self, bytes: usize) -> Token<'a> {
        self.take(bytes);
        Token::Literal
    }
}

fn is_word_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

fn digits(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())
}

/// The length of a number in bytes, with its fraction and exponent, and with letters that follow without a space.
fn number_bytes(text: &str) -> usize {
    let mut previous = ' ';
    text.find(|c: char| {
        let sign_of_exponent = matches!(c, '+' | '-') && matches!(previous, 'e' | 'E');
        let part = c.is_ascii_alphanumeric() || c == '_' || c == '.' || sign_of_exponent;
        previous = c;
        !part
    })
    .unwrap_or(text.len())
}

/// The length of a quoted text in bytes. Two quotes stand for one quote. With `escapes`, a backslash escapes the next
/// character.
fn quoted_bytes(text: &str, quote: char, escapes: bool) -> usize {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if escapes && c == '\\' {
            chars.next();
        } else if c == quote {
            if chars.peek().is_some_and(|&(_, next)| next == quote) {
                chars.next();
            } else {
                return at + 1;
            }
        }
    }
    text.len()
}

/// The length of a string in bytes. With `escapes` the strings that continue it after white space are included (manual,
/// section 4.1.2.1), because a backslash escapes in them too.
fn continued_bytes(text: &str, escapes: bool) -> usize {
    let mut bytes = quoted_bytes(text, '\'', escapes);
    if !escapes {
        return bytes;
    }
    loop {
        let mut tokens = Tokens::new(&text[bytes..]);
        tokens.skip_space_and_comments();
        if !tokens.rest.starts_with('\'') {
            return bytes;
        }
        bytes = text.len() - tokens.rest.len() + quoted_bytes(tokens.rest, '\'', escapes);
    }
}

/// The length of `$tag$ … $tag$` in bytes; `None` if the dollar does not begin a dollar-quoted string.
fn dollar_quoted_bytes(text: &str) -> Option<usize> {
    let tag_end = 1 + text[1..].find('$')?;
    let tag = &text[1..tag_end];
    let is_tag =
        tag.chars().all(|c| is_word_start(c) || c.is_ascii_digit()) && !tag.starts_with(|c: char| c.is_ascii_digit());
    if !is_tag {
        return None;
    }
    let opening = &text[..=tag_end];
    let body = &text[opening.len()..];
    Some(body.find(opening).map_or(text.len(), |end| opening.len() + end + opening.len()))
}

/// The length of a block comment in bytes. Block comments can be nested. An unclosed one ends with the text.
fn block_comment_bytes(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests;
