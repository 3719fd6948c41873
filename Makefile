# Veil: `make` lists the targets. Every target makes the environment it needs under .venv.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
MODELS := .cache/models

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 …"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv 2>/dev/null || deploy/install-venv $(PYTHON)
	@echo "installing Veil and its tools under .venv: some minutes without a word the first time"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

.PHONY: install
install: $(STAMP) ## environment under .venv with Veil and its development tools

.PHONY: models
models: $(STAMP) ## fetch the face, plate, person and text models into .cache/models
	$(BIN)/veil models install centerface clp_det ssd_mobilenetv2_oidv4 text audit

.PHONY: demo
demo: $(STAMP) ## mask a real video; results in out/demo/
	$(BIN)/python -m deploy.demo

.PHONY: lint
lint: $(STAMP) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Where Triton can't run the tests that need it say so; the broker and the RTSP server are fetched by those who start them.
.PHONY: triton
triton: $(STAMP)
	-@$(BIN)/python -m deploy.triton.environment

.PHONY: test
test: lint models triton ## all tests: style, types, unit, conformance, contract, real servers, end to end, short eval, bench, chaos
	$(BIN)/python -m pytest

.PHONY: eval
eval: models ## what masks are worth: tables, out/eval/eval.json, curves in docs/; ARGS="--only SECTION": --help
	$(BIN)/python -m tests.eval.run $(ARGS)

.PHONY: bench
bench: models ## speed against deface and a bare loop: table and out/bench/bench.json; costs for veil plan: calibration.yaml
	$(BIN)/python -m tests.bench.run
	$(BIN)/python -m tests.bench.calibrate

# Training has its own environment: PyTorch is no dependency of Veil.
.PHONY: train-env
train-env: $(STAMP) ## PyTorch for the CPU under .cache/train-venv, 1.7 GB, for make train-detectors
	$(BIN)/python -m deploy.models.train.environment

.PHONY: train-detectors
train-detectors: models train-env ## train Veil's own detectors on the pictures in ../shared/data; ARGS="RECIPE --out FOLDER": --help
	$(BIN)/python -m deploy.models.train.packages .cache/train/pictures
	.cache/train-venv/bin/python -m deploy.models.train.teachers --pictures .cache/train/pictures --lessons .cache/train/lessons.json
	.cache/train-venv/bin/python -m deploy.models.train $(or $(ARGS),all --pictures .cache/train/pictures --out out/train/all)

.PHONY: soak
soak: models ## memory over a video of 30 minutes, into out/bench/bench.json
	$(BIN)/python -m tests.bench.run --soak

.PHONY: chaos
chaos: models triton ## break a running stack in every way: table and out/chaos/chaos.json
	$(BIN)/python -m tests.chaos.run $(ARGS)

.PHONY: bench-stack
bench-stack: models triton ## Kafka path, CPU, latency and Triton of the stack: tables and out/bench/stack.json
	$(BIN)/python -m tests.bench.stack $(ARGS)

.PHONY: validate-plan
validate-plan: models ## veil plan and veil simulate against the running stack, 1 to 8 cameras; ARGS="--page" writes docs/planning.md
	$(BIN)/python -m tests.bench.validate_plan $(ARGS)

.PHONY: stack
stack: models triton ## Kafka, Triton, two cameras, the five services and the auditor, in the background; ARGS="--fused" and others: --help
	$(BIN)/python -m deploy.stack up $(ARGS)

.PHONY: stack-down
stack-down: $(STAMP) ## end what `make stack` started
	$(BIN)/python -m deploy.stack down $(ARGS)

.PHONY: stack-status
stack-status: $(STAMP) ## what of the stack runs where
	@$(BIN)/python -m deploy.stack status $(ARGS) || true

.PHONY: k8s-check
k8s-check: $(STAMP) ## every overlay and 1062 combinations of components: built, valid by the schemas of Kubernetes and the operators
	VEIL_REQUIRE_SERVERS=1 VEIL_K8S_ALL=1 $(BIN)/python -m pytest tests/k8s

.PHONY: k8s-cluster-check
k8s-cluster-check: $(STAMP) ## every overlay on a real control plane with played nodes; builds Kubernetes the first time; ARGS: --help
	$(BIN)/python -m k8s.tools.cluster $(ARGS)

IMAGES := decoder inference tracker renderer encoder renderer-encoder vault auditor insight console disclosure cli
.PHONY: images
images: ## container images veil-decoder, veil-inference, …; needs Docker with BuildKit
	@for image in $(IMAGES); do docker build -f deploy/Dockerfile --target $$image -t veil-$$image . || exit 1; done

.PHONY: proto
proto: $(STAMP) ## generate services/schema from proto/
	$(BIN)/python -m grpc_tools.protoc -I proto --python_out=services/schema --pyi_out=services/schema veil/v1/veil.proto

.PHONY: format
format: $(STAMP) ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: clean
clean: ## remove environment, caches and results
	rm -rf .venv .cache out build *.egg-info .mypy_cache .ruff_cache .pytest_cache
