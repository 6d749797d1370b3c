# A target is one command that a person may also type. `make` alone lists them.
.DEFAULT_GOAL := help
BUF := go run github.com/bufbuild/buf/cmd/buf@v1.65.0
PROTOC_GEN_GO := google.golang.org/protobuf/cmd/protoc-gen-go

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

.PHONY: generate
generate: ## Generate the Go code of messages/*.proto
	go build -o .bin/ $(PROTOC_GEN_GO)
	$(BUF) generate --template .buf.gen.yaml --path messages
