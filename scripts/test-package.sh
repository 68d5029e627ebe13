#!/usr/bin/env bash
# Shows that the packed crates build as somebody gets them who has this repository not: all members are packed, put
# beside their dependencies as a registry would have them, and the program is installed from its packed crate, offline.
# Neither libclang nor protoc is needed for that: no crate that asks for them is in the tree, and programs of these names
# on PATH fail and are seen. Downloads nothing that a build does not.
set -euo pipefail
cd "$(dirname "$0")/.."

package_bytes_max=10000000 # what crates.io takes is 10 MB

say() { echo "package: $*"; }
die() {
    echo "package: $*" >&2
    exit 1
}

work=$PWD/target/package-test
rm -rf "$work/vendor" "$work/trap" "$work/installed"
mkdir -p "$work/trap"
# Outside of the repository, or cargo would take the unpacked crate for a part of its workspace.
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT

say "packing"
# A work tree in which somebody works is packed as it stands.
cargo package --workspace --locked --no-verify --allow-dirty --quiet --target-dir "$work/packed"
cargo vendor --locked --quiet "$work/vendor" >/dev/null

# A directory source has each crate unpacked, with its checksum (The Cargo Book, Source Replacement).
for packed in "$work"/packed/package/*.crate; do
    bytes=$(wc -c <"$packed")
    say "$(basename "$packed") has $bytes bytes"
    [ "$bytes" -lt "$package_bytes_max" ] || die "that is more than $package_bytes_max"
    name=$(basename "$packed" .crate)
    tar -xzf "$packed" -C "$unpacked"
    cp -R "$unpacked/$name" "$work/vendor/$name"
    if command -v sha256sum >/dev/null; then sum=$(sha256sum "$packed"); else sum=$(shasum -a 256 "$packed"); fi
    echo "{\"files\":{},\"package\":\"${sum%% *}\"}" >"$work/vendor/$name/.cargo-checksum.json"
done
program=$(echo "$unpacked"/mcp-server-postgres-*)
cat >"$work/source.toml" <<END
[source.crates-io]
replace-with = "packed"
[source.packed]
directory = "$work/vendor"
END

# From here on nothing of the workspace holds: neither its members by their paths, nor a patch of it.
cd "$program"
for crate in bindgen clang-sys prost-build; do
    if grep -q "^name = \"$crate\"" Cargo.lock; then die "$crate is among the dependencies"; fi
done
for name in clang llvm-config protoc; do
    printf '#!/bin/sh\necho %s >>"%s"\nexit 1\n' "$name" "$work/trap/called" >"$work/trap/$name"
    chmod +x "$work/trap/$name"
done
say "installing from the packed crate"
env -u LIBCLANG_PATH -u PROTOC PATH="$work/trap:$PATH" CARGO_TARGET_DIR="$work/build" \
    cargo --config "$work/source.toml" install --path . --locked --offline --debug --quiet --root "$work/installed"
[ ! -e "$work/trap/called" ] || die "the build asked for $(sort -u "$work/trap/called" | tr '\n' ' ')"

# The parser is what would not be there.
answer=$(printf '\0\0\0\10select 1' | "$work/installed/bin/mcp-server-postgres" parser | tail -c +5)
case $answer in
    *'"kind":"SelectStmt"'*) say "ok: the installed program parses" ;;
    *) die "the installed program does not parse: $answer" ;;
esac
