//! A strict reader of the text format of Prometheus, version 0.0.4
//! (prometheus.io/docs/instrumenting/exposition_formats, and the page about naming).

use std::collections::{BTreeMap, BTreeSet};

/// One metric: the lines after one `# TYPE` line.
#[derive(Debug, PartialEq)]
pub struct Family {
    pub help: String,
    pub kind: String,
    /// The labels and the value of each sample, by name.
    pub samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

impl Family {
    /// The value of the sample with this name and exactly these labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let sample = self.samples.iter().find(|sample| sample.0 == name && sample.1 == labels);
        sample.map(|sample| sample.2)
    }

    /// The names of its labels.
    pub fn labels(&self) -> BTreeSet<&str> {
        self.samples
            .iter()
            .flat_map(|sample| sample.1.keys().map(String::as_str))
            .filter(|name| *name != "le")
            .collect()
    }
}

/// The metrics of a text, by name.
pub fn read(text: &str) -> BTreeMap<String, Family> {
    assert!(text.ends_with('\n'), "the last line has no end");
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current: Option<(String, String)> = None;
    let mut series = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or_else(|| panic!("no help: {line}"));
            assert!(is_name(name) && !families.contains_key(name), "a name a second time: {line}");
            current = Some((name.to_owned(), help.to_owned()));
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            let (helped, help) = current.clone().unwrap();
            assert_eq!(helped, name, "TYPE follows HELP");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(
                kind == "counter",
                name.ends_with("_total"),
                "a counter, and nothing else, ends in _total: {name}"
            );
            families.insert(name.to_owned(), Family { help, kind: kind.to_owned(), samples: Vec::new() });
        } else {
            let (name, labels, value) = sample(line);
            let (family_name, _) = current.as_ref().unwrap_or_else(|| panic!("a sample before its TYPE: {line}"));
            let family = families.get_mut(family_name).unwrap();
            let suffix =
                name.strip_prefix(family_name.as_str()).unwrap_or_else(|| panic!("not of {family_name}: {line}"));
            match (family.kind.as_str(), suffix) {
                ("counter" | "gauge", "") | ("histogram", "_sum" | "_count") => assert!(!labels.contains_key("le")),
                ("histogram", "_bucket") => assert!(labels.contains_key("le"), "{line}"),
                _ => panic!("no sample of a {}: {line}", family.kind),
            }
            assert!(family.kind == "gauge" || value >= 0.0, "{line}");
            assert!(series.insert((name.clone(), labels.clone())), "a series a second time: {line}");
            family.samples.push((name, labels, value));
        }
    }
    for (name, family) in &families {
        assert!(!family.samples.is_empty(), "nothing of {name}");
        if family.kind == "histogram" {
            check_histogram(name, family);
        }
    }
    families
}

/// In each series the buckets rise up to the bucket of all samples, which is the count.
fn check_histogram(name: &str, family: &Family) {
    let mut series: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>> = BTreeMap::new();
    for (sample, labels, value) in family.samples.iter().filter(|sample| sample.0.ends_with("_bucket")) {
        let mut labels = labels.clone();
        let le = labels.remove("le").unwrap();
        let le = if le == "+Inf" { f64::INFINITY } else { le.parse().unwrap() };
        assert!(sample.starts_with(name));
        series.entry(labels).or_default().push((le, *value));
    }
    for (labels, buckets) in series {
        assert!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{name} {labels:?}: {buckets:?}");
        let last = buckets.last().unwrap();
        let labels: Vec<_> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let count = family.value(&format!("{name}_count"), &labels);
        assert_eq!((last.0, Some(last.1)), (f64::INFINITY, count), "{name} {labels:?}");
        assert!(family.value(&format!("{name}_sum"), &labels).is_some(), "{name} {labels:?}");
    }
}

/// `name{label="value",…} value`.
fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("{line}"));
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
            assert!(is_name(label) && !label.contains(':') && !label.starts_with("__"), "{line}");
            let (value, after) = quoted(after);
            assert!(labels.insert(label.to_owned(), value).is_none(), "a label twice: {line}");
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        assert!(!labels.is_empty(), "{line}");
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("{line}"));
    let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
    assert!(value.is_finite(), "{line}");
    (name.to_owned(), labels, value)
}

/// The value of a label up to its closing quote, and the rest of the line.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match characters.next() {
                Some((_, 'n')) => '\n',
                Some((_, escaped @ ('\\' | '"'))) => escaped,
                other => panic!("no escape: {other:?}"),
            }),
            plain => value.push(plain),
        }
    }
    panic!("never closed: {text}")
}

fn is_name(name: &str) -> bool {
    let first = name.chars().next();
    first.is_some_and(|first| first.is_ascii_alphabetic() || first == '_' || first == ':')
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_' || character == ':')
}
