//! `tsquery`: a tree of operators, written with the same parentheses as PostgreSQL writes.
//!
//! No function here is recursive: `plainto_tsquery` makes a tree that is as deep as its text has words.

use super::DecodeError;
use super::scalar::integer;
use super::tsvector::write_lexeme;
use super::value_reader::ValueReader;

const VALUE: u8 = 1;
const OPERATOR: u8 = 2;

enum Node<'a> {
    Value {
        text: &'a [u8],
        weights: u8,
        prefix: bool,
    },
    Not,
    /// `left` is the index of the left operand. The right operand is the node after the operator.
    Binary {
        operator: Binary,
        left: usize,
    },
}

#[derive(Clone, Copy, PartialEq)]
enum Binary {
    And,
    Or,
    /// The operands are this many words apart.
    Phrase(i16),
}

/// The precedence of an operator. An operator is put in parentheses if the one around it has a higher precedence.
type Binding = u8;

const BINDING_NONE: Binding = 0;
const BINDING_NOT: Binding = 4;

impl Binary {
    fn binding(self) -> Binding {
        match self {
            Binary::Or => 1,
            Binary::And => 2,
            Binary::Phrase(_) => 3,
        }
    }
}

/// What is still to be written. The last step on the stack is the next.
enum Step {
    Node { index: usize, around: Binding, right_of_phrase: bool },
    Operator(Binary),
    Close,
}

pub(super) fn tsquery(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let nodes = read(raw)?;
    if nodes.is_empty() {
        return Ok(());
    }
    let mut steps = vec![Step::Node { index: 0, around: BINDING_NONE, right_of_phrase: false }];
    while let Some(step) = steps.pop() {
        match step {
            Step::Close => out.extend_from_slice(b" )"),
            Step::Operator(Binary::Or) => out.extend_from_slice(b" | "),
            Step::Operator(Binary::And) => out.extend_from_slice(b" & "),
            Step::Operator(Binary::Phrase(1)) => out.extend_from_slice(b" <-> "),
            Step::Operator(Binary::Phrase(distance)) => {
                out.extend_from_slice(b" <");
                integer(distance, out)?;
                out.extend_from_slice(b"> ");
            }
            Step::Node { index, around, right_of_phrase } => match nodes[index] {
                Node::Value { text, weights, prefix } => write_value(text, weights, prefix, out),
                Node::Not => {
                    if BINDING_NOT < around {
                        out.extend_from_slice(b"( ");
                        steps.push(Step::Close);
                    }
                    out.push(b'!');
                    steps.push(Step::Node { index: index + 1, around: BINDING_NOT, right_of_phrase: false });
                }
                Node::Binary { operator, left } => {
                    let binding = operator.binding();
                    let phrase = matches!(operator, Binary::Phrase(_));
                    // a <-> (b <-> c) is not (a <-> b) <-> c.
                    if binding < around || (phrase && right_of_phrase) {
                        out.extend_from_slice(b"( ");
                        steps.push(Step::Close);
                    }
                    steps.push(Step::Node { index: index + 1, around: binding, right_of_phrase: phrase });
                    steps.push(Step::Operator(operator));
                    steps.push(Step::Node { index: left, around: binding, right_of_phrase: false });
                }
            },
        }
    }
    Ok(())
}

/// Layout: the number of nodes (int32), then the nodes. A value: 1, its weights, whether it is a prefix (a byte each), its
/// text, a NUL. An operator: 2, its number (a byte each), and for a phrase the distance (int16). An operator is before its
/// operands, of which the right one is first.
fn read(raw: &[u8]) -> Result<Vec<Node<'_>>, DecodeError> {
    let mut reader = ValueReader::new("tsquery", raw);
    let count = reader.count(2)?;
    let mut nodes = Vec::with_capacity(count);
    for _ in 0..count {
        nodes.push(match reader.u8()? {
            VALUE => {
                let (weights, prefix) = (reader.u8()?, reader.u8()? != 0);
                Node::Value { text: reader.c_string()?, weights, prefix }
            }
            OPERATOR => match reader.u8()? {
                1 => Node::Not,
                2 => Node::Binary { operator: Binary::And, left: 0 },
                3 => Node::Binary { operator: Binary::Or, left: 0 },
                4 => Node::Binary { operator: Binary::Phrase(reader.i16()?), left: 0 },
                _ => return Err(reader.error("an operator is unknown")),
            },
            _ => return Err(reader.error("a node is unknown")),
        });
    }

    // In reverse order the operands are complete when their operator is reached. `ends` has the ends of the operands
    // whose operator is not reached yet; the last one belongs to the operand that is first in the query.
    let mut ends: Vec<usize> = Vec::new();
    for index in (0..count).rev() {
        match &mut nodes[index] {
            Node::Value { .. } => ends.push(index + 1),
            Node::Not if ends.is_empty() => return Err(reader.error("an operand is missing")),
            Node::Not => {}
            Node::Binary { left, .. } => match (ends.pop(), ends.last()) {
                // The end of the right operand is the start of the left one.
                (Some(right_end), Some(_)) => *left = right_end,
                _ => return Err(reader.error("an operand is missing")),
            },
        }
    }
    if ends.len() > 1 {
        return Err(reader.error("an operator is missing"));
    }
    reader.finish()?;
    Ok(nodes)
}

fn write_value(text: &[u8], weights: u8, prefix: bool, out: &mut Vec<u8>) {
    write_lexeme(text, out);
    if prefix || weights != 0 {
        out.push(b':');
    }
    if prefix {
        out.push(b'*');
    }
    for (bit, letter) in [(8, b'A'), (4, b'B'), (2, b'C'), (1, b'D')] {
        if weights & bit != 0 {
            out.push(letter);
        }
    }
}
