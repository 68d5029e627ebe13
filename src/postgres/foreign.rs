//! Columns whose text only PostgreSQL knows: it is asked for it.
//!
//! A value that has a binary form comes in that form and goes back as it came, to be cast to text: whatever its
//! statement was. A type that has none (`aclitem`, some extensions' types) cannot come at all (manual, page CREATE
//! TYPE: a send function is optional), so its column is cast in the statement, as a subquery of ours.

use futures_util::future::try_join_all;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Column, Error, Row};

use super::encode::Codec;
use super::error::QueryError;
use super::page::wire;
use super::params;
use super::sql::{self, Operation};

/// Of these types, those that have no binary form, or one that PostgreSQL sends and does not take back: in themselves,
/// their elements, their fields, their bounds, or the types under their domains.
const UNSENDABLE: &str = "\
WITH RECURSIVE part (whole, oid) AS (\
  SELECT given, given FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS given \
  UNION SELECT part.whole, inner_.oid FROM part JOIN pg_catalog.pg_type t ON t.oid = part.oid CROSS JOIN LATERAL (\
    SELECT t.typelem UNION ALL SELECT t.typbasetype \
    UNION ALL SELECT atttypid FROM pg_catalog.pg_attribute \
      WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped \
    UNION ALL SELECT rngsubtype FROM pg_catalog.pg_range WHERE t.oid IN (rngtypid, rngmultitypid)\
  ) AS inner_ (oid) WHERE inner_.oid <> 0) \
SELECT DISTINCT part.whole FROM part JOIN pg_catalog.pg_type t ON t.oid = part.oid WHERE t.typsend = 0 \
  OR t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace AND t.typname IN ('pg_node_tree', 'anyarray', \
  'pg_ndistinct', 'pg_dependencies', 'pg_mcv_list', 'pg_brin_bloom_summary', 'pg_brin_minmax_multi_summary')";

/// `sql` with the columns cast that could not be sent; `None` where there are none, or no cast can be put around it.
pub(super) async fn cast(client: &Client, sql: &str, columns: &[Column]) -> Result<Option<String>, Error> {
    let foreign: Vec<u32> =
        columns.iter().map(Column::type_).filter(|ty| !Codec::of(ty).is_native()).map(|ty| ty.oid()).collect();
    if foreign.is_empty() || !Operation::of(sql).is_a_query() {
        return Ok(None);
    }
    let rows = client.query_typed(UNSENDABLE, &[(&foreign, Type::OID_ARRAY)]).await?;
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
        sql::without_tail(sql),
        names.join(", ")
    )))
}

/// The text of a value as its type's output function gives it. A cast to text could be a function of a user's.
fn as_text(value: &str) -> String {
    format!("CASE WHEN pg_catalog.num_nulls({value}) OPERATOR(pg_catalog.=) 0 THEN pg_catalog.concat({value}) END")
}

/// What is said when the statement does not bear the cast: it writes, in a WITH.
pub(super) fn no_cast(columns: &[Column]) -> QueryError {
    let foreign = columns.iter().filter(|column| !Codec::of(column.type_()).is_native());
    let names: Vec<String> =
        foreign.map(|column| format!("{} ({})", column.name(), params::name(column.type_()))).collect();
    QueryError::Refused {
        why: format!(
            "PostgreSQL cannot send a column of this answer: {}. Cast it to text (column::text).",
            names.join(", ")
        ),
    }
}

/// The texts of the `foreign` columns of `rows`, by column.
pub(super) async fn texts(
    client: &Client,
    rows: &[Row],
    types: &[Type],
    foreign: &[usize],
) -> Result<Vec<Vec<(usize, Option<String>)>>, Error> {
    let mut shown = vec![Vec::with_capacity(foreign.len()); rows.len()];
    for &column in foreign {
        let cast = client.prepare_typed("SELECT pg_catalog.concat($1)", &[types[column].clone()]).await?;
        let casts = rows.iter().map(|row| {
            let cast = &cast;
            async move {
                match wire(row, column) {
                    None => Ok(None),
                    Some(raw) => client.query_one(cast, &[&AsItCame(raw)]).await?.try_get(0),
                }
            }
        });
        // Joined, they are sent without waiting for each other: one round trip for all of them.
        for (row, text) in shown.iter_mut().zip(try_join_all(casts).await?) {
            row.push((column, text));
        }
    }
    Ok(shown)
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
