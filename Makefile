# make up          the demo: a node, and a week of earthquakes fed to it; Ctrl-C stops both
# make test        everything that continuous integration runs
# make test-fast   the Rust tests alone
# make bench       the benchmarks

SHELL := /bin/bash
VENV  := .venv
NPM   := tests/javascript
TARGET := wasm32-wasip2
APPLE  := aarch64-apple-darwin

.PHONY: up test test-fast lint rust-tests function-tests python-tests bench tools rust-tools python-tools

up: rust-tools
	cargo build --release --workspace --bin tidemill
	@exec scripts/up

test: tools lint rust-tests function-tests python-tests

test-fast: rust-tools rust-tests

# For macOS the types are checked. Nothing is linked, so the C in dependencies is not compiled (`true`): that would need
# Apple's headers.
lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features tidemill/fuzzing --locked -- -D warnings
	cargo check --manifest-path fuzz/Cargo.toml --no-default-features --locked
	@rustup target list --installed | grep -qx $(APPLE) || rustup target add $(APPLE)
	CC_aarch64_apple_darwin=true AR_aarch64_apple_darwin=true cargo clippy --target $(APPLE) --locked \
	  --workspace --exclude tidemill-tests -- -D warnings

rust-tests:
	cargo test --workspace --locked

# The functions have a workspace of their own, as they are built for another machine.
function-tests:
	cargo test --manifest-path functions/Cargo.toml --locked

# `rust-tests` has built the node already; without it, it is built here.
python-tests: $(VENV)/installed $(NPM)/node_modules/installed
	@test -x target/debug/tidemill || cargo build --workspace --bin tidemill --locked
	$(VENV)/bin/python -m pytest tests/python --durations 10

$(VENV)/installed: tests/python/requirements.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement tests/python/requirements.txt
	touch $@

$(NPM)/node_modules/installed: $(NPM)/package-lock.json
	cd $(NPM) && npm ci --no-audit --no-fund
	touch $@

# The whole workspace, so that the bench and the node are built once, with the same features.
bench: rust-tools
	cargo build --release --workspace --bins
	target/release/bench

tools: rust-tools python-tools

# Says which tool is missing, all of them at once, and adds the target that functions are compiled for.
rust-tools:
	@missing=; for tool in cargo rustup cc; do \
	  command -v $$tool >/dev/null || { echo "$$tool is missing" >&2; missing=1; }; \
	done; \
	[ -z "$$missing" ] || { echo "Get Rust from https://rustup.rs, and a C compiler (cc) from your system's packages." >&2; exit 1; }
	@rustup target list --installed | grep -qx $(TARGET) || rustup target add $(TARGET)

# What tests of the node need, with the packages that have it: AWS's clients run in Python, Node.js and Java. Where apt-get
# may, it installs what is missing.
python-tools:
	@missing=; \
	needs() { package="$$1"; shift; "$$@" >/dev/null 2>&1 || missing="$$missing $$package"; }; \
	needs python3 command -v python3; \
	needs python3-venv python3 -c 'import ensurepip'; \
	needs strace command -v strace; \
	needs util-linux command -v unshare; \
	needs nodejs command -v node; \
	needs npm command -v npm; \
	needs default-jdk-headless command -v javac; \
	[ -z "$$missing" ] && exit; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && apt-get install --yes $$missing; \
	else \
	  echo "Get them from your system's packages:$$missing" >&2; exit 1; \
	fi
