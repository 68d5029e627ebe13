//! What runs although the statement does not name it, or names it otherwise than by a call.

use crate::guard::attack::Class::*;
use crate::guard::attack::Fact::*;
use crate::guard::attack::{Attack, moves};

pub const TABLE: &[Attack] = &[
    // A cast between PostgreSQL's own types, of anything but a text literal.
    moves(Hidden, Data, "select (1 = 1)::bytea"),
    moves(Hidden, Data, "select true::bytea"),
    moves(Hidden, Data, "select cast(id = 1 as bytea) from t"),
    moves(Hidden, Data, "select b::bytea from (select true) s (b)"),
    moves(Hidden, Data, "select (select true)::bytea"),
    moves(Hidden, Data, "select array[true, false]::bytea[]"),
    // The negator of an operator.
    moves(Hidden, Data, "select count(*) from t where not (id =-= 1)"),
    moves(Hidden, Data, "select not (id =-= 1) from t"),
    moves(Hidden, Data, "select case when not (id =-= 1) then 1 end from t"),
    moves(Hidden, Data, "select count(*) filter (where not (id =-= 1)) from t"),
    moves(Hidden, Data, "select 1 from t a join t b on not (a.id =-= b.id)"),
    // A domain written as a function, and as a column.
    moves(Hidden, Data, "select checked(id) from t"),
    moves(Hidden, Data, "select checked('5')"),
    moves(Hidden, Data, "select public.checked(5)"),
    moves(Hidden, Data, "select (id).checked from t"),
    moves(Hidden, Data, "select ('5').checked"),
    moves(Hidden, Data, "select 1 from t order by checked(id)"),
    // A function written as a column, where another relation has a column of the name.
    moves(Hidden, Data, "select (t).bump_as_column from t, namesake"),
    moves(Hidden, Data, "select (o).bump_as_column from t o, namesake"),
    moves(Hidden, Data, "select o.bump_as_column from t o, namesake"),
    moves(Hidden, Data, "select (x.o).bump_as_column from (select o from t o) x, namesake"),
    moves(Hidden, Data, "select (array_agg(o))[1].bump_as_column from t o, namesake n group by n"),
    moves(Hidden, Data, "select (select o.bump_as_column) from t o, namesake"),
    // The same where rows of two sorts have one name, and where the column has another name.
    moves(Hidden, Data, "select (select namesake.bump_as_column from hidden.namesake) from namesake"),
    moves(Hidden, Data, "select n.bump_as_column from namesake as n (x)"),
    moves(Hidden, Data, "select (select n.bump_as_column from (select 1 as one) n) from namesake n"),
    moves(Hidden, Data, "select (select namesake.bump_as_column from namesake(1)) from namesake"),
    moves(Hidden, Data, "with n as (select id from t) select n.bump_as_column, (select count(*) from namesake) from n"),
    // Functions in indexes, which the planner folds; those of partitions and children too.
    moves(Hidden, Data, "select n from folded"),
    moves(Hidden, Data, "explain select n from folded where m = 1"),
    moves(Hidden, Data, "select count(*) from folded f join t on t.id = f.n"),
    moves(Hidden, Data, "select (select max(n) from folded)"),
    moves(Hidden, Data, "with q as (select * from folded) select * from q"),
    moves(Hidden, Data, "select n from halved where n > 5"),
    moves(Hidden, Data, "select n from parted"),
    moves(Hidden, Data, "select n from inherited"),
    // Operator classes of indexes, of PostgreSQL's own types.
    moves(Hidden, Data, "select n from classed where n = 5"),
    moves(Hidden, Data, "select n from classed where n between 3 and 5"),
    moves(Hidden, Data, "select count(*) from classed where n in (1, 2, 3)"),
    moves(Hidden, Data, "select (select n from classed where n = t.id) from t"),
    moves(Hidden, Data, "select 1 from t where id in (select n from classed where n = 2)"),
    // What measures a range while a query is planned.
    moves(Hidden, Data, "select count(*) from ranges where r && noisy_range(3, 9)"),
    moves(Hidden, Data, "explain select * from ranges where r && '[3,9)'"),
    // A text that is longer than what is read of it, and one that is read otherwise.
    moves(SqlAsText, Data, "select long_text()"),
    moves(SqlAsText, Data, "select * from long_text() f (n)"),
    moves(SqlAsText, Data, "select other_strings()"),
    moves(SqlAsText, Data, "select x from other_strings_view"),
    moves(SqlAsText, Data, "select count(*) from t where other_strings() <> 'x'"),
];
