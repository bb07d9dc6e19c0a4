/* expect ─► (every turn: hear) ─► nothing is left to do: all are marked, looked at once more, and taken off the list ─► the loop sleeps ─►
 * ["wake"] comes on a slot's socket, or it gets a task: expect. */
#include "daemon/rings.h"

#include <utlist.h>

#include "daemon/turn.h"
#include "proto/frame.h"

static struct rings_item *listed;

void
rings_init(struct rings_item *item, struct ring *ring)
{
	ring_reader_init(&item->reader, ring);
}

void
rings_forget(struct rings_item *item)
{
	if (item->listed)
		DL_DELETE(listed, item);
	item->listed = false;
}

static void
nonsense(struct rings_item *item)
{
	item->broken = true;
	item->on_nonsense(item);
}

/* The bytes are copied out first: what was checked cannot change any more. */
void
rings_hear(struct rings_item *item)
{
	uint8_t bytes[RING_BYTES];
	struct frame_scan scan;
	size_t len, used;

	if (item->broken)
		return;
	if (!ring_read(&item->reader, bytes, &len)) {
		nonsense(item);
		return;
	}
	frame_scan_init(&scan, RING_MESSAGE_MAX);
	for (size_t at = 0; at < len; at += used) {
		if (frame_scan(&scan, bytes + at, len - at, &used) != FRAME_DONE) {
			nonsense(item);
			return;
		}
		item->on_message(item, bytes + at, used);
	}
}

static void
look(void)
{
	struct rings_item *item, *next;

	DL_FOREACH_SAFE(listed, item, next)
		rings_hear(item);
}

static bool
may_sleep(void)
{
	struct rings_item *item, *next;
	bool empty = true;

	DL_FOREACH(listed, item)
		ring_sleep(&item->reader);
	DL_FOREACH(listed, item)
		empty &= item->broken || ring_is_empty(&item->reader);
	DL_FOREACH_SAFE(listed, item, next) {
		if (empty)
			rings_forget(item);
		else
			ring_awake(&item->reader);
	}
	return empty;
}

void
rings_expect(struct rings_item *item)
{
	if (item->listed)
		return;
	turn_poll(look, may_sleep);
	ring_awake(&item->reader);
	DL_APPEND(listed, item);
	item->listed = true;
}
