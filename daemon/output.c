#include "daemon/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "daemon/fault.h"
#include "daemon/log.h"
#include "daemon/pool.h"
#include "daemon/registry.h"
#include "proto/pack.h"
#include "proto/reader.h"

struct one {
	struct buf head;  /* the first bytes; all of it while there is no file */
	struct buf last;  /* the first bytes of the last attempt, where that is not the only one */
	uint64_t start;   /* what came before the last attempt: kept and cut */
	uint64_t length;  /* bytes that can be read */
	uint64_t cut;     /* bytes that came and were not kept */
	int fd;           /* of the file, while it grows; -1 */
	bool spilled;     /* there is a file, and it holds the whole stream */
};

struct output {
	uint64_t id;
	struct one one[OUTPUT_STREAMS];
};

static char *directory;
static uint64_t spilled;
static const char *const names[OUTPUT_STREAMS] = { "stdout", "stderr" }, *const cuts[OUTPUT_STREAMS] = { "stdout_cut", "stderr_cut" };

void
output_set_directory(const char *path)
{
	free(directory);
	directory = strdup(path);
}

const char *
output_stream_name(enum output_stream which)
{
	return names[which];
}

bool
output_stream_find(const char *name, size_t len, enum output_stream *out)
{
	for (int i = 0; i < OUTPUT_STREAMS; i++) {
		if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0) {
			*out = (enum output_stream)i;
			return true;
		}
	}
	return false;
}

uint64_t
output_spilled(void)
{
	return spilled;
}

static void
file_path(uint64_t id, enum output_stream which, char *path, size_t size)
{
	snprintf(path, size, "%s/%llu.%s", directory ? directory : "/tmp", (unsigned long long)id, names[which]);
}

static struct output *
get(struct future *f)
{
	struct future_more *more = future_more(f);
	if (more && !more->output && (more->output = calloc(1, sizeof *more->output))) {
		more->output->id = f->id;
		more->output->one[0].fd = more->output->one[1].fd = -1;
	}
	return more ? more->output : NULL;
}

static bool
write_all(int fd, const uint8_t *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(fd, bytes, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* The stream outgrows its memory: all of it goes to a file. */
static bool
spill(struct output *o, enum output_stream which)
{
	struct one *one = &o->one[which];
	char path[512];

	file_path(o->id, which, path, sizeof path);
	one->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (one->fd < 0 || !write_all(one->fd, one->head.data, one->head.len)) {
		log_error("output", "future %llu: cannot write %s: %s; what it prints from here on is cut",
		    (unsigned long long)o->id, path, strerror(errno));
		if (one->fd >= 0) {
			close(one->fd);
			unlink(path);
		}
		one->fd = -1;
		return false;
	}
	spilled += one->head.len;
	one->spilled = true;
	CRASH_POINT(after_spill);
	return true;
}

/* How much of `len` goes into the file, by the pool's bound. */
static size_t
within(const struct one *one, uint64_t bound, size_t len)
{
	uint64_t room = one->length < bound ? bound - one->length : 0;
	return len < room ? len : (size_t)room;
}

static void
tell_followers(struct future *f)
{
	struct follower *w, *next;
	if (!f->more)
		return;
	DL_FOREACH_SAFE(f->more->followers, w, next)
		w->more(w, f);
}

void
output_append(struct future *f, enum output_stream which, const void *bytes, size_t len)
{
	const struct config_pool *c = f->spec->pool->config;
	struct output *o = get(f);
	if (!o || !len)
		return;
	struct one *one = &o->one[which];

	if (!one->spilled && !one->cut && one->head.len + len <= c->output && buf_append(&one->head, bytes, len)) {
		one->length += len;
	} else if (one->cut || (!one->spilled && !spill(o, which))) {
		one->cut += len;
	} else {
		size_t kept = within(one, c->spill, len);
		if (one->fd < 0 || !write_all(one->fd, bytes, kept))
			kept = 0; /* disk full: the file is one whole stream up to here */
		one->length += kept;
		one->cut += len - kept;
		spilled += kept;
	}
	size_t room = c->output > one->last.len ? (size_t)c->output - one->last.len : 0;
	if (one->start)
		buf_append(&one->last, bytes, len < room ? len : room);
	tell_followers(f);
}

void
output_next_attempt(struct future *f)
{
	struct output *o = f->more ? f->more->output : NULL;
	for (int i = 0; o && i < OUTPUT_STREAMS; i++) {
		o->one[i].start = o->one[i].length + o->one[i].cut;
		o->one[i].last.len = 0;
	}
}

/* What stands behind a key of a finished command's value or error. */
static bool
find_in_value(const struct future *f, const char *key, struct reader *r)
{
	uint32_t pairs;

	reader_init(r, bytes_data(&f->value), bytes_len(&f->value));
	if (f->state != FUTURE_FINISHED || !pool_is_command(f->spec->pool) || !read_map(r, &pairs))
		return false;
	while (pairs--) {
		if (read_is(r, key))
			return true;
		if (!read_skip(r) || !read_skip(r))
			return false;
	}
	return false;
}

/* A finished command's streams, where there is no struct output or its memory was given back: they are in its value or error. */
static bool
in_value(const struct future *f, enum output_stream which, const uint8_t **bytes, size_t *len)
{
	struct reader r;
	return find_in_value(f, names[which], &r) && read_bin(&r, bytes, len);
}

static const struct one *
find(const struct future *f, enum output_stream which)
{
	return f->more && f->more->output ? &f->more->output->one[which] : NULL;
}

uint64_t
output_length(const struct future *f, enum output_stream which)
{
	const struct one *one = find(f, which);
	const uint8_t *bytes;
	size_t len;

	if (one && (one->length || one->cut))
		return one->length;
	return in_value(f, which, &bytes, &len) ? len : 0;
}

static void
read_file(const struct future *f, enum output_stream which, uint64_t offset, size_t max, struct buf *b)
{
	char path[512];
	file_path(f->id, which, path, sizeof path);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	if (buf_reserve(b, max)) {
		ssize_t n = pread(fd, b->data + b->len, max, (off_t)offset);
		if (n > 0)
			b->len += (size_t)n;
	}
	close(fd);
}

void
output_read(const struct future *f, enum output_stream which, uint64_t offset, size_t max, struct buf *b)
{
	const struct one *one = find(f, which);
	uint64_t length = output_length(f, which);
	const uint8_t *bytes;
	size_t len;

	if (offset >= length)
		return;
	if (max > length - offset)
		max = (size_t)(length - offset);
	if (one && one->head.len >= offset + max)
		buf_append(b, one->head.data + offset, max);
	else if (one && one->spilled)
		read_file(f, which, offset, max, b);
	else if (in_value(f, which, &bytes, &len) && len >= offset + max)
		buf_append(b, bytes + offset, max);
}

bool
output_read_last(const struct future *f, enum output_stream which, uint64_t limit, struct buf *b)
{
	const struct one *one = find(f, which);
	uint64_t more = 0, before = b->len;
	const uint8_t *bytes;
	struct reader r;
	size_t len;

	if (!in_value(f, which, &bytes, &len))
		return false;
	if (find_in_value(f, cuts[which], &r) && !read_uint(&r, &more))
		return false;
	if (more > limit || len > limit - more)
		return false;
	if (!more)
		return buf_append(b, bytes, len);
	if (!one || one->cut || one->length < len + more) /* the stream ends with it: earlier attempts' stand before */
		return false;
	output_read(f, which, one->length - len - more, len + (size_t)more, b);
	return b->len - before == len + more;
}

unsigned
output_pack_pairs(struct future *f, bool kept, struct buf *b)
{
	unsigned pairs = 0;
	for (int i = 0; i < OUTPUT_STREAMS; i++) {
		const struct one *one = find(f, (enum output_stream)i);
		const struct buf *from = one ? one->start ? &one->last : &one->head : NULL;
		uint64_t len = from && kept ? from->len : 0, total = one ? one->length + one->cut - one->start : 0;
		pack_key(b, names[i]);
		pack_bin(b, len ? from->data : (const void *)"", len);
		pairs++;
		if (total > len) {
			pack_key(b, cuts[i]);
			pack_uint(b, total - len);
			pairs++;
		}
	}
	return pairs;
}

void
output_finish(struct future *f)
{
	struct output *o = f->more ? f->more->output : NULL;
	const uint8_t *bytes;
	size_t len;

	for (int i = 0; o && i < OUTPUT_STREAMS; i++) {
		struct one *one = &o->one[i];
		if (one->fd >= 0)
			close(one->fd);
		one->fd = -1;
		buf_clear(&one->last);
		if (one->start)
			continue;
		if (one->spilled || (in_value(f, (enum output_stream)i, &bytes, &len) && len == one->head.len))
			buf_clear(&one->head);
	}
	tell_followers(f);
}

uint64_t
output_cut(const struct future *f, enum output_stream which)
{
	const struct one *one = find(f, which);
	return one ? one->cut : 0;
}

uint64_t
output_kept_length(const struct future *f, enum output_stream which)
{
	const struct one *one = find(f, which);
	return one && !one->spilled ? one->head.len : 0;
}

bool
output_kept(const struct future *f, enum output_stream which, struct bytes *out)
{
	const struct one *one = find(f, which);
	if (!one || !one->head.len || one->spilled)
		return false;
	return bytes_copy(out, one->head.data, one->head.len);
}

bool
output_is_file(const struct future *f, enum output_stream which)
{
	const struct one *one = find(f, which);
	return one && one->spilled;
}

void
output_path(uint64_t id, enum output_stream which, char *path, size_t size)
{
	file_path(id, which, path, size);
}

bool
output_restore(struct future *f, enum output_stream which, const void *bytes, size_t len, uint64_t cut)
{
	struct output *o = get(f);
	if (!o || (len && !buf_append(&o->one[which].head, bytes, len)))
		return false;
	o->one[which].length = len;
	o->one[which].cut = cut;
	return true;
}

/* True if the file is that of a future that has ended, and is to be had or needed by others. */
static bool
adopt_file(const char *name)
{
	unsigned long long id;
	char stream[16];
	struct stat st;
	char path[512];
	enum output_stream which;

	if (sscanf(name, "%llu.%15s", &id, stream) != 2 || !output_stream_find(stream, strlen(stream), &which))
		return true; /* none of ours */
	struct future *f = registry_page(id) ? registry_pinned(id) : NULL;
	struct output *o = f && f->id == id && f->stored && future_is_final(f) ? get(f) : NULL;
	file_path(id, which, path, sizeof path);
	if (!o || o->one[which].length || lstat(path, &st) || !S_ISREG(st.st_mode)) /* length: the record has it */
		return false;
	o->one[which].spilled = true;
	o->one[which].length = (uint64_t)st.st_size;
	spilled += (uint64_t)st.st_size;
	return true;
}

void
output_adopt_files(void)
{
	DIR *d = directory ? opendir(directory) : NULL;
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (!adopt_file(entry->d_name))
			unlinkat(dirfd(d), entry->d_name, 0);
	if (d)
		closedir(d);
}

void
output_free(struct output *o)
{
	char path[512];

	for (int i = 0; o && i < OUTPUT_STREAMS; i++) {
		struct one *one = &o->one[i];
		buf_clear(&one->head);
		buf_clear(&one->last);
		if (one->fd >= 0)
			close(one->fd);
		if (!one->spilled)
			continue;
		file_path(o->id, (enum output_stream)i, path, sizeof path);
		CRASH_POINT(before_unlink);
		unlink(path);
		CRASH_POINT(after_unlink);
		spilled -= one->length;
	}
	free(o);
}

bool
output_follow(struct future *f, struct follower *w)
{
	if (!future_more(f))
		return false;
	DL_APPEND(f->more->followers, w);
	return true;
}

void
output_unfollow(struct future *f, struct follower *w)
{
	DL_DELETE(f->more->followers, w);
}
