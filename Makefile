# `make demo` and `make test` do everything that they need by themselves.
.DEFAULT_GOAL := help
SHELL := /bin/bash
export PATH := $(CURDIR)/.venv/bin:$(PATH)

READY := .venv/.ready
TEST_READY := .venv/.test-ready
LAB := lab

help: ## Show what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-16s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): requirements.lock tools/bootstrap
	@tools/bootstrap requirements.lock

$(TEST_READY): requirements.lock requirements-test.lock tools/bootstrap
	@tools/bootstrap requirements-test.lock

packages-%:
	@tools/packages $(subst -, ,$*)

ready: $(READY) ## Install the controller's tools into .venv, without root

demo: packages-lab $(TEST_READY) ## Start the lab, install everything, print the URL
	@ansible-playbook $(LAB)/up.yml
	@ansible-playbook site.yml
	@ansible-playbook $(LAB)/demo.yml

develop: packages-lab $(TEST_READY) ## Serve a working tree as in production, with reload: make develop APP=path [MODULE=…] [INVENTORY=…]
	@python -m lab.develop '$(APP)' --module '$(MODULE)' --inventory '$(INVENTORY)' --name '$(NAME)'

develop-stop: $(TEST_READY) ## Remove what a `make develop` that was killed has left
	@python -m lab.develop --stop

test: packages-lab-app $(TEST_READY) ## Lint, unit tests and the molecule scenarios
	@tools/test

test-load: packages-lab $(TEST_READY) ## The scenarios under load, zero_downtime with 300 000 requests and 20 deploys
	@FARRIER_TEST_LOAD=full tools/test load

test-million: packages-lab $(TEST_READY) ## The scenario zero_downtime alone, with 1 000 000 requests and 60 deploys
	@FARRIER_TEST_LOAD=million molecule test --scenario-name zero_downtime

lint: $(TEST_READY) ## Lint alone
	@tools/test lint

unit: packages-app $(TEST_READY) ## Lint and unit tests, no hosts
	@tools/test lint unit app

screenshots: packages-app $(TEST_READY) ## The pictures of docs/dashboard.md, from made-up metrics
	@tools/prometheus
	@python -m tests.dashboard.screenshots

bench-provision: packages-lab $(TEST_READY) ## First run of site.yml against a plain shell script
	@python tests/benchmarks/provision.py

bench-site: packages-lab $(TEST_READY) ## Seconds of a site.yml that changes nothing, in units of a ping
	@python -m tests.benchmarks.site

bench-http: packages-bench demo ## Requests per second through nginx with TLS against bare uvicorn
	@python -m tests.benchmarks.throughput

bench-reload: demo ## The same load on the stock and on the hand-over worker during reloads
	@python -m tests.benchmarks.reload

bench-overlap: demo ## How long clients wait for another master, by an overlap and by a restart
	@python -m tests.benchmarks.overlap

bench-slow-import: packages-lab $(TEST_READY) ## The slowest request while an app is reloaded that takes 3 s to import
	@python -m tests.benchmarks.slow_import

bench-workers: demo ## Requests per second of the hand-over worker against the stock one, with no reload
	@python -m tests.benchmarks.workers

bench-servers: packages-lab $(TEST_READY) ## 20 deploys of an app of each server under load, and what each server costs
	@python -m tests.benchmarks.servers

bench-balance: packages-lab $(TEST_READY) ## How requests spread over workers, and what waits behind requests that compute
	@python -m tests.benchmarks.balance

bench-jobs: packages-lab $(TEST_READY) ## Jobs of Celery and of arq that 20 deploys lose or do twice
	@python -m tests.benchmarks.jobs

bench-wild: packages-lab $(TEST_READY) ## Requests lost in ten deploys of each app of the scenario wild
	@python -m tests.benchmarks.wild

bench-migration: packages-lab $(TEST_READY) ## A silent migration of 20 minutes, whose connection the network forgets
	@python -m tests.benchmarks.migration

bench-innocents: packages-lab $(TEST_READY) ## Requests lost beside others that fail, with every worker class, on one host and in a fleet
	@python -m tests.benchmarks.innocents

bench-kills: packages-lab $(TEST_READY) ## 200 kills and full disks in the middle of deploys, each followed by a deploy
	.venv/bin/python -m tests.benchmarks.kills

bench-deploy: demo ## Seconds of a deploy, of a deploy of nothing new, of a rollback
	@python -m tests.benchmarks.deploy

bench-restore: packages-lab $(TEST_READY) ## Seconds of a restore of 1 GB of PostgreSQL to a moment, against a plain copy
	@python -m tests.benchmarks.restore

bench-monitoring: packages-lab $(TEST_READY) ## Processor time of a request with all of monitoring and without, and the memory of its units
	@python -m tests.benchmarks.monitoring

bench-quiet: packages-lab $(TEST_READY) ## An hour of deploys under load, in which no alert may ring
	@python -m tests.benchmarks.quiet

bench-postgresql: packages-lab $(TEST_READY) ## Transactions per second of PostgreSQL as Farrier sets it up, tuned by hand, as Debian installs it
	@python -m tests.benchmarks.postgresql

bench-fleet: packages-lab $(TEST_READY) ## Seconds of a deploy to up to 8 app hosts and up to 1000 stand-ins, and the controller's memory
	@python -m tests.benchmarks.fleet_deploys

ssh: $(READY) ## Get into a lab host: make ssh HOST=web1 [CMD='…']
	@ssh -F build/lab/ssh_config $(HOST) $(CMD)

newest-servers: $(TEST_READY) ## Try the newest gunicorn, uvicorn, Hypercorn and Daphne, whatever is locked
	@tools/newest-servers

newest-python: packages-lab ## The same with Python 3.14, in a container of Debian's next release
	@tools/newest-python

lock: $(TEST_READY) ## Compile the lock files anew from the pyproject files
	@tools/lock

docs: $(TEST_READY) ## Write the generated documentation anew
	@tools/docs

clean: ## Remove all labs of this machine, also those of other clones, and what was made here
	@$(LAB)/clean
	@rm -rf .venv build app/.venv .ansible .*_cache

# Packages come first: one of them may be Python's venv.
.NOTPARALLEL:
.PHONY: help ready develop develop-stop screenshots bench-fleet bench-provision bench-site bench-http bench-reload bench-overlap bench-slow-import bench-kills bench-workers bench-servers bench-balance bench-innocents bench-jobs bench-wild bench-migration bench-deploy bench-restore bench-postgresql bench-monitoring bench-quiet demo test test-load test-million lint unit ssh newest-servers newest-python lock docs clean
