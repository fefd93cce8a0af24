# Heddle. "make help" lists the targets.
GO      ?= go
BIN     := bin/heddle
STATIC  := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.DEFAULT_GOAL := help
.PHONY: help run cluster build test test-cluster test-kafka chaos chaos-short chaos-planted race check fmt lint generate generated crash fuzz bench bench-quick bench-presence bench-socketio bench-plugins bench-bus bench-kafka sdks e2e e2e-socketio clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

EXAMPLE := data/plugins/dev/profanity.zip
run: build $(EXAMPLE) ## build and start a development node with a chat page on http://127.0.0.1:8080 and a plugin in its route (data in ./data)
	$(BIN) dev

FERRET := -tags ferretdb_no_postgresql
cluster: build ## build and start a cluster: three nodes and a worker on Redis, Kafka and MongoDB, with a chat page on http://127.0.0.1:8080 (needs redis-server and haproxy)
	cd backends && $(GO) run $(FERRET) ./cmd/cluster -binary $(abspath $(BIN))

$(EXAMPLE): $(wildcard examples/plugins/profanity/*) $(wildcard sdk-wasm/go/*.go) | build
	@mkdir -p $(@D)
	$(BIN) plugin build examples/plugins/profanity -o $@

build: ## build bin/heddle
	$(GO) build -o $(BIN) ./cmd/heddle

test: ## all tests that need only Go
	$(GO) test -timeout 20m ./...

test-cluster: ## tests on Redis, also with Sentinels and as a Cluster, on Kafka and MongoDB, and of a cluster whose parts die (needs redis-server and haproxy)
	cd backends && HEDDLE_BACKENDS=redis,redis-ha $(GO) test $(FERRET) -timeout 30m ./...

CHAOS_RUN := cd backends && $(GO) run $(FERRET) ./cmd/chaos
chaos: build ## a cluster under faults for about an hour, and what its clients were told is held against the promises (needs redis-server; root for nodes that are cut off; CHAOS="-seed 7 -faults kill,pause": others)
	$(CHAOS_RUN) -binary $(abspath $(BIN)) -for 45m $(CHAOS)

chaos-short: build ## the same for about three minutes
	$(CHAOS_RUN) -binary $(abspath $(BIN)) -for 90s $(CHAOS)

chaos-planted: ## that chaos finds mistakes which are built in, each within five minutes (PLANTED=3: three, others each day)
	$(CHAOS_RUN) -planted $(or $(PLANTED),all)

test-kafka: ## the log and the workers on real Kafka brokers, three of them for what happens when they die (needs Java 17 and Maven)
	HEDDLE_BACKENDS=kafka $(GO) test -race -count=1 -p 1 -timeout 20m ./runtime/adapter/kafka/... ./runtime/worker/...

race: ## the same with the race detector
	$(GO) test -race -timeout 40m ./...

check: fmt lint test generated ## format, vet, lint, tests, tidy and generated files clean

fmt: ## fail if a file is not formatted
	@bad=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$bad" ]; then echo "not formatted:"; echo "$$bad"; exit 1; fi

lint: ## vet and staticcheck
	$(GO) vet ./...
	$(GO) run $(STATIC) ./...
	cd bench && $(GO) vet ./...

generate: ## write generated files: protocol schema and tables, configuration reference, web bundles
	$(GO) generate ./...

generated: ## fail if go.mod or a generated file is not up to date
	$(GO) mod tidy -diff
	cd bench && $(GO) mod tidy -diff
	$(GO) generate ./...
	@git diff --exit-code --stat -- docs clients examples cmd plugins hostapi sdk-wasm || (echo "generated files were not up to date"; exit 1)

crash: ## the crash proof for long: CRASH_SEEDS seeds in memory, CRASH_KILLS real kill -9 (defaults 2000, 300)
	HEDDLE_CRASH_SEEDS=$(or $(CRASH_SEEDS),2000) $(GO) test -count=1 -timeout 60m -run Crash ./runtime/adapter/embedded/...
	HEDDLE_CRASH_KILLS=$(or $(CRASH_KILLS),300) $(GO) test -count=1 -timeout 60m -run Kill ./cmd/heddle/...

FUZZTIME ?= 20s
fuzz: ## every fuzz target for FUZZTIME (default 20s)
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x $$pkg; done; done

bench: ## the figures of docs/BENCHMARKS.md: Heddle and its peers in the same run (some hours)
	cd bench && $(GO) run ./cmd/matrix -all -md

bench-quick: ## the same, briefly, to see that it works
	cd bench && $(GO) run ./cmd/matrix -all -quick

bench-presence: ## presence and typing against their goals: latency, reconnects of a room of 5,000, typers (three minutes)
	cd bench && $(GO) run ./cmd/matrix -build -servers heddle -scenarios presence,reconnect,typing -reps 1 -tries 1 -quiet-wait 15s -out results-presence.jsonl
	cd bench && $(GO) run ./cmd/matrix -report -md -out results-presence.jsonl

bench-socketio: ## Socket.IO beside the native protocol and the Node reference server: fan-out (twenty minutes; SOCKETIO=-quick: one)
	cd bench && $(GO) run ./cmd/matrix -all -md -servers heddle,heddle-socketio,heddle-durable,heddle-socketio-durable,socketio,socketio-alike \
	  -scenarios fanout,paced $(if $(findstring -quick,$(SOCKETIO)),,-reps 5 -quiet-wait 15s -out results-socketio.jsonl) $(SOCKETIO)

bench-plugins: ## plugins: the host beside its peers, metering, instances, deploys, chat (an hour or more; PLUGINS=-quick: three minutes)
	cd bench && $(GO) run ./cmd/plugins -md $(PLUGINS)

bench-kafka: ## the log in Kafka beside a bare producer (KAFKA="-brokers host:port": real brokers)
	cd bench && $(GO) run ./cmd/kafkalog -md $(KAFKA)

bench-bus: ## the bus between nodes against bare Redis (needs redis-server; two minutes; BUS=-quick: seconds)
	cd bench && $(GO) run ./cmd/bus -md $(BUS)

sdks: build ## plugins in every language: SDKs, examples, templates (needs clang, lld, rustc with a library for wasm32, Node)
	cd sdk-wasm/as && npm ci --no-audit --no-fund
	HEDDLE_SDKS=go,c,rust,as $(GO) test -count=1 -timeout 20m ./sdk-wasm/... ./examples/plugins/... ./cmd/heddle/plugin/...

e2e: build ## the demo page in a real Chromium (needs Node and chromium)
	cd e2e && npm ci --no-audit --no-fund && E2E_BIN=$(abspath $(BIN)) npm test

PYTHON := e2e/socketio/.venv/installed
e2e-socketio: build $(PYTHON) ## unmodified clients of Socket.IO, also through nginx and haproxy (needs Node; of Python 3, nginx and haproxy what is there)
	cd e2e/socketio && npm ci --no-audit --no-fund && E2E_BIN=$(abspath $(BIN)) npm test

$(PYTHON): e2e/socketio/python/requirements.txt
	@python3 -m venv $(@D) && $(@D)/bin/pip install -q --disable-pip-version-check -r $< && touch $@ || echo "no python-socketio: its tests are skipped"

clean: ## remove what was built
	rm -rf bin bench/bin
