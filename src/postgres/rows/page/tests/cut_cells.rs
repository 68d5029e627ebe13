//! Cells that are not shown whole.

use super::*;

fn limit(bytes_max: usize) -> Limits {
    Limits { rows_max: 1000, bytes_max }
}

/// The strings of a page's first row.
fn strings(page: &FinishedPage) -> Vec<String> {
    let mut rows: Vec<Vec<String>> = serde_json::from_str(&format!("[{}]", page.json)).unwrap();
    rows.remove(0)
}

/// A page with one cell of type `ty`, read from `cell_offset`.
async fn cell(ty: &Type, raw: &[u8], bytes_max: usize, cell_offset: usize) -> FinishedPage {
    let (statement, rows) = answered(&[("c", ty.clone())], &[vec![Some(raw.to_vec())]]).await;
    let mut page = page_from(&statement, Format::Json, limit(bytes_max), cell_offset);
    page.push(&rows[0], &[]).unwrap();
    page.finish()
}

/// The pieces of that cell up to its end, each read from the end of the one before.
async fn read_on(ty: &Type, raw: &[u8], bytes_max: usize) -> String {
    let (statement, rows) = answered(&[("c", ty.clone())], &[vec![Some(raw.to_vec())]]).await;
    let mut whole = String::new();
    let mut offset = 0;
    loop {
        let mut page = page_from(&statement, Format::Json, limit(bytes_max), offset);
        page.push(&rows[0], &[]).unwrap();
        let page = page.finish();
        assert!(page.json.len() <= bytes_max, "{} bytes of {bytes_max}", page.json.len());
        let [cut] = page.cut_cells[..] else { panic!("at {offset}: {page:?}") };
        assert_eq!((cut.row, cut.column, cut.offset), (0, 0, offset));
        assert_eq!(page.is_truncated(), !cut.is_last_piece());
        whole.push_str(&strings(&page)[0]);
        if cut.is_last_piece() {
            return whole;
        }
        assert!(cut.bytes > 0, "it goes on at {offset}");
        offset = cut.end();
    }
}

#[tokio::test]
async fn a_first_row_past_the_limit_is_cut_so_that_it_fits_and_shows_the_same_piece_in_each_format() {
    let columns = [("n", Type::INT4), ("doc", Type::TEXT), ("none", Type::TEXT)];
    let long = format!("a|b{}", "x".repeat(997));
    let piece = format!("a|b{}", "x".repeat(86));
    for (format, expected) in [
        (Format::Table, format!("n | doc | none\n--------------\n1 | {piece}… | NULL\n")),
        (Format::Json, format!("{{\"columns\":[\"n\",\"doc\",\"none\"],\"rows\":[[1,\"{piece}\",null]]}}\n")),
        (Format::Csv, format!("n,doc,none\r\n1,{piece},\r\n")),
        (
            Format::Markdown,
            format!("| n | doc | none |\n|---|---|---|\n| 1 | {}… | NULL |\n", piece.replace('|', "\\|")),
        ),
    ] {
        let page = page(format, limit(100), &columns, &[vec![int(1), text(&long), None]]).await;
        assert_eq!(page.whole_text(), expected, "{format:?}");
        assert_eq!(page.json, format!("[1,\"{piece}\",null]"), "{format:?}");
        assert_eq!(page.json.len(), 100, "it takes all the room there is");
        assert_eq!(page.cut_cells, [CutCell { row: 0, column: 1, offset: 0, bytes: 89, length: 1000 }]);
        assert_eq!((page.rows, page.cut, page.is_truncated()), (1, None, true));
    }
}

#[tokio::test]
async fn short_cells_stay_whole_and_long_ones_have_equal_shares_of_the_rest() {
    for (lengths, bytes_max, expected) in [
        (&[3, 500, 500, 10, 100][..], 346, &[3, 108, 108, 10, 100][..]),
        (&[3, 500, 500, 10, 105], 346, &[3, 106, 106, 10, 105]),
        (&[3, 500, 500, 10, 106], 346, &[3, 105, 105, 10, 105]),
        (&[0, 1000], 1005, &[0, 998]),
        (&[0, 1000], 1007, &[0, 1000]),
        (&[1000, 1_000_000, 0], 1004, &[497, 497, 0]),
        (&[400, 600], 1006, &[400, 599]),
        (&[600, 400], 1006, &[599, 400]),
        (&[500; 20], 2021, &[98; 20]),
        // Not less than the minimum of a cell.
        (&[500; 20], 100, &[38; 20]),
    ] {
        let columns = vec![("c", Type::TEXT); lengths.len()];
        let row = lengths.iter().map(|length| text(&"x".repeat(*length))).collect();
        let page = page(Format::Table, limit(bytes_max), &columns, &[row]).await;
        let shown: Vec<usize> = strings(&page).iter().map(String::len).collect();
        assert_eq!(shown, expected, "{lengths:?} in {bytes_max}");
        let cut: Vec<_> = page.cut_cells.iter().map(|cell| (cell.column, cell.bytes, cell.length)).collect();
        let columns = (0..lengths.len()).filter(|&column| shown[column] < lengths[column]);
        assert_eq!(cut, columns.map(|column| (column, shown[column], lengths[column])).collect::<Vec<_>>());
        let least = lengths.len() * (CELL_BYTES_MIN + 1) + 1;
        assert!(page.json.len() <= bytes_max.max(least), "{lengths:?} in {bytes_max}: {}", page.json.len());
    }
}

#[tokio::test]
async fn a_long_text_is_read_to_its_end_piece_by_piece_whatever_characters_it_has() {
    for unit in ["x", "\n", "\"\\", "\u{1}", "\u{7f}é", "日本", "\u{1f511}", "a\u{1f511}é\t\u{0}日"] {
        let whole = unit.repeat(300);
        for bytes_max in 42..60 {
            assert_eq!(read_on(&Type::TEXT, whole.as_bytes(), bytes_max).await, whole, "{unit:?} in {bytes_max}");
        }
    }
}

#[tokio::test]
async fn a_value_of_any_type_is_read_on_in_the_text_that_postgresql_shows() {
    let array = |ty: Type, count: i32, element: &[u8]| {
        let mut raw = [1, 0, ty.oid() as i32, count, 1].map(i32::to_be_bytes).concat();
        for _ in 0..count {
            raw.extend_from_slice(&(element.len() as i32).to_be_bytes());
            raw.extend_from_slice(element);
        }
        raw
    };
    let json = format!("{{\"a\": \"{}\", \"b\":\n [1, 2]}}", "é".repeat(100));
    for (ty, raw) in [
        (Type::JSON, json.as_bytes().to_vec()),
        (Type::JSONB, [b"\x01", json.as_bytes()].concat()),
        (Type::JSONPATH, [&b"\x01"[..], "$.\"a\"".repeat(50).as_bytes()].concat()),
        (Type::BYTEA, (0..=255).collect()),
        (Type::INT4_ARRAY, array(Type::INT4, 100, &7_i32.to_be_bytes())),
        (Type::TEXT_ARRAY, array(Type::TEXT, 40, "say \"é\"".as_bytes())),
        (Type::JSONB_ARRAY, array(Type::JSONB, 20, b"\x01{\"a\": 1}")),
        (Type::VARBIT, [&800_i32.to_be_bytes()[..], &[0b1010_0101; 100]].concat()),
        // A database in SQL_ASCII: half a character, a byte that belongs to none, and one that UTF-8 never has.
        (Type::TEXT, b"abc\xc3\xe6\x97\xff\x80\xf0\x9f\x94".repeat(20)),
    ] {
        let mut shown = Vec::new();
        Codec::of(&ty).write_text(&raw, &mut shown).unwrap();
        for bytes_max in [42, 43, 44, 45, 60, 100] {
            assert_eq!(read_on(&ty, &raw, bytes_max).await, String::from_utf8_lossy(&shown), "{ty} in {bytes_max}");
        }
    }
}

#[tokio::test]
async fn an_offset_inside_of_a_character_goes_back_to_its_start_and_one_past_the_end_to_that_of_the_cell() {
    let whole = "aé日\u{1f511}z";
    for (offset, start) in [
        (1, Some(1)),
        (2, Some(1)),
        (3, Some(3)),
        (4, Some(3)),
        (5, Some(3)),
        (6, Some(6)),
        (9, Some(6)),
        (10, Some(10)),
        (0, None),
        (11, None),
        (12, None),
        (usize::MAX, None),
    ] {
        let page = cell(&Type::TEXT, whole.as_bytes(), 1000, offset).await;
        assert_eq!(strings(&page), [&whole[start.unwrap_or(0)..]], "{offset}");
        let cut = start.map(|offset| CutCell { row: 0, column: 0, offset, bytes: 11 - offset, length: 11 });
        assert_eq!(page.cut_cells, Vec::from_iter(cut), "{offset}");
        assert!(!page.is_truncated(), "it reaches the end from {offset}");
    }
}

#[tokio::test]
async fn an_offset_shows_longer_cells_of_every_row_from_there_and_the_others_whole() {
    let columns = [("n", Type::INT4), ("t", Type::TEXT), ("m", Type::MONEY)];
    let money = || Some(0_i64.to_be_bytes().to_vec());
    let cells =
        [vec![int(1_234_567), text("abcdef"), money()], vec![int(12), text("abcd"), money()], vec![None, None, None]];
    let (statement, rows) = answered(&columns, &cells).await;
    for (format, expected) in [
        (Format::Table, "\n567 | ef | 0\n12 | abcd | \n"),
        (Format::Csv, "\r\n567,ef,0\r\n12,abcd,\"\"\r\n"),
        (Format::Markdown, "\n| 567 | ef | 0 |\n| 12 | abcd |  |\n"),
        (Format::Json, "[[\"567\",\"ef\",\"0\"],[12,\"abcd\",\"\"],[null,null,null]]"),
    ] {
        let mut page = page_from(&statement, format, ALL, 4);
        for (row, money) in rows.iter().zip([Some("$1.00"), Some(""), None]) {
            page.push(row, &[(2, RenderedCell::Text(money.map(str::to_owned)))]).unwrap();
        }
        let page = page.finish();
        assert!(page.whole_text().contains(expected), "{format:?}: {}", page.text);
        let cut: Vec<_> = page.cut_cells.iter().map(|cell| (cell.row, cell.column, cell.bytes, cell.length)).collect();
        assert_eq!(cut, [(0, 0, 3, 7), (0, 1, 2, 6), (0, 2, 1, 5)]);
    }
}

#[tokio::test]
async fn an_integer_a_timestamp_or_a_uuid_is_never_cut_however_little_room_there_is() {
    let columns =
        [("n", Type::INT8), ("at", Type::TIMESTAMPTZ), ("id", Type::UUID), ("f", Type::FLOAT8), ("b", Type::BOOL)];
    let row = vec![
        Some(i64::MIN.to_be_bytes().to_vec()),
        Some(1_i64.to_be_bytes().to_vec()),
        Some(vec![0xab; 16]),
        Some(f64::MIN_POSITIVE.to_be_bytes().to_vec()),
        Some(vec![1]),
    ];
    let whole = page(Format::Table, ALL, &columns, std::slice::from_ref(&row)).await;
    for bytes_max in [1, 10, whole.json.len() - 1] {
        let page = page(Format::Table, limit(bytes_max), &columns, std::slice::from_ref(&row)).await;
        assert_eq!(
            (page.json.clone(), page.whole_text(), page.cut_cells),
            (whole.json.clone(), whole.whole_text(), vec![])
        );
    }
    let page = cell(&Type::TEXT, &[b'x'; 1000], 1, 0).await;
    assert_eq!(page.json, format!("[\"{}\"]", "x".repeat(CELL_BYTES_MIN - 2)));
}

#[tokio::test]
async fn a_first_row_is_answered_in_any_room_and_takes_no_more_than_its_cells_least() {
    for value in ["", "x", "\n", "\"\\", "\u{1}", "é", "\u{1f511}"] {
        let rooms = [1, 20, 39, 40, 41, 42, 43, 44, 60, 99];
        for (length, bytes_max) in (0..50).flat_map(|length| rooms.map(|room| (length, room))) {
            let whole = value.repeat(length);
            let page = cell(&Type::TEXT, whole.as_bytes(), bytes_max, 0).await;
            let what = format!("{length} times {value:?} in {bytes_max}");
            assert_eq!(page.rows, 1, "{what}");
            assert!(page.json.len() <= bytes_max.max(CELL_BYTES_MIN + 2), "{what}: {}", page.json);
            let shown = &strings(&page)[0];
            assert!(whole.starts_with(shown), "{what}: {shown}");
            assert_eq!(page.cut_cells.is_empty(), whole == *shown, "{what}");
        }
    }
}

#[tokio::test]
async fn a_later_row_that_does_not_fit_is_left_whole_to_the_next_page() {
    let rows = [vec![text("first")], vec![text(&"x".repeat(1000))], vec![text("third")]];
    for format in FORMATS {
        let page = page(format, limit(100), &[("c", Type::TEXT)], &rows).await;
        assert_eq!((page.rows, page.cut), (1, Some(Cut::Bytes(100))), "{format:?}");
        assert_eq!((page.json.as_str(), page.cut_cells), ("[\"first\"]", vec![]), "{format:?}");
        assert!(!page.text.contains('x'), "{format:?}: {}", page.text);
    }
    // After a first row that was cut, little space is left.
    let rows = [vec![text(&"x".repeat(1000))], vec![text("second")]];
    let page = page(Format::Table, limit(100), &[("c", Type::TEXT)], &rows).await;
    assert_eq!((page.rows, page.cut, page.cut_cells.len()), (1, Some(Cut::Bytes(100)), 1));
}

#[tokio::test]
async fn a_huge_value_is_not_encoded_to_be_thrown_away() {
    // Encoding it would fail: it is not JSON.
    let blank = || Some(vec![b' '; 1_000_000]);
    let columns = [("a", Type::TEXT), ("b", Type::JSON)];
    let page = page(Format::Table, limit(1000), &columns, &[vec![text("a"), blank()]]).await;
    assert_eq!(page.cut_cells, [CutCell { row: 0, column: 1, offset: 0, bytes: 992, length: 1_000_000 }]);

    let (statement, rows) = answered(&columns, &[vec![text("a"), text("1")], vec![text("a"), blank()]]).await;
    let mut page = page_of(&statement, Format::Table, limit(1000));
    page.push(&rows[0], &[]).unwrap();
    page.push(&rows[1], &[]).unwrap();
    assert!(page.is_cut());

    // A value that must be written to know its length does not stay in memory.
    let (statement, rows) =
        answered(&[("n", Type::BIT)], &[vec![Some([&8_000_000_i32.to_be_bytes()[..], &[0; 1_000_000]].concat())]])
            .await;
    let mut page = page_of(&statement, Format::Table, limit(1000));
    page.push(&rows[0], &[]).unwrap();
    assert_eq!(page.cut_cells[0].length, 8_000_000);
    assert!(page.json.capacity() + page.cell.capacity() + page.layout.len() < 10_000);
}

#[tokio::test]
async fn what_the_list_of_cut_cells_takes_counts_as_bytes_of_the_rows() {
    let rows: Vec<Vec<Cell>> = (100..1000).map(|n| vec![int(n)]).collect();
    let (statement, rows) = answered(&[("n", Type::INT4)], &rows).await;
    let mut page = page_from(&statement, Format::Csv, limit(10_000), 1);
    for row in &rows {
        page.push(row, &[]).unwrap();
    }
    let page = page.finish();
    assert_eq!((page.rows, page.cut_cells.len(), page.cut), (74, 74, Some(Cut::Bytes(10_000))));
}
