-- What the allowed statements read of PostGIS: places, ways, rasters.
create table places (id int primary key, name text, at geometry(Point, 4326), area geometry, spot geography(Point, 4326));
create index on places using gist (at);
create index on places using gist (spot);
insert into places
select n, 'place ' || n, st_setsrid(st_makepoint(n, n), 4326), st_buffer(st_makepoint(n, n), 1), st_makepoint(n, n)::geography
from generate_series(1, 20) n;
create table ways (id int primary key, way geometry);
insert into ways values (1, 'LINESTRING(0 0, 1 1, 2 2)'), (2, 'LINESTRING(0 2, 1 1, 2 0)');
create table rasters (id int primary key, rast raster);
insert into rasters values (1, st_setvalue(st_addband(st_makeemptyraster(2, 2, 0, 0, 1), '8BUI'::text, 1, 0), 1, 1, 1, 7));
create view near as select name from places where st_dwithin(at, st_setsrid(st_makepoint(1, 1), 4326), 2);
analyze;
