/* What processes of this machine use: read from /proc, now and again. Of a daemon elsewhere there is nothing to read. */
#ifndef FUT_PROCESSES_H
#define FUT_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct processes;

struct processes *processes_new(void);
void processes_free(struct processes *p);
/* Reads them all. */
void processes_read(struct processes *p);
/* Whether this one was there. */
bool processes_has(const struct processes *p, int64_t pid);

/* The first that this one started, of those that there are; 0: none. */
int64_t processes_first_child(const struct processes *p, int64_t pid);

struct usage {
	double cpu;    /* seconds used in all; what its ended children used is part of it */
	double memory; /* bytes resident */
	size_t count;  /* processes */
};

/* All that descends from `pid`, without it (`below`) or with it. */
struct usage processes_usage(const struct processes *p, int64_t pid, bool below);

#endif
