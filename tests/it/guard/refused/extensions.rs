//! Functions of extensions that run an SQL text or evaluate an expression, although they are not declared volatile.

use crate::guard::attack::Class::*;
use crate::guard::attack::Fact::*;
use crate::guard::attack::{Attack, moves};

pub const TABLE: &[Attack] = &[
    // pgRouting's functions run SQL that they get as text. The inner ones are declared IMMUTABLE.
    moves(SqlAsText, Locks, "select count(*) from _pgr_bridges('select 1 as id, 1 as source, 2 as target, 1.0::float8 as cost, 1.0::float8 as reverse_cost from pg_try_advisory_lock(31)')").of("pgrouting"),
    moves(SqlAsText, Locks, "select count(*) from _pgr_connectedcomponents('select 1 as id, 1 as source, 2 as target, 1.0::float8 as cost, 1.0::float8 as reverse_cost from pg_try_advisory_lock(32)')").of("pgrouting"),
    moves(SqlAsText, Locks, "select count(*) from _pgr_strongcomponents('select 1 as id, 1 as source, 2 as target, 1.0::float8 as cost, 1.0::float8 as reverse_cost from pg_try_advisory_lock(33)')").of("pgrouting"),
    moves(SqlAsText, Locks, "select count(*) from _pgr_edgecoloring('select 1 as id, 1 as source, 2 as target, 1.0::float8 as cost, 1.0::float8 as reverse_cost from pg_try_advisory_lock(34)')").of("pgrouting"),
    moves(SqlAsText, Locks, "select count(*) from _pgr_linegraph('select 1 as id, 1 as source, 2 as target, 1.0::float8 as cost, 1.0::float8 as reverse_cost from pg_try_advisory_lock(35)', true)").of("pgrouting"),
    moves(SqlAsText, Locks, "select count(*) from _pgr_isplanar('select 1 as id, 1 as source, 2 as target, 1.0::float8 as cost, 1.0::float8 as reverse_cost from pg_try_advisory_lock(36)')").of("pgrouting"),
    moves(SqlAsText, Locks, "select count(*) from _pgr_dijkstra('select 1 as id, 1 as source, 2 as target, 1.0::float8 as cost, 1.0::float8 as reverse_cost from pg_try_advisory_lock(37)', array[1], array[2])").of("pgrouting"),
    moves(SqlAsText, Locks, "select count(*) from pgr_dijkstra('select 1 as id, 1 as source, 2 as target, 1.0::float8 as cost, 1.0::float8 as reverse_cost from pg_try_advisory_lock(38)', 1, 2)").of("pgrouting"),
    moves(SqlAsText, Locks, "select count(*) from pgr_trspviaedges('select 1 as id, 1 as source, 2 as target, 1.0::float8 as cost, 1.0::float8 as reverse_cost from pg_try_advisory_lock(39)', array[1, 1], array[0.5, 0.6]::float8[], true, false)").of("pgrouting"),
    moves(Params, Locks, "select count(*) from _pgr_bridges($1)").of("pgrouting").with(&["select 1 as id, 1 as source, 2 as target, 1.0::float8 as cost, 1.0::float8 as reverse_cost from pg_try_advisory_lock(40)"]),
    moves(Params, Locks, "select count(*) from pgr_dijkstra($1, 1, 2)").of("pgrouting").with(&["select 1 as id, 1 as source, 2 as target, 1.0::float8 as cost, 1.0::float8 as reverse_cost from pg_try_advisory_lock(41)"]),
    // PostGIS writes the names of columns and tables into its SQL, with quotes that they can end.
    moves(SqlAsText, Locks, "select st_findextent('t', 'x\") as extent from (select null::geometry as x from pg_try_advisory_lock(42)) y --')").of("postgis"),
    moves(SqlAsText, Data, "select st_findextent('public', 't', 'x\") as extent from (select null::geometry as x where public.bump_of(1) > 0) y --')").of("postgis"),
    moves(Params, Locks, "select st_findextent('t', $1)").of("postgis").with(&["x\") as extent from (select null::geometry as x from pg_try_advisory_lock(43)) y --"]),
    moves(SqlAsText, Data, "select st_fromflatgeobuftotable('public', 'planted', '\\x6667620366676201')").of("postgis"),
    moves(SqlAsText, Locks, "select st_valuecount('rasters\" where pg_try_advisory_lock(44) --', 'rast')").of("postgis_raster"),
    moves(SqlAsText, Locks, "select st_valuepercent('rasters\" where pg_try_advisory_lock(45) --', 'rast')").of("postgis_raster"),
    moves(SqlAsText, Locks, "select _st_valuecount('rasters\" where pg_try_advisory_lock(46) --', 'rast', 1, true, null::float8[], 0)").of("postgis_raster"),
    // The tables of the standardizer are given as text: here one is a view that writes.
    moves(SqlAsText, Data, "select standardize_address('lexicon', 'us_gaz', 'us_rules', '1 Main St', 'Boston MA')").of("address_standardizer_data_us"),
    moves(SqlAsText, Data, "select standardize_address('lexicon', 'us_gaz', 'us_rules', '1 Main St, Boston MA')").of("address_standardizer_data_us"),
    moves(Params, Data, "select standardize_address($1, 'us_gaz', 'us_rules', '1 Main St, Boston MA')").of("address_standardizer_data_us").with(&["lexicon"]),
    // Map algebra evaluates an expression that is given as text, or calls a function that is given by number.
    moves(SqlAsText, Data, "select st_mapalgebra(st_addband(st_makeemptyraster(2, 2, 0, 0, 1), '8BUI'::text, 1, 0), '8BUI', 'bump_of([rast.val]::int)')").of("postgis_raster"),
    moves(SqlAsText, Locks, "select st_mapalgebra(rast, 1, '8BUI', '(select 1 from pg_try_advisory_lock(47))') from rasters").of("postgis_raster"),
    moves(SqlAsText, Data, "select st_mapalgebraexpr(rast, '8BUI', 'bump_of(1)') from rasters").of("postgis_raster"),
    moves(SqlAsText, Data, "select st_mapalgebra(a.rast, b.rast, 'bump_of([rast1.val]::int)') from rasters a, rasters b").of("postgis_raster"),
    moves(SqlAsText, Data, "select st_mapalgebraexpr(a.rast, b.rast, 'bump_of([rast1.val]::int)') from rasters a, rasters b").of("postgis_raster"),
    moves(SqlAsText, Data, "select _st_mapalgebra(array[row(rast, 1)::rastbandarg], 'bump_of(1)', '8BUI'::text, 'FIRST'::text, null::text, null::text, null::float8) from rasters").of("postgis_raster"),
    moves(SqlAsText, Data, "select st_mapalgebra(rast, 1, 'raster_value(float8[],int[],text[])'::regprocedure) from rasters").of("postgis_raster"),
    moves(SqlAsText, Data, "select st_mapalgebrafct(rast, 'raster_value_of_one(float8,int[],text[])'::regprocedure) from rasters").of("postgis_raster"),
    moves(Params, Data, "select st_mapalgebra(rast, 1, '8BUI', $1)::text from rasters").of("postgis_raster").with(&["bump_of([rast.val]::int)"]),
    moves(Params, Data, "select st_mapalgebraexpr(rast, 1, '8BUI', $1)::text from rasters").of("postgis_raster").with(&["bump_of(2)"]),
    moves(Params, Data, "select st_mapalgebra(rast, 1, $1::text::regprocedure)::text from rasters").of("postgis_raster").with(&["raster_value(float8[],int[],text[])"]),
];
