/* fut top: what it knows (topdata.c) and how that is drawn (topdraw.c). */
#ifndef FUT_TOP_H
#define FUT_TOP_H

#include "client/fut/fut.h"
#include "client/fut/processes.h"

struct top_pool {
	char *name, *kind; /* the kind with its runtime */
	char *reason;      /* why it is broken; NULL: it is not */
	bool command, paused;
	bool alone;      /* each of its tasks has a process, or processes, of its own */
	uint64_t workers, busy, pending, ended;
	double oldest;   /* seconds that the oldest pending one has waited; negative: none */
	double rate;     /* ends a second; negative: not known yet */
	double rate_at;  /* when, and with how many ended, it was told */
	uint64_t rate_ended;
	double mean;     /* run time; negative: not known */
};

struct top_task {
	uint64_t id;
	char *pool, *title;
	bool running;
	double age;      /* running or waiting for so long */
	double cpu;      /* processors in use: 1.0 is one; negative: not known */
	double memory;   /* negative: not known */
	double cpu_used; /* seconds in all, to tell `cpu` from the next time */
};

/* A look at the daemon. */
struct top_look {
	double at;       /* monotonic */
	struct top_pool *pools;
	size_t pool_count;
	struct top_task *tasks; /* running ones, the longest first; then pending ones, the oldest first */
	size_t task_count;
	uint64_t pending, running, finished, cancelled, failures, connections;
	double uptime, rss;
	bool more;       /* there are more tasks than are listed */
};

/* False: the connection is lost (said when the screen is gone). `before` may be all zeros; rates and shares are since then. */
bool top_ask(struct fut *f, struct processes *p, const struct top_look *before, struct top_look *look);
void top_forget(struct top_look *look);

/* What a task printed: the last bytes of one stream, as lines. */
struct top_output {
	char **lines;    /* escaped */
	size_t count;
	uint64_t length; /* bytes in all */
	char *state;
};
bool top_ask_output(struct fut *f, uint64_t id, const char *stream, struct top_output *o);
void top_forget_output(struct top_output *o);

enum top_focus { FOCUS_POOLS, FOCUS_TASKS };

/* What the screen shows. */
struct top_screen {
	const struct top_look *look;
	const char *address;
	enum top_focus focus;
	size_t pool, task;           /* chosen */
	size_t first_pool, first_task; /* scrolled to; kept by drawing */
	const char *message;         /* at the bottom instead of the keys; NULL: the keys */
	bool asking;                 /* the message is a question */
	uint64_t output_of;          /* 0: no output is shown */
	const char *stream;
	const struct top_output *output;
	size_t back;                 /* lines scrolled back from the end */
	bool help;
};

/* Begins the screen; top_draw_end may be called at any time after, and again. False: the terminal cannot do it. */
bool top_draw_begin(bool colors);
void top_draw_end(void);
/* Between them the terminal is as it was before; it may have another size afterwards, and all is drawn anew. */
void top_draw_pause(void);
void top_draw_resume(void);
void top_draw(struct top_screen *s);

#endif
