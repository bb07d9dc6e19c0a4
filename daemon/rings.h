/* The rings that are looked at in every turn: those of slots that have tasks, while the daemon is awake. Before it sleeps it marks
 * them, and looks no more until their hosts wake it. */
#ifndef FUTURED_DAEMON_RINGS_H
#define FUTURED_DAEMON_RINGS_H

#include "proto/ring.h"

struct rings_item {
	struct rings_item *next, *prev;
	struct ring_reader reader;
	bool listed;
	/* One whole message; the bytes are good until it returns. */
	void (*on_message)(struct rings_item *item, const uint8_t *bytes, size_t len);
	/* The host wrote something into it that is no message. Nothing is heard from this ring any more. */
	void (*on_nonsense)(struct rings_item *item);
	bool broken;
};

void rings_init(struct rings_item *item, struct ring *ring);
/* Something will come: the ring is looked at in every turn, so that the host need not wake us. */
void rings_expect(struct rings_item *item);
/* Hears what is there now. */
void rings_hear(struct rings_item *item);
/* It is looked at no more. */
void rings_forget(struct rings_item *item);

#endif
