//! Several hosts, of which POSTGRES_TARGET_SESSION_ATTRS chooses one.

use mcp_server_postgres::caller::Caller;
use mcp_server_postgres::messages::call::CallContext;
use mcp_server_postgres::settings::TargetSessionAttrs;

use super::*;

#[actix_rt::test]
async fn a_primary_or_a_standby_is_chosen_as_libpq_chooses_it() {
    let primary = PrivateCluster::start().unwrap();
    let standby = Options::new().file("standby.signal", "").start().unwrap();
    let (primary, standby) = (primary.port(), standby.port());
    // Nobody listens there.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    use TargetSessionAttrs::{Any, PreferStandby, Primary, ReadOnly, ReadWrite, Standby};
    for (attrs, ports, expected) in [
        (Any, vec![standby, primary], Ok("[true]")),
        (Primary, vec![standby, primary], Ok("[false]")),
        (Primary, vec![nobody, primary], Ok("[false]")),
        (Primary, vec![standby], Err("no primary was found, but a standby (POSTGRES_TARGET_SESSION_ATTRS)")),
        (Standby, vec![primary, standby], Ok("[true]")),
        (Standby, vec![primary], Err("no standby was found, but a primary (POSTGRES_TARGET_SESSION_ATTRS)")),
        (PreferStandby, vec![primary, standby], Ok("[true]")),
        (PreferStandby, vec![nobody, primary], Ok("[false]")),
        (PreferStandby, vec![primary], Ok("[false]")),
        (ReadWrite, vec![standby, primary], Ok("[false]")),
        (ReadOnly, vec![primary, standby], Ok("[true]")),
    ] {
        let settings = settings_with(|settings| {
            let target = &mut settings.postgres.target;
            target.hosts = vec!["127.0.0.1".to_owned(); ports.len()];
            target.ports = ports.clone();
            (target.database, target.user) = ("postgres".to_owned(), "postgres".to_owned());
            target.target_session_attrs = attrs;
        });
        let (executor, _finished, _log) = start(&settings);
        let reading =
            Reading { limits: Limits { rows_max: 1, bytes_max: 1000 }, format: Format::Table, cell_offset: 0 };
        let call = CallContext::new("a test", Caller::stdio());
        let query = Query { call, statement: statement("select pg_is_in_recovery()", json!([])), reading };
        match (executor.send(query).await.unwrap(), expected) {
            (Ok(answered), Ok(expected)) => assert_eq!(answered.answer.page.json, expected, "{attrs:?} {ports:?}"),
            (Err(error), Err(part)) => assert!(error.for_model().contains(part), "{attrs:?}: {}", error.for_model()),
            (outcome, expected) => panic!("{attrs:?} {ports:?}: {outcome:?}, expected {expected:?}"),
        }
    }
}
