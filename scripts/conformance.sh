#!/usr/bin/env bash
# Runs the official conformance suite of the protocol against this server (tests/conformance/run.rs).
# npm installs the suite into target/conformance by tests/conformance/package-lock.json, which has the version and the hash of
# every package. The suite needs Node 22 or newer. If the one on PATH is older, the one in the lock file is used.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=target/conformance
suite=$folder/node_modules/@modelcontextprotocol/conformance/dist/index.js
node_major_min=22

if ! command -v npm >/dev/null; then
    if ! command -v apt-get >/dev/null; then
        echo "conformance: npm is missing: install Node (nodejs.org), then try again" >&2
        exit 1
    fi
    echo "conformance: installing npm"
    if [ "$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends npm >/dev/null
fi

mkdir -p "$folder"
if ! cmp -s tests/conformance/package-lock.json "$folder/package-lock.json" || [ ! -f "$suite" ]; then
    echo "conformance: getting the suite into $folder"
    cp tests/conformance/package.json tests/conformance/package-lock.json "$folder"
    # No script of a package runs: none is needed. Warnings would only say that the Node that runs npm is old.
    npm --prefix "$folder" ci --ignore-scripts --no-audit --no-fund --loglevel=error
fi

is_new_node() { # NODE
    local version
    version=$("$1" --version 2>/dev/null) || return 1
    [[ $version =~ ^v([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge "$node_major_min" ]
}

node=
for candidate in "$(command -v node || true)" "$PWD/$folder"/node_modules/node-*/bin/node; do
    if is_new_node "$candidate"; then
        node=$candidate
        break
    fi
done
if [ -z "$node" ]; then
    echo "conformance: Node $node_major_min or newer is missing: install it (nodejs.org), then try again" >&2
    exit 1
fi

cargo build --locked --bin mcp-server-postgres --example conformance
exec target/debug/examples/conformance "$node" "$PWD/$suite" "$PWD/$folder/results"
