# Two commands do everything on a fresh machine: `make book` and `make test`. `make full HOURS=8` makes the long runs.
PROFILE ?= quick
HOURS ?= 8
# What `make bench` runs: files of benchmarks; empty for all.
BENCH ?=
PORT ?= 8000
# Of `make class`: an index of wheels, or a folder of them, with a torch for it; empty for PyTorch's own.
TORCH ?=
SLOW ?=
VENV := .venv
BIN := $(VENV)/bin
# A second environment, with the oldest versions that pyproject.toml allows.
LOWEST := .venv-lowest
# The first interpreter that is new enough; override with PYTHON=...
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)

.PHONY: book class full bench test lowest serve pdf slides sbom lint clean data
.DELETE_ON_ERROR:

book: $(VENV)/installed
	$(BIN)/python -m mtlrepro.book.pairing
	$(BIN)/snakemake --snakefile workflow/Snakefile --cores all --config profile=$(PROFILE) --rerun-incomplete --keep-going --quiet rules progress --nolock
	@echo "The book: book/_build/html/index.html (or: make serve)"

class: $(VENV)/class
	@echo "JupyterLab: $(BIN)/jupyter lab notebooks (exercises: notebooks/<paper>/exercises)"

full: $(VENV)/installed
	$(BIN)/mtlrepro campaign --hours $(HOURS)

# Ratios, each within one run and beside its reach; the book's page on speed shows them. One process: a busy core enters none.
bench: $(VENV)/installed
	mkdir -p runs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -o addopts="--import-mode=importlib --timeout=3600" -p no:xdist -q -s \
		--benchmark-only --benchmark-disable-gc --benchmark-json=runs/bench.json $(BENCH)
	$(BIN)/python -m mtlrepro.book.speed runs/bench.json

# Checks of the whole that take long (Snakemake, a campaign, all pages in a browser) are for SLOW=1.
test: lint
	$(BIN)/python -m pytest -n auto --dist loadgroup $(if $(SLOW),,-m "not slow")

# The lower bounds of the dependencies: resolved to the oldest, installed apart, every module imported, the quick tests run.
lowest: $(VENV)/installed
	test -x $(LOWEST)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(LOWEST)
	$(BIN)/uv pip compile --quiet pyproject.toml --extra book --extra dev --extra torchjd --resolution lowest-direct \
		--python $(LOWEST)/bin/python --no-emit-index-url --output-file $(LOWEST)/requirements.txt
	$(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python -r $(LOWEST)/requirements.txt
	$(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python --no-deps --editable .
	$(LOWEST)/bin/python -c "import pkgutil, importlib, mtlrepro; [importlib.import_module(m.name) for m in pkgutil.walk_packages(mtlrepro.__path__, 'mtlrepro.')]"
	$(LOWEST)/bin/python -m pytest -n auto --dist loadgroup -m "not slow and not browser"

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache
	$(BIN)/python -m mtlrepro.book.pairing --check

serve: $(VENV)/installed
	@test -f book/_build/html/index.html || { echo "No book yet: run make book first." >&2; exit 1; }
	@echo "http://127.0.0.1:$(PORT)"
	$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory book/_build/html

# The article and the whole book, as PDF, from the built site; needs a Chromium.
pdf: $(VENV)/installed
	$(BIN)/python -m mtlrepro.book.pdf

# One deck of slides a paper, from the built site, in a folder of its own.
slides: $(VENV)/installed
	$(BIN)/python -m mtlrepro.book.slides

# Every package that the lock installs, with version and licence: a bill of materials (CycloneDX). Needs the network.
sbom: $(VENV)/installed
	mkdir -p runs
	$(BIN)/uv tool run --from cyclonedx-bom cyclonedx-py environment $(BIN)/python --output-file runs/sbom.json
	@echo "runs/sbom.json"

data: $(VENV)/installed
	$(BIN)/mtlrepro data fetch

clean:
	rm -rf book/_build book/exhibits runs/book .snakemake

# An empty environment and uv.
define environment
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed: install one, or name it with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m venv --upgrade-deps --help >/dev/null 2>&1 || { echo "$(PYTHON) has no venv module: install it (Debian: apt install python3-venv)." >&2; exit 1; }
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	test -x $(BIN)/uv || $(BIN)/pip install --quiet --disable-pip-version-check uv
endef

$(VENV)/installed: requirements.lock pyproject.toml
	$(environment)
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

# What a class needs on a laptop: the package, a kernel and JupyterLab; the torch that has no CUDA in it, from PyTorch's own index or
# from TORCH alone. Where that index cannot be reached, the torch of the default index, with a word about its size first.
class_install = $(BIN)/uv pip install --quiet --python $(BIN)/python$(1) --constraint requirements.lock \
	--editable . ipykernel jupyterlab
$(VENV)/class: requirements.lock pyproject.toml
	$(environment)
ifneq ($(TORCH),)
	$(BIN)/uv pip install --quiet --python $(BIN)/python $(if $(wildcard $(TORCH)/.),--no-index --find-links,--default-index) $(TORCH) \
		--no-deps --constraint requirements.lock torch torchvision
	$(call class_install,)
else
	@echo "Installing, with a torch that has no CUDA; a minute or two with a good network."
	@$(call class_install, --torch-backend cpu) || { \
	printf '%s\n' "No torch without CUDA from PyTorch's own index (above: why). TORCH=... names another such index, or a folder of wheels." \
		"Now trying the default index; on Linux its torch brings CUDA: 6 GB in place of 1.4, so stop this where that is too much." >&2; \
	$(call class_install,); }
endif
	touch $@
