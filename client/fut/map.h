/* The state of one fut map, shared by the loop (map.c) and what it prints (mapout.c). */
#ifndef FUT_MAP_H
#define FUT_MAP_H

#include "client/fut/feed.h"
#include "client/fut/halt.h"
#include "client/fut/items.h"
#include "client/fut/joblog.h"
#include "client/fut/progress.h"
#include "client/fut/sink.h"
#include "client/fut/task.h"
#include "client/fut/template.h"

struct map;

/* From being sent until it is printed. */
struct item {
	struct item *next; /* in the order of the items */
	struct futured_reply *outcome; /* NULL: not done */
	size_t size;       /* bytes that the outcome holds */
	uint64_t id;       /* 0: not known yet */
	uint64_t number;   /* from 1 */
	size_t slot;       /* from 1; 0: none */
	bool dropped;      /* it was cancelled because map gave up */
	char *command;     /* for the joblog; NULL: there is none */
	int fields;
	size_t len;
	char text[];       /* the fields, each terminated */
};

/* The items of one request; their ids are consecutive. */
struct block {
	struct block *next; /* of all that are in flight, or of those that have to be sent again */
	struct map *map;
	uint64_t first; /* 0: not accepted yet */
	size_t count, left;
	size_t again;      /* as many were sent again */
	struct item *items[]; /* NULL once it is done */
};

struct failure {
	uint64_t id;
	char *item, *words;
	bool plain; /* an exit status or a signal: told with -q by the status alone */
};
enum { FAILURES_SHOWN = 10, CUTS_SHOWN = 10, RELEASE_AT = 256 };

enum stopping {
	STOPPING_NO,
	STOPPING_SOON, /* no more is sent, what waits is cancelled */
	STOPPING_NOW,  /* what runs is killed */
};

struct map {
	struct fut *f;
	const char *pool;
	const struct task *task;
	struct template template;
	struct items items;
	struct futured_options *options;
	struct futured_pack *scratch, *params;
	size_t window;
	bool exact;        /* -j */
	bool as_completed;
	bool keep;
	struct item *first, **last; /* not yet printed */
	struct block *blocks;
	struct block *again, **again_last; /* refused for their size */
	size_t most;       /* items in a request: fewer once a pool's queue had no room for more at all */
	struct futured_reply *full; /* how the first of these was refused */
	size_t unanswered; /* requests */
	uint64_t numbers;  /* items taken */
	uint64_t skipped;  /* of these: went well in an earlier run */
	struct halt halt;
	enum stopping stopping;
	bool halted;       /* by --halt */
	struct joblog *joblog; /* NULL: none */
	size_t *slots;     /* free ones, where the command has a {%}; NULL: it has none */
	size_t slots_free;
	bool calm;         /* much is in flight and has just been heard of: see turn() */
	size_t flying;     /* sent and not done */
	size_t held, held_bytes; /* done and not printed */
	uint64_t done, failed, dropped;
	uint64_t cut;      /* streams of which not all was kept */
	struct failure failure[FAILURES_SHOWN];
	const char *hint;  /* what was probably meant by the command; NULL: nothing */
	uint64_t release[RELEASE_AT];
	size_t releases;
	struct sink out, err;
	bool piped;        /* whoever reads stdout may write to the same terminal */
	struct progress progress;
	int signal;        /* the first that came */
	struct futured_reply *refusal; /* the first of a request; said at the end */
	bool refused;      /* no more items are taken; `status` says how it ends */
	bool lost;         /* the connection ended */
	bool left;         /* a second signal */
	bool unwritten;    /* stdout cannot be written: said */
	int status;
};

/* Prints what may be printed now, and releases it. */
void map_print(struct map *m);
/* Sends the releases that have gathered; with `all`, every one, and waits until they have arrived. */
void map_release(struct map *m, bool all);
/* What failed, on stderr. */
void map_summary(struct map *m);
void map_clear(struct map *m);
size_t map_reply_size(const struct futured_reply *reply);
/* An item's fields as a person would write them, new. */
char *map_item_words(const struct item *i);
/* The parameters of a request for `count` items, whose arguments are in `args` one after another. */
void map_pack(struct map *m, const char *program, const struct futured_pack *args, size_t count, struct futured_pack *p);

#endif
