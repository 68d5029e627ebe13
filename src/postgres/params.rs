//! Converts JSON values to PostgreSQL's parameters. Each becomes the text of the type that PostgreSQL inferred for its
//! `$n`.
//!
//! As text, a value is converted by PostgreSQL's own input functions, so every type with a text form works (manual,
//! section 55.2.3: format code 0). JSON values that have no direct equal in PostgreSQL's text are mapped here:
//!
//! | JSON | for a json or jsonb parameter | for an array parameter | for any other |
//! |---|---|---|---|
//! | `null` | SQL NULL | SQL NULL | SQL NULL |
//! | string | as it is: JSON text | as it is: `{…}` | as it is |
//! | number | its digits | refused | its digits; for an integer type those of the whole number, in whatever spelling |
//! | boolean | `true`, `false` | refused | `true`, `false` |
//! | array | its JSON | `{…}`, nested for more dimensions | refused |
//! | object | its JSON | refused | refused |
//!
//! Elements of an array are converted like single values. An array inside an array is one more dimension, unless the
//! element type itself takes JSON arrays: `jsonb`, `int2vector`, a domain over an array. So a value from an answer can
//! be sent back as a parameter, with three exceptions that JSON cannot distinguish: a JSON string (it is read as JSON
//! text), the JSON value null, and arrays of more dimensions whose elements have arrays themselves. These can be sent
//! back as PostgreSQL's text, in a string. "Its JSON" is the client's own spelling, if the value comes from
//! [`written`].

use std::error::Error;
use std::fmt::Write as _;

use pg_guard::Statement;
use pg_guard::sql::{Token, Tokens};
use pg_render::delimiter;
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, to_sql_checked};

use super::error::QueryError;

mod whole;

pub use whole::Whole;

/// The largest number of dimensions of an array: PostgreSQL's MAXDIM.
const DIMENSIONS_MAX: usize = 6;

/// One parameter: the text of its value, or NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter(Option<String>);

impl ToSql for Parameter {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match &self.0 {
            None => Ok(IsNull::Yes),
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// A value with the client's own spelling. An array, an object or a number becomes a `Number` that contains its text,
/// which serde_json's `arbitrary_precision` allows: a tree would lose duplicate keys and the spelling of `1e5`.
pub fn written(raw: &RawValue) -> Value {
    let text = raw.get();
    match text.as_bytes() {
        [b'"' | b'n' | b't' | b'f', ..] => serde_json::from_str(text).unwrap_or_default(),
        // Between values a line break is the same as a blank, and the log has one line for each event.
        _ => Value::Number(Number::from_string_unchecked(text.replace(['\n', '\r'], " "))),
    }
}

/// The elements of an array in such a `Number`. For an object an empty one is returned: only its type matters.
fn parts(value: &Value) -> Option<Value> {
    let Value::Number(number) = value else { return None };
    let text = number.as_str();
    match text.as_bytes().first()? {
        b'[' => {
            let items: Vec<Box<RawValue>> = serde_json::from_str(text).ok()?;
            Some(items.iter().map(|item| written(item)).collect())
        }
        b'{' => Some(Value::Object(Map::new())),
        _ => None,
    }
}

/// The largest number of parameters of a statement: the protocol counts them in two bytes (manual, section 55.7, Bind).
const PARAMETERS_MAX: usize = 65_535;

/// Checks that the protocol can carry this number of parameters, both as values and in the text.
///
/// # Errors
/// There are too many. The error says what to do instead.
pub fn check_number(statement: &Statement) -> Result<(), QueryError> {
    let number = |token| match token {
        Token::Word(word) => word.strip_prefix('$').and_then(|digits| digits.parse().ok()),
        _ => None,
    };
    let sql = statement.sql();
    let in_text = if sql.contains('$') { Tokens::new(sql).filter_map(number).max().unwrap_or(0) } else { 0 };
    match statement.parameters().len().max(in_text) {
        0..=PARAMETERS_MAX => Ok(()),
        many => Err(QueryError::refused(format!(
            "The statement has {many} parameters, and PostgreSQL takes at most {PARAMETERS_MAX}: give arrays, as in \
             WHERE id = ANY($1) or FROM unnest($1::int[], $2::text[])."
        ))),
    }
}

/// The parameters for a statement whose `$1 … $n` have `types`.
///
/// # Errors
/// There are too few or too many values, or one has no text in its type: the error says which parameter, what was given
/// and what is expected.
pub fn convert(values: &[Value], types: &[Type]) -> Result<Vec<Parameter>, QueryError> {
    if values.len() != types.len() {
        let wanted: Vec<String> =
            types.iter().enumerate().map(|(at, ty)| format!("${} {}", at + 1, name(ty))).collect();
        let wanted = if wanted.is_empty() { "none".to_owned() } else { wanted.join(", ") };
        let advice = if values.len() > types.len() {
            " Write $1, $2 … where the values belong, outside of quotes: for '%abc%', '%' || $1 || '%'."
        } else {
            ""
        };
        return Err(QueryError::refused(format!(
            "The statement takes {} parameter{} ({wanted}), but `parameters` has {}.{advice}",
            types.len(),
            if types.len() == 1 { "" } else { "s" },
            values.len(),
        )));
    }
    values
        .iter()
        .zip(types)
        .enumerate()
        .map(|(at, (value, ty))| {
            text(value, ty).map(Parameter).map_err(|why| {
                QueryError::refused(format!("Parameter ${}: PostgreSQL wants {}, and {why}.", at + 1, name(ty)))
            })
        })
        .collect()
}

/// The type's name as the manual writes it, without the underscore of an array's internal name.
pub fn name(ty: &Type) -> String {
    match ty.kind() {
        Kind::Array(element) if !is_vector(ty) => format!("{}[]", name(element)),
        // The driver does not see it as an array.
        _ if *ty == Type::RECORD_ARRAY => "record[]".to_owned(),
        _ => match ty.name() {
            "int2" => "smallint".to_owned(),
            "int4" => "integer".to_owned(),
            "int8" => "bigint".to_owned(),
            "float4" => "real".to_owned(),
            "float8" => "double precision".to_owned(),
            "bool" => "boolean".to_owned(),
            "bpchar" => "character".to_owned(),
            "varchar" => "character varying".to_owned(),
            other => other.to_owned(),
        },
    }
}

/// The text of `value` as a `ty`; `None` is NULL. The error completes "PostgreSQL wants X, and …".
fn text(value: &Value, ty: &Type) -> Result<Option<String>, String> {
    let base = base(ty);
    let parts = if is_json(base) { None } else { parts(value) };
    Ok(Some(match (parts.as_ref().unwrap_or(value), base.kind()) {
        (Value::Null, _) => return Ok(None),
        (Value::String(text), _) => {
            if text.contains('\0') {
                return Err("a text there cannot hold the character U+0000".to_owned());
            }
            text.clone()
        }
        (value, _) if is_json(base) => value.to_string(),
        (Value::Array(items), Kind::Array(element)) if is_vector(base) => vector(items, element)?,
        (Value::Array(items), Kind::Array(element)) => array(items, element, 1)?,
        (Value::Number(number), _) if is_integer(base) => integer(number.as_str())?,
        (Value::Number(number), kind) if !matches!(kind, Kind::Array(_)) => number.to_string(),
        (Value::Bool(truth), kind) if !matches!(kind, Kind::Array(_)) => truth.to_string(),
        (value, _) => return Err(format!("{} was given; {}", given(value), advice(base))),
    }))
}

/// A JSON array as the text of an array (manual, section 8.15.6), every element quoted.
fn array(items: &[Value], element: &Type, depth: usize) -> Result<String, String> {
    if depth > DIMENSIONS_MAX {
        return Err(format!("an array has at most {DIMENSIONS_MAX} dimensions"));
    }
    let base = base(element);
    let has_arrays = is_json(base) || matches!(base.kind(), Kind::Array(_));
    let separator = char::from(delimiter(element));
    let mut out = String::from("{");
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(separator);
        }
        let parts = if has_arrays { None } else { parts(item) };
        match parts.as_ref().unwrap_or(item) {
            Value::Array(inner) if !has_arrays => out.push_str(&array(inner, element, depth + 1)?),
            _ => match element_text(item, element, at)? {
                None => out.push_str("NULL"),
                Some(text) => {
                    let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
                    let _ = write!(out, "\"{quoted}\"");
                }
            },
        }
    }
    out.push('}');
    Ok(out)
}

/// A JSON array as the text of an `int2vector` or `oidvector`: the elements with a blank between them.
fn vector(items: &[Value], element: &Type) -> Result<String, String> {
    let texts = items.iter().enumerate().map(|(at, item)| {
        element_text(item, element, at)?.ok_or_else(|| format!("element {} is wrong: a vector holds no NULL", at + 1))
    });
    Ok(texts.collect::<Result<Vec<_>, String>>()?.join(" "))
}

fn element_text(item: &Value, element: &Type, at: usize) -> Result<Option<String>, String> {
    text(item, element).map_err(|why| format!("element {} is wrong: {why}", at + 1))
}

/// The number as PostgreSQL reads an integer: only digits.
fn integer(number: &str) -> Result<String, String> {
    match Whole::of(number) {
        Whole::Digits(digits) => Ok(digits),
        Whole::TooLarge => Err(format!("{number} is out of its range")),
        Whole::No => Err(format!("{number} was given, which is not a whole number")),
    }
}

fn is_integer(base: &Type) -> bool {
    matches!(*base, Type::INT2 | Type::INT4 | Type::INT8 | Type::OID)
}

fn is_json(base: &Type) -> bool {
    matches!(*base, Type::JSON | Type::JSONB)
}

/// Whether it is an array whose text is not `{…}`.
fn is_vector(base: &Type) -> bool {
    matches!(*base, Type::INT2_VECTOR | Type::OID_VECTOR)
}

fn base(ty: &Type) -> &Type {
    match ty.kind() {
        Kind::Domain(inner) => base(inner),
        _ => ty,
    }
}

fn given(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn advice(ty: &Type) -> String {
    match ty.kind() {
        Kind::Array(_) if is_vector(ty) => "give a JSON array, or a string such as \"1 2\"".to_owned(),
        Kind::Array(_) => "give a JSON array, or a string such as \"{1,2}\"".to_owned(),
        Kind::Composite(_) => "give its text, such as \"(1,abc)\"".to_owned(),
        _ => "give a string, a number or a boolean".to_owned(),
    }
}

#[cfg(test)]
mod tests;
