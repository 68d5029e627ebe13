//! The lower limit of the pipes: a server that answers a constant, without an async runtime and without a database.
//!
//! It writes the answers to all requests of one read in one write.

use std::io::{BufRead, Write};

use crate::client::id_of;

/// The result of every request: the yardstick's for `select 1`.
const RESULT: &str = r#"{"content":[{"type":"text","text":"{\"columns\":[\"?column?\"],\"rows\":[[1]]}"}]}"#;

pub fn serve() {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut answers = Vec::new();
    loop {
        let read = input.fill_buf().unwrap();
        let Some(end) = read.iter().rposition(|&byte| byte == b'\n') else {
            // Only the beginning of a line: read until its end.
            let mut line = Vec::new();
            if input.read_until(b'\n', &mut line).unwrap() == 0 {
                return;
            }
            answer(&line, &mut answers);
            flush(&mut output, &mut answers);
            continue;
        };
        read[..end].split(|&byte| byte == b'\n').for_each(|line| answer(line, &mut answers));
        input.consume(end + 1);
        flush(&mut output, &mut answers);
    }
}

fn answer(line: &[u8], answers: &mut Vec<u8>) {
    // A notification has no id and no answer.
    if let Some(id) = id_of(line) {
        writeln!(answers, r#"{{"jsonrpc":"2.0","id":{id},"result":{RESULT}}}"#).unwrap();
    }
}

fn flush(output: &mut impl Write, answers: &mut Vec<u8>) {
    output.write_all(answers).unwrap();
    output.flush().unwrap();
    answers.clear();
}
