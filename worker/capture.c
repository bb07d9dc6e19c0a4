/* Our end does not block: the task can open its pipe for reading through /proc and take bytes that poll has announced. */
#include "worker/capture.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "proto/pack.h"
#include "worker/host.h"

void
capture_init(struct capture *c, const char *name, size_t chunk)
{
	c->name = name;
	c->from = -1;
	c->into = -1;
	c->chunk = chunk;
	buf_init(&c->bytes);
}

void
capture_clear(struct capture *c)
{
	capture_close(c);
	buf_clear(&c->bytes);
}

bool
capture_open(struct capture *c)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	c->from = ends[0];
	c->into = ends[1];
	return fcntl(c->from, F_SETFL, O_NONBLOCK) == 0;
}

void
capture_close(struct capture *c)
{
	if (c->from >= 0) {
		close(c->from);
		close(c->into);
	}
	c->from = -1;
	c->into = -1;
	c->bytes.len = 0;
}

bool
capture_is_full(const struct capture *c)
{
	return c->bytes.len >= c->chunk;
}

size_t
capture_read(struct capture *c, size_t most)
{
	size_t room = c->chunk - c->bytes.len;
	ssize_t got;

	if (!buf_reserve(&c->bytes, room))
		return 0;
	got = read(c->from, c->bytes.data + c->bytes.len, room < most ? room : most);
	if (got <= 0)
		return 0;
	c->bytes.len += (size_t)got;
	return (size_t)got;
}

size_t
capture_held(const struct capture *c)
{
	int held = 0;

	return ioctl(c->from, FIONREAD, &held) == 0 && held > 0 ? (size_t)held : 0;
}

void
capture_pack(struct capture *c, uint64_t id, struct buf *out)
{
	run_answer(out, "output", id, 2);
	pack_cstr(out, c->name);
	pack_bin(out, c->bytes.data, c->bytes.len);
	c->bytes.len = 0;
}
