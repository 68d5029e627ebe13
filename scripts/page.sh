#!/usr/bin/env bash
# Runs the tests of the status page (tests/page) in a headless Chromium. Their pictures are written to target/page. The
# pictures in docs/ are copies of status-*.png, made by hand after a change of the page and reduced to 256 colours, for example
# by pngquant.
# If Chromium or python3 is missing, it is installed and a message says so. The variable CHROMIUM names another program. The
# tests need no framework and no driver: they speak to Chromium through a pipe. Arguments are passed to python's unittest,
# for example "-k cancel". Written for bash 3.2.
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
        # Ubuntu's chromium-browser can be a stub that only recommends a snap. It has no --version.
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
        # The pictures need fonts: without any, Debian's Chromium draws boxes.
        apt_install chromium fonts-inter fonts-dejavu-core
    else
        die "Chromium is missing: install it or Chrome, or set CHROMIUM to the program, then try again"
    fi
    find_chromium >/dev/null || die "Chromium is installed, but none that runs is found: set CHROMIUM to the program"
fi

CHROMIUM=$(find_chromium)
export CHROMIUM
# Write no __pycache__ into the sources.
PYTHONDONTWRITEBYTECODE=1 exec python3 -m unittest discover --start-directory tests/page --verbose "$@"
