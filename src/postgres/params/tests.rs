use super::*;

/// The parameter made from a tree of values. The one made from the written text must be the same, except for what a
/// tree loses.
fn converted(json: &str, ty: &Type) -> Result<Option<String>, String> {
    let value: Value = serde_json::from_str(json).expect("JSON");
    let from_tree = text(&value, ty);
    let as_written = converted_as_written(json, ty);
    let of_both = |text: &Result<Option<String>, String>| format!("{text:?}").to_lowercase().replace("e+", "e");
    assert_eq!(of_both(&from_tree), of_both(&as_written), "{json} as {ty}");
    from_tree
}

fn converted_as_written(json: &str, ty: &Type) -> Result<Option<String>, String> {
    text(&written(serde_json::from_str::<&RawValue>(json).expect("JSON")), ty)
}

#[test]
fn json_is_kept_as_it_was_written() {
    let json = r#"{"z":1.00,"a":12345678901234567890123,"a":1e5,"d":{"k":1,"k":2},"half":"\ud800"}"#;
    for ty in [Type::JSON, Type::JSONB, made("doc", Kind::Domain(Type::JSONB))] {
        assert_eq!(converted_as_written(json, &ty), Ok(Some(json.to_owned())), "{ty}");
        let escaped = json.replace('\\', "\\\\").replace('"', "\\\"");
        let list = format!("[{json},null,[1e5],1E5]");
        let wanted = format!(r#"{{"{escaped}",NULL,"[1e5]","1E5"}}"#);
        assert_eq!(converted_as_written(&list, &array_of(ty)), Ok(Some(wanted)));
    }
    assert_eq!(converted_as_written("[\n1,\r\n{}]", &Type::JSON), Ok(Some("[ 1,  {}]".to_owned())));
    assert_eq!(converted_as_written("1e5", &Type::NUMERIC), Ok(Some("1e5".to_owned())));
    assert_eq!(converted_as_written("[[1e5],[-0]]", &Type::FLOAT8_ARRAY), Ok(Some(r#"{{"1e5"},{"-0"}}"#.to_owned())));
}

/// A type that is not built into PostgreSQL.
fn made(name: &str, kind: Kind) -> Type {
    Type::new(name.to_owned(), 100_000, kind, "public".to_owned())
}

fn array_of(element: Type) -> Type {
    made(&format!("_{}", element.name()), Kind::Array(element))
}

#[test]
fn a_value_is_the_text_that_postgresql_reads() {
    for (json, ty, expected) in [
        ("\"\"", Type::TEXT, ""),
        ("\" a\\n\\u00e9\\\\ \"", Type::TEXT, " a\né\\ "),
        ("\"NULL\"", Type::TEXT, "NULL"),
        ("7", Type::TEXT, "7"),
        ("true", Type::TEXT, "true"),
        ("\"2024-02-29\"", Type::DATE, "2024-02-29"),
        ("\"7\"", Type::INT4, "7"),
        ("false", Type::BOOL, "false"),
        ("1", Type::BOOL, "1"),
        ("\"\\\\xdeadbeef\"", Type::BYTEA, "\\xdeadbeef"),
        ("\"{1,2}\"", Type::INT4_ARRAY, "{1,2}"),
        ("\"[1,2)\"", Type::INT4_RANGE, "[1,2)"),
        // PostgreSQL may reject these; that is not decided here.
        ("true", Type::INT4, "true"),
        ("1.5", Type::BOOL, "1.5"),
    ] {
        assert_eq!(converted(json, &ty), Ok(Some(expected.to_owned())), "{json} as {ty}");
    }
}

#[test]
fn a_number_keeps_its_digits() {
    for (digits, expected) in [
        ("0", "0"),
        ("-0", "-0"),
        ("9007199254740993", "9007199254740993"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("1.10", "1.10"),
        ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
        // serde_json writes an exponent in its own way, with the same value.
        ("1e400", "1e+400"),
        ("1E-7", "1E-7"),
    ] {
        let as_written = converted(digits, &Type::NUMERIC).unwrap().unwrap();
        assert!(as_written.eq_ignore_ascii_case(expected), "{digits}: {as_written}");
        assert_eq!(converted(digits, &Type::JSONB), Ok(Some(as_written.clone())));
        let list = converted(&format!("[{digits}]"), &Type::NUMERIC_ARRAY);
        assert_eq!(list, Ok(Some(format!("{{\"{as_written}\"}}"))));
    }
}

#[test]
fn a_whole_number_is_an_integer_in_whatever_spelling() {
    let id = || made("id", Kind::Domain(Type::INT8));
    for (json, ty, expected) in [
        ("7.0", Type::INT2, "7"),
        ("1e6", Type::INT4, "1000000"),
        ("9007199254740993.0", Type::INT8, "9007199254740993"),
        ("4294967295.00", Type::OID, "4294967295"),
        ("-5.0", id(), "-5"),
        ("[1.0,null,2e0,\"3\"]", Type::INT4_ARRAY, r#"{"1",NULL,"2","3"}"#),
        ("[[1.0],[20e-1]]", Type::INT8_ARRAY, r#"{{"1"},{"2"}}"#),
        ("[1.0]", array_of(id()), r#"{"1"}"#),
        ("[1.0,2]", Type::INT2_VECTOR, "1 2"),
        // It is a number for the others.
        ("7.0", Type::TEXT, "7.0"),
        ("7.0", Type::NUMERIC, "7.0"),
        ("7.0", Type::JSONB, "7.0"),
        ("\"7.0\"", Type::INT4, "7.0"),
    ] {
        assert_eq!(converted(json, &ty), Ok(Some(expected.to_owned())), "{json} as {ty}");
    }
    for (json, ty, why) in [
        ("5.5", Type::INT4, "5.5 was given, which is not a whole number"),
        ("[1,0.5]", Type::OID_ARRAY, "element 2 is wrong: 0.5 was given, which is not a whole number"),
    ] {
        assert_eq!(converted(json, &ty), Err(why.to_owned()), "{json} as {ty}");
    }
    assert_eq!(converted_as_written("1e400", &Type::INT8), Err("1e400 is out of its range".to_owned()));
}

#[test]
fn null_is_null_for_every_type() {
    for ty in [Type::INT4, Type::TEXT, Type::JSON, Type::JSONB, Type::INT4_ARRAY, Type::JSONB_ARRAY] {
        assert_eq!(converted("null", &ty), Ok(None), "{ty}");
    }
}

#[test]
fn a_value_for_json_is_its_json_with_keys_and_digits_as_written_and_a_string_is_json_text() {
    for (json, expected) in [
        ("{\"b\":1,\"a\":[1.0,{}]}", "{\"b\":1,\"a\":[1.0,{}]}"),
        ("[1,null,\"x\"]", "[1,null,\"x\"]"),
        ("[]", "[]"),
        ("true", "true"),
        ("1.50", "1.50"),
        ("\"{\\\"a\\\":1}\"", "{\"a\":1}"),
        ("\"\\\"a\\\"\"", "\"a\""),
        ("{\"a\":\"q\\\"\\u0000\"}", "{\"a\":\"q\\\"\\u0000\"}"),
    ] {
        for ty in [Type::JSON, Type::JSONB, made("doc", Kind::Domain(Type::JSONB))] {
            assert_eq!(converted(json, &ty), Ok(Some(expected.to_owned())), "{json} as {ty}");
        }
    }
}

#[test]
fn an_array_is_postgresqls_array_with_every_element_quoted() {
    for (json, ty, expected) in [
        ("[]", Type::TEXT_ARRAY, "{}"),
        ("[1,null,3]", Type::INT4_ARRAY, r#"{"1",NULL,"3"}"#),
        ("[true,\"f\"]", Type::BOOL_ARRAY, r#"{"true","f"}"#),
        (
            r#"["a\"b","c\\d","","NULL","{","a,b"," x ","é\n"]"#,
            Type::TEXT_ARRAY,
            "{\"a\\\"b\",\"c\\\\d\",\"\",\"NULL\",\"{\",\"a,b\",\" x \",\"é\n\"}",
        ),
        // Nested for more dimensions.
        ("[[1,2],[3,4]]", Type::INT4_ARRAY, r#"{{"1","2"},{"3","4"}}"#),
        ("[[[[[[1]]]]]]", Type::INT4_ARRAY, r#"{{{{{{"1"}}}}}}"#),
        ("[[],[]]", Type::INT4_ARRAY, "{{},{}}"),
        // A JSON element is one element, however deeply nested.
        (r#"[{"a":[1]},[1,"x"],null,"1"]"#, Type::JSONB_ARRAY, r#"{"{\"a\":[1]}","[1,\"x\"]",NULL,"1"}"#),
        (r#"[[1]]"#, array_of(made("doc", Kind::Domain(Type::JSON))), r#"{"[1]"}"#),
        // PostgreSQL's box has another separator.
        (r#"["(1,1),(0,0)","(2,2),(1,1)"]"#, Type::BOX_ARRAY, r#"{"(1,1),(0,0)";"(2,2),(1,1)"}"#),
        (r#"["(1,1)","(2,2)"]"#, Type::POINT_ARRAY, r#"{"(1,1)","(2,2)"}"#),
        // A domain is treated as its base type.
        ("[1]", made("ids", Kind::Domain(Type::INT4_ARRAY)), r#"{"1"}"#),
        ("[1]", array_of(made("id", Kind::Domain(Type::INT4))), r#"{"1"}"#),
        (r#"["happy"]"#, array_of(made("mood", Kind::Enum(vec!["happy".to_owned()]))), r#"{"happy"}"#),
    ] {
        assert_eq!(converted(json, &ty), Ok(Some(expected.to_owned())), "{json} as {ty}");
    }
}

#[test]
fn a_vector_is_a_list_of_numbers_without_braces() {
    for (json, ty, expected) in [
        ("[1,2]", Type::INT2_VECTOR, Ok(Some("1 2"))),
        ("[]", Type::OID_VECTOR, Ok(Some(""))),
        ("\"1 2\"", Type::OID_VECTOR, Ok(Some("1 2"))),
        ("[[1,2],[],null,\"3 4\"]", Type::INT2_VECTOR_ARRAY, Ok(Some(r#"{"1 2","",NULL,"3 4"}"#))),
        ("[1,null]", Type::INT2_VECTOR, Err("element 2 is wrong: a vector holds no NULL")),
        ("7", Type::INT2_VECTOR, Err("a number was given; give a JSON array, or a string such as \"1 2\"")),
    ] {
        assert_eq!(
            converted(json, &ty),
            expected.map(|text| text.map(str::to_owned)).map_err(str::to_owned),
            "{json} as {ty}"
        );
    }
}

#[test]
fn an_array_of_a_domain_over_an_array_holds_lists_as_elements() {
    let ints = || array_of(made("ints", Kind::Domain(Type::INT4_ARRAY)));
    for (json, ty, expected) in [
        ("[[1,2],[3]]", ints(), r#"{"{\"1\",\"2\"}","{\"3\"}"}"#),
        ("[[1,2],\"[0:0]={3}\"]", ints(), r#"{"{\"1\",\"2\"}","[0:0]={3}"}"#),
        ("[[],null]", array_of(made("boxes", Kind::Domain(Type::BOX_ARRAY))), r#"{"{}";NULL}"#),
        ("[[1,2]]", array_of(made("positive", Kind::Domain(Type::INT4))), r#"{{"1","2"}}"#),
    ] {
        assert_eq!(converted(json, &ty), Ok(Some(expected.to_owned())), "{json} as {ty}");
    }
}

#[test]
fn a_value_without_a_text_in_that_type_is_refused_with_advice() {
    const LIST: &str = "give a JSON array, or a string such as \"{1,2}\"";
    const PLAIN: &str = "give a string, a number or a boolean";
    let pair = made("pair", Kind::Composite(vec![]));
    for (json, ty, why) in [
        ("{\"a\":1}", Type::INT4, format!("an object was given; {PLAIN}")),
        ("[1]", Type::INT4, format!("an array was given; {PLAIN}")),
        ("[1]", Type::INT4_RANGE, format!("an array was given; {PLAIN}")),
        ("1", Type::INT4_ARRAY, format!("a number was given; {LIST}")),
        ("true", Type::BOOL_ARRAY, format!("a boolean was given; {LIST}")),
        ("{\"a\":1}", Type::TEXT_ARRAY, format!("an object was given; {LIST}")),
        ("{\"a\":1}", pair, "an object was given; give its text, such as \"(1,abc)\"".to_owned()),
        ("[1,{\"a\":1}]", Type::INT4_ARRAY, format!("element 2 is wrong: an object was given; {PLAIN}")),
        ("[[[[[[[1]]]]]]]", Type::INT4_ARRAY, "an array has at most 6 dimensions".to_owned()),
        ("\"a\\u0000b\"", Type::TEXT, "a text there cannot hold the character U+0000".to_owned()),
        (
            "[\"\\u0000\"]",
            Type::TEXT_ARRAY,
            "element 1 is wrong: a text there cannot hold the character U+0000".to_owned(),
        ),
    ] {
        assert_eq!(converted(json, &ty), Err(why), "{json} as {ty}");
    }
}

#[test]
fn a_refusal_names_the_parameter_and_the_type_as_the_manual_writes_it() {
    let object = serde_json::json!({"a": 1});
    for (values, types, expected) in [
        (
            vec![Value::Bool(true), object.clone()],
            vec![Type::BOOL, Type::INT4],
            "Parameter $2: PostgreSQL wants integer, and an object was given; give a string, a number or a boolean.",
        ),
        (
            vec![object],
            vec![Type::FLOAT8_ARRAY],
            "Parameter $1: PostgreSQL wants double precision[], and an object was given; \
             give a JSON array, or a string such as \"{1,2}\".",
        ),
        (
            vec![],
            vec![Type::INT4, Type::TEXT_ARRAY],
            "The statement takes 2 parameters ($1 integer, $2 text[]), but `parameters` has 0.",
        ),
        (
            vec![Value::Null; 2],
            vec![Type::BPCHAR],
            "The statement takes 1 parameter ($1 character), but `parameters` has 2.",
        ),
        (vec![Value::Null], vec![], "The statement takes 0 parameters (none), but `parameters` has 1."),
    ] {
        assert_eq!(convert(&values, &types).unwrap_err().for_model(), expected);
    }
}

#[test]
fn a_type_is_named_as_the_manual_names_it() {
    for (ty, expected) in [
        (Type::INT2, "smallint"),
        (Type::INT8, "bigint"),
        (Type::FLOAT4, "real"),
        (Type::BOOL_ARRAY, "boolean[]"),
        (Type::VARCHAR, "character varying"),
        (Type::TIMESTAMPTZ, "timestamptz"),
        (array_of(made("mood", Kind::Enum(vec![]))), "mood[]"),
    ] {
        assert_eq!(name(&ty), expected);
    }
}

#[test]
fn a_parameter_goes_to_postgresql_as_text() {
    let values = [serde_json::json!([1, null]), Value::Null];
    let parameters = convert(&values, &[Type::INT4_ARRAY, Type::DATE]).unwrap();
    let sent = parameters.iter().map(|parameter| {
        let mut out = BytesMut::new();
        assert!(matches!(parameter.encode_format(&Type::INT4_ARRAY), Format::Text));
        match parameter.to_sql_checked(&Type::INT4_ARRAY, &mut out).unwrap() {
            IsNull::Yes => None,
            IsNull::No => Some(out.to_vec()),
        }
    });
    assert_eq!(sent.collect::<Vec<_>>(), [Some(b"{\"1\",NULL}".to_vec()), None]);
    assert!(Parameter::accepts(&Type::POLYGON));
}
