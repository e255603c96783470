# Recipes for every habit. Each works on a fresh clone with Python >= 3.11 and a C compiler: what it needs goes into .venv.
PYTHON ?= python3
VENV ?= .venv
NUMPY ?= numpy>=2.0
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
PEERS ?=
SKLEARN ?= 1.6
FUZZ ?= 10000
COMPILERS ?= gcc clang
PROVE ?=
SECONDS ?= 60
SEED ?= 0
PAGES ?=
STORMS ?= threads interrupts forks inside
wheel_limit := 2000000

python := $(VENV)/bin/python
pip := $(python) -m pip --quiet --disable-pip-version-check
stamps := $(VENV)/stamps
sources := pyproject.toml CMakeLists.txt README.md LICENSE $(shell find csrc src tests/ops/kernels -type f -not -name '*.pyc')
c_files := $(shell find csrc -name '*.[ch]' -o -name '*.inc')
# The test suite runs under the best instruction set, then what depends on the kernels once more under each lower one.
isas_below = $(python) -c "from nncore import _core; print(*(f'again-{isa}' for isa in _core.isas()[-2::-1]))"
# Each environment has a build of its own: build/dev for .venv, build/dev-3.13 for .venv-3.13.
build := build/dev$(patsubst .venv%,%,$(notdir $(VENV)))
# --no-build-isolation, so that the build is kept and the next one compiles only what changed. With the extension for tests and benchmarks,
# which the wheel does not have.
install := CMAKE_BUILD_PARALLEL_LEVEL=$(JOBS) $(pip) install --no-build-isolation --no-deps --force-reinstall -Ccmake.define.NNCORE_KERNELS=ON

.PHONY: help demo test test-reduced test-estimators prove fuzz storm storm-sanitized bench bench-peers docs pictures translations lint format sanitize races wheel clean
.DELETE_ON_ERROR:

help:
	@echo "make demo          train on the handwritten digits and show what came out"
	@echo "make test          the test suite, what depends on the kernels under every instruction set of this CPU, and parts under an emulated AMX (PEERS=1: also against PyTorch, JAX, ONNX Runtime)"
	@echo "make test-reduced  once under the best instruction set: make test-reduced VENV=.venv-3.13 PYTHON=python3.13 (NUMPY='numpy==2.0.*')"
	@echo "make test-estimators  the tests of estimators with an older scikit-learn: SKLEARN=1.6 (as is), 1.7, ..."
	@echo "make prove         matrix products of every small shape, of bfloat16 too, built by GCC and Clang (COMPILERS=...), optimised or not (some minutes)"
	@echo "make fuzz          load damaged files, 10,000 of each kind (FUZZ=...), and random nets over time and as ONNX; some minutes"
	@echo "make storm         threads, Ctrl-C, forks and calls from inside, each at random for SECONDS=60 from SEED=0 (STORMS=\"threads forks\")"
	@echo "make storm-sanitized   the storms of threads and of calls from inside under the sanitizers"
	@echo "make bench         kernels and workloads against NumPy; bench-peers: training and inference against PyTorch and others"
	@echo "make docs          the guides and a reference of every class and function as a site, in build/docs"
	@echo "make pictures      draws the pictures of the docs again, in docs/pictures (PAGES=diagnosis: those of one page)"
	@echo "make translations  bring the catalogues of the learner's path in Korean, docs/locale/ko, up to date with its pages"
	@echo "make lint          ruff, mypy, clang-format, and mypy and pyright over tests/typing; make format rewrites"
	@echo "make sanitize      the tests of the core under AddressSanitizer and UndefinedBehaviorSanitizer (some minutes)"
	@echo "make races         the threads of the core under ThreadSanitizer"
	@echo "make wheel         sdist and wheel in dist/; an error if the wheel has more than $(wheel_limit) bytes"

$(stamps)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python >= 3.11 is needed: make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	mkdir -p $(stamps) && touch $@

# What pyproject.toml asks for to build, and the build tools as wheels, whether or not the machine has them.
$(stamps)/build-requirements: pyproject.toml $(stamps)/venv
	$(pip) install "$(NUMPY)" $$($(python) -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['build-system']['requires'])") cmake ninja
	touch $@

$(stamps)/installed: $(stamps)/build-requirements $(sources)
	$(pip) install "$(NUMPY)"
	$(install) -Cbuild-dir=$(build) .
	touch $@

# The extras of pyproject.toml, without building the package once more.
$(stamps)/extra-%: pyproject.toml $(stamps)/venv
	$(pip) install "$(NUMPY)" $$($(python) -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['$*'])")
	touch $@

demo: $(stamps)/installed $(stamps)/extra-demo
	$(python) examples/digits.py

# The tests over the fixtures isa and amx choose the instruction set by themselves, so the first run covers them. Without AMX, those over
# amx run in the emulator of tests/csrc/amx. Half of the files run in the background; what that prints comes when both halves are done.
test: $(stamps)/installed $(stamps)/extra-test $(if $(PEERS),$(stamps)/extra-peers)
	$(half) -q --part 2/2 > $(second_half) 2>&1 & second=$$!; trap "kill $$second" INT TERM; failed=; \
	  $(half) --part 1/2 || failed=1; wait $$second || failed=1; cat $(second_half); test -z "$$failed"
	again=$$($(isas_below)) && { test -z "$$again" || $(MAKE) --jobs 2 --output-sync=target $$again; }

# Two of these run at a time.
again-%:
	NNCORE_ISA=$* $(half) -q --kernels-again

# OMP_WAIT_POLICY lets waiting threads sleep, so that neither of two runs takes the other's processor.
half = OMP_WAIT_POLICY=passive $(python) -m pytest
second_half = $(stamps)/second-half.log

# For another Python or NumPy: what lies above the kernels depends on those. PEERS are not needed: what asks for them is skipped. The
# pictures of the docs and the learner's path, which draw most, are those of make test alone.
test-reduced: $(stamps)/installed $(stamps)/extra-test
	$(python) -c "import sys, numpy; print('Python', sys.version.split()[0], 'NumPy', numpy.__version__)"
	$(python) -m pytest -q --without-isa-tests $(addprefix --ignore=tests/examples/test_,learn.py pictures.py)

# Another scikit-learn lies in a folder of its own, which comes before the environment's; all else is the environment's.
$(stamps)/sklearn-%: $(stamps)/extra-test
	$(pip) install --no-deps --upgrade --target build/sklearn$(patsubst .venv%,%,$(notdir $(VENV)))/$* "scikit-learn==$*.*"
	touch $@

test-estimators: $(stamps)/installed $(stamps)/extra-test $(stamps)/sklearn-$(SKLEARN)
	set -e; export PYTHONPATH=$(abspath build/sklearn$(patsubst .venv%,%,$(notdir $(VENV)))/$(SKLEARN)); \
	  $(python) -c "import sklearn; print('scikit-learn', sklearn.__version__); assert sklearn.__version__.startswith('$(SKLEARN).')"; \
	  $(python) -m pytest -q tests/estimators

# tests/ops/gemm/prove_gemm.c and tests/ops/bf16/prove_bf16.c, built by each compiler with -O0 (Debug) and -O3 (Release);
# PROVE="--limit 9 --random 100" does less. Debian's gcc-aarch64-linux-gnu and qemu-user do it for ARM: make prove-aarch64-linux-gnu-gcc-Release.
prove: $(foreach compiler,$(COMPILERS),prove-$(compiler)-Debug prove-$(compiler)-Release)

prove-%: $(stamps)/build-requirements
	$(VENV)/bin/cmake -S . -B build/prove/$* -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(VENV))/bin/ninja \
	  -DCMAKE_C_COMPILER=$(patsubst %-,%,$(subst Debug,,$(subst Release,,$*))) -DCMAKE_BUILD_TYPE=$(lastword $(subst -, ,$*)) \
	  -DNNCORE_PROVE=ON "-DNNCORE_PROVE_ARGUMENTS=$(subst $() ,;,$(PROVE))" \
	  $(if $(findstring aarch64-,$*),-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 "-DCMAKE_CROSSCOMPILING_EMULATOR=qemu-aarch64;-L;/usr/aarch64-linux-gnu")
	$(VENV)/bin/cmake --build build/prove/$* --target prove --parallel $(JOBS)
	$(VENV)/bin/ctest --test-dir build/prove/$* --verbose

fuzz: $(stamps)/installed $(stamps)/extra-test
	NNCORE_FUZZ=$(FUZZ) $(python) -m pytest -q tests/saving/test_fuzz.py tests/truth/test_time.py tests/export/test_hostile_onnx.py
	NNCORE_FUZZ=2000 $(python) -m pytest -q tests/export -k random_nets

# One after the other, all of them even where one fails. tests/reliability/storm_NAME.py --help says how to repeat a part of one.
storm: $(stamps)/installed $(stamps)/extra-test
	failed=; for storm in $(STORMS); do \
	  $(python) tests/reliability/storm_$$storm.py --seconds $(SECONDS) --seed $(SEED) || failed="$$failed $$storm"; done; \
	  test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

bench: $(stamps)/installed $(stamps)/extra-test
	$(python) -m pytest benchmarks --benchmark-only

bench-peers: $(stamps)/installed $(stamps)/extra-test $(stamps)/extra-peers
	$(python) benchmarks/headline.py
	$(python) benchmarks/recurrent.py
	$(python) benchmarks/conditions.py
	$(python) benchmarks/toolkit.py
	$(python) benchmarks/gemm.py
	$(python) benchmarks/precision.py
	$(python) benchmarks/accuracy.py
	$(python) benchmarks/estimators.py
	$(python) benchmarks/distributed.py --bind-to core
	$(python) benchmarks/scaling.py

# The second run finds the pictures of the learner's path that the first one made.
sphinx = $(python) -m sphinx --quiet --fail-on-warning --keep-going -c docs
docs: $(stamps)/installed $(stamps)/extra-docs
	rm -rf build/docs
	$(sphinx) -d build/doctrees/en . build/docs
	$(sphinx) -d build/doctrees/ko -t learn -D language=ko . build/docs/ko
	$(python) docs/check_site.py build/docs
	@echo "open build/docs/index.html"

pictures: $(stamps)/installed $(stamps)/extra-docs
	$(python) docs/pictures $(PAGES)

# For who changed a page in examples/learn: then translate what is empty or marked fuzzy in docs/locale/ko. `make docs` fails until then.
translations: $(stamps)/installed $(stamps)/extra-docs
	$(sphinx) -E -d build/doctrees/messages -t learn -b gettext . build/messages
	$(python) docs/extensions/translations.py build/messages docs/locale/ko/LC_MESSAGES

# tests/typing is what a user's editor sees of the installed package; where pyright cannot be downloaded, it says so and goes on.
lint: $(stamps)/extra-lint $(stamps)/installed
	$(python) -m ruff check
	$(python) -m ruff format --check
	$(python) -m mypy
	$(VENV)/bin/clang-format --dry-run -Werror $(c_files)
	$(python) tests/typing/checking.py

format: $(stamps)/extra-lint
	$(python) -m ruff check --fix-only
	$(python) -m ruff format
	$(VENV)/bin/clang-format -i $(c_files)

# The sanitized build lies beside the other one; the interpreter itself is not sanitized, hence the preload. Left out: what looks at
# the code or the speed of an optimised build, the test that guard pages kill, as AddressSanitizer catches the signal, and those that limit
# the address space, of which it takes terabytes, or load a library first.
sanitizing = PYTHONPATH=build/sanitized LD_PRELOAD=$$($(CC) -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0:exitcode=99 \
  UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1:exitcode=99 OMP_NUM_THREADS=2
sanitized = $(sanitizing) $(python) -m pytest -q -p no:cacheprovider \
  -k "not guards_kill and not in_time and not within_100_ms and not lets_other and not come_to_an_end and not python_threads_run \
  and not test_no_threads"

$(stamps)/sanitized: $(stamps)/build-requirements $(stamps)/extra-test $(sources)
	$(pip) install "numpy>=2.0"
	$(install) -Cbuild-dir=build/sanitize -Ccmake.define.NNCORE_SANITIZE=address,undefined -Cinstall.strip=false --upgrade --target build/sanitized .
	touch $@

sanitize: $(stamps)/sanitized
	$(sanitized) tests/ops --ignore tests/ops/test_codegen.py & \
	  $(sanitized) tests/base tests/plan tests/_core/test_boundary.py tests/_core/test_extensions.py tests/saving/test_format.py tests/saving/test_checkpoint.py; rest=$$?; wait $$! && exit $$rest

# Calls take longer here: only what hangs for good is too slow.
storm-sanitized: $(stamps)/sanitized
	failed=; for storm in threads inside; do \
	  $(sanitizing) $(python) tests/reliability/storm_$$storm.py --seconds $(SECONDS) --seed $(SEED) --longest 10 || failed="$$failed $$storm"; done; \
	  test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

# ThreadSanitizer does not know how GCC's OpenMP runtime hands over, and sees races in it; LLVM's, which has GCC's entry points as well, says
# so through Archer (Debian: libomp-dev). The second run has a barrier too few, and has to end with ThreadSanitizer's 66.
llvm_lib ?= $(dir $(lastword $(sort $(wildcard /usr/lib/llvm-*/lib/libarcher.so))))
races:
	@test -n "$(llvm_lib)" || { echo "needs LLVM's OpenMP runtime with libarcher.so: make llvm_lib=its folder/"; exit 1; }
	mkdir -p build
	$(CC) -std=gnu11 -O1 -g -fsanitize=thread -fopenmp -Icsrc tests/base/races.c csrc/base/parallel.c csrc/base/thread_limits.c csrc/base/thread_pool.c csrc/base/tiles.c -lpthread -o build/races
	run="env LD_PRELOAD=$(llvm_lib)libomp.so.5 OMP_TOOL_LIBRARIES=$(llvm_lib)libarcher.so TSAN_OPTIONS=ignore_noninstrumented_modules=1 build/races"; \
	  $$run && { $$run plant > build/races.log 2>&1; test $$? = 66; } && grep -m 1 "data race" build/races.log

wheel: $(stamps)/build-requirements
	$(pip) install build zopflipy
	rm -f dist/*.whl
	$(python) -m build
	$(python) .ci/compress_wheel.py $(wheel_limit) dist/*.whl

clean:
	rm -rf $(VENV) build dist
