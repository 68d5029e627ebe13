//! The rule of each type, and the functions that write the text and the JSON of each rule.

use postgres_types::{Kind, Type};

use super::value_reader::fixed;
use super::{
    DecodeError, NESTING_MAX, Text, anonymous, datetime, float, geometry, hstore, interval, json, nested, network,
    numeric, scalar, tsquery, tsvector,
};

/// How many rules one codec may consist of. If each composite type contains the next one twice, a few dozen levels would
/// be billions of rules.
const RULES_MAX: usize = 4096;

/// How the values of a type are written. If a part of a type is `ServerOnly`, so is the whole type.
#[derive(Clone, Debug)]
pub(super) enum Rule {
    Bool,
    Char,
    /// The bytes are the text.
    Text,
    /// A byte, which is the format's version 1, then the text. With the type's name, for errors.
    Versioned(&'static str),
    Int2,
    Int4,
    Int8,
    /// oid, xid, cid.
    Unsigned4,
    Xid8,
    Tid,
    Float4,
    Float8,
    Numeric,
    Date,
    Time,
    TimeTz,
    Timestamp,
    TimestampTz,
    Interval,
    Uuid,
    Bytea,
    Bits,
    Inet,
    Cidr,
    MacAddr,
    MacAddr8,
    Point,
    Line,
    Lseg,
    Box,
    Path,
    Polygon,
    Circle,
    Json,
    Jsonb,
    TsVector,
    TsQuery,
    Lsn,
    Snapshot,
    Hstore,
    Void,
    /// int2vector and oidvector: arrays of one dimension, whose text has blanks.
    Vector(Box<Item>),
    Array(Box<Item>, Delimiter),
    /// Each value names the type of its elements. Columns of `pg_stats` have this type.
    AnyArray,
    Composite(Box<[Item]>),
    /// An anonymous record: each value names the types of its fields.
    Record,
    Range(Box<Rule>),
    Multirange(Box<Rule>),
    /// Only the server can write the values.
    ServerOnly,
}

/// A type inside another type, and the OID by which a value names it.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub oid: u32,
    pub rule: Rule,
}

/// The byte between the elements in the text of an array (`pg_type.typdelim`).
pub type Delimiter = u8;

impl Rule {
    pub fn of(type_: &Type) -> Rule {
        let mut budget = RULES_MAX;
        build(type_, NESTING_MAX, &mut budget)
    }

    /// The rule of an array with elements of this type.
    pub fn of_array(element: &Type) -> Rule {
        match Rule::of(element) {
            Rule::ServerOnly => Rule::ServerOnly,
            rule => Rule::Array(Box::new(Item { oid: element.oid(), rule }), delimiter(element)),
        }
    }

    /// Appends the text. `depth` is how many more levels may nest.
    pub fn text(&self, raw: &[u8], out: &mut Vec<u8>, depth: usize) -> Result<(), DecodeError> {
        match self {
            Rule::Bool => scalar::bool_text(raw, out),
            Rule::Char => scalar::char(raw, out),
            Rule::Text => {
                out.extend_from_slice(raw);
                Ok(())
            }
            Rule::Versioned(name) => {
                out.extend_from_slice(versioned(name, raw)?);
                Ok(())
            }
            Rule::Int2 => scalar::integer(i16::from_be_bytes(fixed("int2", raw)?), out),
            Rule::Int4 => scalar::integer(i32::from_be_bytes(fixed("int4", raw)?), out),
            Rule::Int8 => scalar::integer(i64::from_be_bytes(fixed("int8", raw)?), out),
            Rule::Unsigned4 => scalar::integer(u32::from_be_bytes(fixed("oid", raw)?), out),
            Rule::Xid8 => scalar::integer(u64::from_be_bytes(fixed("xid8", raw)?), out),
            Rule::Tid => scalar::tid(raw, out),
            Rule::Float4 => {
                float::write_f32(f32::from_be_bytes(fixed("float4", raw)?), out);
                Ok(())
            }
            Rule::Float8 => {
                float::write_f64(f64::from_be_bytes(fixed("float8", raw)?), out);
                Ok(())
            }
            Rule::Numeric => numeric::numeric(raw, out),
            Rule::Date => datetime::date(raw, out),
            Rule::Time => datetime::time(raw, out),
            Rule::TimeTz => datetime::timetz(raw, out),
            Rule::Timestamp => datetime::timestamp(raw, out, b""),
            Rule::TimestampTz => datetime::timestamp(raw, out, b"+00"),
            Rule::Interval => interval::interval(raw, out),
            Rule::Uuid => scalar::uuid(raw, out),
            Rule::Bytea => {
                out.extend_from_slice(b"\\x");
                scalar::hex(raw, out);
                Ok(())
            }
            Rule::Bits => scalar::bits(raw, out),
            Rule::Inet => network::inet("inet", raw, out, false),
            Rule::Cidr => network::inet("cidr", raw, out, true),
            Rule::MacAddr => network::macaddr::<6>("macaddr", raw, out),
            Rule::MacAddr8 => network::macaddr::<8>("macaddr8", raw, out),
            Rule::Point => geometry::point(raw, out),
            Rule::Line => geometry::line(raw, out),
            Rule::Lseg => geometry::lseg(raw, out),
            Rule::Box => geometry::box_(raw, out),
            Rule::Path => geometry::path(raw, out),
            Rule::Polygon => geometry::polygon(raw, out),
            Rule::Circle => geometry::circle(raw, out),
            Rule::Json => {
                out.extend_from_slice(raw);
                Ok(())
            }
            Rule::Jsonb => {
                out.extend_from_slice(versioned("jsonb", raw)?);
                Ok(())
            }
            Rule::TsVector => tsvector::tsvector(raw, out),
            Rule::TsQuery => tsquery::tsquery(raw, out),
            Rule::Lsn => scalar::lsn(raw, out),
            Rule::Snapshot => scalar::snapshot(raw, out),
            Rule::Hstore => hstore::hstore(raw, out),
            Rule::Void => fixed::<0>("void", raw).map(|_| ()),
            Rule::Vector(item) => nested::vector_text(item, raw, out, depth),
            Rule::Array(item, delimiter) => nested::array_text(item, *delimiter, raw, out, depth),
            Rule::AnyArray | Rule::Record => anonymous::text(self, raw, out, depth, &mut |_, _| Err(SERVER_ONLY)),
            Rule::Composite(items) => nested::composite_text(items, raw, out, depth),
            Rule::Range(bound) => nested::range_text(bound, raw, out, depth),
            Rule::Multirange(bound) => nested::multirange_text(bound, raw, out, depth),
            Rule::ServerOnly => Err(SERVER_ONLY),
        }
    }

    /// The text if it can borrow the bytes of the value.
    pub fn borrowed_text<'a>(&self, raw: &'a [u8]) -> Result<Option<Text<'a>>, DecodeError> {
        Ok(match self {
            Rule::Text | Rule::Json => Some(Text::of(raw)),
            Rule::Versioned(name) => Some(Text::of(versioned(name, raw)?)),
            Rule::Jsonb => Some(Text::of(versioned("jsonb", raw)?)),
            Rule::Bytea => Some(Text::hex(raw)),
            _ => None,
        })
    }

    /// Whether `written`, the JSON of `raw`, can be mistaken for no other value.
    pub fn is_self_describing(&self, raw: &[u8], written: &[u8]) -> bool {
        match self {
            Rule::Json => json::is_self_describing(raw, written),
            Rule::Jsonb => versioned("jsonb", raw).is_ok_and(|text| json::is_self_describing(text, written)),
            _ => true,
        }
    }

    /// Appends one JSON value. `depth` is how many more levels may nest.
    pub fn json(&self, raw: &[u8], out: &mut Vec<u8>, depth: usize) -> Result<(), DecodeError> {
        match self {
            Rule::Bool => {
                out.extend_from_slice(if scalar::bool(raw)? { b"true" } else { b"false" });
                Ok(())
            }
            Rule::Int2 | Rule::Int4 | Rule::Unsigned4 => self.text(raw, out, depth),
            Rule::Int8 => scalar::int8_json(raw, out),
            Rule::Float4 => {
                float::write_f32_json(f32::from_be_bytes(fixed("float4", raw)?), out);
                Ok(())
            }
            Rule::Float8 => {
                float::write_f64_json(f64::from_be_bytes(fixed("float8", raw)?), out);
                Ok(())
            }
            Rule::Text => {
                json::write_json_string(raw, out);
                Ok(())
            }
            Rule::Bytea => {
                out.extend_from_slice(b"\"\\\\x");
                scalar::hex(raw, out);
                out.push(b'"');
                Ok(())
            }
            Rule::Json => json::embed("json", raw, out),
            Rule::Jsonb => json::embed("jsonb", versioned("jsonb", raw)?, out),
            Rule::Vector(item) => nested::array_json(item, raw, out, depth, None),
            Rule::Array(item, delimiter) => nested::array_json(item, raw, out, depth, Some(*delimiter)),
            Rule::AnyArray => {
                let (item, delimiter) = anonymous::item(raw)?;
                nested::array_json(&item, raw, out, depth, Some(delimiter))
            }
            _ => {
                out.push(b'"');
                let start = out.len();
                self.text(raw, out, depth)?;
                json::escape_tail(out, start);
                out.push(b'"');
                Ok(())
            }
        }
    }
}

const SERVER_ONLY: DecodeError =
    DecodeError { type_name: "server-only", problem: "only the server can show values of this type" };

fn versioned<'a>(type_name: &'static str, raw: &'a [u8]) -> Result<&'a [u8], DecodeError> {
    match raw.split_first() {
        Some((1, text)) => Ok(text),
        _ => Err(DecodeError { type_name, problem: "its format is not version 1" }),
    }
}

/// The rule of a type, of at most `depth` levels and `budget` rules.
fn build(type_: &Type, depth: usize, budget: &mut usize) -> Rule {
    if depth == 0 || *budget == 0 {
        return Rule::ServerOnly;
    }
    *budget -= 1;
    let mut inner = |type_: &Type| match build(type_, depth - 1, budget) {
        Rule::ServerOnly => None,
        rule => Some(rule),
    };
    let nested = match type_.kind() {
        Kind::Simple | Kind::Pseudo => Some(simple(type_)),
        Kind::Enum(_) => Some(Rule::Text),
        // A value of a domain is a value of its base type.
        Kind::Domain(base) => inner(base),
        Kind::Array(element) => inner(element).map(|rule| {
            let item = Box::new(Item { oid: element.oid(), rule });
            match *type_ {
                Type::INT2_VECTOR | Type::OID_VECTOR => Rule::Vector(item),
                _ => Rule::Array(item, delimiter(element)),
            }
        }),
        Kind::Range(bound) => inner(bound).map(|rule| Rule::Range(Box::new(rule))),
        Kind::Multirange(bound) => inner(bound).map(|rule| Rule::Multirange(Box::new(rule))),
        Kind::Composite(fields) => fields
            .iter()
            .map(|field| inner(field.type_()).map(|rule| Item { oid: field.type_().oid(), rule }))
            .collect::<Option<Box<[Item]>>>()
            .map(Rule::Composite),
        #[allow(unreachable_patterns, reason = "`Kind` is non-exhaustive")]
        _ => None,
    };
    nested.unwrap_or(Rule::ServerOnly)
}

/// The delimiter between elements of this type in the text of an array (`pg_type.typdelim`): a semicolon for `box`, its
/// arrays and the domains over these, a comma for all others.
pub fn delimiter(element: &Type) -> Delimiter {
    match element.kind() {
        Kind::Domain(inner) | Kind::Array(inner) => delimiter(inner),
        _ if *element == Type::BOX => b';',
        _ => b',',
    }
}

fn simple(type_: &Type) -> Rule {
    match *type_ {
        Type::BOOL => Rule::Bool,
        Type::CHAR => Rule::Char,
        Type::NAME | Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::UNKNOWN => Rule::Text,
        // The server sends a pg_node_tree as text, but accepts none as input.
        Type::XML | Type::REFCURSOR | Type::CSTRING | Type::PG_NODE_TREE => Rule::Text,
        Type::INT2 => Rule::Int2,
        Type::INT4 => Rule::Int4,
        Type::INT8 => Rule::Int8,
        Type::OID | Type::XID | Type::CID => Rule::Unsigned4,
        Type::XID8 => Rule::Xid8,
        Type::TID => Rule::Tid,
        Type::FLOAT4 => Rule::Float4,
        Type::FLOAT8 => Rule::Float8,
        Type::NUMERIC => Rule::Numeric,
        Type::DATE => Rule::Date,
        Type::TIME => Rule::Time,
        Type::TIMETZ => Rule::TimeTz,
        Type::TIMESTAMP => Rule::Timestamp,
        Type::TIMESTAMPTZ => Rule::TimestampTz,
        Type::INTERVAL => Rule::Interval,
        Type::UUID => Rule::Uuid,
        Type::BYTEA => Rule::Bytea,
        Type::BIT | Type::VARBIT => Rule::Bits,
        Type::INET => Rule::Inet,
        Type::CIDR => Rule::Cidr,
        Type::MACADDR => Rule::MacAddr,
        Type::MACADDR8 => Rule::MacAddr8,
        Type::POINT => Rule::Point,
        Type::LINE => Rule::Line,
        Type::LSEG => Rule::Lseg,
        Type::BOX => Rule::Box,
        Type::PATH => Rule::Path,
        Type::POLYGON => Rule::Polygon,
        Type::CIRCLE => Rule::Circle,
        Type::JSON => Rule::Json,
        Type::JSONB => Rule::Jsonb,
        Type::JSONPATH => Rule::Versioned("jsonpath"),
        Type::TS_VECTOR => Rule::TsVector,
        Type::TSQUERY => Rule::TsQuery,
        Type::PG_LSN => Rule::Lsn,
        Type::PG_SNAPSHOT | Type::TXID_SNAPSHOT => Rule::Snapshot,
        Type::RECORD => Rule::Record,
        // These two are pseudo-types: postgres-types knows no element type of them.
        Type::RECORD_ARRAY => Rule::Array(Box::new(Item { oid: Type::RECORD.oid(), rule: Rule::Record }), b','),
        Type::ANYARRAY => Rule::AnyArray,
        Type::VOID => Rule::Void,
        // Built in, but the text is a name in a catalog (regclass), depends on a locale (money), or is in a format that
        // only the server reads (pg_mcv_list).
        _ if Type::from_oid(type_.oid()).is_some() => Rule::ServerOnly,
        // The types of an extension have other OIDs in each database, and can be in any schema.
        _ => match type_.name() {
            "citext" => Rule::Text,
            "hstore" => Rule::Hstore,
            "ltree" => Rule::Versioned("ltree"),
            "lquery" => Rule::Versioned("lquery"),
            "ltxtquery" => Rule::Versioned("ltxtquery"),
            _ => Rule::ServerOnly,
        },
    }
}
