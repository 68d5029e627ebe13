#!/usr/bin/env bash
# Runs the tests of every crate and ends with one line of totals over all test programs: "N passed, N failed, N skipped".
# Its status is cargo's. Arguments are passed to `cargo test`: `scripts/test.sh -- cancel` runs the tests with this text in their names.
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT

status=0
cargo test --locked --workspace --no-fail-fast "$@" 2>&1 | tee "$log" || status=$?

awk -f scripts/totals.awk "$log"
exit "$status"
