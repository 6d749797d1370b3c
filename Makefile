# A target is one command that a person may also type. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := bash

# Tools, pinned. They run from the module cache and are no dependencies of the module.
BUF := go run github.com/bufbuild/buf/cmd/buf@v1.65.0
GOTESTSUM := go run gotest.tools/gotestsum@v1.13.0
STATICCHECK := go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
PROTOC_GEN_GO := google.golang.org/protobuf/cmd/protoc-gen-go
PROTOC_GEN_GO_GRPC := google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2

# Programs that tests want and Go does not bring: $(call want,PROGRAM,HOW). Installing one takes
# root and apt-get; without, it is named, and the tests that want it are left out.
export PATH := $(CURDIR)/.bin:$(PATH)
INSTALL := apt-get install -y -qq --no-install-recommends
want = command -v $(1) >/dev/null || if [ $$(id -u) = 0 ] && command -v apt-get >/dev/null; then apt-get update -qq && $(2); \
	else echo "there is no $(1), and to install it takes root and apt-get: tests that want it are left out"; fi

# Packages whose tests run in one goroutine: the race detector could find nothing in
# them, and would cost nine seeds out of ten.
ALONE := /test/(simulation|conformance)

SEED ?= 0
SEEDS ?= 1000
SECONDS ?= 1200
BENCH ?= .
COUNT ?= 1

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

.PHONY: build
build: ## Build bin/pmmc
	go build -trimpath -o bin/ ./cmd/pmmc

.PHONY: run
run: build ## Run the sample cluster: three processes, data under ./data, until Ctrl-C
	@cmd/pmmc/run.sh --log-level warn

# Alerts and metrics are tested by Prometheus' own tool. Its package is not installed, for
# that would start a server at :9090.
.PHONY: promtool
promtool:
	@mkdir -p .bin && cd .bin && $(call want,promtool,apt-get download -qq -o APT::Sandbox::User=root prometheus && \
	dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x --strip-components 3 ./usr/bin/promtool && rm prometheus_*.deb)

# Pages are tested in a browser, which a script drives.
.PHONY: browser
browser: test/page/node_modules
	@$(call want,chromium,$(INSTALL) chromium)

test/page/node_modules: test/page/package-lock.json
	@$(call want,npm,$(INSTALL) nodejs npm)
	@! command -v npm >/dev/null || { cd test/page && npm ci --no-audit --no-fund --loglevel error && touch node_modules; }

.PHONY: screenshots
screenshots: browser ## Take the README's pictures of the page, into docs, in two minutes
	go test ./cmd/pmmc -run TestPageInABrowser -count 1 -v -pictures docs

# Tests wait for disks and for time as well, so there is one package more at a time than there
# are processors. All is vetted by then, and vetting it again as it is built for the race
# detector would take a minute.
.PHONY: test
test: check browser iproute strace promtool ## Run all checks and all tests, with the race detector
	$(GOTESTSUM) --format pkgname -- -race -vet off -timeout 14m -p $$(($$(nproc) + 1)) $$(go list ./... | grep -vE '$(ALONE)')
	@out=$$(mktemp); $(GOTESTSUM) --format pkgname --jsonfile $$out -- -vet off -timeout 14m $$(go list ./... | grep -E '$(ALONE)'); code=$$?; \
	sed -nE 's/.*"Output":"((paper|simulation): [^"]*)\\n".*/\1/p' $$out; rm $$out; exit $$code
	cd test/etcd && go vet ./...
	@if [ $$(id -u) = 0 ] && command -v ip >/dev/null; then cd test/etcd && $(GOTESTSUM) --format pkgname -- -vet off -count 1 -timeout 5m ./...; \
	else echo "test/etcd is left out: a network of namespaces takes root and iproute2"; fi

.PHONY: check
check: ## Vet, and see that all files are formatted
	go vet ./...
	@files=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
	if [ -n "$$files" ]; then echo "not formatted (gofmt -w): $$files"; exit 1; fi

.PHONY: lint
lint: check ## Check, and look for mistakes with staticcheck
	$(STATICCHECK) ./...

.PHONY: sim
sim: ## Run seeded simulations: SEEDS=1000 of them, or SEED=42 alone
	go test ./test/simulation -run TestSeeds -count 1 -timeout 0 -v -seeds=$(SEEDS) -seed=$(SEED)

.PHONY: soak
soak: ## Run fresh seeds for SECONDS=1200
	go test ./test/simulation -run TestSeeds -count 1 -timeout 0 -v -for=$(SECONDS)s -from=$$(date +%s)

# A finding is an input in testdata/fuzz beside the fuzzer: from then on a test of each run.
# A fuzzer that fails without one ran into its own deadline, as they do on a busy machine.
.PHONY: fuzz
fuzz: SECONDS = 60
fuzz: ## Run every fuzzer there is for SECONDS=60, one after another
	@grep -roE --include='*_test.go' '^func Fuzz\w+' . | sort | while IFS=: read -r file name; do \
	echo "$$file $${name#func }"; \
	go test "$$(dirname $$file)" -run '^$$' -fuzz "^$${name#func }$$" -fuzztime $(SECONDS)s -fuzzminimizetime 1s || \
	go test "$$(dirname $$file)" -run "^$${name#func }$$" || exit 1; done

.PHONY: mutants
mutants: ## See that the simulator finds each planted fault, and write docs/testing.md's table
	go test ./test/simulation -run TestMutantsAreCaught -count 1 -timeout 0 -v -mutants

# A network of namespaces takes iproute2.
.PHONY: iproute
iproute:
	@$(call want,ip,$(INSTALL) iproute2)

.PHONY: robustness
robustness: iproute ## Run etcd's robustness tests, every profile with every fault; QUICK=1: one with one
	@mkdir -p .bin
	set -o pipefail; cd test/etcd && go test -count 1 -timeout 60m -v $(if $(QUICK),-run TestRobustness,-whole) ./... | tee ../../.bin/robustness.log | grep -E '^ *---|operations|lies|^ok|FAIL'

# Nodes are killed at system calls by strace. Power cuts take root and loop devices.
.PHONY: strace
strace:
	@$(call want,strace,$(INSTALL) strace)

.PHONY: crash
crash: strace ## Kill nodes KILLS=200 times at system calls, cut their power CUTS=60 times, see that planted faults are found
	@mkdir -p .bin
	set -o pipefail; go test ./test/crash -count 1 -timeout 0 -v -kills $(or $(KILLS),200) -cuts $(or $(CUTS),60) -plants $(if $(filter-out 0,$(SEED)),-seed $(SEED)) | \
	tee .bin/crash.log | grep -E '^ *---|seed [0-9]+,|crash:|planted:|^ok|FAIL'

.PHONY: bench
bench: ## Measure beside hashicorp/raft, etcd-io/raft and etcd, into docs/benchmarks.md; QUICK=1 is one short pass
	go run ./test/bench $(if $(QUICK),-quick)

.PHONY: endurance
endurance: ## Load three nodes for FOR (30m), into docs/endurance.md
	go run ./test/bench -endurance $(or $(FOR),30m)

.PHONY: microbench
microbench: ## Run the benchmarks of packages, for benchstat: BENCH=Journal COUNT=6
	go test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) -timeout 0 ./...

.PHONY: cover
cover: ## Measure what the tests cover: cover.out
	go test -timeout 14m -coverpkg ./... -coverprofile cover.out ./...
	go tool cover -func cover.out | tail -1

.PHONY: generate
generate: ## Generate the Go code of messages/**/*.proto, and what documents show
	go build -o .bin/ $(PROTOC_GEN_GO)
	GOBIN=$(CURDIR)/.bin go install $(PROTOC_GEN_GO_GRPC)
	$(BUF) generate --template .buf.gen.yaml --path messages
	go test ./docs/figures ./cmd/pmmc ./cluster/gateway ./test/monitoring -run '^Test(Doc|PaperIsPrinted|RPCs|MetricsDoc)$$' -count 1 -rewrite

.PHONY: clean
clean: ## Remove what was built, not the data
	rm -rf bin .bin cover.out
