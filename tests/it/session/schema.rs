//! As much of JSON Schema as the tools' output schemas use. A word that is not known here fails, so that a schema
//! that begins to use it is not taken for checked.

use serde_json::Value;

/// The places where `value` is not as `schema` says; none, if it conforms.
pub fn misfits(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    look(schema, value, "$", &mut found);
    found
}

fn look(schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    for (word, wanted) in schema.as_object().expect("a schema is an object") {
        let fits = match word.as_str() {
            "description" => true,
            "type" => types(wanted).iter().any(|name| is_type(name, value)),
            "enum" => wanted.as_array().unwrap().contains(value),
            "required" => {
                types(wanted).iter().all(|name| value.as_object().is_none_or(|object| object.contains_key(*name)))
            }
            "properties" => {
                for (name, member) in value.as_object().into_iter().flatten() {
                    match wanted.get(name) {
                        Some(schema) => look(schema, member, &format!("{place}.{name}"), found),
                        // JSON Schema would let it pass; a member that no client is told of is a mistake.
                        None => found.push(format!("{place}.{name} is in no schema")),
                    }
                }
                true
            }
            "items" => {
                for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                    look(wanted, item, &format!("{place}[{at}]"), found);
                }
                true
            }
            "anyOf" => wanted.as_array().unwrap().iter().any(|choice| misfits(choice, value).is_empty()),
            unknown => panic!("{place}: `{unknown}` is not checked here"),
        };
        if !fits {
            found.push(format!("{place} is {value}, against {word} {wanted}"));
        }
    }
}

fn types(wanted: &Value) -> Vec<&str> {
    match wanted {
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        name => name.as_str().into_iter().collect(),
    }
}

fn is_type(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

#[test]
fn what_does_not_conform_is_found() {
    let schema = serde_json::json!({
        "type": "object",
        "properties": {
            "rows": {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
            "outcome": {"type": "string", "enum": ["done"]},
        },
        "required": ["rows"],
    });
    for (value, places) in [
        (r#"{"rows":[1,null],"outcome":"done"}"#, 0),
        (r#"{"rows":[]}"#, 0),
        (r#"{"rows":[1,"2",3.5]}"#, 2),
        (r#"{"outcome":"lost"}"#, 2),
        (r#"{"rows":[],"more":1}"#, 1),
        (r#"[]"#, 1),
    ] {
        let value = serde_json::from_str(value).unwrap();
        assert_eq!(misfits(&schema, &value).len(), places, "{value}: {:?}", misfits(&schema, &value));
    }
}
