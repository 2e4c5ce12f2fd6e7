# The ways in: `make demo` shows it, `make check` proves it, `make install` installs it.
# DESTDIR= and PREFIX= are honoured as usual; PROFILE= is the cargo profile that is built.

PREFIX     ?= /usr/local
DESTDIR    ?=
PROFILE    ?= release
CARGO      ?= cargo
TARGET     ?= $(or $(CARGO_TARGET_DIR),target)
STAGE      ?= $(TARGET)/stage

SYSCONFDIR ?= /etc
BINDIR      = $(PREFIX)/bin
LIBEXECDIR  = $(PREFIX)/libexec
UNITDIR     = $(PREFIX)/lib/systemd/system
SYSUSERSDIR = $(PREFIX)/lib/sysusers.d
TMPFILESDIR = $(PREFIX)/lib/tmpfiles.d
MANDIR      = $(PREFIX)/share/man
DOCDIR      = $(PREFIX)/share/doc/unitlink
# The bus reads policies of its distribution and of /etc, but not of /usr/local.
DBUSDIR     = $(if $(filter /usr,$(PREFIX)),/usr/share,$(SYSCONFDIR))/dbus-1/system.d

BUILT       = $(TARGET)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
PROGRAMS    = unitlink-controller unitlink-agent unitlink-proxy unitlinkctl
PACKAGES    = $(addprefix -p ,$(PROGRAMS))
D           = $(DESTDIR)

.DEFAULT_GOAL := all

.PHONY: all
all: toolchain
	$(CARGO) build --locked --profile $(PROFILE) $(PACKAGES)

.PHONY: toolchain
toolchain:
	@command -v $(CARGO) >/dev/null || { \
	    echo "no Rust toolchain. This brings it:"; \
	    echo "    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"; exit 1; } >&2

# Nothing is built here, so that `make && sudo make install` leaves no files of root behind.
.PHONY: install
install:
	@for program in $(PROGRAMS); do test -x $(BUILT)/$$program || { \
	    echo "$(BUILT)/$$program is not built; run \`make PROFILE=$(PROFILE)\` first" >&2; exit 1; }; done
	install -d $(D)$(BINDIR) $(D)$(LIBEXECDIR) $(D)$(UNITDIR) $(D)$(SYSUSERSDIR) $(D)$(TMPFILESDIR) \
	    $(D)$(DBUSDIR) $(D)$(SYSCONFDIR)/unitlink $(D)$(DOCDIR) \
	    $(addprefix $(D)$(MANDIR)/man,1 5 8)
	install -m 0755 $(BUILT)/unitlink-controller $(BUILT)/unitlink-agent $(BUILT)/unitlink-proxy $(D)$(LIBEXECDIR)
	install -m 0755 $(BUILT)/unitlinkctl $(D)$(BINDIR)
	ln -sfn unitlinkctl $(D)$(BINDIR)/ctl
	install -m 0644 $(filter-out %.in,$(shell find units/systemd -type f)) $(D)$(UNITDIR)
	for unit in units/systemd/*.in; do \
	    to=$(D)$(UNITDIR)/$$(basename $$unit .in); \
	    sed 's|@libexecdir@|$(LIBEXECDIR)|g' $$unit >$$to && chmod 0644 $$to || exit 1; done
	cp -Pf $(shell find units/systemd -type l) $(D)$(UNITDIR)
	install -m 0644 units/dbus/*.conf $(D)$(DBUSDIR)
	install -m 0644 units/sysusers/unitlink.conf $(D)$(SYSUSERSDIR)
	install -m 0644 units/tmpfiles/unitlink.conf $(D)$(TMPFILESDIR)
	# What an administrator has written stays.
	for file in controller.toml agent.toml; do \
	    to=$(D)$(SYSCONFDIR)/unitlink/$$file; \
	    test -e $$to || install -m 0644 units/config/$$file $$to || exit 1; done
	for page in docs/man/*.[158]; do test ! -e $$page || \
	    install -m 0644 $$page $(D)$(MANDIR)/man$${page##*.} || exit 1; done
	cp -R units/example $(D)$(DOCDIR)

# An installed tree for tests: optimised and without unwinding as what is shipped, but without
# link-time optimisation, which takes minutes.
.PHONY: stage
stage: PROFILE = stage
stage: PREFIX = /usr
stage: all
	rm -rf $(STAGE)
	$(MAKE) --no-print-directory install PROFILE=stage PREFIX=/usr DESTDIR=$(STAGE)

.PHONY: clean
clean:
	$(CARGO) clean
