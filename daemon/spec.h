/* A spec: what a task was asked to be, apart from its arguments. The futures of one map share one, and so do the submits of
 * one connection that differ in nothing else. Read-only once made; counted. */
#ifndef FUTURED_DAEMON_SPEC_H
#define FUTURED_DAEMON_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/bytes.h"

struct pool;
struct owner;

/* What of the options is bounded; more is refused, and in a store damage. */
enum { SPEC_NAME_MAX = 1024, SPEC_AFTER_MAX = 10000, SPEC_RETRIES_MAX = 10000 };

/* What a spec holds beside arguments, its function's name, environment and the like, is not counted up to so many bytes. */
enum { SPEC_FREE = 1024 };

enum spec_stdin { SPEC_STDIN_NONE, SPEC_STDIN_BYTES, SPEC_STDIN_OPEN, SPEC_STDIN_FUTURE };

struct spec {
	uint32_t count;
	uint64_t row;             /* in the store; 0: none */
	uint64_t gate;            /* row there of what its tasks wait for (`after`: then nobody else shares it); 0: none */
	bool gate_passed;         /* … which the store was told */
	struct pool *pool;        /* counted */
	uint64_t settings;        /* which of the pool's it was made with; others since then, and it is not used again. 0: not known */
	struct owner *owner;      /* counted */
	struct spec *original;    /* counted; NULL: none. Made from it by spec_unbound: fn, name and the bytes are its */
	char *fn;                 /* terminated, owned */
	size_t fn_len;
	char *name;               /* NULL: none */
	struct bytes tags;        /* MessagePack array of str; empty: none */
	struct bytes kwargs;      /* MessagePack map; empty: none */
	struct bytes after;       /* the option as it was given, a MessagePack array; empty: none */
	struct bytes run;         /* pairs of the run message's options map, encoded */
	uint32_t run_pairs;
	struct bytes env;         /* command pools: MessagePack array of "NAME=value" */
	struct bytes stdin_bytes; /* SPEC_STDIN_BYTES: the payload itself */
	uint64_t stdin_future;    /* SPEC_STDIN_FUTURE */
	enum spec_stdin stdin_kind;
	int32_t priority;
	uint32_t retries;
	uint64_t timeout_us;      /* 0: none */
	uint64_t deadline_us;     /* from submit; UINT64_MAX: none */
	uint64_t delay_us;
	uint64_t retry_delay_us;
	uint64_t retain_us;
	uint64_t charged;         /* bytes of it that count as its owner's, … */
	uint64_t apart;           /* … and those among them that are no counted bytes */
	uint64_t bound_to;        /* connection id; 0: not bound */
	bool watch;
	bool block;
};

struct spec *spec_hold(struct spec *spec);
/* What it holds counts as held, and as its owner's, from now on. */
void spec_charge(struct spec *spec);
/* The same without what belonged to one call: bound, watch, block; never shared where the pool has other settings now. Counted; NULL
 * without memory. */
struct spec *spec_unbound(struct spec *spec);
void spec_drop(struct spec *spec);

#endif
