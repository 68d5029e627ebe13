use std::collections::HashSet;

use super::*;

const VERSIONS: std::ops::RangeInclusive<u32> = 14..=18;

#[test]
fn every_volatile_function_was_reviewed_and_every_decision_is_about_a_function() {
    let decided: Vec<_> = reviewed::all().map(|(function, _)| function).collect();
    let distinct: HashSet<_> = decided.iter().copied().collect();
    assert_eq!(decided.len(), distinct.len(), "a function is decided twice");
    let lines: Vec<_> = FUNCTIONS.lines().filter(|line| !line.starts_with('#')).map(fields).collect();
    let volatile = lines.iter().filter(|(_, _, is_volatile)| *is_volatile);
    let missing: Vec<_> = volatile.map(|(function, ..)| *function).filter(|name| !distinct.contains(name)).collect();
    assert_eq!(missing, Vec::<&str>::new(), "volatile functions that nobody has reviewed");
    let listed: HashSet<_> = lines.iter().map(|(function, ..)| *function).collect();
    let gone: Vec<_> = decided.iter().filter(|function| !listed.contains(*function)).collect();
    assert_eq!(gone, Vec::<&&str>::new(), "decisions about functions that no version has");
}

#[test]
fn a_function_is_judged_by_its_version_and_its_overload() {
    let live = |class| matches!(class, Class::Live(_));
    for version in VERSIONS {
        assert_eq!(class(version, "upper", None), Class::Harmless);
        assert_eq!(class(version, "timezone", None), Class::Harmless);
        assert_eq!(class(version, "ts_rewrite", Some("tsquery,tsquery,tsquery")), Class::Harmless);
        assert!(live(class(version, "ts_rewrite", Some("tsquery,text"))));
        assert!(live(class(version, "ts_rewrite", None)));
        assert!(live(class(version, "pg_sleep", Some("float8"))));
        assert!(matches!(class(version, "pg_stat_get_activity", Some("int4")), Class::Secret(_)));
        assert_eq!(class(version, "no_such_function", None), Class::Unknown);
    }
    assert_eq!(class(14, "random_normal", None), Class::Unknown);
    assert_eq!(class(16, "random_normal", None), Class::Harmless);
    assert_eq!(class(14, "uuidv7", Some("")), Class::Unknown);
    assert_eq!(class(18, "uuidv7", Some("")), Class::Harmless);
}
