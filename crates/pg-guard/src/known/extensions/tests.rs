use super::*;

#[test]
fn every_decision_is_about_a_function_of_the_list() {
    let decided: Vec<_> = reviewed::all().map(|(function, _)| function).collect();
    let distinct: HashSet<_> = decided.iter().copied().collect();
    assert_eq!(decided.len(), distinct.len(), "a function is decided twice");
    let name = |function: &'static str| function.split('(').next().unwrap_or(function);
    let gone: Vec<_> = decided.iter().filter(|(of, function)| !NAMES.contains(&(of, name(function)))).collect();
    assert_eq!(gone, Vec::<&(&str, &str)>::new(), "decisions about functions that no extension has");
    assert!(NAMES.len() > 2000, "{} functions", NAMES.len());
}

#[test]
fn a_function_is_judged_by_its_extension_and_its_overload() {
    let is_live = |extension, function, arguments| matches!(class(extension, function, arguments), Class::Live(_));
    assert_eq!(class("postgis", "st_area", "geometry"), Class::AsDeclared);
    assert_eq!(class("postgis", "st_no_such", "geometry"), Class::Unknown);
    assert_eq!(class("nobody", "st_area", "geometry"), Class::Unknown);
    assert_eq!(class("postgis_raster", "st_valuecount", "raster,int4,float8,float8"), Class::AsDeclared);
    assert!(is_live("postgis_raster", "st_valuecount", "text,text,int4,float8,float8"));
    assert!(is_live("postgis_raster", "st_mapalgebra", "raster,int4,text,text,float8"));
    assert!(is_live("pgrouting", "_pgr_dijkstra", "text,int8,int8"));
    assert!(is_live("pgrouting", "pgr_alphashape", "text,float8"));
    assert_eq!(class("pgrouting", "pgr_alphashape", "geometry,float8"), Class::Harmless);
    assert_eq!(class("isn", "isn_weak", ""), Class::AsDeclared);
    assert!(is_live("isn", "isn_weak", "bool"));
    assert!(matches!(class("pg_stat_statements", "pg_stat_statements", "bool"), Class::Secret(_)));
}
