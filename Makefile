# Tollgate. `make` alone prints what there is.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
PROGRAMS := tollgate tollgate-gateway
PLATFORMS := linux/amd64 linux/arm64 darwin/arm64
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME ?= 20s

.PHONY: help
help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: go
go:
	@command -v go >/dev/null || { echo "Go is not installed: get 1.26 or newer from https://go.dev/dl/" >&2; exit 1; }

.PHONY: postgres
postgres:
	@[ -n "$${DATABASE_URL:-}" ] || .ci/postgres

.PHONY: run
run: build postgres ## install what is missing, build, and run everything on this machine, with payments that are not real unless TOLLGATE_STRIPE_KEY is set
	@[ -n "$${TOLLGATE_STRIPE_KEY:-}$${TOLLGATE_STRIPE_KEY_FILE:-}" ] || export TOLLGATE_STRIPE=$${TOLLGATE_STRIPE-fake}; exec bin/tollgate up

.PHONY: build
build: go ## build the programs into bin/
	@mkdir -p bin
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ $(addprefix ./cmd/,$(PROGRAMS) fakestripe)

.PHONY: test
test: go test-postgres ## run every test, on a real Postgres
	@go test -timeout 20m ./...

.PHONY: test-postgres
test-postgres:
	@[ -n "$${DATABASE_URL_TEST:-}" ] || .ci/postgres

.PHONY: e2e
e2e: go test-postgres ## judge the pages' speed, then walk the whole way in a real browser, from sign-up to the invoice (needs Chromium)
	@TOLLGATE_ALONE=1 go test -count=1 -p 1 -timeout 9m -run '^TestEveryPageIsLight$$' ./web ./portal
	@dir=$${TOLLGATE_SCREENSHOTS:-$$(mktemp -d -t tollgate-e2e-XXXXXX)}; echo "pictures of every page go to $$dir"; \
	  out=$$(TOLLGATE_SCREENSHOTS="$$dir" go test -count=1 -timeout 9m -run '^TestJourney' -v ./cmd/tollgate) || { echo "$$out"; exit 1; }; \
	  echo "$$out" | grep '^journey ' || { echo "$$out"; exit 1; }

.PHONY: fmt
fmt: go ## format the code
	@gofmt -w .

TEMPL := github.com/a-h/templ/cmd/templ@v0.3.977

.PHONY: generate
generate: go ## write the Go code of the pages from their templ files
	@go run $(TEMPL) generate

.PHONY: assets
assets: ## build stylesheet, script, fonts and icons anew (needs Node.js with npm)
	@command -v npm >/dev/null || { echo "npm is missing: the built assets in ui/assets are committed; install Node.js 20 or newer to build them anew" >&2; exit 1; }
	@cd ui/src && npm install --no-save --silent --no-audit --no-fund && node build.mjs && gofmt -w ../icons_gen.go

.PHONY: check-generated
check-generated: go
	@before=$$(find . -name '*_templ.go' -not -path './ui/src/*' | sort | xargs sha256sum); $(MAKE) --no-print-directory generate >/dev/null 2>&1; \
	  [ "$$before" = "$$(find . -name '*_templ.go' -not -path './ui/src/*' | sort | xargs sha256sum)" ] || { echo "templ files and their Go code differ: commit what make generate wrote" >&2; exit 1; }
	@if command -v npm >/dev/null; then \
	  before=$$(cat ui/assets/* ui/icons_gen.go | sha256sum); $(MAKE) --no-print-directory assets; \
	  [ "$$before" = "$$(cat ui/assets/* ui/icons_gen.go | sha256sum)" ] || { echo "ui/assets is not what ui/src makes: commit what make assets wrote" >&2; exit 1; }; \
	else echo "npm is missing: ui/assets was not compared with ui/src"; fi

.PHONY: check
check: go test-postgres ## what CI checks: format, vet, staticcheck, import rules, committed dump, race tests
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "not formatted (make fmt): $$unformatted" >&2; exit 1; }
	go vet ./...
	cd awsapi/clients/go && go vet ./...
	GOOS=darwin GOARCH=arm64 go vet ./cmd/... ./gateway/... ./migrations/...
	go run $(STATICCHECK) ./...
	go test -count=1 .
	@$(MAKE) --no-print-directory check-generated
	@before=$$(sha256sum migrations/schema.sql); $(MAKE) --no-print-directory dump; \
	  [ "$$before" = "$$(sha256sum migrations/schema.sql)" ] || { echo "migrations/schema.sql was not what the migrations make: commit what make dump wrote" >&2; exit 1; }
	@$(MAKE) --no-print-directory race

.PHONY: race
race: go test-postgres ## run the tests under the race detector, but for those of bench and the program: they run programs that are built without it
	@command -v gcc >/dev/null || { echo "the race detector needs a C compiler: apt-get install gcc libc6-dev" >&2; exit 1; }
	go test -race -timeout 30m $$(go list ./... | grep -v -e /bench/ -e /cmd/tollgate$$)

.PHONY: dump
dump: go test-postgres ## write migrations/schema.sql as the migrations make it
	@TOLLGATE_DUMP=1 go test -count=1 -run '^TestSchemaDump$$' ./migrations

.PHONY: fuzz
fuzz: go ## run every fuzz target for FUZZTIME (20s)
	@grep -rho --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sort | awk '{print $$2}' | while read -r f; do \
	  for dir in $$(grep -rl --include='*_test.go' "^func $$f(" . | xargs -n1 dirname | sort -u); do \
	    echo "$$f in $$dir"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) "$$dir" </dev/null; done; done

.PHONY: bench
bench: build postgres bench-meter ## compare with nginx, haproxy and caddy on this machine, step by step, with Velocity, and measure memory and start
	@go run ./bench/compare

.PHONY: bench-meter
bench-meter: postgres ## what quota, throttle, meter and template cost a call, and how fast usage goes in beside COPY
	@go test -run '^$$' -bench 'QuotaAndThrottle|BenchmarkAppend(Paced)?$$|BenchmarkOrder' -benchmem ./gateway/limit ./gateway/journal ./gateway/vtl | grep -E '^(pkg|Benchmark)'
	@go test -run '^$$' -bench 'Ingest' -benchtime 20x ./billing/intake | grep -E '^(pkg|Benchmark)'

.PHONY: fault
fault: build postgres ## kill gateways, control planes, workers and Postgres under load of a million calls, and count every one; then again with a database that comes back from a backup
	@go run ./bench/fault
	@echo "and once more, with a database that comes back from a backup:"
	@go run ./bench/fault -restore -calls 200000 -kills 8

.PHONY: fault-long
fault-long: build postgres ## the same with ten million calls, and outages of Postgres of half a minute and more
	@go run ./bench/fault -calls 10000000 -kills 100 -kill-every 10s -crashes 10 -outage 10s -crash-every 60s

SOAK ?= 150s

.PHONY: soak
soak: go ## change everything under a gateway that is under load for SOAK (150s), and judge every answer; make test does so for 18s
	@out=$$(TOLLGATE_SOAK=$(SOAK) go test -count=1 -timeout 30m -run '^TestSoak$$' -v ./gateway) || { echo "$$out"; exit 1; }; \
	  grep -E 'part [0-9]+:|^ok' <<<"$$out"

.PHONY: conformance
conformance: go test-postgres ## run all cases recorded from elsewhere, and count them by suite (TOLLGATE_CONFORMANCE names their folder)
	@[ -d "$${TOLLGATE_CONFORMANCE:-}" ] || { echo "TOLLGATE_CONFORMANCE does not name the folder with the recorded cases" >&2; exit 1; }
	@out=$$(go test -count=1 -v -timeout 20m -run 'Conformance|Corpus|Smuggling' ./... 2>&1) || { grep -v '^ *\(=== \|--- PASS\|ok \|PASS\|?\)' <<<"$$out"; failed=1; }; \
	  grep -o '^ *--- SKIP: TestConformance.*' <<<"$$out" || true; \
	  grep '^conformance ' <<<"$$out" | sort -u; \
	  grep '^conformance ' <<<"$$out" | sort -u | awk '{c += $$4; p += $$6; f += $$8} END {printf "conformance in all cases %d pass %d fail %d; each failure is in awsapi/divergences.md with its reason\n", c, p, f}'; \
	  exit $${failed:-0}

.PHONY: release
release: go ## build for every platform into bin/
	@mkdir -p bin
	@for p in $(PLATFORMS); do for c in $(PROGRAMS); do \
	  echo "bin/$$c-$${p/\//-}"; \
	  CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} go build -trimpath -ldflags '$(LDFLAGS)' -o "bin/$$c-$${p/\//-}" "./cmd/$$c"; done; done
