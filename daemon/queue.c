#include "daemon/queue.h"

#include <stdlib.h>
#include <utlist.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "daemon/fault.h"

/* One owner's futures of one priority. */
struct lane {
	const struct owner *owner;
	struct future_list futures;
	uint64_t length;
	struct lane *next, *prev; /* in the ring of those that are not empty */
	struct lane *next_of_level;
};

struct level {
	int32_t priority;
	uint32_t index; /* in the heap, counted from 1; 0: empty */
	uint64_t length;
	struct lane *ring;  /* its head is served next */
	struct lane *lanes; /* all of them; empty ones are kept for use again, up to a bound */
	uint32_t lane_count;
	UT_hash_handle hh;
};

struct queue {
	struct level *levels; /* by priority; empty ones are kept for use again, up to a bound */
	struct level **heap;  /* heap[1] has the highest priority of those that are not empty */
	uint32_t used, size;
	uint64_t length;
	uint64_t next_order;
};

enum { LEVELS_KEPT = 64, LANES_KEPT = 16, PUSH_BACK_STEPS = 256, LANES_LOOKED_AT = 4096 };

struct queue *
queue_new(void)
{
	return calloc(1, sizeof(struct queue));
}

static void
level_free(struct queue *q, struct level *level)
{
	struct lane *lane, *next;
	LL_FOREACH_SAFE2(level->lanes, lane, next, next_of_level)
		free(lane);
	HASH_DEL(q->levels, level);
	free(level);
}

void
queue_free(struct queue *q)
{
	struct level *level, *next;
	if (!q)
		return;
	HASH_ITER(hh, q->levels, level, next)
		level_free(q, level);
	free(q->heap);
	free(q);
}

static void
heap_place(struct queue *q, struct level *level, uint32_t i)
{
	q->heap[i] = level;
	level->index = i;
}

static void
heap_up(struct queue *q, struct level *level, uint32_t i)
{
	for (; i > 1 && q->heap[i / 2]->priority < level->priority && !FAULT(priority_ignored); i /= 2)
		heap_place(q, q->heap[i / 2], i);
	heap_place(q, level, i);
}

static void
heap_down(struct queue *q, struct level *level, uint32_t i)
{
	for (;;) {
		uint32_t child = 2 * i;
		if (child > q->used)
			break;
		if (child < q->used && q->heap[child + 1]->priority > q->heap[child]->priority)
			child++;
		if (q->heap[child]->priority <= level->priority)
			break;
		heap_place(q, q->heap[child], i);
		i = child;
	}
	heap_place(q, level, i);
}

static void
heap_remove(struct queue *q, struct level *level)
{
	uint32_t i = level->index;
	struct level *last = q->heap[q->used--];

	level->index = 0;
	if (last == level)
		return;
	if (i > 1 && q->heap[i / 2]->priority < last->priority)
		heap_up(q, last, i);
	else
		heap_down(q, last, i);
}

static struct level *
level_find(const struct queue *q, int32_t priority)
{
	struct level *level;
	if (q->used && q->heap[1]->priority == priority)
		return q->heap[1];
	HASH_FIND(hh, q->levels, &priority, sizeof priority, level);
	return level;
}

static struct level *
level_get(struct queue *q, int32_t priority)
{
	struct level *level = level_find(q, priority);
	if (level)
		return level;
	if (!(level = calloc(1, sizeof *level)))
		return NULL;
	level->priority = priority;
	HASH_ADD(hh, q->levels, priority, sizeof level->priority, level);
	if (!level->hh.tbl) {
		free(level);
		return NULL;
	}
	return level;
}

static struct lane *
lane_find(const struct level *level, const struct owner *owner)
{
	struct lane *lane;
	if (level->ring && level->ring->owner == owner)
		return level->ring;
	LL_SEARCH_SCALAR2(level->lanes, lane, owner, owner, next_of_level);
	return lane;
}

static struct lane *
lane_get(struct level *level, const struct owner *owner)
{
	struct lane *lane = lane_find(level, owner);
	if (lane)
		return lane;
	if (!(lane = calloc(1, sizeof *lane)))
		return NULL;
	lane->owner = owner;
	TAILQ_INIT(&lane->futures);
	LL_PREPEND2(level->lanes, lane, next_of_level);
	level->lane_count++;
	return lane;
}

static bool
heap_room(struct queue *q)
{
	if (q->used + 1 < q->size)
		return true;
	uint32_t wanted = q->size ? q->size * 2 : 8;
	struct level **bigger = realloc(q->heap, wanted * sizeof *bigger);
	if (!bigger)
		return false;
	q->heap = bigger;
	q->size = wanted;
	return true;
}

/* The lane a future belongs to, its level in the heap, itself in the ring. */
static struct lane *
open_lane(struct queue *q, const struct future *f, uint64_t count)
{
	struct level *level = heap_room(q) ? level_get(q, f->spec->priority) : NULL;
	struct lane *lane = level ? lane_get(level, f->spec->owner) : NULL;

	if (!lane)
		return NULL;
	if (!level->index)
		heap_up(q, level, ++q->used);
	if (!lane->length)
		DL_APPEND(level->ring, lane);
	lane->length += count;
	level->length += count;
	q->length += count;
	return lane;
}

uint64_t
queue_order(struct queue *q, uint64_t count)
{
	uint64_t first = q->next_order;
	q->next_order += count;
	return first;
}

bool
queue_push(struct queue *q, struct future *f)
{
	struct lane *lane = open_lane(q, f, 1);
	if (!lane)
		return false;
	f->place = PLACE_QUEUE;
	TAILQ_INSERT_TAIL(&lane->futures, f, link);
	return true;
}

/* Whoever came while a large map was made stands behind it. */
bool
queue_push_list(struct queue *q, struct future_list *list, uint64_t count)
{
	struct future *first = TAILQ_FIRST(list), *last;
	struct lane *lane = first ? open_lane(q, first, count) : NULL;
	struct future_list younger = TAILQ_HEAD_INITIALIZER(younger);

	if (!lane)
		return !first;
	while ((last = TAILQ_LAST(&lane->futures, future_list)) && last->order > first->order) {
		TAILQ_REMOVE(&lane->futures, last, link);
		TAILQ_INSERT_HEAD(&younger, last, link);
	}
	TAILQ_CONCAT(&lane->futures, list, link);
	TAILQ_CONCAT(&lane->futures, &younger, link);
	return true;
}

/* What was handed over came from the front, so its old place is near the front again. */
bool
queue_push_back(struct queue *q, struct future *f)
{
	struct lane *lane = open_lane(q, f, 1);
	struct future *at;

	if (!lane)
		return false;
	f->place = PLACE_QUEUE;
	unsigned steps = 0;
	TAILQ_FOREACH(at, &lane->futures, link) {
		if (at->order > f->order || steps++ == PUSH_BACK_STEPS)
			break;
	}
	if (at)
		TAILQ_INSERT_BEFORE(at, f, link);
	else
		TAILQ_INSERT_TAIL(&lane->futures, f, link);
	return true;
}

static void
take(struct queue *q, struct level *level, struct lane *lane, struct future *f)
{
	TAILQ_REMOVE(&lane->futures, f, link);
	f->place = PLACE_NONE;
	level->length--;
	q->length--;
	if (!--lane->length) {
		DL_DELETE(level->ring, lane);
		if (level->lane_count > LANES_KEPT) {
			LL_DELETE2(level->lanes, lane, next_of_level);
			level->lane_count--;
			free(lane);
		}
	}
	if (level->length)
		return;
	heap_remove(q, level);
	if (HASH_COUNT(q->levels) > LEVELS_KEPT)
		level_free(q, level);
}

struct future *
queue_peek(const struct queue *q)
{
	return q->used ? TAILQ_FIRST(&q->heap[1]->ring->futures) : NULL;
}

struct future *
queue_pop(struct queue *q)
{
	struct future *f = queue_peek(q);
	if (!f)
		return NULL;
	struct level *level = q->heap[1];
	struct lane *lane = level->ring;
	if (lane->next && !FAULT(turns_not_taken)) { /* the next owner's turn */
		DL_DELETE(level->ring, lane);
		DL_APPEND(level->ring, lane);
	}
	take(q, level, lane, f);
	return f;
}

void
queue_remove(struct queue *q, struct future *f)
{
	struct level *level = level_find(q, f->spec->priority);
	take(q, level, lane_find(level, f->spec->owner), f);
}

uint64_t
queue_length(const struct queue *q)
{
	return q->length;
}

uint64_t
queue_position(const struct queue *q, const struct future *f)
{
	uint64_t before = 0;
	for (uint32_t i = 1; i <= q->used; i++)
		if (q->heap[i]->priority > f->spec->priority)
			before += q->heap[i]->length;

	const struct level *level = level_find(q, f->spec->priority);
	const struct lane *lane = lane_find(level, f->spec->owner);
	uint64_t first = TAILQ_FIRST(&lane->futures)->order, lanes = 0;
	uint64_t ahead = f->order < first ? UINT64_MAX : f->order - first;
	const struct lane *other;
	DL_FOREACH(level->ring, other)
		lanes++;
	uint64_t turns = ahead >= lane->length ? lane->length - 1 : ahead;
	uint64_t bound = turns * lanes + lanes - 1; /* with every other owner served in between */
	return before + (bound < level->length - 1 ? bound : level->length - 1);
}

uint64_t
queue_oldest_us(const struct queue *q)
{
	uint64_t oldest = 0;
	unsigned looked = 0;

	for (uint32_t i = 1; i <= q->used; i++) {
		const struct lane *lane;
		DL_FOREACH(q->heap[i]->ring, lane) {
			const struct future *f = TAILQ_FIRST(&lane->futures);
			if (!oldest || f->submitted_us < oldest)
				oldest = f->submitted_us;
			if (++looked == LANES_LOOKED_AT)
				return oldest;
		}
	}
	return oldest;
}
