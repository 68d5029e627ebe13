#!/usr/bin/env bash
# Runs MCP clients of PyPI and npm against this server (tests/clients), by stdio and HTTP, and ends with a table and one line of
# totals. Arguments are words: then only the clients run whose names have one of them.
# Each folder of tests/clients/environments is installed into target/clients, every package by its version and its hash: those of
# Python into an environment of its own, those of Node by npm. Nothing is installed globally but python3, its venv and npm, if
# they are missing. A Node of version 22 or newer is needed; if the one on PATH is older, the one in the lock file is used.
#   PROGRAM       this server; without it, the release build (`make build`)
#   PYTHON        a Python of version 3.11 or newer; without it, python3
#   JOBS          how many clients run at a time (2)
#   CLIENTS_KEEP  a folder in which each client's output is kept
# `scripts/clients.sh lock` writes the lock files anew from requirements.in and package.json; it needs uv (astral.sh/uv).
# Written for bash 3.2.
set -euo pipefail
cd "$(dirname "$0")/.."

environments=tests/clients/environments
folder=$PWD/target/clients
program=${PROGRAM:-$PWD/target/release/mcp-server-postgres}
python=${PYTHON:-python3}
node_major_min=22

say() { echo "clients: $*"; }
die() {
    echo "clients: $*" >&2
    exit 1
}

apt_install() { # WHAT PACKAGE…
    local what=$1 as_root=
    shift
    command -v apt-get >/dev/null || die "$what is missing: install it, then try again"
    [ "$(id -u)" = 0 ] || as_root=sudo
    say "apt-get install $*"
    $as_root apt-get update -qq
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "$@" >/dev/null
}

lock() {
    local path
    for path in "$environments"/*; do
        if [ -f "$path/requirements.in" ]; then
            uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
                "$path/requirements.in" --output-file "$path/requirements.txt"
        else
            npm --prefix "$path" install --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts --no-audit --no-fund
        fi
    done
}

install_python() { # NAME
    local target=$folder/$1 pinned=$environments/$1/requirements.txt
    if cmp -s "$pinned" "$target/requirements.txt"; then return; fi
    say "installing the packages of $1"
    rm -rf "$target"
    "$python" -m venv "$target"
    "$target/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: \
        --requirement "$pinned"
    cp "$pinned" "$target"
}

install_node() { # NAME
    local target=$folder/$1 pinned=$environments/$1
    if ! cmp -s "$pinned/package-lock.json" "$target/package-lock.json" || [ ! -f "$target/complete" ]; then
        say "installing the packages of $1"
        rm -rf "$target"
        mkdir -p "$target"
        cp "$pinned/package.json" "$pinned/package-lock.json" "$target"
        # No script of a package runs: none is needed. Warnings would only say that the Node that runs npm is old.
        npm --prefix "$target" ci --ignore-scripts --no-audit --no-fund --loglevel=error
        touch "$target/complete"
    fi
    # A program finds packages beside itself.
    cp tests/clients/node/*.mjs "$target"
}

is_new_node() { # NODE
    local version
    version=$("$1" --version 2>/dev/null) || return 1
    [[ $version =~ ^v([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge "$node_major_min" ]
}

find_node() {
    local candidate
    for candidate in "$(command -v node || true)" "$folder"/node/node_modules/node-*/bin/node; do
        if is_new_node "$candidate"; then
            echo "$candidate"
            return 0
        fi
    done
    die "Node $node_major_min or newer is missing: install it (nodejs.org), then try again"
}

if [ "${1:-}" = lock ]; then
    lock
    exit
fi

command -v npm >/dev/null || apt_install npm npm
"$python" -c 'import venv, ensurepip' 2>/dev/null || apt_install "python3 with venv" python3 python3-venv
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "Python 3.11 or newer is needed: PYTHON names another"
mkdir -p "$folder"
for path in "$environments"/*; do
    name=$(basename "$path")
    if [ -f "$path/requirements.txt" ]; then install_python "$name"; else install_node "$name"; fi
done
node=$(find_node)

[ -x "$program" ] || die "there is no $program: run make build, or set PROGRAM"
cargo build --quiet --locked -p pg-private --example hold
# Write no __pycache__ into the sources.
exec "$python" -B tests/clients/run.py "$program" "$PWD/target/debug/examples/hold" "$folder" "$node" "$@"
