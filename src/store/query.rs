//! SQL statements as text with bound values, for what is longer in diesel's builder.
//!
//! A statement is prepared once per text, so the number of texts must be small: values are always bound.

use diesel::{
    prelude::*,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{BigInt, Binary, Nullable, Text, Untyped},
    sqlite::Sqlite,
};
use std::{borrow::Cow, marker::PhantomData};

/// Lets types of the API be read from rows: their fields in the order of the columns, then those without a column. A field
/// of another type than its column has a conversion.
macro_rules! queryable {
    ($type:ident { $($field:ident: $kind:ty $(=> $converted:expr)?,)* } $($other:ident: $value:expr),*) => {
        impl<ST, DB: diesel::backend::Backend> diesel::Queryable<ST, DB> for $type
        where
            ($($kind,)*): diesel::deserialize::FromStaticSqlRow<ST, DB>,
        {
            type Row = ($($kind,)*);

            fn build(($($field,)*): Self::Row) -> diesel::deserialize::Result<Self> {
                $($(let $field = $converted;)?)*
                Ok($type { $($field,)* $($other: $value),* })
            }
        }
    };
}
pub(super) use queryable;

/// A bound value.
#[derive(Clone, Copy)]
pub(super) enum BindValue<'a> {
    Text(&'a str),
    MaybeText(Option<&'a str>),
    Int(i64),
    MaybeInt(Option<i64>),
    Bytes(&'a [u8]),
}

/// A statement whose rows have the columns `T`; each `?` takes the next value.
pub(super) struct SqlStatement<'a, T = Untyped> {
    sql: Cow<'static, str>,
    binds: Vec<BindValue<'a>>,
    columns: PhantomData<T>,
}

impl<'a, T> SqlStatement<'a, T> {
    pub(super) fn new(sql: impl Into<Cow<'static, str>>, binds: impl Into<Vec<BindValue<'a>>>) -> Self {
        let (sql, binds) = (sql.into(), binds.into());
        debug_assert_eq!(sql.matches('?').count(), binds.len(), "a value for each place: {sql}");
        SqlStatement { sql, binds, columns: PhantomData }
    }

    /// Returns SQLite's query plan, one step per line.
    #[cfg(test)]
    pub(super) fn plan(self, conn: &mut SqliteConnection) -> String {
        use diesel::sql_types::Integer;
        let explain = format!("EXPLAIN QUERY PLAN {}", self.sql);
        let steps = SqlStatement::<(Integer, Integer, Integer, Text)>::new(explain, self.binds);
        let steps: Vec<(i32, i32, i32, String)> = steps.load(conn).unwrap();
        steps.into_iter().map(|(.., step)| step).collect::<Vec<_>>().join("\n")
    }
}

impl<T> QueryId for SqlStatement<'_, T> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<T> Query for SqlStatement<'_, T> {
    type SqlType = T;
}

impl<T> RunQueryDsl<SqliteConnection> for SqlStatement<'_, T> {}

impl<T> QueryFragment<Sqlite> for SqlStatement<'_, T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let mut binds = self.binds.iter();
        for (at, piece) in self.sql.split('?').enumerate() {
            if at > 0 {
                match binds.next().expect("a value for each place") {
                    BindValue::Text(text) => out.push_bind_param::<Text, str>(text)?,
                    BindValue::MaybeText(text) => out.push_bind_param::<Nullable<Text>, _>(text)?,
                    BindValue::Int(number) => out.push_bind_param::<BigInt, _>(number)?,
                    BindValue::MaybeInt(number) => out.push_bind_param::<Nullable<BigInt>, _>(number)?,
                    BindValue::Bytes(bytes) => out.push_bind_param::<Binary, [u8]>(bytes)?,
                }
            }
            out.push_sql(piece);
        }
        Ok(())
    }
}
