/* fut, the command line: what all verbs share. It uses libfutured through its public header only. */
#ifndef FUT_H
#define FUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "client/futured.h"

/* Exit statuses that are not a task's own. */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NO_DAEMON = 69,
	EXIT_TIMED_OUT = 124,
	EXIT_FUTURED = 125, /* of verbs that otherwise exit with a task's own status */
	EXIT_SIGNALLED = 128,
};

struct verb;

/* One run of the program. */
struct fut {
	const char *address; /* -a; NULL: look for one */
	const char *token_file, *tls_ca, *tls_cert, *tls_key; /* NULL: what the environment says */
	bool json;
	bool quiet;
	bool no_start;
	bool paint_out, paint_err; /* colours on stdout, stderr */
	bool tty_out, tty_err;
	const char *out_name; /* what stdout is: "stdout", or the file of -o */
	const struct verb *verb;
	struct futured *c; /* once reached */
};

/* An option of a verb. A table of them ends with key 0. */
struct option_row {
	int key;           /* a letter, or from OPTION_LONG on where there is only the long name */
	const char *name;  /* NULL: only the letter */
	const char *value; /* what stands behind it; NULL: nothing */
	const char *help;  /* NULL: taken, and not told of */
};
enum { OPTION_LONG = 256 };

/* What to say of an option that another program has. A table of them ends with NULL. */
struct option_hint {
	const char *word; /* -N, --results */
	const char *text;
};

struct action;

enum verb_flag {
	VERB_TASK = 1,    /* exits with a task's own status, so its own failures are EXIT_FUTURED */
	VERB_COMMAND = 2, /* its operands are a command with options of its own */
	VERB_HIDDEN = 4,  /* not for people */
};

struct verb {
	const char *name;
	const char *operands;
	const char *summary;
	const char *examples; /* lines, each "command   # what it does" */
	const struct option_row *options; /* NULL: only the common ones */
	const struct option_hint *hints;  /* NULL: none */
	const struct action *actions;     /* NULL: it has none */
	int (*run)(struct fut *f, int argc, char **argv);
	unsigned flags;
};

extern const struct verb *const verbs[]; /* ends with NULL */
extern const struct verb verb_run, verb_submit, verb_call, verb_map, verb_wait, verb_result, verb_logs, verb_cancel, verb_release,
	verb_retry, verb_ls, verb_show, verb_why, verb_failures, verb_top, verb_events, verb_pool, verb_bench, verb_daemon,
	verb_completion, verb_complete, verb_help;
const struct verb *verb_find(const char *name);

/* What a verb exits with when it, and not a task, failed. */
int fut_failed(const struct fut *f);
int fut_usage(const struct fut *f);
/* "fut: …" on stderr, with control characters made visible. */
void fut_say(const struct fut *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same unless -q. */
void fut_note(const struct fut *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Says an error: with --json {"error": {"type", "message"}} on stdout, else as fut_say. */
void fut_error(const struct fut *f, enum futured_status status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Says what went wrong with the connection's last call, which returned `status`; returns fut_failed. */
int fut_lost(struct fut *f, enum futured_status status);
/* The same, and where the connection ended, how to learn what became of these; sorts them. */
int fut_lost_ids(struct fut *f, enum futured_status status, uint64_t *ids, size_t n);
/* Says the error of a reply, as fut_error. Not in a callback: it may look which pools there are. */
int fut_refused(struct fut *f, const struct futured_reply *reply);
void fut_say_error(const struct fut *f, const struct futured_error *e);
/* malloc that ends the program with a sentence: a command line has nothing better to do without memory. */
void *need(void *p);
/* Called before that, where there is something to put in order; NULL: nothing. */
extern void (*fut_at_need)(void);
/* What was written to stdout so far is on its way; false if it could not be written, now or earlier. Says nothing. */
bool fut_flush(void);
/* Says that stdout takes no more, and why (an errno; 0: not known). */
void fut_cannot_write(const struct fut *f, int error);
/* All that was written to stdout has arrived, else says so; returns `status` or a failure. */
int fut_finish(struct fut *f, int status);

/* Escape codes, "" where there is no colour. */
enum paint { PAINT_NONE, PAINT_BOLD, PAINT_DIM, PAINT_RED, PAINT_GREEN, PAINT_YELLOW, PAINT_BLUE, PAINT_CYAN };
const char *paint_code(bool on, enum paint p);
const char *paint_end(bool on);

#endif
