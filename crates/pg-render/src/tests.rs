//! Values without a server. The tests of `mcp-server-postgres` compare values from a server with its own text.

use postgres_types::{Field, Kind, Type};

use super::{Codec, DecodeError, NESTING_MAX, Part, Text, write_json_string};

mod limits;

const BEFORE: &[u8] = b"before \xff";

/// Calls both writers, and asserts that they keep what is in the buffer and append nothing after an error. Returns what
/// each appended.
fn write(type_: &Type, raw: &[u8]) -> [Result<Vec<u8>, DecodeError>; 2] {
    let codec = Codec::of(type_);
    [Codec::write_text, Codec::write_json].map(|write| {
        let mut out = BEFORE.to_vec();
        let written = write(&codec, raw, &mut out);
        assert!(out.starts_with(BEFORE), "{type_} {raw:02x?}: what was there is gone");
        let added = out.split_off(BEFORE.len());
        assert!(written.is_ok() || added.is_empty(), "{type_} {raw:02x?}: {written:?}, but {added:02x?} was added");
        written.map(|()| added)
    })
}

fn text(type_: &Type, raw: &[u8]) -> Result<String, DecodeError> {
    let [text, _] = write(type_, raw);
    text.map(|text| String::from_utf8_lossy(&text).into_owned())
}

fn json(type_: &Type, raw: &[u8]) -> Result<String, DecodeError> {
    let [_, json] = write(type_, raw);
    json.map(|json| String::from_utf8(json).unwrap())
}

fn own(name: &str, kind: Kind) -> Type {
    // As the OIDs of CREATE TYPE, above those that initdb assigns.
    Type::new(name.to_owned(), 20_000, kind, "public".to_owned())
}

fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(|byte| *byte != b' ').collect();
    digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

/// The length and the bytes.
fn value(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as i32).to_be_bytes(), bytes].concat()
}

/// `dimensions` are lengths and lower bounds; `elements` are made by [`value`].
fn array(element: &Type, dimensions: &[(i32, i32)], elements: &[Vec<u8>]) -> Vec<u8> {
    let mut raw = [(dimensions.len() as i32).to_be_bytes(), [0; 4], element.oid().to_be_bytes()].concat();
    raw.extend(dimensions.iter().flat_map(|(length, lower)| [length.to_be_bytes(), lower.to_be_bytes()].concat()));
    raw.extend(elements.concat());
    raw
}

fn record(fields: &[(&Type, &[u8])]) -> Vec<u8> {
    let mut raw = (fields.len() as i32).to_be_bytes().to_vec();
    raw.extend(fields.iter().flat_map(|(type_, bytes)| [type_.oid().to_be_bytes().to_vec(), value(bytes)].concat()));
    raw
}

/// A value of each rule, and its text.
fn valid() -> Vec<(Type, Vec<u8>, &'static str)> {
    let pair =
        || own("pair", Kind::Composite(vec![Field::new("n".into(), Type::INT4), Field::new("t".into(), Type::TEXT)]));
    let pair_raw = record(&[(&Type::INT4, &[0, 0, 0, 1]), (&Type::TEXT, b"a b")]);
    let (one, two) = ("3ff0000000000000", "4000000000000000");
    let number = |n: i32| value(&n.to_be_bytes());
    let range_raw = [hex("02"), number(1), number(5)].concat();
    vec![
        (Type::BOOL, hex("01"), "t"),
        (Type::CHAR, hex("61"), "a"),
        (Type::CHAR, hex("00"), ""),
        (Type::CHAR, hex("ff"), r"\377"),
        (Type::CHAR, hex("80"), r"\200"),
        (Type::TEXT, "é\n".into(), "é\n"),
        (Type::UNKNOWN, b"x".into(), "x"),
        (Type::PG_NODE_TREE, b"{CONST}".into(), "{CONST}"),
        (Type::INT2, hex("8000"), "-32768"),
        (Type::INT4, hex("ffffffff"), "-1"),
        (Type::INT8, hex("7fffffffffffffff"), "9223372036854775807"),
        (Type::OID, hex("ffffffff"), "4294967295"),
        (Type::XID8, hex("ffffffffffffffff"), "18446744073709551615"),
        (Type::TID, hex("00000001 0002"), "(1,2)"),
        (Type::FLOAT4, hex("3fc00000"), "1.5"),
        (Type::FLOAT8, hex(two), "2"),
        (Type::NUMERIC, hex("0003 0001 0000 0003 0001 0929 1a7c"), "12345.678"),
        (Type::NUMERIC, hex("0000 0000 c000 0000"), "NaN"),
        (Type::DATE, hex("00000000"), "2000-01-01"),
        (Type::TIME, hex("0000000000000001"), "00:00:00.000001"),
        (Type::TIMETZ, hex("0000000000000000 ffffb2a8"), "00:00:00+05:30"),
        (Type::TIMESTAMP, hex("ffffffffffffffff"), "1999-12-31 23:59:59.999999"),
        (Type::TIMESTAMPTZ, hex("0000000000000000"), "2000-01-01 00:00:00+00"),
        (Type::INTERVAL, hex("ffffffffffffffff 00000001 0000000d"), "1 year 1 mon 1 day -00:00:00.000001"),
        // infinite since PostgreSQL 17
        (Type::INTERVAL, hex("7fffffffffffffff 7fffffff 7fffffff"), "infinity"),
        (Type::INTERVAL, hex("8000000000000000 80000000 80000000"), "-infinity"),
        (Type::UUID, hex("000102030405060708090a0b0c0d0e0f"), "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        (Type::BYTEA, hex("00ff"), r"\x00ff"),
        (Type::VARBIT, hex("00000003 a0"), "101"),
        (Type::INET, hex("02 18 00 04 c0a86401"), "192.168.100.1/24"),
        (Type::INET, hex("03 80 00 10 00000000000000000000000000000002"), "::2"),
        (Type::CIDR, hex("02 20 01 04 0a000000"), "10.0.0.0/32"),
        (Type::MACADDR, hex("08002b010203"), "08:00:2b:01:02:03"),
        (Type::MACADDR8, hex("08002b0102030405"), "08:00:2b:01:02:03:04:05"),
        (Type::POINT, hex(&[one, two].concat()), "(1,2)"),
        (Type::LINE, hex(&[one, two, one].concat()), "{1,2,1}"),
        (Type::LSEG, hex(&[one, two, two, one].concat()), "[(1,2),(2,1)]"),
        (Type::BOX, hex(&[two, two, one, one].concat()), "(2,2),(1,1)"),
        (Type::PATH, hex(&["00 00000001", one, two].concat()), "[(1,2)]"),
        (Type::POLYGON, hex(&["00000001", one, two].concat()), "((1,2))"),
        (Type::CIRCLE, hex(&[one, two, one].concat()), "<(1,2),1>"),
        (Type::JSON, b"{\"a\":\n1}".into(), "{\"a\":\n1}"),
        (Type::JSONB, b"\x01[1]".into(), "[1]"),
        (Type::JSONPATH, b"\x01$".into(), "$"),
        (Type::TS_VECTOR, hex("00000001 61 00 0001 c001"), "'a':1A"),
        (Type::TSQUERY, hex("00000003 0202 01000062 00 01000161 00"), "'a':* & 'b'"),
        (Type::PG_LSN, hex("0000001600000001"), "16/1"),
        (Type::PG_SNAPSHOT, hex("00000001 0000000000000001 0000000000000003 0000000000000002"), "1:3:2"),
        (Type::VOID, Vec::new(), ""),
        (own("citext", Kind::Simple), b"Ab".into(), "Ab"),
        (own("ltree", Kind::Simple), b"\x01a.b".into(), "a.b"),
        (
            own("hstore", Kind::Simple),
            hex("00000002 00000001 61 00000001 22 00000001 62 ffffffff"),
            r#""a"=>"\"", "b"=>NULL"#,
        ),
        (own("mood", Kind::Enum(vec!["sad".into()])), b"sad".into(), "sad"),
        (own("positive", Kind::Domain(Type::INT4)), hex("00000005"), "5"),
        (Type::INT2_VECTOR, array(&Type::INT2, &[(2, 0)], &[value(&[0, 1]), value(&[0, 2])]), "1 2"),
        (Type::INT4_ARRAY, array(&Type::INT4, &[], &[]), "{}"),
        (Type::INT4_ARRAY, array(&Type::INT4, &[(2, 1), (1, 1)], &[number(1), hex("ffffffff")]), "{{1},{NULL}}"),
        (Type::TEXT_ARRAY, array(&Type::TEXT, &[(1, 0)], &[value(b"null")]), "[0:0]={\"null\"}"),
        (Type::JSONB_ARRAY, array(&Type::JSONB, &[(1, 1)], &[value(b"\x01{}")]), "{\"{}\"}"),
        (Type::ANYARRAY, array(&Type::INT4, &[(2, 1)], &[number(1), number(2)]), "{1,2}"),
        (Type::ANYARRAY, array(&own("mood", Kind::Simple), &[], &[]), "{}"),
        (Type::RECORD_ARRAY, array(&Type::RECORD, &[(1, 1)], &[value(&pair_raw)]), r#"{"(1,\"a b\")"}"#),
        (Type::RECORD, pair_raw.clone(), "(1,\"a b\")"),
        (pair(), pair_raw.clone(), "(1,\"a b\")"),
        (Type::INT4_RANGE, range_raw.clone(), "[1,5)"),
        (Type::INT4_RANGE, hex("18"), "(,)"),
        (Type::INT4_RANGE, hex("01"), "empty"),
        (Type::INT4MULTI_RANGE, [hex("00000001"), value(&range_raw)].concat(), "{[1,5)}"),
        (own("pairs", Kind::Range(pair())), [hex("12"), value(&pair_raw)].concat(), r#"["(1,""a b"")",)"#),
    ]
}

/// Whether the JSON is copied from the value, because PostgreSQL has checked it.
fn trusts_postgresql(type_: &Type) -> bool {
    type_.name().contains("json") || *type_ == Type::ANYARRAY
}

/// Writes bytes that may be malformed. If they are accepted, the JSON must be valid and on one line.
fn survives(type_: &Type, raw: &[u8]) {
    if let [_, Ok(json)] = write(type_, raw)
        && !trusts_postgresql(type_)
    {
        let parsed = serde_json::from_slice::<serde_json::Value>(&json);
        assert!(parsed.is_ok(), "{type_} {raw:02x?}: {}", String::from_utf8_lossy(&json));
        assert!(!json.contains(&b'\n') && !json.contains(&b'\r'), "{type_} {raw:02x?}: more than one line");
    }
}

#[test]
fn a_value_of_each_rule_has_its_text_and_is_refused_when_cut_off_or_too_long() {
    for (type_, raw, wanted) in valid() {
        assert_eq!(text(&type_, &raw).as_deref(), Ok(wanted), "{type_} {raw:02x?}");
        survives(&type_, &raw);
        let codec = Codec::of(&type_);
        // Of these types every prefix of a value and every longer value is valid.
        let is_text = text(&type_, b"any text").is_ok_and(|text| text == "any text") || type_ == Type::BYTEA;
        let is_versioned = matches!(type_.name(), "jsonb" | "jsonpath" | "ltree");
        for end in 0..raw.len() {
            let written = write(&type_, &raw[..end]);
            assert!(is_text || (is_versioned && end > 0) || written[0].is_err(), "{type_} {:02x?}", &raw[..end]);
        }
        let longer = [&raw[..], b"\0"].concat();
        let mut out = Vec::new();
        assert!(is_text || is_versioned || codec.write_text(&longer, &mut out).is_err(), "{type_} {longer:02x?}");
    }
}

#[test]
fn a_value_of_another_type_than_its_columns_is_refused() {
    let pair = own("pair", Kind::Composite(vec![Field::new("n".into(), Type::INT4)]));
    for (type_, raw, wanted) in [
        (
            Type::INT4_ARRAY,
            array(&Type::OID, &[(1, 1)], &[value(&[0; 4])]),
            "its elements are of another type than the column's",
        ),
        (
            Type::ANYARRAY,
            array(&own("mood", Kind::Simple), &[(1, 1)], &[value(b"ok")]),
            "only the server can show values of this type",
        ),
        (pair.clone(), record(&[(&Type::OID, &[0; 4])]), "a field is of another type than declared"),
        (pair.clone(), record(&[]), "it has another number of fields than its type"),
    ] {
        assert_eq!(text(&type_, &raw).map_err(|error| error.problem), Err(wanted), "{type_} {raw:02x?}");
        assert!(json(&type_, &raw).is_err(), "{type_} {raw:02x?}");
    }
}

#[test]
fn a_type_without_a_codec_refuses_every_value() {
    for type_ in [Type::MONEY, Type::REGCLASS, Type::ACLITEM, Type::PG_MCV_LIST, own("cube", Kind::Simple)] {
        assert!(!Codec::of(&type_).is_native(), "{type_}");
        let array = own("many", Kind::Array(type_.clone()));
        let composite = own("row", Kind::Composite(vec![Field::new("a".into(), type_.clone())]));
        for type_ in [type_, array, composite] {
            assert!(!Codec::of(&type_).is_native(), "{type_}");
            assert_eq!(write(&type_, b"\0\0\0\0").map(|written| written.is_err()), [true; 2], "{type_}");
        }
    }
}

#[test]
fn a_json_string_is_utf8_on_one_line_whatever_the_text() {
    for (text, wanted) in [
        (&b""[..], r#""""#),
        (b"plain", r#""plain""#),
        (b"\"", r#""\"""#),
        (b"\\", r#""\\""#),
        (b"/", r#""/""#),
        (b"\x08\x09\x0a\x0b\x0c\x0d", r#""\b\t\n\u000b\f\r""#),
        (b"\x00\x01\x1f\x7f", "\"\\u0000\\u0001\\u001f\x7f\""),
        ("é 日本 🙂".as_bytes(), "\"é 日本 🙂\""),
        ("\u{85}\u{2028}\u{2029}\u{feff}".as_bytes(), "\"\u{85}\u{2028}\u{2029}\u{feff}\""),
        (b"\xff", "\"\u{fffd}\""),
        (b"a\x80b\"", "\"a\u{fffd}b\\\"\""),
        (b"\xc3", "\"\u{fffd}\""),
        (b"\xe2\x82x", "\"\u{fffd}x\""),
        (b"\xed\xa0\x80", "\"\u{fffd}\u{fffd}\u{fffd}\""), // a surrogate
        (b"\xc0\x80\n", "\"\u{fffd}\u{fffd}\\n\""),        // a NUL in two bytes
    ] {
        let mut out = BEFORE.to_vec();
        write_json_string(text, &mut out);
        let got = String::from_utf8(out.split_off(BEFORE.len())).unwrap();
        assert_eq!(got, wanted, "{text:02x?}");
        assert_eq!(out, BEFORE, "{text:02x?}");
        let read: String = serde_json::from_str(&got).unwrap();
        assert_eq!(read, String::from_utf8_lossy(text), "{text:02x?}");
    }
}

#[test]
fn text_keeps_bytes_that_are_no_utf8_and_json_replaces_them() {
    let raw = b"caf\xe9";
    assert_eq!(write(&Type::TEXT, raw), [Ok(raw.to_vec()), Ok("\"caf\u{fffd}\"".into())]);
    let array = array(&Type::TEXT, &[(1, 1)], &[value(raw)]);
    assert_eq!(write(&Type::TEXT_ARRAY, &array), [Ok(b"{caf\xe9}".to_vec()), Ok("[\"caf\u{fffd}\"]".into())]);
    assert_eq!(json(&Type::JSON, b"{\"caf\xe9\":\r\n1}").as_deref(), Ok("{\"caf\u{fffd}\":  1}"));
    assert!(json(&Type::JSON, b" \n").is_err(), "nothing is no JSON");
}

#[test]
fn a_piece_is_the_longest_that_fits_at_any_offset_and_in_any_number_of_bytes() {
    const QUOTES_BYTES: usize = 2;
    let utf8 = "ab\"é\n日\u{1f511}\u{1}\\c".as_bytes();
    let raw = [0x00, 0x1f, 0xab, 0xff];
    let bytea = Codec::of(&Type::BYTEA);
    let mut hex = Vec::new();
    bytea.write_text(&raw, &mut hex).unwrap();
    for (whole, text) in [(utf8, Text::of(utf8)), (&hex, bytea.text(&raw).unwrap()), (b"\\x", bytea.text(b"").unwrap())]
    {
        assert_eq!(text.len(), whole.len());
        let whole = std::str::from_utf8(whole).unwrap();
        for offset in (0..=whole.len()).filter(|&offset| whole.is_char_boundary(offset)) {
            assert_eq!(text.character_start(offset), offset);
            for bytes_max in 0..40 {
                let fits = |end: &usize| {
                    let mut json = Vec::new();
                    write_json_string(&whole[offset..*end], &mut json);
                    json.len() <= bytes_max + QUOTES_BYTES
                };
                let ends = (offset..=whole.len()).filter(|&end| whole.is_char_boundary(end));
                let longest = ends.filter(fits).max().unwrap();
                let piece = text.piece(offset, bytes_max);
                assert_eq!(String::from_utf8_lossy(&piece), whole[offset..longest], "{offset} in {bytes_max}");
            }
        }
    }
}

#[test]
fn an_offset_inside_a_character_belongs_to_its_first_byte() {
    let starts = |text: &'static [u8]| (0..=text.len()).map(|offset| Text::of(text).character_start(offset));
    for (text, wanted) in [
        ("aé日🔑b".as_bytes(), vec![0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11]),
        // Each maximal invalid part is a character: a lone continuation byte, the start of a longer character.
        (b"a\x80\x80b", vec![0, 1, 2, 3, 4]),
        (b"\xe2\x82x", vec![0, 0, 2, 3]),
    ] {
        assert_eq!(starts(text).collect::<Vec<_>>(), wanted, "{text:02x?}");
    }
}

#[test]
fn the_caller_writes_the_parts_that_only_the_server_can_write() {
    let mood = own("mood", Kind::Simple);
    let inner = record(&[(&Type::MONEY, &[7; 8]), (&Type::TEXT, b"x")]);
    let outer = record(&[(&Type::INT4, &[0, 0, 0, 1]), (&mood, b"ok"), (&Type::RECORD, &inner)]);
    let records = array(&Type::RECORD, &[(1, 1)], &[value(&outer)]);
    let moods = array(&mood, &[(2, 1)], &[value(b"ok"), value(b"sad")]);
    let part = |type_: &Type, value| Part { type_oid: type_.oid(), value };
    for (type_, raw, parts, wanted) in [
        (Type::RECORD, &outer, vec![part(&mood, &b"ok"[..]), part(&Type::MONEY, &[7; 8])], r#"(1,"0 ","(""1 "",x)")"#),
        (
            Type::RECORD_ARRAY,
            &records,
            vec![part(&mood, b"ok"), part(&Type::MONEY, &[7; 8])],
            r#"{"(1,\"0 \",\"(\"\"1 \"\",x)\")"}"#,
        ),
        (Type::ANYARRAY, &moods, vec![part(&mood, b"ok"), part(&mood, b"sad")], r#"{"0 ","1 "}"#),
    ] {
        let codec = Codec::of(&type_);
        assert!(codec.is_native() && codec.is_anonymous(), "{type_}");
        assert_eq!(codec.server_only_parts(raw).unwrap(), parts, "{type_}");
        let (mut out, mut written) = (Vec::new(), Vec::new());
        let result = codec.write_text_with(raw, &mut out, |part, out| {
            out.extend_from_slice(format!("{} ", written.len()).as_bytes());
            written.push((part.type_oid, part.value.to_vec()));
            Ok(())
        });
        assert_eq!(result, Ok(()));
        assert_eq!(written, parts.iter().map(|part| (part.type_oid, part.value.to_vec())).collect::<Vec<_>>());
        assert_eq!(String::from_utf8_lossy(&out), wanted, "{type_}");
        assert!(write(&type_, raw).iter().all(Result::is_err), "{type_}");
    }
}

#[test]
fn json_that_can_be_mistaken_is_known() {
    for (type_, raw, wanted) in [
        (Type::JSON, &b" null "[..], false),
        (Type::JSONB, b"\x01null", false),
        (Type::JSON, b"1e999", false),
        (Type::JSON, br#""\ud800""#, false),
        (Type::JSON, b"\"a\"", true),
        (Type::JSON, b"{\"a\": null}", true),
        (Type::TEXT, b"null", true),
    ] {
        let codec = Codec::of(&type_);
        let mut json = Vec::new();
        codec.write_json(raw, &mut json).unwrap();
        assert_eq!(codec.is_self_describing(raw, &json), wanted, "{type_} {}", String::from_utf8_lossy(raw));
    }
}
