//! Columns whose text only PostgreSQL knows: it is asked for it.
//!
//! A value that has a binary form comes in that form and goes back as it came, to be cast to text: whatever its
//! statement was. A type that has none (`aclitem`, some extensions' types) cannot come at all (manual, page CREATE
//! TYPE: a send function is optional), so its column is cast in the statement, as a subquery of ours.
//!
//! The values of an anonymous column (`record`, `record[]`, `anyarray`) name the types of their parts, and PostgreSQL
//! takes none of them back. So it is asked what those types are, and for the texts of the parts that only it can show.

use std::collections::BTreeMap;
use std::slice;

use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use pg_guard::{Statement, sql};
use pg_render::{Codec, Part};
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, Kind, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Column, Error, Row};

use super::cell::{RenderedCell, binary_value};
use crate::postgres::error::QueryError;
use crate::postgres::params;
use crate::postgres::prepared::Prepared;

/// Of these types, those that have no binary form, or one that PostgreSQL sends and does not take back: in themselves,
/// their elements, their fields, their bounds, or the types under their domains.
const UNSENDABLE: &str = include_str!("../catalog/unsendable.sql");

/// `sql` with the columns cast that could not be sent; `None` where there are none, or no cast can be put around it.
pub async fn cast(client: &Client, statement: &Statement, columns: &[Column]) -> Result<Option<String>, Error> {
    let server_columns: Vec<u32> =
        columns.iter().map(Column::type_).filter(|ty| !Codec::of(ty).is_native()).map(|ty| ty.oid()).collect();
    if server_columns.is_empty() || !statement.operation().is_a_query() {
        return Ok(None);
    }
    let rows = client.query_typed(UNSENDABLE, &[(&server_columns, Type::OID_ARRAY)]).await?;
    let unsendable = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<u32>, Error>>()?;
    if unsendable.is_empty() {
        return Ok(None);
    }
    let names: Vec<String> = (1..=columns.len()).map(|number| format!("c{number}")).collect();
    let selected = names
        .iter()
        .zip(columns)
        .map(|(name, column)| if unsendable.contains(&column.type_().oid()) { as_text(name) } else { name.clone() });
    // On a line of its own: a comment at its end would take the parenthesis with it.
    Ok(Some(format!(
        "SELECT {} FROM (\n{}\n) AS q ({})",
        selected.collect::<Vec<_>>().join(", "),
        sql::without_tail(statement.sql()),
        names.join(", ")
    )))
}

/// The text of a value as its type's output function gives it. A cast to text could be a function of a user's.
fn as_text(value: &str) -> String {
    format!("CASE WHEN pg_catalog.num_nulls({value}) OPERATOR(pg_catalog.=) 0 THEN pg_catalog.concat({value}) END")
}

/// What is said when the statement does not bear the cast: it writes, in a WITH.
pub fn no_cast(columns: &[Column]) -> QueryError {
    let server_columns = columns.iter().filter(|column| !Codec::of(column.type_()).is_native());
    let names: Vec<String> =
        server_columns.map(|column| format!("{} ({})", column.name(), params::name(column.type_()))).collect();
    QueryError::refused(format!(
        "PostgreSQL cannot send a column of this answer: {}. Cast it to text (column::text).",
        names.join(", ")
    ))
}

/// How the values of the `server_columns` of `rows` are shown, by column. What is not there is shown by its codec.
pub async fn texts(
    client: &Client,
    rows: &[Row],
    prepared: &Prepared,
    server_columns: &[usize],
) -> Result<Vec<Vec<(usize, RenderedCell)>>, Error> {
    let mut shown: Vec<_> = rows.iter().map(|_| Vec::with_capacity(server_columns.len())).collect();
    for &column in server_columns {
        if prepared.codecs[column].is_anonymous() {
            let mut named = Named::new(client, &prepared.codecs[column]);
            for (row, shown) in rows.iter().zip(&mut shown) {
                if let Some(raw) = binary_value(row, column) {
                    shown.extend(named.shown(raw).await?.map(|value| (column, value)));
                }
            }
            continue;
        }
        let cast = client.prepare_typed(AS_TEXT, &[prepared.types[column].clone()]).await?;
        let casts = rows.iter().map(|row| {
            let cast = &cast;
            async move {
                match binary_value(row, column) {
                    None => Ok(None),
                    Some(raw) => client.query_one(cast, &[&AsItCame(raw)]).await?.try_get(0),
                }
            }
        });
        // Joined, they are sent without waiting for each other: one round trip for all of them.
        for (shown, text) in shown.iter_mut().zip(try_join_all(casts).await?) {
            shown.push((column, RenderedCell::Text(text)));
        }
    }
    Ok(shown)
}

/// The text of a value of the type that `$1` is given, by its output function.
const AS_TEXT: &str = "SELECT pg_catalog.concat($1)";

/// How many parts of a value PostgreSQL is asked about at a time.
const PARTS_AT_ONCE: usize = 128;

/// The types that the values of an anonymous column have named so far.
struct Named<'a> {
    client: &'a Client,
    codec: &'a Codec,
    types: BTreeMap<u32, NamedType>,
}

struct NamedType {
    type_: Type,
    codec: Codec,
    cast: tokio_postgres::Statement,
}

impl<'a> Named<'a> {
    fn new(client: &'a Client, codec: &'a Codec) -> Self {
        Self { client, codec, types: BTreeMap::new() }
    }

    /// How a value is shown; `None` where its codec alone can show it, or where nothing can.
    async fn shown(&mut self, raw: &[u8]) -> Result<Option<RenderedCell>, Error> {
        // Bytes that are no value of their type are told of by whoever writes them.
        let parts = self.codec.server_only_parts(raw).unwrap_or_default();
        for Part { type_oid, .. } in &parts {
            if !self.types.contains_key(type_oid) {
                let named = self.ask(*type_oid).await?;
                self.types.insert(*type_oid, named);
            }
        }
        let Some(first) = parts.first() else { return Ok(None) };
        if let Some(codec) = self.codec.of_elements(&self.types[&first.type_oid].type_) {
            return Ok(Some(RenderedCell::By(codec)));
        }
        let casts = parts.iter().map(|part| async {
            let named = &self.types[&part.type_oid];
            match named.codec.is_native() {
                true => Ok(None),
                false => {
                    self.client.query_one(&named.cast, &[&AsItCame(part.value)]).await?.try_get::<_, Option<String>>(0)
                }
            }
        });
        // One value may have any number of parts.
        let texts: Vec<_> = stream::iter(casts).buffered(PARTS_AT_ONCE).try_collect().await?;
        let mut texts = texts.into_iter();
        let mut out = Vec::new();
        let written = self.codec.write_text_with(raw, &mut out, |part, out| match texts.next().flatten() {
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(())
            }
            None => self.types[&part.type_oid].codec.write_text(part.value, out),
        });
        // As above.
        Ok(written.ok().map(|()| RenderedCell::Text(Some(String::from_utf8_lossy(&out).into_owned()))))
    }

    /// What PostgreSQL says of the type with that OID: the driver asks for it as for any parameter's.
    async fn ask(&self, oid: u32) -> Result<NamedType, Error> {
        let unknown = |oid| Type::new(String::new(), oid, Kind::Simple, String::new());
        let mut cast = self.client.prepare_typed(AS_TEXT, &[unknown(oid)]).await?;
        let type_ = cast.params()[0].clone();
        let codec = Codec::of(&type_);
        if has_fields(&type_) {
            // As of a column with fields.
            self.client.clear_type_cache();
        }
        if let Kind::Domain(base) = type_.kind()
            && !codec.is_native()
        {
            // The same bytes, and no check of the domain runs.
            cast = self.client.prepare_typed(AS_TEXT, slice::from_ref(base)).await?;
        }
        Ok(NamedType { type_, codec, cast })
    }
}

/// Whether a composite type is in this one. The driver would remember its fields for as long as the connection lives,
/// and ALTER TABLE changes them.
pub fn has_fields(ty: &Type) -> bool {
    match ty.kind() {
        Kind::Composite(_) => true,
        Kind::Array(inner) | Kind::Domain(inner) | Kind::Range(inner) | Kind::Multirange(inner) => has_fields(inner),
        _ => false,
    }
}

/// A value in PostgreSQL's own binary form.
#[derive(Debug)]
struct AsItCame<'a>(&'a [u8]);

impl ToSql for AsItCame<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
