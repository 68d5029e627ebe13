#!/usr/bin/env bash
# Shows the status page to a headless Chromium and checks what is seen there (tests/page). The pictures go to
# target/page; the ones in docs/ are copies of its status-*.png, made by hand when the page has changed and reduced
# to 256 colours (pngquant does that).
# Installs Chromium and python3 where they are missing, and says so; CHROMIUM names another one. No framework, no
# driver: Chromium is spoken to through a pipe. Arguments go to python's unittest: -k cancel. Written for bash 3.2.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "page: $*"; }
die() {
    echo "page: $*" >&2
    exit 1
}

find_chromium() {
    local program
    for program in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable \
        "/Applications/Chromium.app/Contents/MacOS/Chromium" \
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
        # Ubuntu's chromium-browser may be a stub that only asks for a snap; it does not tell its version.
        if [ -n "$program" ] && "$program" --version >/dev/null 2>&1; then
            echo "$program"
            return 0
        fi
    done
    return 1
}

apt_install() {
    local as_root=
    [ "$(id -u)" = 0 ] || as_root=sudo
    say "apt-get install $*"
    $as_root apt-get update -qq
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "$@" >/dev/null
}

if ! python3 --version >/dev/null 2>&1; then
    if [ "$(uname -s)" != Darwin ] && command -v apt-get >/dev/null; then
        apt_install python3
    else
        die "python3 is missing: install it (on macOS: xcode-select --install), then try again"
    fi
fi

if ! find_chromium >/dev/null; then
    if [ "$(uname -s)" = Darwin ]; then
        command -v brew >/dev/null || die "Chromium is missing: install it or Chrome, or Homebrew (brew.sh), then try again"
        say "brew install --cask chromium"
        brew install --quiet --cask chromium
    elif command -v apt-get >/dev/null; then
        # The fonts are for the pictures only: without any, Debian's Chromium draws boxes.
        apt_install chromium fonts-inter fonts-dejavu-core
    else
        die "Chromium is missing: install it or Chrome, or set CHROMIUM to the program, then try again"
    fi
    find_chromium >/dev/null || die "Chromium is installed, but none that runs is found: set CHROMIUM to the program"
fi

CHROMIUM=$(find_chromium)
export CHROMIUM
# No __pycache__ in the tree.
PYTHONDONTWRITEBYTECODE=1 exec python3 -m unittest discover --start-directory tests/page --verbose "$@"
