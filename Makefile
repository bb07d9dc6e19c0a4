# futured. `make demo` sets up, builds and shows it at work; `make check` sets up and runs the tests.
#   make                              build everything into build/
#   make SAN=address,undefined check  the same with sanitizers, in build-address-undefined/
#   make V=1                          show the commands
#   make install PREFIX=/usr DESTDIR=…

CC      ?= gcc
VERSION := 0.1.0
PREFIX  ?= /usr/local
comma   := ,
B       := build$(if $(SAN),-$(subst $(comma),-,$(SAN)))

# What is built from what: one noun per file, listed by folder.
PROTO  := buf shape utf8 pack reader frame message status error address board
CONFIG := config keys memory report tree number initargs listen setting check sample
DAEMON := clock log timer turn bytes stream spec owner errors key retention watch gate queue registry future \
          output input fill run answer slot child launch lock paths host pool cpus closing bound backlog conn follow \
          events ids request methods walk await environment options submission mapping describe listener server store \
          store_memory req_submit req_result req_cancel req_wait req_list req_output req_pool req_admin
WORKER := main host channel command task process tree capture feed early slot crew native native_stdout native_table native_task lua lua_lib lua_state lua_value
CLIENT := core connection blocking calls completed watch follow discover ids value packer packf settings reply errors
FUT    := main verbs common args help text words jsonout jsonin writer list outcome printed value sink stop reach start task feed run \
          submit call wait result cancel ls about events pool daemon map mapout items template progress
UNIT   := buf utf8 frame reader message error board address config config_broken number client_core client_pack client_memory client_blocking

PKGS    = libevent_core msgpack yaml-0.1 jansson
WARN    = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
CFLAGS ?= -O2 -g
FLAGS   = -std=c11 -D_GNU_SOURCE -DFUTURED_VERSION='"$(VERSION)"' -I. -fPIC -fvisibility=hidden -pthread $(WARN) $(CFLAGS) \
          $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
LINK    = $(QUIET_LD)$(CC) $(FLAGS) $(LDFLAGS) -o $@
QUIET_CC = $(if $(V),,@echo "  CC    $<"; )
QUIET_LD = $(if $(V),,@mkdir -p $(@D); echo "  LINK  $@"; )
QUIET_AR = $(if $(V),,@mkdir -p $(@D); echo "  AR    $@"; )

objs     = $(patsubst %,$(B)/obj/$(1)/%.o,$(2))
PROTO_A  = $(B)/obj/libproto.a
CONFIG_A = $(B)/obj/libconfig.a
DAEMON_A = $(B)/obj/libdaemon.a
CLIENT_A = $(B)/lib/libfutured.a

all: $(B)/bin/futured $(B)/bin/fut $(B)/libexec/futured-worker

$(B)/bin/futured: $(B)/obj/daemon/main.o $(DAEMON_A) $(CONFIG_A) $(PROTO_A)
	$(LINK) $^ -levent_core -lmsgpackc -lyaml
$(B)/libexec/futured-worker: $(call objs,worker,$(WORKER)) $(PROTO_A)
	$(LINK) -rdynamic $^ -lmsgpackc -llua5.4 -ldl -lm
$(B)/bin/fut: $(call objs,client/fut,$(FUT)) $(CLIENT_A)
	$(LINK) $^ -lmsgpackc -ljansson

$(PROTO_A):  $(call objs,proto,$(PROTO))
$(CONFIG_A): $(call objs,config,$(CONFIG))
$(DAEMON_A): $(call objs,daemon,$(DAEMON))
$(CLIENT_A): $(call objs,client,$(CLIENT)) $(call objs,proto,$(PROTO))
%.a:
	$(QUIET_AR)rm -f $@ && ar rcs $@ $^

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
$(B)/tests/test_%: $(B)/obj/tests/unit/test_%.o $(DAEMON_A) $(CONFIG_A) $(PROTO_A)
	$(LINK) $^ -levent_core -lmsgpackc -lyaml -lcmocka
$(B)/tests/test_client_%: $(B)/obj/tests/unit/test_client_%.o $(CLIENT_A)
	$(LINK) $^ -lmsgpackc -lcmocka
$(B)/tests/test_client_memory: LDFLAGS += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
unit: $(patsubst %,$(B)/tests/test_%,$(UNIT))
	@for t in $^; do echo "  TEST  $$t"; $$t || exit 1; done

# Programs that system tests run as tasks; never with sanitizers, which change what they are there to show.
$(B)/tests/programs/%: tests/programs/%.c
	@mkdir -p $(@D)
	$(QUIET_CC)$(CC) $(filter-out -fsanitize=%,$(FLAGS)) -o $@ $<
# Measurements.
$(B)/bench/%: $(B)/obj/bench/%.o $(B)/obj/worker/channel.o $(PROTO_A)
	$(LINK) $^ -lmsgpackc

clean:
	rm -rf build build-*

.PHONY: all modules unit clean
.SECONDARY:
-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
