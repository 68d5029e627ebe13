//! Columns whose text only PostgreSQL can produce: it is asked for it.
//!
//! A value with a binary form is received in that form and sent back unchanged, to be cast to text, whatever its
//! statement was. A type without one (`aclitem`, types of some extensions) cannot be received at all (manual, page
//! CREATE TYPE: a send function is optional), so its column is cast in the statement, which becomes a subquery.
//!
//! The values of an anonymous column (`record`, `record[]`, `anyarray`) name the types of their parts, and PostgreSQL
//! accepts none of these values back. So it is asked for those types, and for the texts of the parts that only it can
//! render.

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
use crate::postgres::error::{QueryError, is_about_the_question};
use crate::postgres::params;
use crate::postgres::prepared::Prepared;

/// Selects from the given types those without a binary form, or with one that PostgreSQL does not accept back: the type
/// itself, its elements, its fields, its bounds, or the type under its domain.
const UNSENDABLE: &str = include_str!("../catalog/unsendable.sql");

/// The statement with a cast on each column that could not be sent; `None` if there is none, or if no cast is possible.
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
    // On its own lines: a comment at the end of the statement would include the parenthesis.
    Ok(Some(format!(
        "SELECT {} FROM (\n{}\n) AS q ({})",
        selected.collect::<Vec<_>>().join(", "),
        sql::without_tail(statement.sql()),
        names.join(", ")
    )))
}

/// SQL for the text of a value by the output function of its type. A cast to text could call a user's function.
fn as_text(value: &str) -> String {
    format!("CASE WHEN pg_catalog.num_nulls({value}) OPERATOR(pg_catalog.=) 0 THEN pg_catalog.concat({value}) END")
}

/// The error of [`cast`] or [`texts`] if the server cannot answer what this server asks, and not the statement is wrong.
pub fn unanswered(error: &Error) -> Option<QueryError> {
    let db = error.as_db_error().filter(|db| is_about_the_question(db.code()))?;
    Some(QueryError::refused(format!(
        "This server cannot be asked for the text of a value that only it can write ({} {}). Cast that column to text \
         (column::text).",
        db.code().code(),
        db.message()
    )))
}

/// The refusal for a statement that cannot be cast: it writes in a WITH.
pub fn no_cast(columns: &[Column]) -> QueryError {
    let server_columns = columns.iter().filter(|column| !Codec::of(column.type_()).is_native());
    let names: Vec<String> =
        server_columns.map(|column| format!("{} ({})", column.name(), params::name(column.type_()))).collect();
    QueryError::refused(format!(
        "PostgreSQL cannot send a column of this answer: {}. Cast it to text (column::text).",
        names.join(", ")
    ))
}

/// How the values of the `server_columns` of each row are shown, by column. A value that is not listed is shown by its
/// codec.
pub async fn texts(
    client: &Client,
    rows: &[Row],
    prepared: &Prepared,
    server_columns: &[usize],
) -> Result<Vec<Vec<(usize, RenderedCell)>>, Error> {
    let mut rendered: Vec<_> = rows.iter().map(|_| Vec::with_capacity(server_columns.len())).collect();
    for &column in server_columns {
        if prepared.codecs[column].is_anonymous() {
            let mut named = NamedTypes::new(client, &prepared.codecs[column]);
            for (row, rendered) in rows.iter().zip(&mut rendered) {
                if let Some(raw) = binary_value(row, column) {
                    rendered.extend(named.rendered(raw).await?.map(|value| (column, value)));
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
                    Some(raw) => client.query_one(cast, &[&BinaryParameter(raw)]).await?.try_get(0),
                }
            }
        });
        // Joined, they are sent without waiting for each other: all of them cost one round trip.
        for (rendered, text) in rendered.iter_mut().zip(try_join_all(casts).await?) {
            rendered.push((column, RenderedCell::Text(text)));
        }
    }
    Ok(rendered)
}

/// SQL for the text of the value `$1`, by the output function of its type.
const AS_TEXT: &str = "SELECT pg_catalog.concat($1)";

/// How many parts of a value are sent to PostgreSQL at a time.
const PARTS_AT_ONCE: usize = 128;

/// The types that the values of an anonymous column have named so far, by OID.
struct NamedTypes<'a> {
    client: &'a Client,
    codec: &'a Codec,
    types: BTreeMap<u32, NamedType>,
}

struct NamedType {
    type_: Type,
    codec: Codec,
    cast: tokio_postgres::Statement,
}

impl<'a> NamedTypes<'a> {
    fn new(client: &'a Client, codec: &'a Codec) -> Self {
        Self { client, codec, types: BTreeMap::new() }
    }

    /// How a value is shown; `None` if its codec can show it, or if it cannot be shown.
    async fn rendered(&mut self, raw: &[u8]) -> Result<Option<RenderedCell>, Error> {
        // Invalid bytes are reported later, by the code that writes the value.
        let parts = self.codec.server_only_parts(raw).unwrap_or_default();
        for Part { type_oid, .. } in &parts {
            if !self.types.contains_key(type_oid) {
                let named = self.look_up(*type_oid).await?;
                self.types.insert(*type_oid, named);
            }
        }
        let Some(first) = parts.first() else { return Ok(None) };
        if let Some(codec) = self.codec.of_elements(&self.types[&first.type_oid].type_) {
            return Ok(Some(RenderedCell::Codec(codec)));
        }
        let casts = parts.iter().map(|part| async {
            let named = &self.types[&part.type_oid];
            match named.codec.is_native() {
                true => Ok(None),
                false => self
                    .client
                    .query_one(&named.cast, &[&BinaryParameter(part.value)])
                    .await?
                    .try_get::<_, Option<String>>(0),
            }
        });
        // A value may have any number of parts.
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
        // Invalid bytes: as above.
        Ok(written.ok().map(|()| RenderedCell::Text(Some(String::from_utf8_lossy(&out).into_owned()))))
    }

    /// Asks PostgreSQL for the type with that OID: the driver does so for the type of any parameter.
    async fn look_up(&self, oid: u32) -> Result<NamedType, Error> {
        let unknown = |oid| Type::new(String::new(), oid, Kind::Simple, String::new());
        let mut cast = self.client.prepare_typed(AS_TEXT, &[unknown(oid)]).await?;
        let type_ = cast.params()[0].clone();
        let codec = Codec::of(&type_);
        if has_fields(&type_) {
            // The same as for a column with fields.
            self.client.clear_type_cache();
        }
        if let Kind::Domain(base) = type_.kind()
            && !codec.is_native()
        {
            // The base type has the same bytes, and no check of the domain runs.
            cast = self.client.prepare_typed(AS_TEXT, slice::from_ref(base)).await?;
        }
        Ok(NamedType { type_, codec, cast })
    }
}

/// Whether this type contains a composite type. The driver would remember its fields as long as the connection lives,
/// and ALTER TABLE changes them.
pub fn has_fields(ty: &Type) -> bool {
    match ty.kind() {
        Kind::Composite(_) => true,
        Kind::Array(inner) | Kind::Domain(inner) | Kind::Range(inner) | Kind::Multirange(inner) => has_fields(inner),
        _ => false,
    }
}

/// A parameter in PostgreSQL's own binary form.
#[derive(Debug)]
struct BinaryParameter<'a>(&'a [u8]);

impl ToSql for BinaryParameter<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
