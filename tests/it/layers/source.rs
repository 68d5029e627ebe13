//! Reads the tokens of a source and the paths in its `use` declarations. It supports only as much of Rust as it needs.

/// The names of a `use` declaration with their paths, and the position of its end.
pub(super) fn use_tree(
    tokens: &[Token],
    mut at: usize,
    before: &[String],
    imported: &mut Vec<(String, Vec<String>)>,
) -> usize {
    let mut path = before.to_vec();
    loop {
        match tokens.get(at) {
            Some(Token::Word(word)) if word == "as" => {
                if let Some(Token::Word(name)) = tokens.get(at + 1) {
                    imported.push((name.clone(), path));
                }
                return at + 2;
            }
            Some(Token::Word(word)) => {
                path.push(word.clone());
                at += 1;
                match tokens.get(at) {
                    Some(Token::Colons) => at += 1,
                    Some(Token::Word(word)) if word == "as" => {}
                    _ => {
                        // `{self}` stands for the path before it.
                        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
                            path.pop();
                        }
                        imported.push((path.last().cloned().unwrap_or_default(), path));
                        return at;
                    }
                }
            }
            Some(Token::Symbol('{')) => {
                at += 1;
                while !matches!(tokens.get(at), None | Some(Token::Symbol('}'))) {
                    at = match tokens.get(at) {
                        Some(Token::Symbol(',')) => at + 1,
                        _ => use_tree(tokens, at, &path, imported),
                    };
                }
                return at + 1;
            }
            Some(Token::Symbol('*')) => {
                imported.push(("*".to_owned(), path));
                return at + 1;
            }
            // A path that begins with `::`, or a path in a macro.
            Some(Token::Colons | Token::Symbol(_)) => return at + 1,
            None => return at,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Word(String),
    Colons,
    Symbol(char),
}

/// The tokens of a source without comments and literals.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let starts = |at: usize, text: &str| text.chars().enumerate().all(|(n, c)| chars.get(at + n) == Some(&c));
    while at < chars.len() {
        let c = chars[at];
        if starts(at, "//") {
            while at < chars.len() && chars[at] != '\n' {
                at += 1;
            }
        } else if starts(at, "/*") {
            let mut depth = 0;
            loop {
                if starts(at, "/*") {
                    (depth, at) = (depth + 1, at + 2);
                } else if starts(at, "*/") {
                    (depth, at) = (depth - 1, at + 2);
                } else {
                    at += 1;
                }
                if depth == 0 || at >= chars.len() {
                    break;
                }
            }
        } else if c == '"' {
            at = string_end(&chars, at);
        } else if c == '\'' {
            // A character ends with a quote, and a lifetime does not.
            let end = if chars.get(at + 1) == Some(&'\\') { at + 3 } else { at + 2 };
            let end = (end..end + 8).find(|&end| chars.get(end) == Some(&'\''));
            let is_char = chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\'');
            at = if is_char { end.map_or(at + 1, |end| end + 1) } else { at + 1 };
        } else if is_word(c) {
            let from = at;
            while at < chars.len() && is_word(chars[at]) {
                at += 1;
            }
            let word: String = chars[from..at].iter().collect();
            let hashes = chars[at..].iter().take_while(|&&c| c == '#').count();
            if matches!(&*word, "r" | "br" | "cr") && chars.get(at + hashes) == Some(&'"') {
                let close = format!("\"{}", "#".repeat(hashes));
                at += hashes + 1;
                while at < chars.len() && !starts(at, &close) {
                    at += 1;
                }
                at += close.len();
            } else {
                tokens.push(Token::Word(word));
            }
        } else if starts(at, "::") {
            tokens.push(Token::Colons);
            at += 2;
        } else {
            if !c.is_whitespace() {
                tokens.push(Token::Symbol(c));
            }
            at += 1;
        }
    }
    tokens
}

/// The end of the string that begins at this position.
fn string_end(chars: &[char], mut at: usize) -> usize {
    at += 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// The tokens without the items that have `#[cfg(test)]`.
pub(super) fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    let marker: Vec<Token> = self::tokens("#[cfg(test)]");
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        if !tokens[at..].starts_with(&marker) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        // The item ends with a semicolon or with the end of its block.
        let mut depth = 0;
        at += marker.len();
        while at < tokens.len() {
            match &tokens[at] {
                Token::Symbol('{') => depth += 1,
                Token::Symbol('}') => depth -= 1,
                _ => {}
            }
            let is_end = match &tokens[at] {
                Token::Symbol(';' | '}') => depth == 0,
                _ => false,
            };
            at += 1;
            if is_end {
                break;
            }
        }
    }
    kept
}
