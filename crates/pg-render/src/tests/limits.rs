//! Malformed bytes, and the limits.

use super::*;

/// The random numbers of SplitMix64 (public domain, Sebastiano Vigna): the same in every run.
struct Generator(u64);

impl Generator {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

#[test]
fn malformed_bytes_are_an_error_or_a_value_and_never_a_panic() {
    const INPUTS_OF_EACH: usize = 40;
    let valid = valid();
    let built_in = (1..10_000).filter_map(Type::from_oid);
    let types: Vec<Type> = built_in.chain(valid.iter().map(|(type_, ..)| type_.clone())).collect();
    let mut generator = Generator(1);
    let mut inputs = 0;
    for type_ in &types {
        for length in 0..40 {
            for byte in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                survives(type_, &vec![byte; length]);
            }
        }
        for _ in 0..INPUTS_OF_EACH {
            let length = generator.below(64);
            let noise: Vec<u8> = (0..length).map(|_| generator.next() as u8).collect();
            survives(type_, &noise);
            // Counts and flags are small numbers: bytes like these are read further before they are refused.
            let small: Vec<u8> = (0..length).map(|_| [0, 0, 0, 1, 2, 4, 255][generator.below(7)]).collect();
            survives(type_, &small);
            inputs += 2;
        }
    }
    // Valid values of a type with a few bytes changed.
    for (type_, raw, _) in &valid {
        for _ in 0..10 * INPUTS_OF_EACH {
            let mut raw = raw.clone();
            for _ in 0..=generator.below(3) {
                match (generator.below(4), raw.len()) {
                    (0, _) | (_, 0) => raw.push(generator.next() as u8),
                    (1, length) => raw.truncate(generator.below(length)),
                    (_, length) => raw[generator.below(length)] = [0, 1, 0x7f, 0x80, 0xff, 0x22][generator.below(6)],
                }
            }
            survives(type_, &raw);
            inputs += 1;
        }
    }
    assert!(inputs >= 20_000, "{inputs} random inputs");
}

#[test]
fn a_forged_length_costs_an_error_and_no_memory() {
    let huge = i32::MAX;
    for (type_, raw) in [
        (Type::INT4_ARRAY, array(&Type::INT4, &[(huge, 1)], &[])),
        (Type::INT4_ARRAY, array(&Type::INT4, &[(huge, 1); 6], &[])),
        (Type::INT4_ARRAY, array(&Type::INT4, &[(1, 1); 7], &[value(&[0; 4])])),
        (Type::INT4_ARRAY, array(&Type::INT4, &[(huge, 1), (huge, 1), (huge, 1), (0, 1)], &[])),
        (Type::INT2_VECTOR, array(&Type::INT2, &[(huge, 0)], &[])),
        (Type::ANYARRAY, array(&Type::INT4, &[(huge, 1)], &[])),
        (Type::RECORD, huge.to_be_bytes().into()),
        (Type::VARBIT, huge.to_be_bytes().into()),
        (Type::POLYGON, huge.to_be_bytes().into()),
        (Type::TS_VECTOR, huge.to_be_bytes().into()),
        (Type::TSQUERY, huge.to_be_bytes().into()),
        (Type::PG_SNAPSHOT, huge.to_be_bytes().into()),
        (Type::INT4MULTI_RANGE, huge.to_be_bytes().into()),
        (own("hstore", Kind::Simple), huge.to_be_bytes().into()),
        (Type::NUMERIC, hex("ffff 7fff 0000 3fff")),
    ] {
        assert!(write(&type_, &raw).iter().all(Result::is_err), "{type_} {raw:02x?}");
    }
}

/// `depth` records, each inside the next one; with `in_arrays` every second level is an array of records.
fn nested(depth: usize, in_arrays: bool, innermost: &[u8]) -> (Type, Vec<u8>) {
    let mut inner = (Type::TEXT, innermost.to_vec());
    for level in 0..depth {
        inner = if in_arrays && level % 2 == 1 {
            (Type::RECORD_ARRAY, array(&Type::RECORD, &[(1, 1)], &[value(&inner.1)]))
        } else {
            (Type::RECORD, record(&[(&inner.0, &inner.1)]))
        };
    }
    inner
}

#[test]
fn values_nest_up_to_the_limit_and_no_deeper() {
    let too_deep = "values nest too deep";
    for in_arrays in [false, true] {
        for (depth, wanted) in [(1, Ok(())), (20, Ok(())), (NESTING_MAX + 1, Err(too_deep)), (1_000, Err(too_deep))] {
            let (type_, raw) = nested(depth, in_arrays, b"");
            let written = write(&type_, &raw).map(|written| written.map(|_| ()).map_err(|error| error.problem));
            assert_eq!(written, [wanted; 2], "{depth} levels, in arrays: {in_arrays}");
        }
    }
    // Complete records, more levels than any stack has room for: of each level the header, with the length of the rest.
    let levels = 100_000;
    let header = |level: i32| [hex("00000001 000008c9"), (12 * (levels - 1 - level)).to_be_bytes().to_vec()].concat();
    let raw = (0..levels).flat_map(header).collect::<Vec<u8>>();
    assert_eq!(text(&Type::RECORD, &raw).map_err(|error| error.problem), Err(too_deep));
    // Domains nest in the type and not in the value. (Dropping a `Type` is recursive: some 10,000 levels overflow the
    // stack.)
    let domains = |depth| (0..depth).fold(Type::INT4, |base, _| own("domain", Kind::Domain(base)));
    assert!(Codec::of(&domains(NESTING_MAX - 1)).is_native());
    assert!(!Codec::of(&domains(NESTING_MAX)).is_native());
    assert!(!Codec::of(&domains(1_000)).is_native());
}

#[test]
fn quotes_within_quotes_do_not_fill_the_memory() {
    assert_eq!(text(&Type::RECORD, &nested(2, false, b"\"").1).unwrap(), r#"("("""""""")")"#);
    // At the largest depth that is allowed there would be 2^64 quotes.
    let (type_, raw) = nested(NESTING_MAX, false, b"\"");
    let error = text(&type_, &raw).unwrap_err();
    assert_eq!(error, DecodeError { type_name: "nested", problem: "its text is too long once quoted" });
}

#[test]
fn a_type_of_too_many_parts_is_not_native() {
    // Each type contains the one before twice: 2^40 parts.
    let twice = |inner: Type, _| {
        own("twice", Kind::Composite(vec![Field::new("a".into(), inner.clone()), Field::new("b".into(), inner)]))
    };
    assert!(Codec::of(&(0..5).fold(Type::INT4, twice)).is_native());
    assert!(!Codec::of(&(0..40).fold(Type::INT4, twice)).is_native());
}

#[test]
fn a_tsquery_may_be_as_deep_as_a_text_is_long() {
    const WORDS: usize = 50_000;
    let not = [hex("0000c351"), hex("0201").repeat(WORDS), hex("010000 61 00")].concat();
    assert_eq!(text(&Type::TSQUERY, &not).unwrap(), format!("{}'a'", "!".repeat(WORDS)));
    let word = hex("010000 61 00");
    // First the left operand is the deep one, then the right one.
    let left = [hex("0001869f"), [hex("0202"), word.clone()].concat().repeat(WORDS - 1), word.clone()].concat();
    assert_eq!(text(&Type::TSQUERY, &left).unwrap(), vec!["'a'"; WORDS].join(" & "));
    let right = [hex("0001869f"), hex("0202").repeat(WORDS - 1), word.repeat(WORDS)].concat();
    assert_eq!(text(&Type::TSQUERY, &right).unwrap(), vec!["'a'"; WORDS].join(" & "));
}
