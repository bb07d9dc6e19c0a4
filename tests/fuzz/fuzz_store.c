/* Whatever may be in a store, read by a real daemon core: rows of every table with any value in any column, files of payloads, boards and output that
 * fit them or not, and files that are damaged; what is there then runs, is asked for and cancelled; and all of it again after a kill -9, of what the
 * first daemon made of it.
 *
 * An input is a list of steps as in core.h, and the ones below. The store is open while the core takes its steps; one of those below, with the store open,
 * is a kill -9 first. After each life of the daemon everything is let go, and must be gone: memory, books, and rows.
 *
 * A checksum that is wrong must be noticed: a worker that is told to run such a task is a crash. */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/bytes.h"
#include "daemon/clock.h"
#include "daemon/commit.h"
#include "daemon/committer.h"
#include "daemon/future.h"
#include "daemon/host.h"
#include "daemon/pool.h"
#include "daemon/registry.h"
#include "daemon/replay.h"
#include "daemon/store.h"
#include "proto/board.h"
#include "proto/error.h"
#include "proto/utf8.h"
#include "tests/fuzz/core.h"
#include "tests/fuzz/mutate.h"
#include "tests/fuzz/rows.h"
#include "tests/fuzz/stored.h"

#define MUST(condition) do { if (!(condition)) { fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); abort(); } } while (0)

enum {
	PATH_BYTES = 200, KEPT_MAX = 64, KEPT_BYTES = 1024 * 1024, BEGUN_MAX = 256, STATES_MAX = 512, SECTOR = 512, LIVES_MAX = 4,
	ALLOWED = 1 << CORE_SAY | 1 << CORE_LEAVE | 1 << CORE_HEAR | 1 << CORE_TURN | 1 << CORE_SERVE | 1 << CORE_DIE,
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
const char *__asan_default_options(void);

/* Memory that was freed is used again soon, and not given back in between: pages that are new for each input cost more than all else. */
const char *
__asan_default_options(void)
{
	return "quarantine_size_mb=4:thread_local_quarantine_size_kb=64:max_malloc_fill_size=64:allocator_release_to_os_interval_ms=-1:detect_stack_use_after_return=0";
}

/* ---- files ---- */

struct file {
	char path[PATH_BYTES + 64];
	uint8_t *data; /* owned */
	size_t size;
};

static char store_path[PATH_BYTES], log_path[PATH_BYTES + 8], payloads[PATH_BYTES], outputs[PATH_BYTES], boards[PATH_BYTES];
static struct file fresh, loose; /* stores that nothing is in */
static struct file kept[KEPT_MAX]; /* what a killed daemon left */
static size_t kept_count;

static bool
read_file(const char *path, struct file *out)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	MUST(fstat(fd, &st) == 0);
	snprintf(out->path, sizeof out->path, "%s", path);
	out->size = st.st_size < KEPT_BYTES ? (size_t)st.st_size : KEPT_BYTES; /* boards of a shared host: those in front are used */
	MUST((out->data = malloc(out->size + 1)) != NULL);
	MUST(read(fd, out->data, out->size) == (ssize_t)out->size);
	close(fd);
	return true;
}

static void
write_file(const char *path, const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
}

/* Calls `each` with every file of a directory. */
static void
walk(const char *directory, void (*each)(const char *path))
{
	char path[PATH_BYTES + 64];
	struct dirent *entry;
	DIR *d = opendir(directory);

	MUST(d != NULL);
	while ((entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%.60s", directory, entry->d_name);
		each(path);
	}
	closedir(d);
}

static void
remove_file(const char *path)
{
	MUST(unlink(path) == 0);
}

static void
keep_file(const char *path)
{
	if (kept_count < KEPT_MAX && read_file(path, &kept[kept_count]))
		kept_count++;
}

/* But for boards of a host that goes on: it was about to start, and nothing is on them. */
static void
put_back(void)
{
	while (kept_count) {
		struct file *f = &kept[--kept_count];
		if (strcmp(f->path, store_path) == 0 || access(f->path, F_OK))
			write_file(f->path, f->data, f->size);
		free(f->data);
	}
}

/* The one in that directory whose name begins so. */
static void
find_directory(const char *in, const char *prefix, char *out)
{
	struct dirent *entry;
	DIR *d = opendir(in);

	MUST(d != NULL);
	*out = '\0';
	while ((entry = readdir(d)))
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
			snprintf(out, PATH_BYTES, "%s/%.100s", in, entry->d_name);
	closedir(d);
	MUST(*out);
}

/* ---- the life of a daemon ---- */

static struct {
	bool open, refused;
	bool rows;        /* the file is open for rows */
	bool touched;     /* something was done to it since the last life */
	bool damaged;     /* … to its bytes: nobody knows what is in it */
	bool changed;     /* … ever since the first life */
	bool loose;       /* its tables declare nothing */
	bool checkpoint;  /* rows do not stay in the write-ahead log */
	bool again, count; /* at the end: one life more, and rows are counted. Not of every input, as they take longer than the rest */
	unsigned life;    /* counted from 1 */
} now;

/* What has begun, and must not begin in a later life without retries. */
static struct begun {
	uint64_t id;
	unsigned life;
} begun[BEGUN_MAX];
static size_t begun_count;

/* What there was when the last life ended. */
static struct outcome {
	uint64_t id;
	uint8_t state;
	bool failed, let_go;
	uint64_t digest;
} outcomes[STATES_MAX];
static size_t outcome_count;
static uint64_t next_id;
static int64_t offset; /* of the clock */

static bool
is_sound(void)
{
	return !now.damaged && !now.loose;
}

static uint64_t
digest(const struct bytes *b)
{
	uint64_t h = bytes_len(b);
	for (size_t i = 0; i < bytes_len(b); i++)
		h = h * 31 + bytes_data(b)[i];
	return h;
}

static void
note_outcomes(void)
{
	for (uint64_t id = 0; (id = registry_after(id + 1)) && outcome_count < STATES_MAX;) {
		const struct future *f = registry_find(id);
		if (!f->spec->bound_to)
			outcomes[outcome_count++] = (struct outcome){ .id = id, .state = f->state, .failed = f->failed, .let_go = f->let_go, .digest = digest(&f->value) };
	}
	next_id = registry_next();
}

/* Nothing changed in the store meanwhile: what was final still is, what was pending is there, and no id is given again. */
static void
check_outcomes(void)
{
	MUST(registry_next() >= next_id);
	for (size_t i = 0; i < outcome_count; i++) {
		const struct outcome *o = &outcomes[i];
		const struct future *f = registry_find(o->id);
		bool final = o->state == FUTURE_FINISHED || o->state == FUTURE_CANCELLED;
		MUST(f || final || o->let_go); /* its time may be over */
		MUST(!f || !final || (f->state == o->state && f->failed == o->failed && digest(&f->value) == o->digest));
	}
}

static bool
is_store_error(const struct future *f)
{
	struct error_view view = { .status = STATUS_OK };
	struct reader r;

	reader_init(&r, bytes_data(&f->value), bytes_len(&f->value));
	return f->failed && error_read(&r, &view) && view.status == STATUS_STORE;
}

static bool
is_name(const char *text, size_t len)
{
	return utf8_is_valid(text, len) && strlen(text) == len;
}

/* What is promised of each future that is back. */
static void
check_replayed(void)
{
	for (uint64_t id = 0; (id = registry_after(id + 1));) {
		const struct future *f = registry_find(id);
		MUST(f->id == id && id < registry_next());
		MUST(f->state != FUTURE_RUNNING && (f->state != FUTURE_PENDING || (f->place != PLACE_NONE && f->place != PLACE_RETAINED)));
		MUST(is_name(f->spec->fn, f->spec->fn_len) && (!f->spec->name || utf8_is_valid(f->spec->name, strlen(f->spec->name))));
		MUST(utf8_is_valid(f->spec->pool->name, strlen(f->spec->pool->name)));
		MUST(!is_sound() || !rows_is_damaged(id) || is_store_error(f));
	}
}

static uint64_t
youngest(void)
{
	uint64_t last = 0;
	for (uint64_t id = 0; (id = registry_after(id + 1));)
		last = id;
	return last;
}

/* What is in the file by now. */
static void
look_at_rows(void)
{
	if (now.damaged || !now.touched)
		return;
	if (!now.rows)
		rows_open(store_path);
	rows_close(!now.checkpoint);
	now.rows = false;
}

static void
begin_life(void)
{
	char name[PATH_BYTES + 16], why[512] = "";

	if (now.open || now.refused)
		return;
	look_at_rows();
	if ((now.refused = rows_are_wide()))
		return;
	now.life++;
	registry_begin_at(1);
	snprintf(name, sizeof name, "sqlite:%s", store_path);
	now.open = store_open(name, STORE_SYNC_OFF, why, sizeof why) && replay_all(why, sizeof why);
	if (!now.open) {
		MUST(*why && !is_sound());
		store_close();
		core_clear();
		now.refused = true;
		return;
	}
	core_count_from(youngest());
	check_replayed();
	if (!now.touched)
		check_outcomes();
	now.touched = false;
}

/* All of it goes, and nothing may be left. */
static void
end_life(void)
{
	if (!now.open)
		return;
	core_clear();
	bool committed = commit_finish();
	if (is_sound())
		MUST(committed && store_held() == 0 && block_total() == 0);
	store_close();
	core_count_from(0);
	now.open = false;
	MUST(!is_sound() || !now.count || rows_count(store_path) == 0);
}

static void
remove_files(void)
{
	walk(payloads, remove_file);
	walk(outputs, remove_file);
	unlink(log_path);
}

/* As kill -9 at this moment; `committed`: when all that is noted is. */
static void
kill_daemon(bool committed)
{
	outcome_count = 0;
	next_id = 0;
	if (committed && commit_finish() && is_sound())
		note_outcomes();
	keep_file(store_path);
	keep_file(log_path);
	walk(payloads, keep_file);
	walk(outputs, keep_file);
	walk(boards, keep_file);
	end_life();
	remove_files();
	put_back();
}

/* ---- steps ---- */

static void
on_run(uint64_t id, bool has_begun)
{
	const struct future *f = registry_find(id);

	MUST(!is_sound() || !rows_is_damaged(id));
	if (!has_begun)
		return;
	for (size_t i = 0; i < begun_count; i++)
		MUST(begun[i].id != id || begun[i].life == now.life || !f || f->spec->retries || now.changed);
	if (begun_count < BEGUN_MAX)
		begun[begun_count++] = (struct begun){ id, now.life };
}

static void
put_file(unsigned which, const uint8_t *data, size_t len)
{
	static const char *const names[] = { "args", "value", "stdout", "stderr" };
	char path[PATH_BYTES + 64];

	if (!len)
		return;
	snprintf(path, sizeof path, "%s/%u.%s", which % 4 < 2 ? payloads : outputs, data[0], names[which % 4]);
	write_file(path, data + 1, len - 1);
}

static void
put_board(const uint8_t *data, size_t len)
{
	static struct board board;
	char path[PATH_BYTES + 64];

	memset(&board, 0, sizeof board);
	for (size_t at = 1; at + 4 <= len; at += 4) {
		struct board_entry *e = &board.entry[data[at]];
		atomic_store(&e->id, data[at + 1]);
		atomic_store(&e->word, (uint64_t)data[at + 3] << 3 | (data[at + 2] & 7));
	}
	snprintf(path, sizeof path, "%s/%u", boards, ROWS_HOST + (len ? data[0] : 0));
	write_file(path, &board, sizeof board);
}

static void
change_bytes(struct file *f, unsigned how, size_t at, const uint8_t *data, size_t len)
{
	size_t sector = at / SECTOR * SECTOR, most = f->size - at < len ? f->size - at : len;

	switch (how % 4) {
	case 0:
		for (size_t i = 0; i < most; i++)
			f->data[at + i] ^= data[i];
		break;
	case 1:
		memcpy(f->data + at, data, most);
		break;
	case 2:
		memset(f->data + sector, 0, f->size - sector < SECTOR ? f->size - sector : SECTOR);
		break;
	default:
		f->size = at;
	}
}

static void
damage(unsigned who, const uint8_t *data, size_t len)
{
	struct file f;

	look_at_rows();
	now.damaged = true;
	if (len < 3 || !read_file(who & 1 ? log_path : store_path, &f))
		return;
	if (f.size) {
		change_bytes(&f, who >> 1, ((size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16) % f.size, data + 3, len - 3);
		write_file(f.path, f.data, f.size);
	}
	free(f.data);
}

static void
put_row(unsigned table, const uint8_t *data, size_t len)
{
	if (now.damaged) /* perhaps it cannot even be opened */
		return;
	if (!now.rows)
		rows_open(store_path);
	now.rows = true;
	rows_put(table, data, len);
}

/* While no daemon is there. */
static void
change(const struct core_taken *s)
{
	now.touched |= s->what != STORED_KILL;
	now.changed |= s->what != STORED_KILL && now.life;
	switch (s->what) {
	case STORED_ROW:
		put_row(s->who, s->data, s->len);
		break;
	case STORED_FILE:
		put_file(s->who, s->data, s->len);
		break;
	case STORED_BOARD:
		put_board(s->data, s->len);
		break;
	case STORED_DAMAGE:
		damage(s->who, s->data, s->len);
		break;
	case STORED_KILL:
		now.checkpoint = s->who & 2;
		break;
	default: /* see begin */
		break;
	}
}

static void
take(const struct core_taken *s)
{
	if (s->what >= STORED_STEPS || (s->what < CORE_STEPS && !(ALLOWED & 1u << s->what)))
		return;
	if (s->what < CORE_STEPS) {
		begin_life();
		if (now.open)
			core_take(s);
		return;
	}
	if (now.open) {
		if (now.life == LIVES_MAX)
			return;
		kill_daemon(s->who & 1);
	}
	if (!now.refused)
		change(s);
}

static void
begin(const uint8_t *data, size_t size)
{
	memset(&now, 0, sizeof now);
	clock_set_stored_offset(offset); /* a store may have had another */
	now.again = size % 4 == 0;
	now.count = size % 8 < 2;
	begun_count = outcome_count = 0;
	next_id = 0;
	now.touched = true;
	now.loose = size && data[0] == STORED_LOOSE;
	const struct file *store = now.loose ? &loose : &fresh;
	write_file(store_path, store->data, store->size);
}

static void
remove_boards(const char *path)
{
	uint64_t number = strtoull(strrchr(path, '/') + 1, NULL, 10);

	for (struct pool *p = pool_first(); p; p = p->next)
		for (struct host *h = p->hosts; h; h = h->next)
			if (h->number == number)
				return;
	remove_file(path);
}

/* Perhaps one life more, of what the last one left. */
static void
end(void)
{
	begin_life();
	if (now.open && now.again && now.life < LIVES_MAX) {
		kill_daemon(true);
		begin_life();
	}
	end_life();
	if (now.rows)
		rows_close(false);
	remove_files();
	walk(boards, remove_boards);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct core_taken s;

	if (size > 65536)
		return 0;
	core_keep(data, size);
	begin(data, size);
	for (unsigned steps = 0; steps < CORE_STEPS_MAX && core_next(&data, &size, &s); steps++)
		take(&s);
	end();
	return 0;
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	return mutate(data, size, max, seed, STORED_STEPS);
}

/* A real daemon has made an empty store: what all inputs begin with. */
int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char state[PATH_BYTES / 2];
	(void)argc, (void)argv;

	setenv("FUTURED_FUZZ_STORE", "sqlite", 1);
	committer_use_no_thread();
	rows_be_fast();
	core_start();
	snprintf(state, sizeof state, "%s/state", core_directory());
	snprintf(store_path, sizeof store_path, "%s/futured.db", state);
	snprintf(log_path, sizeof log_path, "%s-wal", store_path);
	find_directory(state, "payload-", payloads);
	find_directory(state, "output-", outputs);
	find_directory(core_directory(), "boards-", boards);
	rows_payloads_in(payloads);
	core_on_run(on_run);
	offset = clock_stored_offset();
	core_clear();
	store_close();
	MUST(read_file(store_path, &fresh));
	rows_make_loose(store_path);
	MUST(read_file(store_path, &loose));
	return 0;
}
