# Everything that can be done with this project. `make help` lists it.

# The profile of the host's programs: dev builds in minutes, release runs fastest.
PROFILE ?= dev
TARGET  := target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
DATA    ?= data

# The folder of the nodes of `make realm`, and how many there are.
REALM   ?= realm
NODES   ?= 3

.PHONY: help run realm learn test hostile soak mutants verify fix baseline bench scale guests languages languages-tools registry-tools test-guests programs clean-data

help: ## Lists what can be made.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

run: guests programs ## Starts a node, plays the tournament, shows the result; Ctrl-C ends it.
	@$(TARGET)/matrixd --data-dir $(DATA) & node=$$!; \
	trap 'wait $$node' INT TERM; \
	matrix="$(TARGET)/matrix --data-dir $(DATA)"; \
	until $$matrix status >/dev/null 2>&1; do kill -0 $$node || exit 1; sleep 0.1; done; \
	$$matrix apply --wait guests/worlds/tournament.toml && \
	$$matrix apply guests/worlds/schelling.toml && \
	$$matrix status && \
	echo "The node goes on running; try: $$matrix ask counter 'add 3'. Ctrl-C ends it." || kill -TERM $$node; \
	wait $$node

realm: guests programs ## Starts three nodes that share one realm, plays the tournament over them; Ctrl-C ends them.
	@guests/worlds/realm.sh $(TARGET) $(REALM) $(NODES)

# What a mirror learns: a text of one person.
TEXT ?= guests/models/writing/tests/data/austen.txt

learn: guests programs ## Teaches a mirror how somebody writes, and opens a chat with it: make learn TEXT=letters.txt.
	@guests/souls/mirror/learn.sh $(TARGET) $(DATA)/mirror $(TEXT)

test: guests test-guests programs ## Passes every fast test: the test command of the README and of CI.
	cargo test --workspace --locked
	cargo test --manifest-path guests/Cargo.toml --workspace --locked

# What `make hostile` may have of the machine's memory, in MiB; 0: as much as there is.
MEMORY ?= 2048

hostile: guests test-guests programs ## Runs hostile guests against nodes of bounded memory: make hostile PROFILE=release MEMORY=2048.
	MATRIX_TEST_MEMORY_MIB=$(MEMORY) cargo test --workspace --locked --profile $(PROFILE) --test hostile
	cargo test --workspace --locked --profile $(PROFILE) --test cluster memory::

# Which of a realm's long tests: all, or those whose names hold a word, such as `turns` (1,000 kills, which take 20 minutes with
# PROFILE=release).
SOAK ?=

# For how many seconds each of a realm's soaks goes on.
SOAK_SECONDS ?= 120

soak: export MATRIX_SOAK_SECONDS = $(SOAK_SECONDS)
soak: ## Cuts the KV's power 10,000 times, and a realm's links and nodes at random, also while code is swapped; tries random components; takes minutes.
	cargo test --workspace --locked --profile $(PROFILE) --features matrixd/soak --lib -- kv::tests::cuts
	cargo build --workspace --bins --locked --profile $(PROFILE)
	cargo test --workspace --locked --profile $(PROFILE) --test cluster -- --ignored --nocapture $(SOAK)
	cargo test --workspace --locked --profile $(PROFILE) --test hostile -- --ignored --nocapture $(SOAK)
	cargo test --workspace --locked --profile $(PROFILE) --test conformance -- --ignored --nocapture $(SOAK)

# Which mutants: all, or some of tests/mutants/*.patch by name.
MUTANTS ?=

mutants: ## Breaks the code's promises one by one, and sees that tests notice; takes a build for each.
	@tests/mutants/run.sh $(MUTANTS)

verify: ## Reads the code for faults: format, lints, architecture, what breaks others. Changes nothing.
	cargo fmt --all --check
	cargo fmt --manifest-path guests/Cargo.toml --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --workspace --locked --test tidy

fix: ## Formats the code, and mends what lints can mend.
	cargo fmt --all
	cargo fmt --manifest-path guests/Cargo.toml --all
	cargo clippy --workspace --all-targets --fix --allow-dirty

# Which benchmarks: all, or some of tournament, schelling, messages, souls, neighbour, kv, between, three, moving, swap, training, languages; `--rounds N` goes here too.
ONLY ?=
# Where the programs in Python are installed that are measured beside the node.
RIVALS := target/bench-python

# What the release is called whose interfaces the next ones are held to.
RELEASE ?= $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)

baseline: ## At a release: from then on `make verify` holds proto/ and wit/ to what they are now.
	cargo run --package matrix-tests --bin released --locked -- $(RELEASE)

bench: guests test-guests $(RIVALS)/installed ## Measures the node beside others, and prints a table; takes minutes.
	cargo build --workspace --bins --locked --release
	target/release/bench --python $(RIVALS)/bin/python $(ONLY)

$(RIVALS)/installed: tests/bench/rivals/requirements.txt
	python3 -m venv $(RIVALS)
	$(RIVALS)/bin/pip install --quiet --requirement $<
	touch $@

scale: ## Calculates what realms of up to 100,000 nodes would cost, from what is measured here; takes a minute.
	cargo run --package matrix-tests --bin scale --locked --profile $(PROFILE)

guests: ## Builds the Souls and rules in guests/ to guests/out/*.wasm.
	@guests/build.sh

# Which languages, of those that guests/languages.sh knows.
LANGUAGES ?= c python js

languages-tools: ## Installs what other languages need of the system, with apt-get; as root.
	apt-get install --yes --no-install-recommends clang-19 lld-19 libclang-rt-19-dev-wasm32 wasi-libc python3-venv

registry-tools: ## Installs the registry that tests publish components to, with apt-get; as root.
	apt-get install --yes --no-install-recommends docker-registry

languages: ## Builds the Souls, rules and interceptors in other languages to guests/out/*.wasm, and runs their unit tests.
	@guests/languages.sh $(LANGUAGES)

test-guests: ## Builds the tiny guests of the tests to tests/programs/out/*.wasm, and one from elsewhere.
	@tests/programs/build.sh
	@tests/elsewhere/build.sh

programs: ## Builds matrixd and matrix.
	cargo build --workspace --bins --locked --profile $(PROFILE)

clean-data: ## Deletes the data folders of `make run` and `make realm`.
	rm -rf $(DATA) $(REALM)
