//! JSON values → PostgreSQL's parameters, each as the text of the type that PostgreSQL inferred for its `$n`.
//!
//! Sending text leaves the conversion to PostgreSQL's own input functions, so every type works that has a text form
//! (manual, section 55.2.3: a format code of 0). What JSON has and PostgreSQL's text has not is mapped here:
//!
//! | JSON | for a json or jsonb parameter | for an array parameter | for any other |
//! |---|---|---|---|
//! | `null` | SQL NULL | SQL NULL | SQL NULL |
//! | string | as it is: JSON text | as it is: `{…}` | as it is |
//! | number | its digits | refused | its digits |
//! | boolean | `true`, `false` | refused | `true`, `false` |
//! | array | its JSON | `{…}`, nested for more dimensions | refused |
//! | object | its JSON | refused | refused |

use std::error::Error;
use std::fmt::Write as _;

use serde_json::Value;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, to_sql_checked};

use super::error::QueryError;

/// How deep an array may be: PostgreSQL's MAXDIM.
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

/// The parameters for a statement whose `$1 … $n` have `types`.
///
/// # Errors
/// Too few, too many, or one that has no text in its type: the parameter's number, what was given and what is wanted.
pub fn convert(values: &[Value], types: &[Type]) -> Result<Vec<Parameter>, QueryError> {
    if values.len() != types.len() {
        let wanted: Vec<String> =
            types.iter().enumerate().map(|(at, ty)| format!("${} {}", at + 1, name(ty))).collect();
        let wanted = if wanted.is_empty() { "none".to_owned() } else { wanted.join(", ") };
        return Err(QueryError::Refused {
            why: format!(
                "The statement takes {} parameter{} ({wanted}), but `parameters` has {}.",
                types.len(),
                if types.len() == 1 { "" } else { "s" },
                values.len(),
            ),
        });
    }
    values
        .iter()
        .zip(types)
        .enumerate()
        .map(|(at, (value, ty))| {
            text(value, ty).map(Parameter).map_err(|why| QueryError::Refused {
                why: format!("Parameter ${}: PostgreSQL wants {}, and {why}.", at + 1, name(ty)),
            })
        })
        .collect()
}

/// The type's name as the manual writes it, without the underscore of an array's internal name.
pub fn name(ty: &Type) -> String {
    match ty.kind() {
        Kind::Array(element) => format!("{}[]", name(element)),
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
    let is_json = matches!(*base, Type::JSON | Type::JSONB);
    Ok(Some(match (value, base.kind()) {
        (Value::Null, _) => return Ok(None),
        (Value::String(text), _) => {
            if text.contains('\0') {
                return Err("a text there cannot hold the character U+0000".to_owned());
            }
            text.clone()
        }
        (value, _) if is_json => value.to_string(),
        (Value::Array(items), Kind::Array(element)) => array(items, element, 1)?,
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
    let element_is_json = matches!(*base(element), Type::JSON | Type::JSONB);
    // PostgreSQL separates the elements of its own box type by a semicolon.
    let separator = if *base(element) == Type::BOX { ';' } else { ',' };
    let mut out = String::from("{");
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(separator);
        }
        match item {
            Value::Array(inner) if !element_is_json => out.push_str(&array(inner, element, depth + 1)?),
            item => match text(item, element).map_err(|why| format!("element {} is wrong: {why}", at + 1))? {
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
        Kind::Array(_) => "give a JSON array, or a string such as \"{1,2}\"".to_owned(),
        Kind::Composite(_) => "give its text, such as \"(1,abc)\"".to_owned(),
        _ => "give a string, a number or a boolean".to_owned(),
    }
}

#[cfg(test)]
mod tests;
