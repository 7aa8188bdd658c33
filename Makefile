# vitbench. `make help` lists the targets. Each one sets up what it needs: a Python with `venv` and make are enough.
SHELL := /bin/sh
PYTHON ?= python3
# cpu or cuda: which ONNX Runtime is installed. They exclude each other; changing it makes the environment again.
EXTRA ?= cpu
VENV ?= .venv

MODEL ?= ViT_base_patch32_384
WEIGHTS ?=
PRECISION ?= fp32
# Of images to calibrate int8 on: a folder or a list; none of them may be in IMAGES.
CALIBRATION ?=
# int8: the part of FP32's top-1 on IMAGES that must be kept, as 0.99: operators go back to FP32 until it is.
KEEP ?=
RUNTIME ?=
BATCH ?= 1,4,8
# Of the report: md, html, csv, json, latex.
FORMAT ?= md,html
# Of the report; without it the names of the runs.
TITLE ?=
IMAGES ?=
# Of IMAGES: how many; 0 takes all, as accuracy does without it.
LIMIT ?=
OUT ?=
# Of `make export`: ways out, comma-separated (python -m validate.ship --help).
TO ?= onnx
# Of `make ship`: limits, as p99<50ms, top1>=-0.5, memory<1GB; latency, throughput or cost; of cost, euros
# per hour of this machine; of the whole race, minutes.
BUDGET ?=
OBJECTIVE ?= latency
PRICE ?=
MINUTES ?= 30
# Of `make serve`: the port on loopback.
PORT ?= 8000
# How hard `make bench` tries: a look that takes minutes. EFFORT= (empty) is what `python -m runtimes.bench` does: until
# the interval of each median is within 1 %, or a minute of measuring per cell.
EFFORT ?= --target 10% --min-count 6 --max-seconds 12 --patience 10 --minutes 2.4
# RESUME=1 with OUT=: measure only what that results folder lacks; where it lacks nothing, what was disturbed.
RESUME ?=
# auto or HOST:PORT: bench and accuracy on the machines of a Ray cluster (docs/cluster.md), which needs the extra `cluster`.
CLUSTER ?=
# FRESH=1 with OUT=: start again where that folder holds an unfinished run.
FRESH ?=

# Of `make fuzz`: how long all targets take together; one of them (python -m scripts.fuzz --help).
SECONDS ?= 900
TARGET ?=

# Of `make check-claims`: some claims only, comma-separated; QUICK=1 for a look of minutes.
ONLY ?=
QUICK ?=

# Recipes read these from their environment: between quotes of the shell a path with an apostrophe would end them.
export MODEL WEIGHTS PREPROCESSING PRECISION CALIBRATION BUDGET OBJECTIVE PRICE MINUTES KEEP RUNTIME BATCH FORMAT IMAGES LIMIT OUT TO PORT TITLE ONLY CLUSTER

PY := $(VENV)/bin/python
READY := $(VENV)/.ready-$(EXTRA)
DEV_READY := $(VENV)/.ready-dev

# What bench and accuracy begin with where images to calibrate on are given: the int8 artifact.
int8 = $(if $(CALIBRATION),$(PY) -m convert "$$MODEL" $(weights) --precision int8 $(calibration) &&)
weights = $(if $(WEIGHTS),--weights "$$WEIGHTS") $(if $(PREPROCESSING),--preprocessing "$$PREPROCESSING")
calibration = $(if $(CALIBRATION),--calibration "$$CALIBRATION")
runtime = $(if $(RUNTIME),--runtime "$$RUNTIME")
limit = $(if $(LIMIT),--limit "$$LIMIT")
resume = $(if $(RESUME),--resume) $(if $(FRESH),--fresh)
out = $(if $(OUT),--out "$$OUT")
cluster = $(if $(CLUSTER),--cluster "$$CLUSTER")

.PHONY: help bench bisect profile ship export verify-gpu check-claims fuzz kills mutate test coverage lint format convert parity accuracy report serve doctor setup lock clean
.DEFAULT_GOAL := help

help: ## this list
	@printf 'usage: make TARGET [MODEL=%s] [WEIGHTS=] [RUNTIME=] [PRECISION=%s] [BATCH=%s] [OUT=]\n\n' "$$MODEL" "$$PRECISION" "$$BATCH"
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do printf '  %-12s %s\n' "$$name" "$$text"; done
	@printf '\nMODEL: one of the seven (python -m convert --list), all, a .toml model spec or a folder with a Paddle inference model.\nWEIGHTS: auto, pretrained, seeded[:N] or a file (.pdparams, .safetensors, .pth, .npz, ...); without it those of the artifact that is there.\nPREPROCESSING: where a folder does not say it: imagenet, inception, a TABLE.toml or mean=0.5,0.5,0.5;std=... .\nRUNTIME, BATCH: comma-separated. EXTRA=cuda installs onnxruntime-gpu instead of onnxruntime.\n'

bench: $(READY) ## convert, check parity, measure on every runtime of this machine, write the report
	@$(int8) \
	run=$${OUT:-results/$$(date -u +%Y%m%d-%H%M%S)}; \
	$(PY) -m vitbench bench --model "$$MODEL" $(weights) $(runtime) --precision "$$PRECISION" --batch "$$BATCH" $(EFFORT) $(resume) $(cluster) --out "$$run"; status=$$?; \
	[ $$status -eq 2 ] || $(PY) -m reports "$$run" --format "$$FORMAT" || exit; exit $$status

convert: $(READY) ## MODEL to ONNX, checked and with a manifest, into artifacts/
	@$(if $(KEEP),$(PY) -m validate.search --model "$$MODEL" $(weights) $(runtime) --precision "$$PRECISION" $(calibration) --keep "$$KEEP" --images "$$IMAGES" $(out) $(if $(RESUME),--resume),$(PY) -m convert "$$MODEL" $(weights) --precision "$$PRECISION" $(calibration) $(out))

parity: $(READY) ## is the converted MODEL the same model on each runtime? (IMAGES= for photos of your own)
	@$(PY) -m validate.parity --model "$$MODEL" $(weights) $(runtime) --precision "$$PRECISION" $(if $(IMAGES),--inputs "$$IMAGES") $(limit) $(out)

ship: $(READY) ## which one to ship within BUDGET="p99<50ms, top1>=-0.5, memory<1GB": one choice, proven (IMAGES=, CALIBRATION=)
	@$(PY) -m validate.choice --model "$$MODEL" $(weights) $(runtime) $(if $(filter-out file,$(origin PRECISION)),--precision "$$PRECISION") --budget "$$BUDGET" --objective "$$OBJECTIVE" $(if $(PRICE),--price "$$PRICE") --minutes "$$MINUTES" $(if $(IMAGES),--images "$$IMAGES") $(limit) $(calibration) $(resume) $(out)

export: $(READY) ## a folder to ship for each of TO=onnx,openvino,..., proven, checked and with its proof, into shipped/
	@$(PY) -m validate.ship --model "$$MODEL" $(weights) --precision "$$PRECISION" --to "$$TO" $(if $(IMAGES),--inputs "$$IMAGES") $(limit) $(out)

bisect: $(READY) ## where the converted MODEL stops being the same model: block and operator
	@$(PY) -m validate.bisect --model "$$MODEL" $(weights) $(runtime) --precision "$$PRECISION" $(if $(IMAGES),--inputs "$$IMAGES") $(limit) $(out)

profile: $(READY) ## where the milliseconds of MODEL go: by block and by operator, runtimes side by side
	@$(PY) -m validate.profile --model "$$MODEL" $(weights) $(runtime) --precision "$$PRECISION" $(if $(filter-out file,$(origin BATCH)),--batch "$$BATCH") $(out)

accuracy: $(READY) ## top-1 and top-5 over IMAGES= (val_list.txt, a tree of classes, ILSVRC2012_img_val or its .tar, parquet)
	@$(int8) $(PY) -m validate.accuracy --images "$$IMAGES" --model "$$MODEL" $(weights) $(runtime) --precision "$$PRECISION" $(limit) $(cluster) $(resume) $(out)

report: $(READY) ## write the report of the results folder OUT= (default: the newest) again
	@$(PY) -m reports $(if $(OUT),"$$OUT") --format "$$FORMAT" $(if $(TITLE),--title "$$TITLE")

serve: $(READY) ## MODEL behind Triton on loopback, for a first try (`tritonserver` of the PATH, or VITBENCH_TRITON_PYTHON)
	@$(PY) -m runtimes.served --model "$$MODEL" $(weights) --port "$$PORT"

doctor: $(READY) ## each runtime: available or why not, version, devices, precisions
	@$(PY) -m runtimes

verify-gpu: ## on a GPU machine: every GPU runtime proven and measured, into gpu-check/ to bring back (EXTRA=cuda)
	@$(MAKE) --no-print-directory setup EXTRA=cuda
	@$(PY) -m scripts.verify_gpu --model "$$MODEL" $(runtime) --batch "$$BATCH" $(out)

check-claims: $(READY) ## do the README's figures hold here? (ONLY=, QUICK=1; a quiet machine, some hours)
	@$(PY) -m scripts.check_claims $(if $(ONLY),--only "$$ONLY") $(if $(QUICK),--quick)

test: $(DEV_READY) ## the tests
	@$(PY) -m pytest -q -n 2

coverage: $(DEV_READY) ## the tests, and how much of the source they cover (before a release)
	@$(PY) -m pytest -q -n 2 --cov --cov-report=

mutate: $(DEV_READY) ## faults planted into what decides about numbers: do the tests notice? (before a release; half an hour)
	@$(PY) -m scripts.mutation

kills: $(DEV_READY) ## each command killed at random moments: is anything lost or left behind? (an hour)
	@$(PY) -m scripts.kills

fuzz: $(DEV_READY) ## damaged and hostile files of every kind: each taken, or refused in a line (SECONDS=900, TARGET=)
	@$(PY) -m scripts.fuzz --seconds $(SECONDS) $(if $(TARGET),--target "$(TARGET)")

lint: $(DEV_READY) ## ruff (lint and format), mypy, deptry (dependencies)
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/deptry .

format: $(DEV_READY) ## let ruff mend what it can
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

setup: $(READY) ## only make the environment

$(READY): requirements/$(EXTRA).lock pyproject.toml
	@echo "setting up $(VENV) ($(EXTRA)) from requirements/$(EXTRA).lock: about a minute and 1.9 GB, once" >&2
	@rm -rf '$(VENV)'
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 10) <= v < (3, 13) else "Python 3.10, 3.11 or 3.12 is needed, this is %d.%d: run make PYTHON=python3.12 ..." % v[:2])'
	@$(PYTHON) -m venv '$(VENV)'
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/$(EXTRA).lock
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(DEV_READY): requirements/$(EXTRA)-dev.lock $(READY)
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/$(EXTRA)-dev.lock
	@touch $@

# Needs uv. --universal: one lock for every platform and Python that pyproject.toml admits.
COMPILE := uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-annotate \
	--custom-compile-command 'make lock' pyproject.toml
lock: ## resolve the locks again (needs uv; UPGRADE=1 takes newer versions)
	@for extra in cpu cuda; do \
	  $(COMPILE) $(if $(UPGRADE),--upgrade) --extra convert --extra $$extra --extra mnn -o requirements/$$extra.lock && \
	  $(COMPILE) $(if $(UPGRADE),--upgrade) --extra convert --extra $$extra --extra mnn --extra ncnn --extra cluster --group dev -c requirements/$$extra.lock -o requirements/$$extra-dev.lock || exit; \
	done

clean: ## remove the environment and caches; artifacts/, shipped/ and results/ stay
	@rm -rf '$(VENV)' build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
