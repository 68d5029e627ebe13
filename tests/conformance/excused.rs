//! What does not apply, and why; and what follows from that.

use crate::suite::{Judgement, Results, Verdict};

/// Whom the suite meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The product, as it is built.
    Product,
    /// The same daemon, with the suite's own tools, resources and prompts behind it.
    Fixture,
}

impl Part {
    pub fn name(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Fixture => "fixture",
        }
    }
}

/// What is excused for one reason: whole scenarios, or a check of one as `scenario:check`.
struct Excuse {
    parts: &'static [Part],
    why: &'static str,
    what: &'static [&'static str],
}

/// Everything that is excused. Each has to fail in every part that is named: what passes is no longer to be excused.
const EXCUSES: &[Excuse] = &[
    Excuse {
        parts: &[Part::Product],
        why: "It calls a tool of the suite's own, which the product does not have. The fixture part runs it.",
        what: &[
            "elicitation-sep1034-defaults",
            "elicitation-sep1330-enums",
            "http-custom-header-server-validation",
            "input-required-result-basic-elicitation",
            "input-required-result-basic-list-roots",
            "input-required-result-basic-sampling",
            "input-required-result-capability-check",
            "input-required-result-ignore-extra-params",
            "input-required-result-missing-input-response",
            "input-required-result-multi-round",
            "input-required-result-multiple-input-requests",
            "input-required-result-request-state",
            "input-required-result-result-type",
            "input-required-result-tampered-state",
            "json-schema-2020-12",
            "server-sse-polling",
            "server-stateless:sep-2575-http-server-no-independent-requests-on-stream",
            "server-stateless:sep-2575-missing-capability-http-400",
            "server-stateless:sep-2575-server-no-log-without-loglevel",
            "server-stateless:sep-2575-server-rejects-undeclared-capability",
            "server-stateless:sep-2575-server-sends-tools-list-changed-on-subscription",
            "tools-call-audio",
            "tools-call-elicitation",
            "tools-call-embedded-resource",
            "tools-call-error",
            "tools-call-image",
            "tools-call-mixed-content",
            "tools-call-sampling",
            "tools-call-simple-text",
            "tools-call-with-progress",
        ],
    },
    Excuse {
        parts: &[Part::Product],
        why: "The product has no prompts. The fixture part runs it.",
        what: &[
            "caching:sep-2549-prompts-list-caching-hints",
            "input-required-result-non-tool-request",
            "prompts-get-embedded-resource",
            "prompts-get-simple",
            "prompts-get-with-args",
            "prompts-get-with-image",
            "prompts-list",
        ],
    },
    Excuse {
        parts: &[Part::Product],
        why: "The product has no resources. The fixture part runs it.",
        what: &[
            "caching:sep-2549-resources-list-caching-hints",
            "caching:sep-2549-resources-templates-list-caching-hints",
            "resources-list",
            "resources-read-binary",
            "resources-read-text",
            "resources-subscribe",
            "resources-templates-read",
            "resources-unsubscribe",
            "sep-2164-resource-not-found",
        ],
    },
    Excuse {
        parts: &[Part::Product],
        why: "The product completes no arguments: it has neither prompts nor templates. The fixture part runs it.",
        what: &["completion-complete"],
    },
    Excuse {
        parts: &[Part::Product],
        why: "The product sends no log to clients, which is deprecated since 2026-07-28: it logs to stderr. \
              The fixture part runs it.",
        what: &["logging-set-level", "tools-call-with-logging"],
    },
    Excuse {
        parts: &[Part::Fixture],
        why: "A stream that breaks off cannot be taken up again, which a server may leave out: whoever closes it has \
              cancelled the call, so that a statement ends with its client.",
        what: &["server-sse-polling:server-sse-priming-event", "server-sse-polling:server-sse-retry-field"],
    },
    Excuse {
        parts: &[Part::Product, Part::Fixture],
        why: "An extension (io.modelcontextprotocol/tasks) that the product does not offer, and that no revision asks for.",
        what: &[
            "tasks-capability-negotiation",
            "tasks-dispatch-and-envelope",
            "tasks-lifecycle",
            "tasks-mrtr-composition",
            "tasks-mrtr-input",
            "tasks-request-headers",
            "tasks-request-state-removal",
            "tasks-required-task-error",
            "tasks-status-notifications",
            "tasks-wire-fields",
        ],
    },
];

/// The check that every scenario has: that what went over the wire has the form that the schema says. Alone it shows
/// nothing of the scenario.
const WIRE: &str = "wire-schema-valid";

fn excuses(part: Part) -> impl Iterator<Item = &'static str> {
    EXCUSES.iter().filter(move |excuse| excuse.parts.contains(&part)).flat_map(|excuse| excuse.what).copied()
}

/// What is to be thought of `results`.
pub fn judge(part: Part, results: &Results) -> Judgement {
    let mut judgement = Judgement::default();
    for (scenario, checks) in results {
        let (mut excused, mut failed, mut passed) = (false, false, 0);
        let mut fail = |check: &str, why: &str, judgement: &mut Judgement| {
            let exact = format!("{scenario}:{check}");
            match excuses(part).find(|excuse| excuse == scenario || *excuse == exact) {
                // A part of a scenario that is excused leaves the rest of it to pass.
                Some(excuse) => {
                    excused |= excuse == scenario;
                    judgement.used.push(excuse);
                }
                None => {
                    failed = true;
                    judgement.complaints.push(format!("{}: {exact}: {why}", part.name()));
                }
            }
        };
        for check in checks {
            match &check.verdict {
                Verdict::Passed => passed += usize::from(check.name != WIRE),
                Verdict::Nothing => {}
                Verdict::Failed(why) => fail(&check.name, why, &mut judgement),
            }
        }
        if passed == 0 && checks.iter().all(|check| !matches!(check.verdict, Verdict::Failed(_))) {
            fail("nothing", "nothing was checked", &mut judgement);
        }
        judgement.checks += passed;
        match (failed, excused) {
            (true, _) => judgement.failed += 1,
            (false, true) => judgement.excused += 1,
            (false, false) => judgement.passed += 1,
        }
    }
    judgement
}

/// A complaint for each excuse that nothing has needed.
pub fn needless(part: Part, judgement: &Judgement) -> Vec<String> {
    let unused = excuses(part).filter(|excuse| !judgement.used.contains(excuse));
    unused.map(|excuse| format!("{}: {excuse}: it is excused, and does not fail", part.name())).collect()
}

/// All of it, for people.
pub fn list() -> Vec<String> {
    let mut lines = Vec::new();
    for Excuse { parts, why, what } in EXCUSES {
        let parts: Vec<_> = parts.iter().map(|part| part.name()).collect();
        lines.push(format!("not applicable ({}): {why}", parts.join(", ")));
        lines.extend(what.iter().map(|what| format!("    {what}")));
    }
    lines
}
