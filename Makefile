.PHONY: setup demo test lint unit e2e chaos bench lock

PYTHON = .venv/bin/python

setup:
	@sh scripts/setup.sh

demo: setup
	@sh scripts/demo.sh

test: setup
	@sh scripts/test.sh

lint: setup
	@sh scripts/lint.sh

lock:
	@sh scripts/lock.sh

unit: setup
	@sh scripts/test.sh tests/unit

e2e: setup
	@sh scripts/test.sh -n 3 --dist loadfile tests/e2e

chaos: setup
	@MNGR_CHAOS_EVERY=1 sh scripts/test.sh -n 2 tests/chaos

bench: setup
	@$(PYTHON) -m pip install -q --disable-pip-version-check --require-hashes -r requirements-bench.lock
	@$(PYTHON) -m bench --write $(ARGS)
