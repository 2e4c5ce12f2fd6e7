# The ways in: `make demo` shows it, `make check` proves it, `make install` installs it.
# DESTDIR= and PREFIX= are honoured as usual; PROFILE= is the cargo profile that is built.

PREFIX     ?= /usr/local
DESTDIR    ?=
PROFILE    ?= release
CARGO      ?= cargo
TARGET     ?= $(or $(CARGO_TARGET_DIR),target)
STAGE      ?= $(TARGET)/stage
# The node that `make demo-shell` opens a shell on.
NODE       ?= main

SYSCONFDIR ?= /etc
BINDIR      = $(PREFIX)/bin
LIBEXECDIR  = $(PREFIX)/libexec
UNITDIR     = $(PREFIX)/lib/systemd/system
USERUNITDIR = $(PREFIX)/lib/systemd/user
SYSUSERSDIR = $(PREFIX)/lib/sysusers.d
TMPFILESDIR = $(PREFIX)/lib/tmpfiles.d
MANDIR      = $(PREFIX)/share/man
DOCDIR      = $(PREFIX)/share/doc/unitlink
BASHDIR     = $(PREFIX)/share/bash-completion/completions
ZSHDIR      = $(PREFIX)/share/zsh/site-functions
FISHDIR     = $(PREFIX)/share/fish/vendor_completions.d
# The bus reads policies of its distribution and of /etc, but not of /usr/local.
SERVICESDIR = $(PREFIX)/share/dbus-1/system-services
USERSERVICESDIR = $(PREFIX)/share/dbus-1/services
INTERFACES  = $(PREFIX)/share/dbus-1/interfaces
DBUSDIR     = $(if $(filter /usr,$(PREFIX)),/usr/share,$(SYSCONFDIR))/dbus-1/system.d

BUILT       = $(TARGET)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
PROGRAMS    = unitlink-controller unitlink-agent unitlink-proxy unitlinkctl unitlink-launcher
# These three by themselves. Linked statically, the launcher is one file that needs no library of the machine, and
# less than 3 MiB of memory; the helper of a proxy, for which each start of a unit waits, and unitlinkctl, for which people
# wait, begin a good half of a millisecond earlier. Where the C library cannot be linked so, they are as the others.
STATICALLY  = unitlink-launcher unitlink-proxy unitlinkctl
PACKAGES    = $(addprefix -p ,$(filter-out $(STATICALLY),$(PROGRAMS)))
STATIC      = $(if $(findstring /,$(shell $(CC) -print-file-name=libc.a 2>/dev/null)),-- -C target-feature=+crt-static)
statically  = $(CARGO) rustc --locked --profile $(PROFILE) -p $(1) --bin $(1) $(STATIC)
D           = $(DESTDIR)

.DEFAULT_GOAL := all

.PHONY: all
all: toolchain
	$(CARGO) build --locked --profile $(PROFILE) $(PACKAGES)
	$(call statically,unitlink-launcher)
	$(call statically,unitlink-proxy)
	$(call statically,unitlinkctl)

.PHONY: toolchain
toolchain:
	@command -v $(CARGO) >/dev/null || { \
	    echo "no Rust toolchain. This brings it:"; \
	    echo "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"; exit 1; } >&2

# Units for one kind of manager: one source for the system's and for those of users, where the lines that
# begin with @system@ or @user@ are for one of them. $(call install-units,KIND,OTHER KIND,FOLDER,OPTION)
define install-units
option=$(4); for unit in $$(find units/systemd -type f); do \
    to=$(3)/$$(basename $$unit .in); \
    sed "/^@$(2)@/d; s|^@$(1)@||; s| @option@|$${option:+ $$option}|; s|@libexecdir@|$(LIBEXECDIR)|g; s|@bindir@|$(BINDIR)|g" \
        $$unit >$$to && chmod 0644 $$to || exit 1; done; \
cp -Pf $$(find units/systemd -type l) $(3)
endef

# Nothing is built here, so that `make && sudo make install` leaves no files of root behind.
.PHONY: install
install:
	@for program in $(PROGRAMS); do test -x $(BUILT)/$$program || { \
	    echo "$(BUILT)/$$program is not built; run \`make PROFILE=$(PROFILE)\` first" >&2; exit 1; }; done
	install -d $(D)$(BINDIR) $(D)$(LIBEXECDIR) $(D)$(UNITDIR) $(D)$(USERUNITDIR) $(D)$(SYSUSERSDIR) $(D)$(TMPFILESDIR) \
	    $(D)$(DBUSDIR) $(D)$(SERVICESDIR) $(D)$(USERSERVICESDIR) $(D)$(INTERFACES) $(D)$(SYSCONFDIR)/unitlink $(D)$(DOCDIR) \
	    $(addprefix $(D)$(MANDIR)/man,1 5 8)
	install -m 0755 $(BUILT)/unitlink-controller $(BUILT)/unitlink-agent $(BUILT)/unitlink-proxy $(D)$(LIBEXECDIR)
	install -m 0755 $(BUILT)/unitlinkctl $(BUILT)/unitlink-launcher $(D)$(BINDIR)
	ln -sfn unitlinkctl $(D)$(BINDIR)/ctl
	$(call install-units,system,user,$(D)$(UNITDIR),)
	$(call install-units,user,system,$(D)$(USERUNITDIR),--user)
	install -m 0644 units/dbus/*.conf $(D)$(DBUSDIR)
	install -m 0644 units/dbus/*.service $(D)$(SERVICESDIR)
	# On a session bus there is nobody but the user to run as.
	for service in units/dbus/*.service; do \
	    to=$(D)$(USERSERVICESDIR)/$$(basename $$service); \
	    sed '/^User=/d' $$service >$$to && chmod 0644 $$to || exit 1; done
	install -m 0644 proto/src/interface/org.*.xml $(D)$(INTERFACES)
	install -m 0644 units/sysusers/unitlink.conf $(D)$(SYSUSERSDIR)
	install -m 0644 units/tmpfiles/unitlink.conf $(D)$(TMPFILESDIR)
	# What an administrator has written stays.
	for file in controller.toml agent.toml; do \
	    to=$(D)$(SYSCONFDIR)/unitlink/$$file; \
	    test -e $$to || install -m 0644 units/config/$$file $$to || exit 1; done
	for page in docs/man/*.[158]; do \
	    to=$(D)$(MANDIR)/man$${page##*.}/$$(basename $$page); \
	    sed 's|@libexecdir@|$(LIBEXECDIR)|g' $$page >$$to && chmod 0644 $$to || exit 1; done
	ln -sfn unitlinkctl.1 $(D)$(MANDIR)/man1/ctl.1
	ln -sfn unitlink-proxy.8 $(D)$(MANDIR)/man8/proxy@.service.8
	ln -sfn unitlink-proxy.8 $(D)$(MANDIR)/man8/conflict@.service.8
	install -d $(addprefix $(D),$(BASHDIR) $(ZSHDIR) $(FISHDIR))
	$(BUILT)/unitlinkctl completion bash >$(D)$(BASHDIR)/unitlinkctl
	$(BUILT)/unitlinkctl completion zsh >$(D)$(ZSHDIR)/_unitlinkctl
	$(BUILT)/unitlinkctl completion fish >$(D)$(FISHDIR)/unitlinkctl.fish
	ln -sfn unitlinkctl $(D)$(BASHDIR)/ctl
	ln -sfn unitlinkctl.fish $(D)$(FISHDIR)/ctl.fish
	cp -R units/example $(D)$(DOCDIR)
	install -m 0644 launcher/examples/worker.rs $(D)$(DOCDIR)/example/launcher
	for unit in $(D)$(DOCDIR)/example/*/*.service; do \
	    text=$$(sed 's|@bindir@|$(BINDIR)|g' $$unit) && printf '%s\n' "$$text" >$$unit || exit 1; done

# An installed tree for tests, built with a profile of its own (not named as this folder, which would
# be the folder of its build): optimised and without unwinding as what is shipped, but without
# link-time optimisation, which takes minutes.
# `make bench PROFILE=release` measures what is shipped.
.PHONY: stage
stage: PROFILE = staged
stage: PREFIX = /usr
stage: all
	rm -rf $(STAGE)
	$(MAKE) --no-print-directory install PROFILE=$(PROFILE) PREFIX=/usr DESTDIR=$(STAGE)

# Three systemd nodes on this machine. Built by whoever calls, run by root; docs/tutorial.md tells the
# same story.
SUDO        = $(if $(filter 0,$(shell id -u)),,sudo)
DEMO        = $(SUDO) env UNITLINK_STAGE=$(abspath $(STAGE)) $(TARGET)/debug/demo
.PHONY: demo demo-shell demo-build
demo: packages demo-build
	$(DEMO)
demo-shell: packages demo-build
	$(DEMO) --shell $(NODE)
demo-build: stage
	$(CARGO) build --locked -p tests --bin demo

# Real systemd nodes on which everything breaks, for MINUTES= or until the daemons were killed and
# restarted RESTARTS= times; SEED= does the same again. docs/reference/chaos.md says what is checked.
MINUTES    ?= 2
RESTARTS   ?=
OUTPUT     ?= table
CHAOS       = env UNITLINK_STAGE=$(abspath $(STAGE)) \
              UNITLINK_REQUIRE_SYSTEM=$(UNITLINK_REQUIRE_SYSTEM) $(TARGET)/debug/chaos
.PHONY: chaos chaos-build
chaos: deps chaos-build
	$(SUDO) $(CHAOS) $(if $(RESTARTS),--restarts $(RESTARTS),--minutes $(MINUTES)) \
	    $(if $(SEED),--seed $(SEED)) --output $(OUTPUT)
chaos-build: stage
	$(CARGO) build --locked -p tests --bin chaos

# What restarts, kills, reloads and broken links cost a fleet: ROWS="restart kill" or all, AGENTS= of
# them; SHORT=1 repeats less. tests/README.md has the rows.
ROWS       ?=
AGENTS     ?= 500
SHORT      ?=
ACCEPT      = env UNITLINK_STAGE=$(abspath $(STAGE)) $(TARGET)/staged/accept
.PHONY: accept accept-build
accept: packages accept-build
	$(ACCEPT) $(ROWS) --agents $(AGENTS) $(if $(SHORT),--short)
# Optimised: thousands of agents in one process are part of what is measured.
accept-build: stage
	$(CARGO) build --locked --profile staged -p tests --bin accept

# Another systemd for the nodes: that of a release of Debian, whose tree is made once by debootstrap(8), as
# root and from the archive that debootstrap uses by itself. trixie has 257.
RELEASE    ?= trixie
BASE        = $(TARGET)/base/$(RELEASE)
BASE_HOLDS  = systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,iproute2,iputils-ping,procps,python3-dasbus
IN_BASE     = env UNITLINK_BASE=$(abspath $(BASE)) UNITLINK_STAGE=$(abspath $(STAGE)) \
              UNITLINK_REQUIRE_SYSTEM=1
.PHONY: check-release base
check-release: deps chaos-build base
	@echo "the nodes have $$($(SUDO) chroot $(BASE) systemctl --version | head -n 1)"
	$(IN_BASE) $(CARGO) test --locked -p tests --test system -- --test-threads 2 $(CASE)
	$(SUDO) $(IN_BASE) $(TARGET)/debug/chaos --minutes $(MINUTES) --seed 1
base: $(BASE)
$(BASE):
	@command -v debootstrap >/dev/null || $(MAKE) --no-print-directory packages DEBIAN=debootstrap
	@mkdir -p $(dir $@) && $(SUDO) rm -rf $@.new
	$(SUDO) debootstrap --variant=minbase --include=$(BASE_HOLDS) $(RELEASE) $(abspath $@).new || { \
	    echo "$(RELEASE) cannot be had here, so nothing is checked with its systemd" >&2; exit 1; }
	$(SUDO) rm -rf $@.new/var/cache/apt/archives
	$(SUDO) mv $@.new $@

# The system cases whose names hold CASE=, TIMES= times: for what fails once in a while.
CASE       ?=
TIMES      ?= 20
.PHONY: repeat
repeat: deps stage
	@failed=0; for time in $$(seq $(TIMES)); do \
	    echo "time $$time of $(TIMES), $$failed failed"; \
	    UNITLINK_STAGE=$(abspath $(STAGE)) $(CARGO) test --locked -q -p tests --test system -- --test-threads 2 $(CASE) \
	        || failed=$$((failed + 1)); done; \
	echo "$$failed of $(TIMES) failed"; test $$failed = 0

# ---- checks, from the quickest to the slowest ----

# Strict, as in continuous integration: what is missing is an error, not a line that says so.
STRICT     ?= $(if $(filter 1,$(UNITLINK_REQUIRE_SYSTEM)),1)
CORES       = fleet node generations
# What a core must not be able to reach: clocks, sockets, threads of somebody else.
IMPURE      = tokio|mio|async-io|rustix|socket2|nix

.PHONY: check
check: deps check-source check-tree check-purity check-packaging check-tests check-accept check-bench check-simulation check-chaos
	@echo "all checks passed"

.PHONY: check-source
check-source: toolchain
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

.PHONY: check-tree
check-tree: toolchain
	@if command -v cargo-deny >/dev/null; then set -x; $(CARGO) deny --locked check --hide-inclusion-graph bans licenses sources; \
	elif [ -n "$(STRICT)" ]; then echo "cargo-deny is not installed: cargo install --locked cargo-deny" >&2; exit 1; \
	else echo "dependencies are not checked: cargo-deny is not installed (cargo install --locked cargo-deny)"; fi

# A core decides and does nothing else; so it must build alone, and its tree must hold no runtime.
.PHONY: check-purity
check-purity: toolchain
	@for core in proto $(CORES); do \
	    echo "purity of $$core"; \
	    tree=$$($(CARGO) tree --locked -q -p $$core -e normal --prefix none) || exit 1; \
	    if echo "$$tree" | grep -E '^($(IMPURE)) '; then echo "$$core must not depend on these" >&2; exit 1; fi; \
	    $(CARGO) check --locked -q -p $$core || exit 1; done

# The installed tree, with paths that are real here, so that systemd can look at its own files.
VERIFY      = $(abspath $(TARGET))/verify
UNITS       = unitlink-controller.service unitlink-controller.socket unitlink-agent.service \
              unitlink-agent.socket proxy@worker2_target.service bluechi-proxy@worker2_target.service \
              conflict@worker2_target.service \
              dep@systemd-journald.service bluechi-dep@systemd-journald.service \
              dep-unit@sockets.target.service against@a.service against-unit@a.socket.service
.PHONY: check-packaging
check-packaging: stage
	@rm -rf $(VERIFY)
	@$(MAKE) --no-print-directory install PROFILE=staged PREFIX=$(VERIFY) SYSCONFDIR=$(VERIFY)/etc DESTDIR= >/dev/null
	@units/verify $(VERIFY) $(UNITS)
	@if command -v groff >/dev/null; then \
	    for page in docs/man/*.[158]; do \
	        echo "groff $$page"; out=$$(groff -t -man -ww -z -Tutf8 $$page 2>&1); \
	        test -z "$$out" || { echo "$$out" >&2; exit 1; }; done; \
	elif [ -n "$(STRICT)" ]; then echo "groff is not installed: run \`make deps\`" >&2; exit 1; \
	else echo "manual pages are not checked: groff is not installed"; fi

# The system cases boot nodes from the stage, as root. Where they cannot run, they say why.
.PHONY: check-tests
check-tests: stage
	@test "$$(id -u)" = 0 || echo "not root: the cases on real systemd nodes are skipped"
	@command -v systemd-nspawn >/dev/null || \
	    echo "no systemd-nspawn: the cases on real systemd nodes are skipped (\`make deps\`)"
	UNITLINK_STAGE=$(abspath $(STAGE)) $(RUN_TESTS)
	$(CARGO) test --locked --workspace --doc

.PHONY: check-accept
check-accept: accept-build
	$(ACCEPT) --agents 100 --many 500 --short

# Always the same two schedules; `make chaos` tries others. Skipped as the cases are. The program is that which was
# built with the tests, where `chaos-build` builds half of the libraries once more, for fewer packages.
.PHONY: check-chaos
check-chaos: stage
	$(CARGO) test --locked --workspace --no-run --test system
	$(CHAOS) --minutes 2 --seed 1 --optional yes
	$(CHAOS) --restarts 100 --seed 1 --optional yes

RUN_TESTS   = $(if $(shell command -v cargo-nextest),$(CARGO) nextest run --locked --workspace --no-fail-fast,\
              $(CARGO) test --locked --workspace --all-targets --no-fail-fast)

# The simulation again, optimised: thousands of seeds, and walks to their end where that comes within seconds.
.PHONY: check-simulation
check-simulation: toolchain
	$(CARGO) test --locked --profile simulated -p tests --test sim
	$(CARGO) test --locked --profile simulated -p generations --lib

# So many seeds of the simulated world, or one of them told in full: SEED=4711.
SEEDS      ?= 100000
SEED       ?=
.PHONY: simulate
simulate: toolchain
	$(if $(SEED),SIM_SEED=$(SEED),SIM_SEEDS=$(SEEDS)) \
	    $(CARGO) test --locked --profile simulated -p tests --test sim seeds -- --nocapture

# Every order of small fleets: to the end, and where there is none in sight up to so many states of each.
STATES     ?= 1000000
.PHONY: walk
walk: toolchain
	SIM_STATES=$(STATES) \
	    $(CARGO) test --locked --profile simulated -p tests --test sim walk -- --include-ignored --nocapture --test-threads 2

# Each rule of the cores that is in tests/mutants, broken once: a test must fail. MUTANTS= are arguments, such as
# part of a name, F19, --list or "--layer core". tests/README.md tells how one is added.
MUTANTS    ?=
.PHONY: mutants
mutants: toolchain
	$(CARGO) build --locked -p tests --bin mutants
	$(TARGET)/debug/mutants --scratch $(abspath $(TARGET))/mutants $(MUTANTS)

# A coverage-guided fuzzer on one of tests/fuzz, for so long: world, names, lines, wire, link or config.
# It needs a nightly toolchain and cargo-fuzz. What it keeps is in the folder of builds; what belongs
# to every `make check` is copied to tests/fuzz/corpus by hand.
FUZZ       ?= world
SECONDS    ?= 60
.PHONY: fuzz
fuzz: toolchain
	@command -v cargo-fuzz >/dev/null || { \
	    echo "no cargo-fuzz: rustup toolchain install nightly && cargo install --locked cargo-fuzz" >&2; exit 1; }
	mkdir -p $(TARGET)/fuzz/corpus/$(FUZZ)
	$(CARGO) +nightly fuzz run --fuzz-dir tests/fuzz --target-dir $(TARGET)/fuzz -s none $(FUZZ) \
	    $(TARGET)/fuzz/corpus/$(FUZZ) tests/fuzz/corpus/$(FUZZ) -- -max_total_time=$(SECONDS)

# What things cost, each beside something in the same run: TABLES="scale footprint" or all; SHORT=1
# repeats less. docs/reference/performance.md has the tables of the last release.
TABLES     ?=
BENCH       = env UNITLINK_STAGE=$(abspath $(STAGE)) $(TARGET)/staged/bench
.PHONY: bench
bench: packages bench-build
	$(BENCH) $(TABLES) --json $(TARGET)/bench.json $(if $(SHORT),--short)
bench-build: stage
	$(CARGO) build --locked --profile staged -p tests --bin bench --bin fake-agents

# What single functions of the cores cost, and how that grows with the fleet.
.PHONY: bench-functions
bench-functions: toolchain
	$(CARGO) bench --locked --profile staged -p tests --bench functions

# What does not depend on how fast the machine is: memory of each agent, and that a job costs the
# same among many nodes.
.PHONY: check-bench
check-bench: bench-build
	$(BENCH) --short scale claims

# Reloads under load for as long as one likes, with a number of workers that changes: RELOADS_LONG= of each
# kind of client, and a crash loop of CRASHES= seconds. What was measured is printed.
RELOADS_LONG ?= 400
CRASHES     ?= 600
.PHONY: reload-long
reload-long: toolchain
	$(CARGO) build --locked --profile staged -p unitlink-launcher --examples
	UNITLINK_RELOADS=$(RELOADS_LONG) $(CARGO) test --locked --profile staged -p unitlink-launcher --test process \
	    no_request_is_lost:: -- --nocapture --test-threads 1
	UNITLINK_CRASHES=$(CRASHES) $(CARGO) test --locked --profile staged -p unitlink-launcher --test process \
	    a_crash_loop -- --nocapture

# Ways to reload a server beside unitlink-launcher, under the same load in the same run: RELOADS= each, every
# EVERY= ms. What is not on this machine is left out and named; nginx and HAProxy come from the distribution,
# the rest is installed into the target directory.
RELOADS    ?= 20
EVERY      ?= 1000
RELOADERS   = $(TARGET)/python-reload
.PHONY: bench-reload
bench-reload: PROFILE = staged
bench-reload: packages
	@python3 -m pip install --quiet --no-warn-conflicts --root-user-action=ignore --upgrade --target $(RELOADERS) \
	    gunicorn==27.0.1 hupwatch==0.0.2 oslo.service==4.8.0 || echo "gunicorn, hupwatch and oslo.service cannot be had" >&2
	$(call statically,unitlink-launcher)
	$(CARGO) build --locked --profile staged -p tests --bin bench-reload -p unitlink-launcher --example worker
	$(TARGET)/staged/bench-reload --programs $(abspath $(TARGET))/staged --workers $(abspath units/example/launcher) \
	    --python $(abspath $(RELOADERS)) --reloads $(RELOADS) --every $(EVERY)

# ---- what has to be there: installed where it is missing, by whoever may ----

DEBIAN      = build-essential dbus groff-base iproute2 iputils-ping procps python3-dasbus python3-pip systemd \
              systemd-container util-linux
# BlueChi's own bindings for Python, which a case of the D-Bus API runs; they are no part of what is
# installed. Where they cannot be had, the case says so.
BINDINGS    = $(TARGET)/python/bluechi/api.py
$(BINDINGS): tests/system/bindings/requirements.txt | packages
	@python3 -m pip install --quiet --root-user-action=ignore --no-deps --require-hashes --upgrade --target $(TARGET)/python \
	    -r tests/system/bindings/requirements.txt && touch $@ || \
	    echo "BlueChi's bindings cannot be had; the case that needs them is skipped" >&2

# Servers that the launcher is tried with, as they are. Where they cannot be had, the tests say so.
SERVERS     = $(TARGET)/python-servers/uvicorn/__init__.py
$(SERVERS): launcher/tests/process/servers/requirements.txt | packages
	@python3 -m pip install --quiet --root-user-action=ignore --no-deps --require-hashes --upgrade \
	    --target $(TARGET)/python-servers -r launcher/tests/process/servers/requirements.txt && touch $@ || \
	    echo "gunicorn and uvicorn cannot be had; the launcher is not tried with them" >&2

# Another supervisor that the launcher is tried under: its tools alone, which start nothing.
.PHONY: supervisors
supervisors: | packages
	@command -v runsv >/dev/null || { \
	    command -v apt-get >/dev/null && $(SUDO) apt-get update -q && \
	    $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends runit; } || \
	    echo "runit cannot be had; the launcher is not tried under it" >&2

# Shells whose completion is tried. Where they cannot be had, the tests say so.
.PHONY: shells
shells: | packages
	@command -v zsh >/dev/null && command -v fish >/dev/null || { \
	    command -v apt-get >/dev/null && $(SUDO) apt-get update -q && \
	    $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends fish zsh; } || \
	    echo "fish and zsh cannot be had; their completion is not tried" >&2

.PHONY: deps packages
deps: packages shells supervisors $(BINDINGS) $(SERVERS)
packages: toolchain
	@command -v apt-get >/dev/null || { echo "no apt-get: what $(DEBIAN) are on Debian has to be there"; exit 0; }; \
	missing=; for package in $(DEBIAN); do \
	    dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || \
	    missing="$$missing $$package"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	echo "installing$$missing"; \
	if [ -n "$(SUDO)" ] && ! command -v sudo >/dev/null; then \
	    echo "as root: apt-get install$$missing" >&2; exit 1; fi; \
	$(SUDO) apt-get update -q && \
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing

.PHONY: clean
clean:
	$(CARGO) clean
