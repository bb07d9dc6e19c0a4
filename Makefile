# futured. `make demo` sets up, builds and shows it at work; `make check` sets up and runs the tests.
#   make                              build everything into build/
#   make check-all                    also what is slow: long tests, sanitizers, fuzzing, clang
#   make SAN=address,undefined check  the tests with sanitizers, in build-address-undefined/
#   make FAULTS=1 all                 with faults and crash points that tests choose, in build-faults/
#   make V=1                          show the commands
#   make install PREFIX=/usr DESTDIR=…   also the systemd units; the configuration goes to SYSCONFDIR (/etc)

CC      ?= gcc
VERSION := 0.1.0
PREFIX  ?= /usr/local
comma   := ,
B       := build$(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(FAULTS),-faults)

# What is built from what: one noun per file, listed by folder.
LAUNCH := become
PROTO  := buf shape utf8 pack reader frame message status error address board ring
CONFIG := config keys memory report tree number initargs listen principal setting check sample effect
DAEMON := clock journal log timer turn spare bytes stream spec owner access quota errors key retention watch gate queue registry future \
          output input fill run answer rings slot cgroup box resident child launch identity launcher lock paths host pool program workers cpus dispatch broken closing bound backlog keyfile tokens tls login admission conn notices follow \
          events ids request methods walk await environment options submission mapping describe why listener inherit notify service tally metrics http \
          server reload store store_sqlite rows sum payload batch batch_files committer commit acceptance boards opened record fate replay req_submit req_result req_cancel req_wait req_list req_output req_pool req_admin $(if $(FAULTS),fault)
WORKER := main host channel command task process box tree capture feed early slot crew native native_stdout native_table native_task lua lua_lib lua_state lua_value
CLIENT := core warm connection tls token resume blocking calls submission completed watch rewatch follow future gather mapping executor \
          discover ids value packer packf settings reply errors
FUT    := main verbs common args guess action pools clock help text words jsonout jsonin writer list outcome printed value sink stop reach start task feed waiting run \
          submit call wait result cancel ls about events pool bench daemon token map mapout items template progress halt joblog \
          complete completion top topdata topdraw processes page
UNIT   := buf utf8 frame reader message error board ring address config config_broken number client_core client_pack client_memory client_blocking \
          client_rules client_map client_reconnect client_event client_edges \
          queue timer spare histogram ids backlog registry watch gate key turn bytes future future_places retention cgroup

PKGS    = libevent_core msgpack yaml-0.1 sqlite3
# fut is started for every single task: what the dynamic linker need not load it has sooner. FUT_LIBS="-lncursesw -ltinfo" where there are no archives.
FUT_LIBS = -Wl,-Bstatic -lncursesw -ltinfo -Wl,-Bdynamic
WARN    = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
CFLAGS ?= -O2 -g
FLAGS   = -std=c11 -D_GNU_SOURCE -DFUTURED_VERSION='"$(VERSION)"' -I. -fPIC -fvisibility=hidden -pthread $(WARN) $(CFLAGS) \
          $(if $(FAULTS),-DFUTURED_FAULTS) $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
LINK    = $(QUIET_LD)$(CC) $(FLAGS) $(LDFLAGS) -o $@
QUIET_CC = $(if $(V),,@echo "  CC    $<"; )
QUIET_LD = $(if $(V),,@mkdir -p $(@D); echo "  LINK  $@"; )
QUIET_AR = $(if $(V),,@mkdir -p $(@D); echo "  AR    $@"; )

objs     = $(patsubst %,$(B)/obj/$(1)/%.o,$(2))
PROTO_A  = $(B)/obj/libproto.a
LAUNCH_A = $(B)/obj/liblaunch.a
CONFIG_A = $(B)/obj/libconfig.a
DAEMON_A = $(B)/obj/libdaemon.a
CLIENT_A = $(B)/obj/libclient.a

all: $(B)/bin/futured $(B)/bin/fut $(B)/libexec/futured-worker $(B)/libexec/futured-launch

# What people ask for. Building uses all processors, unless -j says how many.
BUILD = +@$(MAKE) $(if $(V),,-s) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
setup:
	@sh scripts/setup
demo: setup
	$(BUILD) all
	@FUTURED_BUILD=$(B) scripts/demo
tour: setup
	$(BUILD) all
	@FUTURED_BUILD=$(B) scripts/tour --write
check: setup
	$(BUILD) all programs lint unit
	$(BUILD) system
check-all: check
	@sh scripts/setup all || echo "going on without them"
	$(BUILD) FAULTS=1 all programs
	$(BUILD) system WHICH=long
	$(BUILD) system STORE=sqlite
	$(BUILD) SAN=address,undefined all programs unit
	$(BUILD) SAN=address,undefined system
	$(BUILD) SAN=thread all unit
	$(BUILD) SAN=thread system TESTS="$(THREADED)"
	+@if command -v clang >/dev/null; then $(MAKE) --no-print-directory clang fuzz; else echo "no clang: no fuzzing"; fi
clang:
	$(BUILD) B=build-clang CC=clang CFLAGS="-O2 -g -Werror" all

DAEMON_LIBS = -levent_core -levent_extra -lmsgpackc -lyaml -lsqlite3 -lssl -lcrypto -lm
$(B)/bin/futured: $(B)/obj/daemon/main.o $(DAEMON_A) $(CONFIG_A) $(LAUNCH_A) $(PROTO_A)
	$(LINK) $^ $(DAEMON_LIBS)
$(B)/libexec/futured-worker: $(call objs,worker,$(WORKER)) $(PROTO_A)
	$(LINK) -rdynamic $^ -lmsgpackc -llua5.4 -ldl -lm
$(B)/libexec/futured-launch: $(B)/obj/launch/main.o $(LAUNCH_A)
	$(LINK) $^
$(B)/bin/fut: $(call objs,client/fut,$(FUT)) $(CLIENT_A)
	$(LINK) $^ $(FUT_LIBS)

$(PROTO_A):  $(call objs,proto,$(PROTO))
$(LAUNCH_A): $(call objs,launch,$(LAUNCH))
$(CONFIG_A): $(call objs,config,$(CONFIG))
$(DAEMON_A): $(call objs,daemon,$(DAEMON))
$(CLIENT_A): $(call objs,client,$(CLIENT)) $(call objs,proto,$(PROTO))
%.a:
	$(QUIET_AR)rm -f $@ && ar rcs $@ $^

# The library as others link it: only what futured.h declares leaves it, shared or static.
LIBS = $(addprefix $(B)/lib/,libfutured.so libfutured.a libfutured-event.so libfutured-event.a)
all: $(LIBS)
$(B)/lib/%.so.$(VERSION): client/%.map
	$(LINK) -shared -Wl,-soname,$*.so.0 -Wl,--version-script,$< $(filter %.o %.so,$^) $(SO_LIBS)
$(B)/lib/libfutured.so.$(VERSION): $(call objs,client,$(CLIENT)) $(call objs,proto,$(PROTO))
$(B)/lib/libfutured-event.so.$(VERSION): $(B)/obj/client/futured_event.o $(B)/lib/libfutured.so
$(B)/lib/libfutured-event.so.$(VERSION): SO_LIBS = -levent_core
$(B)/lib/%.so: $(B)/lib/%.so.$(VERSION)
	@ln -sf $(<F) $@.0 && ln -sf $(@F).0 $@
$(B)/lib/libfutured.a: $(call objs,client,$(CLIENT)) $(call objs,proto,$(PROTO))
$(B)/lib/libfutured-event.a: $(B)/obj/client/futured_event.o
$(B)/lib/%.a:
	$(QUIET_AR)rm -f $@ && ld -r -o $(B)/obj/$*.o $^ && objcopy --localize-hidden $(B)/obj/$*.o && ar rcs $@ $(B)/obj/$*.o

# For hosts in languages without atomics; never with sanitizers, which such a host does not have.
all: $(B)/lib/futured/claim.so
$(B)/lib/futured/claim.so: worker/claim.c proto/board.c proto/board.h
	$(QUIET_LD)$(CC) $(filter-out -fsanitize=% -fno-sanitize%,$(FLAGS)) $(LDFLAGS) -shared -o $@ $(filter %.c,$^)

# Example clients, built as a stranger would: with the two headers and the shared libraries.
CLIENTS = $(patsubst examples/client/%.c,$(B)/examples/%,$(wildcard examples/client/*.c))
all: $(CLIENTS)
$(B)/examples/%: examples/client/%.c client/futured.h client/futured_event.h $(LIBS)
	@mkdir -p $(@D)
	$(QUIET_LD)$(CC) -std=c11 -Iclient $(WARN) $(CFLAGS) $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS) -o $@ $< \
		-Wl,--as-needed -L$(B)/lib -lfutured -lfutured-event -levent_core -Wl,-rpath,'$$ORIGIN/../lib'

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(QUIET_CC)$(CC) $(FLAGS) -MMD -MP -c -o $@ $<

# Task modules: the examples, and those that the tests load.
LINK_MODULE = @mkdir -p $(@D) $(B)/obj; $(if $(V),,echo "  LINK  $@";) $(CC) $(FLAGS) $(LDFLAGS) -o $@ \
	-shared -Iworker -MMD -MP -MF $(B)/obj/$*.module.d -MT $@ $<
MODULES = $(patsubst %.c,$(B)/modules/%.so,$(notdir $(wildcard examples/modules/*.c tests/modules/*.c)))
modules: $(MODULES)
all: modules
$(B)/modules/%.so: examples/modules/%.c
	$(LINK_MODULE)
$(B)/modules/%.so: tests/modules/%.c
	$(LINK_MODULE)

# Unit tests: tests/unit/test_NAME.c, one program each.
$(B)/tests/test_%: $(B)/obj/tests/unit/test_%.o $(DAEMON_A) $(CONFIG_A) $(LAUNCH_A) $(PROTO_A)
	$(LINK) $^ -levent_core -levent_extra -lmsgpackc -lyaml -lsqlite3 -lssl -lcrypto -lcmocka -lm
$(B)/tests/test_client_%: $(B)/obj/tests/unit/test_client_%.o $(CLIENT_A)
	$(LINK) $^ -lmsgpackc -lcmocka
$(B)/tests/test_client_event: $(B)/obj/tests/unit/test_client_event.o $(B)/obj/client/futured_event.o $(CLIENT_A)
	$(LINK) $^ -lmsgpackc -levent_core -lcmocka
$(addprefix $(B)/tests/test_client_,rules map reconnect event): | $(B)/bin/futured $(B)/libexec/futured-worker modules
$(addprefix $(B)/tests/test_,client_memory queue timer bytes ids backlog registry watch gate key retention): LDFLAGS += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
unit: $(patsubst %,$(B)/tests/test_%,$(UNIT))
	@scripts/unit $^

# System tests: with Debian's Python, whatever python3 is first in PATH, and more at once than there are processors, since
# they mostly wait. One file alone: make system TESTS=tests/system/test_wait.py; the slow ones: WHICH=long; with the durable
# store wherever a test does not choose: STORE=sqlite; with chance seeded otherwise: SEED=7, or SEED= for another each time,
# as the slow ones have it.
TESTS    = tests/system
WHICH    = not long
STORE    = memory
SEED     = $(if $(filter not,$(WHICH)),1)
THREADED = $(patsubst %,tests/system/test_%.py,native_host lua_host functions exactness dataflow_kinds nested workers)
system: all programs
	@env --default-signal FUTURED_BUILD=$(B) FUTURED_TEST_STORE=$(STORE) FUTURED_SEED=$(SEED) PYTHONDONTWRITEBYTECODE=1 \
		/usr/bin/python3 -m pytest -c tests/system/pytest.ini -q -m "$(WHICH)" -n $(if $(filter not,$(WHICH)),$$((2 * $$(nproc))),1) $(TESTS)

# One text for two readers.
all: $(B)/man/futured-protocol.7
$(B)/man/futured-protocol.7: scripts/protocol-man proto/PROTOCOL.md
	@mkdir -p $(@D)
	@awk -f $^ >$@.new && mv $@.new $@

lint: $(B)/man/futured-protocol.7
	@mandoc -T lint -W warning docs/*.[1-8] $<
	@! grep -rn '"daemon/' proto config client worker launch

# Fuzzing, with clang: what is found is left in build-fuzz/fuzz, with the inputs that came before it. First, each of CONTROLS (program, planted
# crash, seed that must get there) does crash: else the fuzzer would find nothing either.
FUZZ_SECONDS = 30
FUZZERS = frame config session worker store
CONTROLS = session:result:submit worker:lost:die9 store:result:pending store:damaged:damaged
FUZZ = $(B)/fuzz/fuzz_
fuzz:
	$(BUILD) B=build-fuzz CC="$(FUZZ_CC)" SAN=fuzzer-no-link,address,undefined CFLAGS="-O1 -g" fuzzing
FUZZ_CC = clang
$(B)/obj/libcore.a: $(addprefix $(B)/obj/tests/fuzz/,core.o mutate.o rows.o)
$(B)/fuzz/fuzz_%: $(B)/obj/tests/fuzz/fuzz_%.o $(B)/obj/libcore.a $(DAEMON_A) $(CONFIG_A) $(LAUNCH_A) $(PROTO_A)
	@mkdir -p $@.corpus
	$(LINK) -fsanitize=fuzzer,address,undefined $^ $(DAEMON_LIBS)
fuzzing: $(addprefix $(FUZZ),$(FUZZERS))
	@/usr/bin/python3 tests/fuzz/seeds.py $(B)/fuzz
	@for c in $(filter $(addsuffix :%,$(FUZZERS)),$(CONTROLS)); do set -- $$(echo $$c | tr : ' '); \
		FUTURED_FUZZ_CONTROL=$$2 $(FUZZ)$$1 $(FUZZ)$$1.seeds/$$3 >/dev/null 2>&1; [ $$? = 77 ] || { echo "$(FUZZ)$$1.seeds/$$3 does not get to the control '$$2'"; exit 1; }; done
	@for f in $^; do echo "  FUZZ  $$f for $(FUZZ_SECONDS) s"; \
		FUTURED_FUZZ_HISTORY=$$f.history $$f -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -len_control=20 -timeout=20 -detect_leaks=0 -close_fd_mask=3 -print_final_stats=1 \
			-artifact_prefix=$$f. $$f.corpus $$f.seeds >$$f.log 2>&1 || { tail -60 $$f.log; exit 1; }; done

# Programs that system tests run as tasks; never with sanitizers, which change what they are there to show.
$(B)/tests/programs/%: tests/programs/%.c
	@mkdir -p $(@D)
	$(QUIET_CC)$(CC) $(filter-out -fsanitize=%,$(FLAGS)) -o $@ $<
programs: $(addprefix $(B)/tests/programs/,nasty dump mark) $(patsubst %,$(B)/tests/shim_%.so,malloc clock disk)
# What tests preload into a daemon: memory that runs out, a wall clock that jumps, a disk that fails.
$(B)/tests/shim_%.so: tests/soak/shim_%.c tests/soak/shim.h
	@mkdir -p $(@D)
	$(QUIET_CC)$(CC) $(filter-out -fsanitize=%,$(FLAGS)) -shared -o $@ $< -ldl

# Measurements.
$(B)/bench/%: $(B)/obj/bench/%.o $(B)/obj/worker/channel.o $(PROTO_A)
	$(LINK) $^ -lmsgpackc
$(B)/bench/load: $(B)/obj/bench/load.o $(CLIENT_A)
	$(LINK) $^ -lmsgpackc
$(B)/bench/gearman: $(B)/obj/bench/gearman.o
	$(LINK) $^ -lgearman

# futured beside its peers: those that are installed (sh scripts/setup bench installs them). Writes docs/benchmarks.*; ten minutes.
bench: all $(patsubst %,$(B)/bench/%,load relay limits spawn beanstalk) $(if $(wildcard /usr/include/libgearman/gearman.h),$(B)/bench/gearman)
	@FUTURED_BUILD=$(B) bench/peers

# What package maintainers ask for. The programs find each other from where they are. A configuration that is there stays as it is.
D = $(DESTDIR)$(PREFIX)
SYSCONFDIR = $(if $(filter /usr /usr/local,$(PREFIX)),/etc,$(PREFIX)/etc)
UNITS = futured.service futured@.service user/futured.service
install: all
	install -d $(D)/bin $(D)/libexec $(D)/lib/futured/modules $(D)/include $(D)/share/doc/futured/examples
	install -m 755 $(B)/bin/futured $(B)/bin/fut $(D)/bin
	install -m 755 $(B)/libexec/futured-worker $(B)/libexec/futured-launch $(D)/libexec
	cp -P $(B)/lib/libfutured* $(D)/lib
	install -m 755 $(B)/lib/futured/claim.so $(D)/lib/futured
	install -d $(D)/lib/pkgconfig
	for name in futured futured-event; do sed 's:@PREFIX@:$(PREFIX):; s:@VERSION@:$(VERSION):' client/$$name.pc.in >$(D)/lib/pkgconfig/$$name.pc; done
	scripts/manlinks $(D)/share/man/man3 docs/*.3
	install -m 755 $(filter $(patsubst examples/%.c,$(B)/%.so,$(wildcard examples/modules/*.c)),$(MODULES)) $(D)/lib/futured/modules
	install -m 644 client/futured.h client/futured_event.h worker/futured_task.h $(D)/include
	install -d $(D)/lib/futured/python/futured
	install -m 644 client/python/futured/*.py $(D)/lib/futured/python/futured
	install -m 644 README.md SECURITY.md docs/*.md docs/*.svg proto/PROTOCOL.md config/futured.yaml $(D)/share/doc/futured
	for f in examples/*/*.c examples/*/*.lua examples/*/*.py; do install -D -m 644 $$f $(D)/share/doc/futured/$$f || exit 1; done
	install -m 644 examples/team.yaml $(D)/share/doc/futured/examples
	sed 's:\.\./build/modules:$(PREFIX)/lib/futured/modules:g' examples/demo.yaml >$(D)/share/doc/futured/examples/demo.yaml
	for page in docs/*.[1-8] $(B)/man/*.[1-8]; do install -D -m 644 $$page $(D)/share/man/man$${page##*.}/$${page##*/} || exit 1; done
	install -d $(addprefix $(D)/lib/,systemd/system systemd/user sysusers.d tmpfiles.d) $(D)/share/doc/futured/systemd
	install -m 644 systemd/*.socket $(D)/lib/systemd/system
	install -m 644 systemd/user/*.socket $(D)/lib/systemd/user
	for unit in $(UNITS); do sed 's:@PREFIX@:$(PREFIX):g; s:@SYSCONFDIR@:$(SYSCONFDIR):g' systemd/$$unit.in | \
		install -m 644 /dev/stdin $(D)/lib/systemd/$$(case $$unit in user/*) ;; *) echo system/ ;; esac)$$unit || exit 1; done
	install -m 644 systemd/sysusers.conf $(D)/lib/sysusers.d/futured.conf
	install -m 644 systemd/tmpfiles.conf $(D)/lib/tmpfiles.d/futured.conf
	sed 's:@PREFIX@:$(PREFIX):g' systemd/hardened.conf >$(D)/share/doc/futured/systemd/hardened.conf
	[ -e $(DESTDIR)$(SYSCONFDIR)/futured/futured.yaml ] || install -D -m 644 systemd/futured.yaml $(DESTDIR)$(SYSCONFDIR)/futured/futured.yaml
	install -d $(D)/share/bash-completion/completions $(D)/share/zsh/site-functions $(D)/share/fish/vendor_completions.d
	$(B)/bin/fut completion bash >$(D)/share/bash-completion/completions/fut
	$(B)/bin/fut completion zsh >$(D)/share/zsh/site-functions/_fut
	$(B)/bin/fut completion fish >$(D)/share/fish/vendor_completions.d/fut.fish

compile_commands.json:
	@$(MAKE) -Bn V=1 all $(call objs,tests/unit,$(addprefix test_,$(UNIT))) | scripts/compile-commands >$@

clean:
	rm -rf build build-* compile_commands.json

.PHONY: all modules unit programs system lint fuzz fuzzing bench setup demo check check-all clang install compile_commands.json clean
.SECONDARY:
-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
