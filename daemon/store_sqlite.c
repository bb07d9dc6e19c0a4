/* The durable store: one SQLite file in WAL mode, one connection, held exclusively. The schema is documented in docs/store.md.
 *
 * open ─► (new: the schema is made) ─► replay ─► commit, commit, … each one transaction and, with sync full, one fsync ─► close.
 * What goes wrong: a commit fails ─► ROLLBACK, and what it wrote into the log is cut off, as the next daemon would take it for committed; before
 * anything is committed again the write-ahead log must have been copied back and emptied, as after a failed fsync nobody knows what of it is on the
 * disk. The file was moved or deleted ─► nothing is committed until it is back.
 *
 * Nothing else in the project includes sqlite3.h, but for rows.h. */
#include "daemon/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/fault.h"
#include "daemon/owner.h"
#include "daemon/payload.h"
#include "daemon/pool.h"
#include "daemon/replay.h"
#include "daemon/rows.h"
#include "daemon/spec.h"
#include "daemon/sum.h"

enum { SCHEMA = 1, APPLICATION = 0x66757464, CHECKPOINT_PAGES = 4000, BACKUP_PAGES = 200, TIDY_PAGES = 2000, SIZE_ASKED_US = 20000, PAGE = 4096 };

#define BY_HAND_TABLE "CREATE TABLE by_hand (pool TEXT PRIMARY KEY, paused_us INTEGER, paused_by TEXT, workers INTEGER, configured INTEGER) WITHOUT ROWID"

static const char schema[] =
    "CREATE TABLE daemon (name TEXT PRIMARY KEY, value) WITHOUT ROWID;\n"
    "CREATE TABLE pools (id INTEGER PRIMARY KEY, name TEXT, what BLOB);\n"
    BY_HAND_TABLE ";\n"
    "CREATE TABLE specs (id INTEGER PRIMARY KEY, pool TEXT, kind TEXT, owner TEXT, fn TEXT, name TEXT, tags BLOB, kwargs BLOB, run BLOB,\n"
    "  opened INTEGER, run_pairs INTEGER, env BLOB, stdin BLOB, stdin_kind INTEGER, stdin_future INTEGER, priority INTEGER, retries INTEGER, timeout_us INTEGER,\n"
    "  deadline_us INTEGER, delay_us INTEGER, retry_delay_us INTEGER, retain_us INTEGER, sum INTEGER);\n"
    "CREATE TABLE gates (id INTEGER PRIMARY KEY, ids TEXT, passed_us INTEGER);\n"
    "CREATE TABLE tasks (id INTEGER PRIMARY KEY, spec INTEGER, submitted_us INTEGER, args BLOB, args_file INTEGER, gate INTEGER, attempt INTEGER, not_before_us INTEGER,\n"
    "  let_go INTEGER, killed INTEGER, sum INTEGER, fed INTEGER);\n"
    "CREATE TABLE results (id INTEGER PRIMARY KEY, state TEXT, attempt INTEGER, started_us INTEGER, finished_us INTEGER, failed INTEGER, seen INTEGER,\n"
    "  value BLOB, value_file INTEGER, rusage BLOB, sum INTEGER);\n"
    "CREATE TABLE outputs (id INTEGER, stream INTEGER, bytes BLOB, cut INTEGER, PRIMARY KEY (id, stream)) WITHOUT ROWID;\n"
    "CREATE TABLE keys (first INTEGER PRIMARY KEY, count INTEGER, owner TEXT, key TEXT);\n"
    "CREATE TABLE sent (host INTEGER, slot INTEGER, tasks BLOB, PRIMARY KEY (host, slot)) WITHOUT ROWID;\n"
    "CREATE VIEW futures AS SELECT t.id AS id, s.pool AS pool, s.fn AS fn, s.name AS name, s.owner AS owner, coalesce(r.state, 'PENDING') AS state,\n"
    "  coalesce(r.failed, 0) AS failed, coalesce(r.attempt, t.attempt, 0) AS attempt, s.priority AS priority,\n"
    "  datetime(t.submitted_us / 1000000, 'unixepoch', 'localtime') AS submitted,\n"
    "  datetime(r.started_us / 1000000, 'unixepoch', 'localtime') AS started,\n"
    "  datetime(r.finished_us / 1000000, 'unixepoch', 'localtime') AS finished,\n"
    "  (r.finished_us - r.started_us) / 1e6 AS seconds, t.args AS args, r.value AS value\n"
    "  FROM tasks t JOIN specs s ON s.id = t.spec LEFT JOIN results r ON r.id = t.id;\n"
    "INSERT INTO daemon VALUES ('instance', lower(hex(randomblob(16)))), ('next_id', 1);\n";

/* What a store that an earlier futured made may lack: a question that fails there, and what is done then. */
static const struct {
	const char *ask, *make;
} additions[] = {
	{ "SELECT passed_us FROM gates", "ALTER TABLE gates ADD COLUMN passed_us INTEGER" },
	{ "SELECT 1 FROM by_hand", BY_HAND_TABLE },
	{ "SELECT cut FROM outputs", "ALTER TABLE outputs ADD COLUMN cut INTEGER" },
	{ "SELECT sum FROM results", "ALTER TABLE results ADD COLUMN sum INTEGER" },
	{ "SELECT fed FROM tasks", "ALTER TABLE tasks ADD COLUMN fed INTEGER" },
};

enum statement {
	BEGIN, COMMIT, ROLLBACK, IDS, INSTANCE, CLOCK, SPEC, SPEC_GONE, GATE, GATE_PASSED, GATE_GONE, KEY, KEY_GONE, TASK, SENT, SENT_NONE, SENT_GONE, AGAIN, RESULT, OUTPUT, SEEN, LET_GO, KILLED, FED,
	TASK_GONE, RESULT_GONE, OUTPUT_GONE, POOL, POOL_GONE, BY_HAND, BY_HAND_GONE, STATEMENTS
};

static const char *const texts[STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[IDS] = "INSERT OR REPLACE INTO daemon VALUES ('next_id', ?1)",
	[INSTANCE] = "INSERT OR REPLACE INTO daemon VALUES ('instance', ?1)",
	[CLOCK] = "INSERT OR REPLACE INTO daemon VALUES ('clock', ?1)",
	[SPEC] = "INSERT INTO specs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)",
	[SPEC_GONE] = "DELETE FROM specs WHERE id = ?1",
	[GATE] = "INSERT INTO gates (id, ids) VALUES (?1, ?2)",
	[GATE_PASSED] = "UPDATE gates SET passed_us = ?2 WHERE id = ?1",
	[GATE_GONE] = "DELETE FROM gates WHERE id = ?1",
	[KEY] = "INSERT OR REPLACE INTO keys VALUES (?1, ?2, ?3, ?4)",
	[KEY_GONE] = "DELETE FROM keys WHERE first = ?1",
	[TASK] = "INSERT INTO tasks (id, spec, submitted_us, args, gate, sum, args_file) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[SENT] = "INSERT OR REPLACE INTO sent VALUES (?1, ?2, ?3)",
	[SENT_NONE] = "DELETE FROM sent",
	[SENT_GONE] = "DELETE FROM sent WHERE host = ?1 AND slot = ?2",
	[AGAIN] = "UPDATE tasks SET attempt = ?2, not_before_us = ?3 WHERE id = ?1",
	[RESULT] = ("INSERT OR REPLACE INTO results (id, state, attempt, started_us, finished_us, failed, seen, value, value_file, rusage, sum)"
		    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"),
	[OUTPUT] = "INSERT OR REPLACE INTO outputs (id, stream, bytes, cut) VALUES (?1, ?2, ?3, ?4)",
	[SEEN] = "UPDATE results SET seen = 1 WHERE id = ?1",
	[LET_GO] = "UPDATE tasks SET let_go = 1 WHERE id = ?1",
	[KILLED] = "UPDATE tasks SET killed = 1 WHERE id = ?1",
	[FED] = "UPDATE tasks SET fed = 1 WHERE id = ?1",
	[TASK_GONE] = "DELETE FROM tasks WHERE id = ?1",
	[RESULT_GONE] = "DELETE FROM results WHERE id = ?1",
	[OUTPUT_GONE] = "DELETE FROM outputs WHERE id = ?1",
	[POOL] = "INSERT INTO pools VALUES (?1, ?2, ?3)",
	[POOL_GONE] = "DELETE FROM pools WHERE id = ?1",
	[BY_HAND] = "INSERT OR REPLACE INTO by_hand VALUES (?1, ?2, ?3, ?4, ?5)",
	[BY_HAND_GONE] = "DELETE FROM by_hand WHERE pool = ?1",
};

/* A file, by what it is and not by its name. */
struct place {
	dev_t dev;
	ino_t ino;
};

static sqlite3 *db;
static char *db_path, *log_path;
static struct place db_place, log_place; /* log_place: of the first commit; zero before */
static struct {
	bool known;        /* what an earlier daemon left in the log has been copied back */
	int pages;         /* in the log, as of the last commit */
	uint32_t salt[2];  /* the log's, which change when it begins anew */
} logged;
static sqlite3_stmt *statements[STATEMENTS];
static bool any_output; /* outputs may hold something */
static struct {
	sqlite3 *to;
	sqlite3_backup *copy;
} backup;

/* ---- helpers ---- */

static bool
execute(const char *sql)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

static int64_t
pragma(const char *sql)
{
	sqlite3_stmt *s = NULL;
	int64_t value = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
		value = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return value;
}

static void
bind_int(enum statement s, int at, int64_t value)
{
	sqlite3_bind_int64(statements[s], at, value);
}

static void
bind_text(enum statement s, int at, const char *text)
{
	if (text)
		sqlite3_bind_text(statements[s], at, text, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(statements[s], at);
}

static void
bind_blob(enum statement s, int at, const void *data, size_t len)
{
	if (len)
		sqlite3_bind_blob64(statements[s], at, data, len, SQLITE_STATIC);
	else
		sqlite3_bind_zeroblob(statements[s], at, 0);
}

static void
bind_bytes(enum statement s, int at, const struct bytes *b)
{
	bind_blob(s, at, bytes_data(b), bytes_len(b));
}

/* In its place, or, where it is large, in a file, of which the row has the padding. */
static void
bind_payload(enum statement s, int at, int file, const void *data, size_t len)
{
	if (len < PAYLOAD_LARGE) {
		bind_blob(s, at, data, len);
		sqlite3_bind_null(statements[s], file);
		return;
	}
	sqlite3_bind_null(statements[s], at);
	bind_int(s, file, payload_pad(data));
}

static bool
step(enum statement s)
{
	int result = sqlite3_step(statements[s]);
	sqlite3_reset(statements[s]);
	return result == SQLITE_DONE;
}

/* ---- opening ---- */

/* A file of ours, private, made where there is none. */
static bool
make_file(const char *path, char *why, size_t size)
{
	struct stat st;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || fstat(fd, &st)) {
		snprintf(why, size, "%.150s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	close(fd);
	if (S_ISREG(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 0077))
		return true;
	snprintf(why, size, "%.150s: expected a file of our own that nobody else may read", path);
	return false;
}

static bool
make_schema(char *why, size_t size)
{
	char text[80];

	snprintf(text, sizeof text, "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION, SCHEMA);
	if (execute("BEGIN IMMEDIATE") && execute(schema) && execute(text) && execute("COMMIT"))
		return true;
	return rows_complain(db, why, size);
}

static bool
check_schema(char *why, size_t size)
{
	int64_t application = pragma("PRAGMA application_id"), version = pragma("PRAGMA user_version");

	if (application < 0)
		return rows_complain(db, why, size);
	if (!application && !version && pragma("SELECT count(*) FROM sqlite_schema") == 0)
		return make_schema(why, size);
	if (application != APPLICATION)
		snprintf(why, size, "it is a database, but none of futured's");
	else if (version > SCHEMA)
		snprintf(why, size, "it has format %lld; this futured knows up to %d: use a newer one", (long long)version, SCHEMA);
	else
		return true;
	return false;
}

static bool
bring_up_to_date(char *why, size_t size)
{
	for (size_t i = 0; i < sizeof additions / sizeof *additions; i++) {
		sqlite3_stmt *s = NULL;
		bool has = sqlite3_prepare_v2(db, additions[i].ask, -1, &s, NULL) == SQLITE_OK;
		sqlite3_finalize(s);
		if (has || execute(additions[i].make))
			continue;
		snprintf(why, size, "an earlier futured made it, and it cannot be given what it lacks: %s", sqlite3_errmsg(db));
		return false;
	}
	return true;
}

static bool
configure(enum store_sync sync, char *why, size_t size)
{
	static const char *const names[] = { "FULL", "NORMAL", "OFF" };
	char text[400];

	snprintf(text, sizeof text,
	    "PRAGMA journal_mode = WAL; PRAGMA synchronous = %s;"
	    "PRAGMA journal_size_limit = %d; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384;"
	    "PRAGMA cell_size_check = ON",
	    names[sync], 4 * CHECKPOINT_PAGES * PAGE);
	if (!execute("PRAGMA locking_mode = EXCLUSIVE"))
		return rows_complain(db, why, size);
	if (pragma("PRAGMA page_count") == 0 && !execute("PRAGMA auto_vacuum = INCREMENTAL")) /* once: it writes, and the disk may be full */
		return rows_complain(db, why, size);
	return execute(text) || rows_complain(db, why, size);
}

/* ---- the write-ahead log, beyond what SQLite does with it ---- */

enum { LOG_HEAD = 32, LOG_FRAME_HEAD = 24, LOG_SALT_AT = 16 };

static bool
find_place(const char *path, struct place *out)
{
	struct stat st;
	if (stat(path, &st))
		return false;
	*out = (struct place){ st.st_dev, st.st_ino };
	return true;
}

static bool
is_in_place(const char *path, const struct place *known)
{
	struct place p;
	return !known->ino || (find_place(path, &p) && p.dev == known->dev && p.ino == known->ino);
}

static sqlite3_file *
log_file(void)
{
	sqlite3_file *f = NULL;
	sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &f);
	return f && f->pMethods ? f : NULL;
}

static bool
read_salt(uint32_t salt[2])
{
	sqlite3_file *f = log_file();
	return f && f->pMethods->xRead(f, salt, 2 * sizeof *salt, LOG_SALT_AT) == SQLITE_OK;
}

/* After each commit. Does what wal_autocheckpoint would, whose place it takes. */
static int
on_logged(void *arg, sqlite3 *of, const char *name, int pages)
{
	(void)arg;
	logged.pages = pages;
	if (!read_salt(logged.salt))
		memset(logged.salt, 0, sizeof logged.salt);
	if (!log_place.ino)
		find_place(log_path, &log_place);
	if (pages >= (FAULT(small_log) ? 60 : CHECKPOINT_PAGES)) /* small: so that a test sees many checkpoints */
		sqlite3_wal_checkpoint_v2(of, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return SQLITE_OK;
}

/* What a commit that failed may have written goes from the log: whole frames of a transaction that nobody was told of would be replayed by the next
 * daemon. SQLite does not look at them again either; it writes over them. Where the log had begun anew for that transaction, all of it goes. */
static void
cut_log(void)
{
	sqlite3_file *f = log_file();
	uint32_t salt[2];

	if (!f || !logged.known || !read_salt(salt))
		return;
	bool same = memcmp(salt, logged.salt, sizeof salt) == 0;
	f->pMethods->xTruncate(f, same ? LOG_HEAD + (sqlite3_int64)logged.pages * (PAGE + LOG_FRAME_HEAD) : 0);
}

/* What is in the log is copied into the database and the log emptied, whatever it takes. */
static bool
recover(void)
{
	return sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) == SQLITE_OK;
}

static bool
prepare(char *why, size_t size)
{
	for (int i = 0; i < STATEMENTS; i++)
		if (sqlite3_prepare_v3(db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &statements[i], NULL) != SQLITE_OK)
			return rows_complain(db, why, size);
	return true;
}

static void
close_store(void)
{
	if (backup.to) { /* half of a copy is none */
		sqlite3_backup_finish(backup.copy);
		unlink(sqlite3_db_filename(backup.to, "main"));
		sqlite3_close(backup.to);
	}
	backup.to = NULL;
	backup.copy = NULL;
	for (int i = 0; i < STATEMENTS; i++) {
		sqlite3_finalize(statements[i]);
		statements[i] = NULL;
	}
	sqlite3_close(db);
	db = NULL;
	free(db_path);
	free(log_path);
	db_path = log_path = NULL;
	db_place = log_place = (struct place){ 0 };
	logged.known = false;
}

static bool
open_store(const char *path, enum store_sync sync, char *why, size_t size)
{
	char inner[256] = "out of memory";

	if (!make_file(path, why, size))
		return false;
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL) == SQLITE_OK) {
		sqlite3_extended_result_codes(db, 1);
		db_path = realpath(path, NULL);
		if (db_path && asprintf(&log_path, "%s-wal", db_path) >= 0 && find_place(db_path, &db_place) &&
		    configure(sync, inner, sizeof inner) && check_schema(inner, sizeof inner) && bring_up_to_date(inner, sizeof inner) &&
		    prepare(inner, sizeof inner)) {
			sqlite3_wal_hook(db, on_logged, NULL);
			logged.known = recover();
			return true;
		}
	} else if (db) {
		rows_complain(db, inner, sizeof inner);
	}
	snprintf(why, size, "%.200s: %.200s", path, inner);
	close_store();
	return false;
}

/* ---- committing ---- */

static bool
put_spec(uint64_t row, const struct spec *s)
{
	bind_int(SPEC, 1, (int64_t)row);
	bind_text(SPEC, 2, s->pool->name);
	bind_text(SPEC, 3, pool_kind_name(s->pool));
	bind_text(SPEC, 4, s->owner->name);
	bind_text(SPEC, 5, s->fn);
	bind_text(SPEC, 6, s->name);
	bind_bytes(SPEC, 7, &s->tags);
	bind_bytes(SPEC, 8, &s->kwargs);
	bind_bytes(SPEC, 9, &s->run);
	bind_int(SPEC, 10, s->pool->bound_to ? REPLAY_BOUND : s->pool->like ? REPLAY_OPENED : REPLAY_CONFIGURED);
	bind_int(SPEC, 11, s->run_pairs);
	bind_bytes(SPEC, 12, &s->env);
	bind_bytes(SPEC, 13, &s->stdin_bytes);
	bind_int(SPEC, 14, s->stdin_kind);
	bind_int(SPEC, 15, (int64_t)s->stdin_future);
	bind_int(SPEC, 16, s->priority);
	bind_int(SPEC, 17, s->retries);
	bind_int(SPEC, 18, (int64_t)s->timeout_us);
	bind_int(SPEC, 19, (int64_t)s->deadline_us);
	bind_int(SPEC, 20, (int64_t)s->delay_us);
	bind_int(SPEC, 21, (int64_t)s->retry_delay_us);
	bind_int(SPEC, 22, (int64_t)s->retain_us);
	struct sum_text summed[] = {
		{ s->pool->name, strlen(s->pool->name) }, { s->owner->name, strlen(s->owner->name) }, { s->fn, s->fn_len },
		{ bytes_data(&s->kwargs), bytes_len(&s->kwargs) }, { bytes_data(&s->run), bytes_len(&s->run) },
		{ bytes_data(&s->env), bytes_len(&s->env) }, { bytes_data(&s->stdin_bytes), bytes_len(&s->stdin_bytes) },
	};
	bind_int(SPEC, 23, sum_spec(summed, s->run_pairs, s->stdin_kind, s->stdin_future, s->retries));
	return step(SPEC);
}

static bool
put_task(uint64_t id, const struct note *n, const void *args, size_t len)
{
	bind_int(TASK, 1, (int64_t)id);
	bind_int(TASK, 2, (int64_t)n->u.task.spec);
	bind_int(TASK, 3, n->u.task.submitted);
	bind_payload(TASK, 4, 7, args, len);
	bind_int(TASK, 5, (int64_t)n->u.task.gate);
	bind_int(TASK, 6, sum_task(id, n->u.task.spec, n->u.task.gate, args, len));
	return step(TASK);
}

static bool
put_tasks(const struct note *n)
{
	struct reader r;
	const uint8_t *raw;
	size_t len;

	reader_init(&r, bytes_data(&n->bytes), bytes_len(&n->bytes));
	for (uint64_t i = 0; i < n->count; i++)
		if (!read_raw(&r, &raw, &len) || !put_task(n->id + i, n, raw, len))
			return false;
	return true;
}

static bool
put_result(const struct note *n)
{
	bind_int(RESULT, 1, (int64_t)n->id);
	bind_text(RESULT, 2, future_state_name((enum future_state)n->u.result.state));
	bind_int(RESULT, 3, n->attempt);
	bind_int(RESULT, 4, n->u.result.started);
	bind_int(RESULT, 5, n->u.result.finished);
	bind_int(RESULT, 6, n->u.result.failed);
	bind_int(RESULT, 7, n->u.result.seen);
	bind_payload(RESULT, 8, 9, bytes_data(&n->bytes), bytes_len(&n->bytes));
	bind_bytes(RESULT, 10, &n->more);
	bind_int(RESULT, 11, sum_result(n->id, future_state_name((enum future_state)n->u.result.state), n->u.result.failed,
	    (struct sum_text){ bytes_data(&n->bytes), bytes_len(&n->bytes) }, (struct sum_text){ bytes_data(&n->more), bytes_len(&n->more) }));
	return step(RESULT);
}

static bool
put_gone(uint64_t id)
{
	bind_int(TASK_GONE, 1, (int64_t)id);
	bind_int(RESULT_GONE, 1, (int64_t)id);
	bind_int(OUTPUT_GONE, 1, (int64_t)id);
	return step(TASK_GONE) && step(RESULT_GONE) && (!any_output || step(OUTPUT_GONE));
}

static bool
put_by_hand(const struct note *n)
{
	enum statement s = n->u.by_hand.paused || n->u.by_hand.workers ? BY_HAND : BY_HAND_GONE;

	bind_text(s, 1, n->u.by_hand.pool);
	if (s == BY_HAND_GONE)
		return step(s);
	bind_int(s, 2, n->u.by_hand.paused);
	bind_text(s, 3, n->u.by_hand.paused_by);
	bind_int(s, 4, n->u.by_hand.workers);
	bind_int(s, 5, n->u.by_hand.configured);
	return step(s);
}

static bool
put_id(enum statement s, uint64_t id)
{
	bind_int(s, 1, (int64_t)id);
	return step(s);
}

/* A store that forgets, for tests that must notice. */
static bool
is_left_out(const struct note *n)
{
	return (n->verb == NOTE_IDS && FAULT(ids_not_reserved)) || (n->verb == NOTE_RESULT && FAULT(result_not_stored)) ||
	    (n->verb == NOTE_GONE && FAULT(release_not_stored)) || (n->verb == NOTE_KEY && FAULT(key_not_stored)) ||
	    (n->verb == NOTE_SENT && FAULT(hand_over_not_stored)) || (n->verb == NOTE_TASK && n->id % 20 == 0 && FAULT(task_not_stored));
}

static bool
put(const struct note *n)
{
	if (is_left_out(n))
		return true;
	switch (n->verb) {
	case NOTE_NOTHING:
	case NOTE_FILE:
	case NOTE_HOST_GONE:
		return true;
	case NOTE_IDS:
		return put_id(IDS, n->id);
	case NOTE_INSTANCE:
		bind_text(INSTANCE, 1, n->u.name.text);
		return step(INSTANCE);
	case NOTE_CLOCK:
		bind_text(CLOCK, 1, n->u.name.text);
		return step(CLOCK);
	case NOTE_SPEC:
		return put_spec(n->id, n->u.spec);
	case NOTE_SPEC_GONE:
		return put_id(SPEC_GONE, n->id);
	case NOTE_GATE:
		bind_text(GATE, 2, n->u.name.text);
		return put_id(GATE, n->id);
	case NOTE_GATE_PASSED:
		bind_int(GATE_PASSED, 2, n->u.passed);
		return put_id(GATE_PASSED, n->id);
	case NOTE_GATE_GONE:
		return put_id(GATE_GONE, n->id);
	case NOTE_KEY:
		bind_int(KEY, 2, (int64_t)n->count);
		bind_text(KEY, 3, n->u.name.owner);
		sqlite3_bind_text(statements[KEY], 4, (const char *)bytes_data(&n->bytes), (int)bytes_len(&n->bytes), SQLITE_STATIC); /* there may be a NUL in it */
		return put_id(KEY, n->id);
	case NOTE_KEY_GONE:
		return put_id(KEY_GONE, n->id);
	case NOTE_TASK:
		return put_task(n->id, n, bytes_data(&n->bytes), bytes_len(&n->bytes));
	case NOTE_TASKS:
		return put_tasks(n);
	case NOTE_SENT:
		bind_int(SENT, 2, n->u.sent.slot);
		bind_bytes(SENT, 3, &n->bytes);
		return put_id(SENT, n->u.sent.host);
	case NOTE_SENT_NONE:
		return step(SENT_NONE);
	case NOTE_SENT_GONE:
		bind_int(SENT_GONE, 2, n->u.sent.slot);
		return put_id(SENT_GONE, n->u.sent.host);
	case NOTE_AGAIN:
		bind_int(AGAIN, 2, n->attempt);
		bind_int(AGAIN, 3, n->u.result.not_before);
		return put_id(AGAIN, n->id);
	case NOTE_RESULT:
		return put_result(n);
	case NOTE_OUTPUT:
		any_output = true;
		bind_int(OUTPUT, 2, n->u.stream);
		bind_bytes(OUTPUT, 3, &n->bytes);
		bind_int(OUTPUT, 4, (int64_t)n->count);
		return put_id(OUTPUT, n->id);
	case NOTE_SEEN:
		return put_id(SEEN, n->id);
	case NOTE_LET_GO:
		return put_id(LET_GO, n->id);
	case NOTE_KILLED:
		return put_id(KILLED, n->id);
	case NOTE_FED:
		return put_id(FED, n->id);
	case NOTE_GONE:
		return put_gone(n->id);
	case NOTE_POOL:
		bind_text(POOL, 2, n->u.name.text);
		bind_bytes(POOL, 3, &n->bytes);
		return put_id(POOL, n->id);
	case NOTE_POOL_GONE:
		return put_id(POOL_GONE, n->id);
	case NOTE_BY_HAND:
		return put_by_hand(n);
	}
	return false;
}

static bool
put_all(const struct batch *b)
{
	for (const struct batch_chunk *c = b->first; c; c = c->next)
		for (size_t i = 0; i < c->count; i++)
			if (!put(&c->note[i]))
				return false;
	return true;
}

static bool damaged; /* the last commit found */

static bool
is_damaged(void)
{
	return damaged;
}

static bool
commit(const struct batch *b, bool again, char *why, size_t size)
{
	if (!is_in_place(db_path, &db_place) || !is_in_place(log_path, &log_place)) {
		snprintf(why, size, "%.200s was moved or deleted", is_in_place(db_path, &db_place) ? log_path : db_path);
		return false;
	}
	if (again && !recover())
		return rows_complain(db, why, size);
	logged.known |= again;
	CRASH_POINT(before_commit);
	if (step(BEGIN) && put_all(b) && step(COMMIT)) {
		CRASH_POINT(after_commit);
		return true;
	}
	int code = sqlite3_errcode(db);
	damaged = code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
	rows_complain(db, why, size);
	if (!sqlite3_get_autocommit(db))
		step(ROLLBACK);
	cut_log();
	return FAULT(failure_ignored);
}

static uint64_t
used_bytes(void)
{
	static uint64_t used, asked_us;
	uint64_t now = clock_read();

	if (asked_us && now - asked_us < SIZE_ASKED_US) /* it costs as much as a small commit */
		return used;
	asked_us = now;
	int64_t pages = pragma("PRAGMA page_count"), unused = pragma("PRAGMA freelist_count");
	return used = pages > unused ? (uint64_t)(pages - unused) * PAGE : 0;
}

/* Pages that nothing uses any more go back to the file system, some at a time. */
static bool
tidy(void)
{
	static bool given_back;
	char text[60];

	if (pragma("PRAGMA freelist_count") > TIDY_PAGES / 10) {
		snprintf(text, sizeof text, "PRAGMA incremental_vacuum(%d)", TIDY_PAGES);
		given_back = true;
		return execute(text);
	}
	if (given_back) /* the files become shorter when the log has been copied back */
		sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	given_back = false;
	sqlite3_db_release_memory(db); /* nothing has been committed for a while: pages are cheap to read again */
	return false;
}

/* ---- a copy ---- */

/* A copy has everything in itself: what is in files here is put into its rows. */
static bool
take_in(const char *select, const char *update, enum payload_kind kind)
{
	sqlite3_stmt *rows = NULL, *put = NULL;
	bool good = sqlite3_prepare_v2(backup.to, select, -1, &rows, NULL) == SQLITE_OK && sqlite3_prepare_v2(backup.to, update, -1, &put, NULL) == SQLITE_OK;

	while (good && sqlite3_step(rows) == SQLITE_ROW) {
		size_t size = 0, pad = (size_t)sqlite3_column_int(rows, 1) % PAYLOAD_PAGE;
		uint8_t *file = payload_map((uint64_t)sqlite3_column_int64(rows, 0), kind, &size);
		if (!file)
			continue; /* forgotten since */
		sqlite3_bind_int64(put, 1, sqlite3_column_int64(rows, 0));
		sqlite3_bind_blob64(put, 2, file + pad, size > pad ? size - pad : 0, SQLITE_STATIC);
		good = sqlite3_step(put) == SQLITE_DONE;
		sqlite3_reset(put);
		munmap(file, size);
	}
	sqlite3_finalize(rows);
	sqlite3_finalize(put);
	return good;
}

static bool
end_backup(bool good, bool *over, char *why, size_t size)
{
	if (!good && backup.to)
		snprintf(why, size, "%s", sqlite3_errmsg(backup.to));
	if (backup.copy)
		sqlite3_backup_finish(backup.copy);
	if (good && backup.to) /* readable with any tool, as one file */
		good = sqlite3_exec(backup.to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL) == SQLITE_OK &&
		    take_in("SELECT id, args_file FROM tasks WHERE args_file IS NOT NULL", "UPDATE tasks SET args = ?2, args_file = NULL WHERE id = ?1", PAYLOAD_ARGS) &&
		    take_in("SELECT id, value_file FROM results WHERE value_file IS NOT NULL", "UPDATE results SET value = ?2, value_file = NULL WHERE id = ?1", PAYLOAD_VALUE);
	sqlite3_close(backup.to);
	backup.to = NULL;
	backup.copy = NULL;
	*over = true;
	return good;
}

static bool
backup_step(const char *path, bool *over, char *why, size_t size)
{
	if (!backup.to) {
		int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0) {
			snprintf(why, size, "%s", strerror(errno));
			*over = true;
			return false;
		}
		close(fd);
		if (sqlite3_open_v2(path, &backup.to, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
		    !(backup.copy = sqlite3_backup_init(backup.to, "main", db, "main"))) {
			end_backup(false, over, why, size);
			unlink(path);
			return false;
		}
	}
	int result = sqlite3_backup_step(backup.copy, BACKUP_PAGES);
	if (result == SQLITE_OK || result == SQLITE_BUSY)
		return true;
	if (end_backup(result == SQLITE_DONE, over, why, size))
		return true;
	unlink(path);
	return false;
}

static bool
replay(struct replay *to, char *why, size_t size)
{
	/* What nothing refers to any more, where the last daemon could not see to it. */
	if (!execute("DELETE FROM specs WHERE id NOT IN (SELECT spec FROM tasks WHERE spec IS NOT NULL);"
		     "DELETE FROM gates WHERE id NOT IN (SELECT gate FROM tasks WHERE gate > 0);"
		     "DELETE FROM results WHERE id NOT IN (SELECT id FROM tasks); DELETE FROM outputs WHERE id NOT IN (SELECT id FROM tasks);"
		     "DELETE FROM keys WHERE first < 1;"
		     "DELETE FROM by_hand WHERE typeof(pool) <> 'text' OR instr(cast(pool AS BLOB), x'00')") &&
	    !sqlite3_get_autocommit(db))
		return rows_complain(db, why, size); /* on a full disk it can wait: statements that failed have changed nothing */
	any_output = pragma("SELECT EXISTS (SELECT 1 FROM outputs)");
	return rows_replay(db, to, why, size);
}

const struct engine store_sqlite = {
	.kind = "sqlite",
	.open = open_store,
	.commit = commit,
	.is_damaged = is_damaged,
	.replay = replay,
	.backup = backup_step,
	.tidy = tidy,
	.size = used_bytes,
	.close = close_store,
};
