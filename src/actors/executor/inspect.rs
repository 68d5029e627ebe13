//! Catalog queries of this server: those that other actors and tools send, and the check of the role.

use std::pin::Pin;
use std::sync::Arc;

use actix::prelude::*;
use pg_guard::sql::Operation;

use super::attempt::{Attempt, Failure, Next, Run};
use super::{Executor, fail, settle, within};
use crate::actors::wanted::WhileWanted;
use crate::caller::Caller;
use crate::log::warn;
use crate::messages::call::CallContext;
use crate::messages::inspect::Inspect;
use crate::messages::statements::Answered;
use crate::postgres::catalog::role::{self, Finding, RoleRights};
use crate::postgres::catalog::{CatalogQuery as _, CatalogRows};
use crate::postgres::error::QueryError;
use crate::postgres::pool::{Admission, INTERNAL_CLIENT};
use crate::postgres::run::{self, RunProgress};
use crate::postgres::statement::Limits;
use crate::settings::{AccessMode, RoleCheck};

/// The query for the rights of the role has one small row.
const ROLE_LIMITS: Limits = Limits { rows_max: 1, bytes_max: 1 << 20 };

/// A result that is ready later. Boxed, because its types differ.
pub(super) type Later<T> = Pin<Box<dyn Future<Output = Result<T, QueryError>>>>;

impl Handler<Inspect> for Executor {
    type Result = WhileWanted<Result<Answered<CatalogRows>, QueryError>>;

    fn handle(&mut self, inspect: Inspect, _: &mut Context<Self>) -> Self::Result {
        self.check_role(false);
        let permission = self.permission();
        let inspection = self.inspection(inspect, Admission::Normal);
        WhileWanted::new(async move {
            if let Some(permission) = permission {
                permission.await?;
            }
            inspection.await
        })
    }
}

impl Executor {
    /// Runs a catalog query. `admission` is how it first waits for its connection.
    fn inspection(
        &self,
        Inspect { call: context, asked, limits }: Inspect,
        admission: Admission,
    ) -> impl Future<Output = Result<Answered<CatalogRows>, QueryError>> + use<> {
        let (generation, access) = (self.generation.clone(), self.access_of(&context.caller));
        let (waiting_max, reports) = (self.waiting_max, self.reports.clone());
        let sql_and_operation = (&asked.sql, Operation::of(&asked.sql));
        let mut record = self.record(&context, sql_and_operation, &[], generation.number());
        let call = self.calls.begin(&context, sql_and_operation);
        async move {
            let target = generation.target_name();
            let work = async {
                let mut attempt = Attempt::of_inspection(admission);
                loop {
                    let lease = call.lease(&generation, waiting_max, attempt.admission()).await?;
                    record.executing(lease.opened_in());
                    let progress = RunProgress::new(call.progress());
                    let work = run::inspect(lease.exec_target(access, &target), &asked, limits, &progress);
                    let error = match within(&call, lease.clocks().command_timeout, work).await {
                        Ok(rows) => {
                            match rows.is_cut {
                                // Its drop cancels what gives the others.
                                true => drop(lease),
                                false => settle(lease, progress.cleanup.get(), None),
                            }
                            return Ok(rows);
                        }
                        Err(error) => Box::pin(fail(lease, progress.cleanup.get(), error)).await,
                    };
                    let run = Run::Failed(Failure::of(&error, &progress));
                    let is_silent = matches!(error, QueryError::NoAnswer { .. });
                    if !matches!(attempt.after(run), Next::RunAgain(_)) || is_silent && !call.has_time() {
                        return Err(error);
                    }
                    record.wait_again(attempt.retries());
                    warn!(record.log, "connection lost, the question is sent on another"; "asked" => asked.name);
                }
            };
            let result = call.unless_cancelled(work).await.unwrap_or_else(|| Err(call.cancelled()));
            record.end(result.as_ref().map(|inspected| (inspected.rows.len() as u64, inspected.bytes as u64)));
            Ok(record.answered(result?, &reports))
        }
    }

    /// Checks whether statements may run, if MCP_ROLE_CHECK is `enforce`. `None` if there is nothing to check.
    pub(super) fn permission(&self) -> Option<Later<()>> {
        if self.role_check != RoleCheck::Enforce {
            return None;
        }
        let findings = self.findings(false);
        Some(Box::pin(async move {
            let findings = findings.await?;
            let severe: Vec<_> = findings.iter().filter(|finding| finding.is_severe).map(Finding::to_string).collect();
            match severe.is_empty() {
                true => Ok(()),
                false => Err(QueryError::refused(format!(
                    "Nothing runs here (MCP_ROLE_CHECK=enforce). {}. The operator has to mend that, and then reload or \
                     restart this server.",
                    severe.join(". ")
                ))),
            }
        }))
    }

    /// Checks the role and logs which rights it should not have. This is done once for each generation, unless `anew`.
    pub(super) fn check_role(&self, anew: bool) {
        if self.role_check == RoleCheck::Off {
            return;
        }
        if self.generation.role_was_checked(true) && !anew {
            return;
        }
        let (generation, log) = (self.generation.clone(), self.log.clone());
        let findings = self.findings(true);
        actix_rt::spawn(async move {
            match findings.await {
                Ok(findings) => {
                    for Finding { is_severe, what, mend } in findings.iter() {
                        warn!(log, "the role may do more than it should"; "what" => what, "mend" => mend, "severe" => is_severe);
                    }
                }
                Err(error) => {
                    warn!(log, "the role could not be checked"; "why" => error.to_string());
                    generation.role_was_checked(false);
                }
            }
        });
    }

    /// The rights that the role should not have. PostgreSQL is queried once for each generation, unless `anew`.
    fn findings(&self, anew: bool) -> Later<Arc<[Finding]>> {
        let generation = self.generation.clone();
        if !anew && let Some(findings) = generation.known_findings() {
            return Box::pin(async { Ok(findings) });
        }
        let ourselves = Caller { name: INTERNAL_CLIENT.into(), is_anonymous: false, access: AccessMode::ReadOnly };
        let question = RoleRights { access: generation.access() };
        let inspect = Inspect::new(CallContext::new(RoleRights::NAME, ourselves), &question, ROLE_LIMITS);
        let inspection = self.inspection(inspect, Admission::Internal);
        Box::pin(async move {
            let rights = inspection.await?.typed::<RoleRights>()?.answer;
            let findings: Arc<[Finding]> = rights.first().map(role::findings).unwrap_or_default().into();
            generation.remember_findings(findings.clone());
            Ok(findings)
        })
    }
}
