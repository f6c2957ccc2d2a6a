# Everything is installed into .venv/, once: stamps in .venv/.stamps/ say for which setup.py and constraints.txt.
# With a ROS installation sourced, that one's rclpy is used, else the wheels from the package index.

VENV   := .venv
BIN    := $(VENV)/bin
STAMPS := $(VENV)/.stamps
JAZZY  := .venv-jazzy
META   := .venv-metaworld
DOCS   := .venv-docs
SITE   := out/docs
PYTHON ?=# a Python 3.11 to 3.13; found by itself if not given
ARGS   ?=# more arguments for the command of demo, test and test-slow
# a test of a graph waits for timers and other processes half of its time: three of these keep two cores busy
TEST_PROCESSES := --numprocesses 3 --dist worksteal

ifdef ROS_DISTRO
ROS        := ros-$(ROS_DISTRO)
DEMO_EXTRA := no-ros
ALL_EXTRAS := no-ros,convert,train,dev
else
ROS        := wheels
DEMO_EXTRA := demo
ALL_EXTRAS := all,dev
endif

# The wheels' Python passes its library path on to what it starts; another environment must not load those libraries.
ifdef _ROS_WHEELS_BOOTSTRAP_COMPLETE
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE LD_LIBRARY_PATH
endif

PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt
# The demo needs neither torch nor the tools; once everything is there, it counts for the demo, too.
DEMO := $(if $(wildcard $(STAMPS)/all),$(STAMPS)/all,$(STAMPS)/demo)

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow test-cluster test-jazzy metaworld docs lint bench format dist clean

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

install: $(STAMPS)/all ## install everything: every command of roman-moe, training and the tools
	@echo "ready: $(BIN)/roman-moe --help"

demo: $(DEMO) ## run the long task through the ROS 2 graph; leaves out/demo/
	$(BIN)/roman-moe demo --poses camera $(ARGS)

test: $(STAMPS)/all ## run the tests, but for the slow ones
	$(BIN)/python -m pytest -m "not slow" $(TEST_PROCESSES) $(ARGS)

test-slow: $(STAMPS)/all ## run the slow tests
	$(BIN)/python -m pytest -m slow $(ARGS)

test-cluster: $(STAMPS)/cluster ## run the tests of clusters, on two nodes that they start here
	$(BIN)/python -m pytest -m cluster $(ARGS)

test-jazzy: $(JAZZY)/.stamps/jazzy ## run the graph's tests on ROS 2 Jazzy's wheels, in .venv-jazzy/
	$(JAZZY)/bin/python -m pytest -m "not slow" $(TEST_PROCESSES) test/nodes $(ARGS)

metaworld: $(META)/.stamps/metaworld ## install Meta-World and what trains on it, in .venv-metaworld/
	@echo "ready: $(META)/bin/roman-moe train multitask --suite mt3"

docs: $(DOCS)/.stamps/docs ## build the documentation site, in .venv-docs/; leaves out/docs/; a warning is an error
	rm -rf $(SITE)
	$(DOCS)/bin/python -m sphinx --fresh-env --fail-on-warning --keep-going --quiet docs $(SITE)
	@echo "ready: $(SITE)/index.html"

lint: $(STAMPS)/all ## check style, types, who imports whom, and the length of sentences
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tools/prose.py

format: $(STAMPS)/all ## let ruff mend and format what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMPS)/all ## measure simulation, controller, graph and learning; leaves out/bench/
	$(BIN)/roman-moe bench sim --json out/bench/sim.json
	$(BIN)/roman-moe bench control --json out/bench/control.json
	$(BIN)/roman-moe bench graph --json out/bench/graph.json
	$(BIN)/roman-moe bench learn --json out/bench/learn.json

dist: $(STAMPS)/all ## build wheel, sdist and release notes of the last commit, into dist/
	rm -rf dist build && mkdir -p dist build/source
	git archive HEAD | tar -x -C build/source
	cd build/source && ../../$(BIN)/python -c 'from setuptools import build_meta as b; \
		b.build_wheel("../../dist"); b.build_sdist("../../dist")' >/dev/null
	awk '/^## /{n++} n==1' CHANGELOG.md > dist/RELEASE_NOTES.md
	@ls -l dist

clean: ## remove what was built, cached and drawn; .venv/ stays
	rm -rf build dist install log out *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .grimp_cache \
		.hypothesis MUJOCO_LOG.TXT
	find roman_moe test launch -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMPS)/venv-$(ROS): tools/make_venv.sh
	@PYTHON="$(PYTHON)" sh tools/make_venv.sh $(VENV) $(ROS)

$(STAMPS)/demo: $(STAMPS)/venv-$(ROS) setup.py constraints.txt
	@echo "installing what the demo needs into $(VENV)/ (a minute or two)"
	@$(PIP) --editable '.[$(DEMO_EXTRA)]'
	@sh tools/install_gl.sh $(BIN)/python
	@touch $@

$(STAMPS)/all: $(STAMPS)/venv-$(ROS) setup.py constraints.txt
	@echo "installing everything into $(VENV)/ (some minutes: PyTorch is large)"
	@$(PIP) --editable '.[$(ALL_EXTRAS)]'
	@sh tools/install_gl.sh $(BIN)/python
	@touch $@

$(STAMPS)/cluster: $(STAMPS)/all
	@echo "installing Ray and submitit into $(VENV)/"
	@$(PIP) --editable '.[$(ALL_EXTRAS),cluster,slurm]'
	@touch $@

$(JAZZY)/.stamps/jazzy: tools/make_venv.sh setup.py constraints.txt constraints-jazzy.txt
	@PYTHON="$(PYTHON)" sh tools/make_venv.sh $(JAZZY) wheels
	@echo "installing everything on Jazzy's wheels into $(JAZZY)/ (some minutes: PyTorch is large)"
	@{ grep -v '^ros-' constraints.txt; cat constraints-jazzy.txt; } > $(JAZZY)/constraints.txt
	@$(JAZZY)/bin/python -m pip install -qq --disable-pip-version-check --constraint $(JAZZY)/constraints.txt --editable '.[all,dev]'
	@sh tools/install_gl.sh $(JAZZY)/bin/python
	@touch $@

# neither ROS nor MuJoCo: docs/conf.py says why
$(DOCS)/.stamps/docs: tools/make_venv.sh setup.py constraints.txt
	@PYTHON="$(PYTHON)" sh tools/make_venv.sh $(DOCS) wheels
	@echo "installing Sphinx into $(DOCS)/ (a minute)"
	@$(DOCS)/bin/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	@touch $@

$(META)/.stamps/metaworld: tools/make_venv.sh setup.py constraints.txt constraints-metaworld.txt
	@PYTHON="$(PYTHON)" sh tools/make_venv.sh $(META) wheels
	@echo "installing Meta-World into $(META)/ (some minutes: PyTorch is large)"
	@{ grep -v '^mujoco' constraints.txt; cat constraints-metaworld.txt; } > $(META)/constraints.txt
	@$(META)/bin/python -m pip install -qq --disable-pip-version-check --constraint $(META)/constraints.txt \
		--editable '.[report,test]' metaworld packaging torch
	@touch $@
