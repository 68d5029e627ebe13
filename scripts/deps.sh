#!/usr/bin/env bash
# Installs what `make test` and `make demo` need and this machine does not have. It prints a line for each step, and nothing
# if nothing is missing. It starts no service.
# Needed: a C compiler (for ring, and to link), Rust, and PostgreSQL's server programs, with which the tests and
# the demo run servers of their own (crates/pg-private/src/programs.rs looks for them in the same places). Wanted: PgBouncer.
# Written for bash 3.2, which macOS has.
set -euo pipefail

rust_minor_min=88 # of Rust 1; Cargo.toml's rust-version
postgres_min=14

PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin # rustup's folder, in case no login shell has added it

say() { echo "deps: $*"; }
die() {
    echo "deps: $*" >&2
    exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

has_c_compiler() {
    # Without Apple's tools the cc of macOS is a stub that opens a window.
    if [ "$(uname -s)" = Darwin ]; then xcode-select -p >/dev/null 2>&1; else has cc; fi
}

has_rust() {
    has cargo && has rustc || return 1
    local version
    version=$(rustc --version 2>/dev/null) || return 1 # rustup has a rustc even without a toolchain
    [[ $version =~ ^rustc\ 1\.([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge "$rust_minor_min" ]
}

is_new_postgres() { # FOLDER
    [ -x "$1/postgres" ] && [ -x "$1/initdb" ] || return 1
    [[ $("$1/postgres" --version) =~ \ ([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge "$postgres_min" ]
}

has_postgres() {
    local folder
    if [ -n "${PG_BIN_DIR:-}" ]; then
        is_new_postgres "$PG_BIN_DIR" || die "PG_BIN_DIR=$PG_BIN_DIR has no PostgreSQL server of version $postgres_min or newer"
        return 0
    fi
    # As programs.rs does, take the first that is found: an old one on PATH hides a newer one elsewhere.
    if folder=$(command -v initdb); then
        folder=$(dirname "$folder")
        [ ! -x "$folder/postgres" ] || { is_new_postgres "$folder"; return; }
    fi
    if has pg_config && is_new_postgres "$(pg_config --bindir)"; then return 0; fi
    for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin \
        /usr/local/opt/postgresql@*/bin /Applications/Postgres.app/Contents/Versions/*/bin; do
        if is_new_postgres "$folder"; then return 0; fi
    done
    return 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif has sudo; then
        sudo "$@"
    else
        die "root has to run: $*"
    fi
}

apt_is_fresh=
apt_update() {
    [ -z "$apt_is_fresh" ] || return 0
    say "apt-get update"
    as_root apt-get update -qq
    apt_is_fresh=yes
}

apt_install() {
    apt_update
    say "apt-get install $*"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "$@" >/dev/null
}

# The first installation of PostgreSQL on Debian creates and starts a server, "main". It is not needed: during the installation
# a file (see pg_createcluster(1)) prevents it.
no_main_cluster=/etc/postgresql-common/createcluster.d/mcp-server-postgres.conf
apt_install_postgres() {
    local package
    apt_update
    package=$(apt-cache pkgnames postgresql- | sed -n 's/^postgresql-\([0-9][0-9]*\)$/\1/p' | sort -n | tail -n 1)
    [ "${package:-0}" -ge "$postgres_min" ] ||
        die "apt-get has no PostgreSQL of version $postgres_min or newer; see postgresql.org/download for one, then try again"
    trap 'as_root rm -f "$no_main_cluster"' EXIT
    as_root mkdir -p "$(dirname "$no_main_cluster")"
    echo "create_main_cluster = false" | as_root tee "$no_main_cluster" >/dev/null
    apt_install "postgresql-$package"
    as_root rm -f "$no_main_cluster"
    trap - EXIT
}

# Debian starts a service when its package is installed, unless this program forbids it (see invoke-rc.d(8)).
policy=/usr/sbin/policy-rc.d
apt_install_unstarted() {
    if [ -e "$policy" ]; then
        apt_install "$@"
        return
    fi
    trap 'as_root rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    apt_install "$@"
    as_root rm -f "$policy"
    trap - EXIT
}

brew_install() {
    has brew || die "$1 is missing: install Homebrew (brew.sh), then try again"
    say "brew install $1"
    brew install --quiet "$1"
}

if ! has_c_compiler; then
    if [ "$(uname -s)" = Darwin ]; then
        die "a C compiler is missing: run xcode-select --install, then try again"
    elif has apt-get; then
        apt_install gcc libc6-dev
    else
        die "a C compiler is missing: install gcc or clang, then try again"
    fi
fi

if ! has_postgres; then
    if [ "$(uname -s)" = Darwin ]; then
        brew_install postgresql@17
    elif has apt-get; then
        apt_install_postgres
    else
        die "PostgreSQL's server is missing: install version $postgres_min or newer, or set PG_BIN_DIR to its bin folder"
    fi
    has_postgres || die "PostgreSQL is installed, but no initdb and postgres of version $postgres_min or newer are found: set PG_BIN_DIR"
fi

# A pooler, for tests that are skipped without it.
if ! has pgbouncer && [ ! -x /usr/sbin/pgbouncer ]; then
    if [ "$(uname -s)" = Darwin ]; then
        ! has brew || brew_install pgbouncer
    elif has apt-get; then
        apt_install_unstarted pgbouncer
    fi
fi

if ! has_rust; then
    if [ "$(uname -s)" = Darwin ] && ! has cargo; then
        brew_install rust
    else
        # Debian's Rust is too old, and a script should not choose the default toolchain.
        die "Rust 1.$rust_minor_min or newer is missing: install it by rustup (see rustup.rs) or run rustup update stable, then try again"
    fi
fi
