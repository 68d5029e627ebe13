# make demo    a private PostgreSQL with a small shop in it, and this server on it
# make test    every test
# make check   what a commit must pass: format, lints, tests, dependencies
# make conformance   the protocol's official suite, for both revisions (it gets that and, if need be, Node by npm)
# make fuzz    a million statements that nobody has written through the guard, and fifty thousand to PostgreSQL (about 5 minutes)
# make page    the status page in a headless Chromium, which it installs where there is none (about a minute)
# make soak    ten minutes of a daemon under 64 clients that do all that clients do (SOAK_SECONDS says otherwise)
# make bench   how long a request takes, and where; beside the floors and a yardstick (about 5 minutes)

export PATH := $(PATH):$(HOME)/.cargo/bin

.PHONY: demo test check conformance fuzz page soak bench build deps

demo: build
	target/release/mcp-server-postgres demo

test: deps
	@scripts/test.sh

check: deps
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@scripts/test.sh
	scripts/cargo-deny.sh
	scripts/lint-packaging.sh

conformance: deps
	@scripts/conformance.sh

fuzz: deps
	FUZZ_INPUTS=1000000 cargo test --locked --test it guard::fuzz -- --nocapture --test-threads=1

page:
	@scripts/page.sh

soak: deps
	cargo bench --locked --bench soak

bench: deps
	cargo bench --locked --bench compare --bench path --bench http

build: deps
	cargo build --locked --release

deps:
	@scripts/deps.sh
