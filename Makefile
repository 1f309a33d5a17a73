# Aliases of the Deno tasks. `make help` lists them.
# Arguments go through ARGS: make migrate-up ARGS=--dry-run

# Uses Deno on the PATH if it has the pinned version, and npm otherwise.
DENO_VERSION := $(shell sed -n 's/^deno //p' .tool-versions)
DENO := $(shell deno --version 2>/dev/null | grep -q "^deno $(DENO_VERSION) " && echo deno || echo npx -y deno@$(DENO_VERSION))
# The Compose plugin, or docker-compose, which has no --wait.
COMPOSE := $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
UP_FLAGS := --detach --build$(if $(filter docker,$(firstword $(COMPOSE))), --wait)

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  %-16s %s\n", $$1, $$2 }'

##### The service

.PHONY: dev start test check generate
dev: ## Run the service on an embedded PostgreSQL, reload on change
	$(DENO) task dev

start: ## Run the service on the configured database
	$(DENO) task start

test: ## Run all tests
	$(DENO) task test

check: ## Check formatting, lint, spelling, types, the contract and generated files
	$(DENO) task check

generate: ## Generate code and references
	$(DENO) task generate

##### The database

.PHONY: db-init db-reset db-status db-seed db-psql
db-init: ## Create the configured database with its roles, and migrate it
	$(DENO) task db:init $(ARGS)

db-reset: ## Drop and recreate the configured database (asks)
	$(DENO) task db:reset $(ARGS)

db-status: ## Show the state of the configured database
	$(DENO) task db:status $(ARGS)

db-seed: ## Insert sample data into the configured database
	$(DENO) task db:seed $(ARGS)

db-psql: ## Start psql on the configured database
	$(DENO) task db:psql $(ARGS)

.PHONY: migrate-up migrate-down migrate-status migrate-create
migrate-up: ## Apply pending migrations
	$(DENO) task migrate up $(ARGS)

migrate-down: ## Revert the last migration
	$(DENO) task migrate down $(or $(ARGS),1)

migrate-status: ## List the migrations and which are applied
	$(DENO) task migrate status $(ARGS)

migrate-create: ## Create the files of a new migration: make migrate-create name=add_account
	@test -n "$(name)" || { echo "Which name? make migrate-create name=add_account" >&2; exit 2; }
	$(DENO) task migrate create "$(name)"

##### Docker

.PHONY: build up down logs
build: ## Build the image
	$(COMPOSE) build

up: ## Start the service and PostgreSQL in containers, and wait until they are healthy
	$(COMPOSE) up $(UP_FLAGS)

down: ## Stop the containers; their data stays
	$(COMPOSE) down

logs: ## Follow the containers' logs
	$(COMPOSE) logs --follow
