/* The registry: from an id to its future. Ids are consecutive, so it is a table of pages, not a hash.
 *
 * Each page knows which of its futures are to be had (a bitmap), so that a run of a million ids can be judged without
 * walking it; and who watches futures in it (daemon/watch.h). */
#ifndef FUTURED_DAEMON_REGISTRY_H
#define FUTURED_DAEMON_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/future.h"

enum { REGISTRY_PAGE = 256, REGISTRY_WORDS = REGISTRY_PAGE / 64 };
#define REGISTRY_ID_MAX ((UINT64_C(1) << 53) - 1)

struct owner;
struct watch;

struct registry_page {
	uint32_t used;                  /* futures in it, hidden ones too */
	uint32_t made, owned;           /* ever made in it; and noted as the owner's */
	const struct owner *owner;      /* of all that were noted; NULL with `owned`: they are several's. Not to be followed */
	uint64_t known[REGISTRY_WORDS]; /* bit set: to be had by its id */
	struct watch *watches;
	struct future futures[REGISTRY_PAGE];
};

/* Reserves `count` consecutive ids and returns the first. */
uint64_t registry_reserve(uint64_t count);
/* Ids from here on are given; for start-up. */
void registry_begin_at(uint64_t id);
/* The id that will be given next. */
uint64_t registry_next(void);
/* Whether the table could reach as far as this id from those that are there. */
bool registry_reaches(uint64_t id);
/* Room for the future with a reserved id; not initialised, not to be had yet. NULL without memory. */
struct future *registry_make(uint64_t id);
/* A future that was made is this owner's. */
void registry_note_owner(uint64_t id, const struct owner *owner);
/* The owner of every future of that id's page; NULL if there are several, or it is not known. To be compared only. */
const struct owner *registry_owner(uint64_t id);
/* Makes [first, first + count), all made before, to be had: in one step. */
void registry_show(uint64_t first, uint64_t count);
/* It is no longer to be had (but still there). */
void registry_hide(struct future *f);
/* Gives its room back. Only future.c calls this. */
void registry_free(struct future *f);

/* NULL if it is not to be had. */
struct future *registry_find(uint64_t id);
/* One that the caller has pinned, whether it is to be had or not. */
struct future *registry_pinned(uint64_t id);
/* The first id in [first, first + count) that is not to be had; 0 if all are. Cost: one step per 256 ids. */
uint64_t registry_missing(uint64_t first, uint64_t count);
/* The first id >= id that is to be had; 0 if none is. */
uint64_t registry_after(uint64_t id);
/* The page of an id; NULL if there is none. */
struct registry_page *registry_page(uint64_t id);
/* Bytes held by pages. */
uint64_t registry_bytes(void);

#endif
