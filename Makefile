# make demo          starts a private PostgreSQL with the tables of a small shop, and this server on it
# make test          runs the tests of every crate
# make test-versions runs those that need PostgreSQL on its versions 14 to 18, which npm installs (VERSIONS names others)
# make check         what every commit must pass: format, lints, tests, dependencies
# make conformance   runs the official conformance suite of the protocol (npm installs it, and Node if necessary)
# make clients       runs MCP clients of PyPI and npm against this server, by stdio and HTTP (about 3 minutes, the first time 10)
# make fuzz          a million generated statements through the guard, 150,000 of them to PostgreSQL (about 10 minutes)
# make guard-lists   writes the lists of known functions anew, from PostgreSQL 14 to 18 and the installed extensions
# make pooler        ten thousand statements of three processes through PgBouncer and two backends (about two minutes)
# make page          tests the status page in a headless Chromium, which is installed if it is missing (about a minute)
# make test-package  packs the crates and installs the program from them, offline (about two minutes)
# make soak          a daemon with 64 clients for ten minutes (SOAK_SECONDS sets another time)
# make bench         measures calls, beside other programs (about 5 minutes)

export PATH := $(PATH):$(HOME)/.cargo/bin

.PHONY: demo test test-versions check conformance clients fuzz guard-lists pooler page test-package soak bench build deps

demo: build
	target/release/mcp-server-postgres demo

test: deps
	@scripts/test.sh

test-versions: deps
	@scripts/test-versions.sh $(VERSIONS)

check: deps
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@scripts/test.sh
	scripts/cargo-deny.sh
	scripts/lint-packaging.sh

conformance: deps
	@scripts/conformance.sh

clients: build
	@scripts/clients.sh $(CLIENTS)

fuzz: deps
	FUZZ_INPUTS=1000000 cargo test --locked --test it -- guard::fuzz guard::wires --nocapture --test-threads=1

guard-lists: deps
	UPDATE_SNAPSHOTS=1 PARTS=guard::lists scripts/test-versions.sh 14 15 16 17 18
	UPDATE_SNAPSHOTS=1 cargo test --locked --test it guard::lists
	cargo test --locked --package pg-guard --lib known::

pooler: deps
	cargo test --locked --test it pooler -- --include-ignored --nocapture

page:
	@scripts/page.sh

test-package: deps
	@scripts/test-package.sh

soak: deps
	cargo bench --locked --bench soak

bench: deps
	cargo bench --locked --bench compare --bench path --bench facts --bench http

build: deps
	cargo build --locked --release

deps:
	@scripts/deps.sh
