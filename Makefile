# Two commands do all the set-up: `make demo` and `make test`. Each needs Python 3.10 or later and git.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test browser zoo zoo-grown more-zoos fit bench-judgement bench-derivatives bench-zoo bench-wild bench-sampling bench-hub demo-models zoo-data smoke-hub

demo: $(VENV)/.app  ## A Hub on loopback, a crawl, a trace, then the app on port 7860
	$(BIN)/hub-lineage demo

test: $(VENV)/.test browser  ## Everything the tests need, then lint, types, layers and tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

ZOO := benchmarks/cache/zoo
CACHE := benchmarks/cache
LEARNED := $(ZOO) $(foreach seed,1 2 3 4,$(CACHE)/training-$(seed)) $(CACHE)/stars-5 $(CACHE)/grown $(foreach seed,11 12,$(CACHE)/grown-training-$(seed))
VALIDATING := $(ZOO) $(CACHE)/validating-21 $(CACHE)/grown
TESTING := $(CACHE)/grown $(CACHE)/testing-31 $(ZOO)
LEFT_OUT := cnn_bn resnet vit restorer deep star hub published
WILD ?= ../shared/data/wild/waifu2x

zoo: zoo-data $(VENV)/.test  ## The zoo, really trained: ten minutes on two idle cores, then kept
	$(BIN)/python -m benchmarks.zoo --size full --out $(ZOO)

zoo-grown: zoo-data $(VENV)/.test  ## The grown zoo: half an hour on two idle cores, then kept
	$(BIN)/python -m benchmarks.zoo --size grown --out $(CACHE)/grown

bench-zoo: zoo  ## What ships, on the zoo's test split; benchmarks/results/zoo.json
	$(BIN)/python -m benchmarks.zoo --size testing --seed 31 --out benchmarks/cache/testing-31
	$(BIN)/python -m benchmarks.bench_zoo --zoo $(ZOO) --strangers benchmarks/cache/testing-31

bench-wild: $(VENV)/.test  ## Published networks with documented parents, from the folder WILD
	$(BIN)/python -m benchmarks.bench_wild --data $(WILD)

bench-derivatives: $(VENV)/.test  ## Quantised copies and adapters told from what they were made of; derivatives.json
	$(BIN)/python -m benchmarks.bench_derivatives

bench-sampling: zoo  ## How many values a fingerprint needs: validation split
	$(BIN)/python -m benchmarks.bench_sampling --zoo $(ZOO)

bench-hub: zoo  ## The crawl, candidates from nothing, and cards, against a Hub on loopback
	$(BIN)/python -m benchmarks.bench_hub --zoo $(ZOO)

bench-judgement: zoo zoo-grown $(CACHE)/judges  ## Who is the parent: the test splits of three zoos; judgement.json
	$(BIN)/python -m benchmarks.zoo --size testing --seed 31 --out $(CACHE)/testing-31
	$(BIN)/python -m benchmarks.bench_judgement --zoo $(TESTING) --full benchmarks.judgement.full:judgement \
	  --left-out $(foreach kind,cnn_bn resnet vit restorer,$(kind)=$(CACHE)/judges/without-$(kind).json) \
	  --left-out-regime $(foreach regime,deep star hub published,$(regime)=$(CACHE)/judges/without-$(regime).json)

more-zoos: zoo zoo-grown  ## What the judge is fitted on beside: an hour on two idle cores
	for seed in 1 2 3 4; do $(BIN)/python -m benchmarks.zoo --size training --seed $$seed --out $(CACHE)/training-$$seed; done
	$(BIN)/python -m benchmarks.zoo --size stars --seed 5 --out $(CACHE)/stars-5
	for seed in 11 12; do $(BIN)/python -m benchmarks.zoo --size grown-training --seed $$seed --out $(CACHE)/grown-training-$$seed; done
	$(BIN)/python -m benchmarks.zoo --size validating --seed 21 --out $(CACHE)/validating-21

fit: more-zoos  ## The judge that ships, anew: three networks, and other kinds beside; an hour
	$(BIN)/python -m benchmarks.fit_judge --zoo $(LEARNED) --validation $(VALIDATING) --others

$(CACHE)/judges: | more-zoos  ## Judges that never saw one kind of network, or one regime
	$(BIN)/python -m benchmarks.fit_judge --zoo $(LEARNED) --validation $(VALIDATING) --without $(LEFT_OUT) --out $@

smoke-hub: $(VENV)/.app  ## For those with a network: a dozen public models whose ancestry is known
	$(BIN)/python -m benchmarks.smoke_hub

demo-models: zoo-data $(VENV)/.test  ## The models of the demonstration, anew
	$(BIN)/python -m benchmarks.zoo.demo

zoo-data:
	@sh benchmarks/zoo/install_data.sh

$(VENV)/.pip:
	@$(PYTHON) -m venv --clear $(VENV) || { echo "Python's venv is missing: on Debian, apt-get install python3-venv, then run make again."; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.app: $(VENV)/.pip pyproject.toml constraints.txt
	@echo "Installing hub-lineage with its app into $(VENV) ..."
	$(BIN)/python -m pip install --quiet --progress-bar off -c constraints.txt -e '.[app,formats]'
	@touch $@

$(VENV)/.test: $(VENV)/.app
	@echo "Installing what the tests need into $(VENV) ..."
	$(BIN)/python -m pip install --quiet --progress-bar off -c constraints.txt --group test
	@touch $@

browser:  ## Debian's Chromium, for the tests of the app
	@command -v chromium >/dev/null || { \
	  command -v apt-get >/dev/null || { echo "Install Chromium, then run make test again."; exit 1; }; \
	  echo "Installing Chromium ..."; \
	  SUDO=; [ "$$(id -u)" = 0 ] || SUDO=sudo; \
	  $$SUDO apt-get update -qq && $$SUDO env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; }
