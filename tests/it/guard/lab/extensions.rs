//! The extensions that do not come with PostgreSQL, and what the laboratory has of them.

use tokio_postgres::Client;

use crate::guard::attack::Attack;

/// What is made for the attacks on an extension.
const OBJECTS: &[(&str, &str)] = &[
    (
        "address_standardizer_data_us",
        "create extension address_standardizer;
         create view lexicon as select bump_of(id) as id, seq, word, stdword, token from us_lex",
    ),
    (
        "postgis_raster",
        "create table rasters (rast raster);
         insert into rasters values (st_addband(st_makeemptyraster(2, 2, 0, 0, 1), '8BUI'::text, 1, 0));
         create function raster_value(float8[][][], int[][], variadic text[]) returns float8 language plpgsql volatile as
             'begin insert into public.log values (1); return 1; end';
         create function raster_value_of_one(float8, int[], variadic text[]) returns float8 language plpgsql volatile as
             'begin insert into public.log values (1); return 1; end'",
    ),
];

/// Creates the extensions that these attacks use, and returns those that the server has.
pub(super) async fn create(template: &Client, attacks: &[Attack]) -> Vec<&'static str> {
    let mut wanted: Vec<_> = attacks.iter().filter_map(|attack| attack.extension).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut created = Vec::new();
    for extension in wanted {
        match template.batch_execute(&format!("create extension if not exists \"{extension}\" cascade")).await {
            Ok(()) => created.push(extension),
            Err(error) => {
                let why = error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
                println!("the attacks on {extension} are skipped, because it cannot be created: {why}");
                continue;
            }
        }
        for (_, sql) in OBJECTS.iter().filter(|(of, _)| *of == extension) {
            template.batch_execute(sql).await.unwrap_or_else(|error| panic!("{extension}: {error:?}"));
        }
    }
    created
}
