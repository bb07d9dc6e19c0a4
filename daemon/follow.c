#include "daemon/follow.h"

#include <stdlib.h>
#include <utlist.h>

#include "daemon/conn.h"
#include "daemon/container.h"
#include "daemon/future.h"
#include "daemon/notices.h"
#include "proto/message.h"
#include "proto/pack.h"

enum { CHUNK = 64 * 1024 };

struct follow {
	struct follower follower;
	uint64_t conn_id;
	struct future *future; /* pinned */
	uint64_t offset[OUTPUT_STREAMS]; /* UINT64_MAX: not followed, or ended */
	struct follow *next, *prev;      /* of the connection */
};

static void
on_more(struct follower *w, struct future *f)
{
	struct conn *c = conn_find(container(w, struct follow, follower)->conn_id);
	(void)f;
	if (c)
		notices_wake(c);
}

bool
follow_add(struct conn *c, struct future *f, const uint64_t offset[OUTPUT_STREAMS])
{
	struct follow *follow = calloc(1, sizeof *follow);

	if (!follow)
		return false;
	follow->follower.more = on_more;
	follow->conn_id = c->id;
	follow->future = f;
	for (int i = 0; i < OUTPUT_STREAMS; i++)
		follow->offset[i] = offset[i];
	if (!output_follow(f, &follow->follower)) {
		free(follow);
		return false;
	}
	future_pin(f);
	DL_APPEND(c->follows, follow);
	c->follow_count++;
	notices_wake(c);
	return true;
}

static void
drop(struct conn *c, struct follow *follow)
{
	DL_DELETE(c->follows, follow);
	c->follow_count--;
	output_unfollow(follow->future, &follow->follower);
	future_unpin(follow->future);
	free(follow);
}

/* output [id, stream, offset, bin, eof]; the buf holds the bytes. */
static void
say(struct conn *c, struct follow *follow, enum output_stream which, const struct buf *bytes, bool eof)
{
	struct buf *b = conn_say(c);
	message_notification(b, "output");
	pack_array(b, 5);
	pack_uint(b, follow->future->id);
	pack_cstr(b, output_stream_name(which));
	pack_uint(b, follow->offset[which]);
	pack_bin(b, bytes->len ? bytes->data : (const void *)"", bytes->len);
	pack_bool(b, eof);
}

/* Says what there is of one stream; true if there is no more to come. */
static bool
say_stream(struct conn *c, struct follow *follow, enum output_stream which)
{
	struct buf bytes;

	buf_init(&bytes);
	while (follow->offset[which] != UINT64_MAX && notices_have_room(c)) {
		bytes.len = 0;
		output_read(follow->future, which, follow->offset[which], CHUNK, &bytes);
		bool final = future_is_final(follow->future);
		bool eof = final && (follow->offset[which] + bytes.len >= output_length(follow->future, which) || !bytes.len);
		if (!bytes.len && !eof)
			break;
		say(c, follow, which, &bytes, eof);
		follow->offset[which] = eof ? UINT64_MAX : follow->offset[which] + bytes.len;
	}
	buf_clear(&bytes);
	return follow->offset[which] == UINT64_MAX;
}

void
follow_say(struct conn *c)
{
	struct follow *follow, *next;

	DL_FOREACH_SAFE(c->follows, follow, next) {
		bool out = say_stream(c, follow, OUTPUT_STDOUT), err = say_stream(c, follow, OUTPUT_STDERR);
		if (out && err)
			drop(c, follow);
	}
}

bool
follow_is_owed(const struct conn *c)
{
	const struct follow *follow;

	DL_FOREACH(c->follows, follow) {
		if (future_is_final(follow->future))
			return true;
	}
	return false;
}

void
follow_clear(struct conn *c)
{
	while (c->follows)
		drop(c, c->follows);
}
