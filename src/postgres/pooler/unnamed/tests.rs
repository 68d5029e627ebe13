use super::*;

/// One message of the protocol.
fn message(kind: char, body: &str) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind as u8][..], &length.to_be_bytes(), body.as_bytes()].concat()
}

fn messages(all: &[(char, &str)]) -> Vec<u8> {
    all.iter().flat_map(|(kind, body)| message(*kind, body)).collect()
}

/// Both directions of a connection after its start-up.
struct Wire {
    requests: Requests,
    responses: Responses,
    expected: Expected,
}

impl Wire {
    fn new() -> Self {
        let (mut requests, responses, mut expected) = <(Requests, Responses, Expected)>::default();
        requests.push(&[0, 0, 0, 8, 0, 3, 0, 0], &mut expected);
        assert_eq!(requests.out().split().as_ref(), [0, 0, 0, 8, 0, 3, 0, 0], "the start-up message passes");
        Self { requests, responses, expected }
    }

    /// What the server receives if the driver sends this, in pieces of this size.
    fn send_in(&mut self, pieces: usize, sent: &[(char, &str)]) -> Vec<u8> {
        messages(sent).chunks(pieces).for_each(|piece| self.requests.push(piece, &mut self.expected));
        self.requests.out().split().to_vec()
    }

    fn send(&mut self, sent: &[(char, &str)]) -> Vec<u8> {
        self.send_in(usize::MAX, sent)
    }

    /// What the driver receives if the server sends this.
    fn hear_in(&mut self, pieces: usize, heard: &[(char, &str)]) -> Vec<u8> {
        for piece in messages(heard).chunks(pieces) {
            let failed = self.responses.push(piece, &mut self.expected);
            failed.iter().for_each(|name| self.requests.forget(name));
        }
        self.responses.out().split().to_vec()
    }

    fn hear(&mut self, heard: &[(char, &str)]) -> Vec<u8> {
        self.hear_in(usize::MAX, heard)
    }
}

const PREPARE: &[(char, &str)] = &[('P', "s7\0select 1\0\0\0"), ('D', "Ss7\0"), ('S', "")];
const PREPARE_UNNAMED: &[(char, &str)] = &[('P', "\0select 1\0\0\0"), ('D', "S\0"), ('S', "")];
const PREPARED: &[(char, &str)] = &[('1', ""), ('t', "\0\0"), ('T', "\0\0"), ('Z', "T")];
const BIND: &[(char, &str)] = &[('B', "p1\0s7\0\0\0"), ('E', "p1\0\0\0\0\0"), ('S', "")];
const BOUND: &[(char, &str)] = &[('2', ""), ('D', "\0\0"), ('C', "SELECT 1\0"), ('Z', "T")];

#[test]
fn a_statement_has_no_name_and_is_bound_without_another_parse_right_after_it() {
    for pieces in [1, 2, 3, 7, 1000] {
        let mut wire = Wire::new();
        assert_eq!(wire.send_in(pieces, PREPARE), messages(PREPARE_UNNAMED));
        assert_eq!(wire.hear_in(pieces, PREPARED), messages(PREPARED));
        let bind: &[(char, &str)] = &[('B', "p1\0\0\0\0"), ('E', "p1\0\0\0\0\0"), ('S', "")];
        assert_eq!(wire.send_in(pieces, BIND), messages(bind), "in pieces of {pieces}");
        assert_eq!(wire.hear_in(pieces, BOUND), messages(BOUND));
    }
}

#[test]
fn a_statement_that_is_no_more_the_unnamed_one_is_parsed_again_without_the_drivers_knowledge() {
    for between in
        [&[('Q', "COMMIT\0")][..], &[('P', "\0select 2\0\0\0"), ('S', "")], &[('P', "s8\0select 2\0\0\0"), ('S', "")]]
    {
        for pieces in [1, 4, 1000] {
            let mut wire = Wire::new();
            wire.send(PREPARE);
            wire.hear(PREPARED);
            wire.send(between);
            let parsed =
                if between[0].0 == 'P' { &[('1', ""), ('Z', "T")][..] } else { &[('C', "COMMIT\0"), ('Z', "I")] };
            assert_eq!(wire.hear(parsed), messages(parsed), "the driver waits for that");
            let bind = [('P', "\0select 1\0\0\0"), ('B', "p1\0\0\0\0"), ('E', "p1\0\0\0\0\0"), ('S', "")];
            assert_eq!(wire.send_in(pieces, BIND), messages(&bind), "after {between:?}");
            let answer = [&[('1', "")], BOUND].concat();
            assert_eq!(wire.hear_in(pieces, &answer), messages(BOUND), "in pieces of {pieces}");
            assert_eq!(wire.hear(PREPARED), messages(PREPARED), "what comes next passes");
        }
    }
}

#[test]
fn what_is_sent_ahead_is_answered_in_its_order() {
    let mut wire = Wire::new();
    wire.send(PREPARE);
    wire.send(&[('P', "s8\0select 2\0\0\0"), ('D', "Ss8\0"), ('S', "")]);
    wire.send(BIND);
    let second: Vec<_> = PREPARED.to_vec();
    let answers = [PREPARED, &second, &[('1', "")], BOUND].concat();
    assert_eq!(wire.hear_in(3, &answers), messages(&[PREPARED, &second, BOUND].concat()));
}

#[test]
fn an_error_takes_the_answers_up_to_the_next_ready_for_query() {
    let mut wire = Wire::new();
    wire.send(PREPARE);
    wire.hear(PREPARED);
    // The added Parse fails, so nothing of this Bind is answered.
    wire.send(&[('Q', "BEGIN\0")]);
    wire.send(BIND);
    let failed: &[(char, &str)] = &[('C', "BEGIN\0"), ('Z', "T"), ('E', "C42P01\0\0"), ('Z', "E")];
    assert_eq!(wire.hear(failed), messages(failed));
    // The driver's own Parse fails, so its name is forgotten.
    wire.send(&[('P', "s9\0selec\0\0\0"), ('D', "Ss9\0"), ('S', "")]);
    let refused: &[(char, &str)] = &[('E', "C42601\0\0"), ('Z', "E")];
    assert_eq!(wire.hear(refused), messages(refused));
    let stranger: &[(char, &str)] = &[('B', "\0s9\0\0\0"), ('S', "")];
    assert_eq!(wire.send(stranger), messages(stranger), "PostgreSQL has to refuse that");
}

#[test]
fn a_closed_statement_closes_no_other() {
    let mut wire = Wire::new();
    wire.send(PREPARE);
    wire.send(&[('P', "s8\0select 2\0\0\0"), ('S', "")]);
    assert_eq!(wire.send(&[('C', "Ss8\0"), ('S', "")]), messages(&[('C', "S\0"), ('S', "")]));
    let bind = [('P', "\0select 1\0\0\0"), ('B', "p1\0\0\0\0"), ('E', "p1\0\0\0\0\0"), ('S', "")];
    assert_eq!(wire.send(BIND), messages(&bind), "the unnamed statement is gone, so it is parsed again");
}

#[test]
fn everything_else_passes_as_it_is() {
    let mut wire = Wire::new();
    let others: &[(char, &str)] = &[
        ('Q', "select 's7'\0"),
        ('P', "\0select 1\0\0\0"),
        ('B', "\0\0\0\0"),
        ('D', "Pp1\0"),
        ('C', "Pp1\0"),
        ('d', "Ss7\0"),
        ('X', ""),
    ];
    assert_eq!(wire.send_in(2, others), messages(others));
    let answers: &[(char, &str)] =
        &[('R', "\0\0\0\0"), ('S', "TimeZone\0UTC\0"), ('K', "12345678"), ('Z', "I"), ('N', "1"), ('A', "1")];
    assert_eq!(wire.hear_in(3, answers), messages(answers));
}
