//! The schemas that clients are given: those that hosts can convert for their models, and a model can afford to read.

use mcp_server_postgres::tools::TOOLS;
use serde_json::{Value, json};

/// What a model is given of the list of tools is not longer than this, in bytes.
const BYTES_MAX: usize = 6 << 10;

/// All schemas: the input of each tool for a client with one database and with several, and its output.
fn schemas() -> impl Iterator<Item = (String, Value)> {
    TOOLS.iter().flat_map(|tool| {
        [
            (format!("{}, one database", tool.name), tool.input_of(&["main"])),
            (format!("{}, two databases", tool.name), tool.input_of(&["main", "stock"])),
            (format!("{}, output", tool.name), (tool.output)()),
        ]
    })
}

/// Look at a schema and at each schema in it.
fn walk(schema: &Value, place: &str, look: &mut impl FnMut(&Value, &str)) {
    look(schema, place);
    let parts = schema["properties"].as_object().into_iter().flatten();
    parts.for_each(|(name, part)| walk(part, &format!("{place}.{name}"), look));
    let choices = schema["anyOf"].as_array().into_iter().flatten();
    choices.for_each(|part| walk(part, &format!("{place} or"), look));
    schema.get("items").into_iter().for_each(|part| walk(part, &format!("{place}[]"), look));
}

#[test]
fn every_schema_is_one_that_all_known_hosts_convert() {
    const KNOWN: &[&str] = &[
        "type",
        "description",
        "properties",
        "required",
        "items",
        "anyOf",
        "enum",
        "default",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
    ];
    for (tool, schema) in schemas() {
        assert_eq!(schema["type"], "object", "{tool}");
        walk(&schema, &tool, &mut |schema, place| {
            let words = schema.as_object().unwrap_or_else(|| panic!("{place} is no object: {schema}"));
            // OpenAI, Gemini and VS Code refuse a whole request for one schema that is empty.
            assert!(!words.is_empty(), "{place} is empty");
            // google-genai fails on `additionalProperties: false`; the server refuses unknown arguments itself.
            assert!(words.keys().all(|word| KNOWN.contains(&word.as_str())), "{place}: {schema}");
            assert!(schema["type"].is_string() || !words.contains_key("type"), "{place} has a list of types");
            let is_array = schema["type"] == "array";
            assert_eq!(is_array, schema["items"].is_object(), "{place}: {schema}");
        });
    }
}

#[test]
fn parameters_are_declared_as_one_array_of_plain_values() {
    let types = ["string", "integer", "number", "boolean", "null"];
    let items = json!({"anyOf": types.map(|name| json!({"type": name}))});
    let of = |name: &str| TOOLS.iter().find(|tool| tool.name == name).unwrap().input_of(&["main"]);
    let (query, batch) = (of("async_query_execute"), of("batch_query_execute"));
    let queries = &batch["properties"]["queries"]["items"];
    for parameters in [&query["properties"]["parameters"], &queries["properties"]["parameters"]] {
        assert_eq!(parameters["type"], "array");
        assert_eq!(parameters["items"], items);
        let words = parameters["description"].as_str().unwrap();
        assert!(words.contains("array") && words.contains("object"), "{words}");
        assert_eq!(parameters.as_object().unwrap().len(), 3, "{parameters}");
    }
}

#[test]
fn what_a_model_is_given_of_the_tools_is_at_most_6_kib() {
    for databases in [&["main"][..], &["main", "stock", "archive"]] {
        let of = |tool: &mcp_server_postgres::tools::Tool| {
            tool.name.len() + tool.description.len() + tool.input_of(databases).to_string().len()
        };
        let bytes: usize = TOOLS.iter().map(of).sum();
        assert!(bytes <= BYTES_MAX, "{bytes} bytes for {databases:?}");
    }
}
