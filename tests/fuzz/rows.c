/* The checksums are those of daemon/store_sqlite.c, written down once more: they are a format, and who changes it should notice. */
#include "tests/fuzz/rows.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/payload.h"
#include "daemon/sum.h"

#define MUST(condition) do { if (!(condition)) { fprintf(stderr, "%s:%d: not so: %s: %s\n", __FILE__, __LINE__, #condition, db ? sqlite3_errmsg(db) : ""); abort(); } } while (0)

enum { COLUMNS_MAX = 23, DAMAGED_MAX = 256 };

static sqlite3 *db;
static sqlite3_stmt *inserts[ROWS_TABLES];
static char payloads[200];
static int64_t last[ROWS_TABLES]; /* ids of the rows put last, as far as they are small */
static bool marked;               /* a row said which ids are reserved */
static uint64_t damaged[DAMAGED_MAX];
static size_t damaged_count;
static bool wide;

/* ---- what fits where ---- */

struct sample {
	char type; /* i, t, b or n: NULL; c: the boot, and what is added to its clock beside what is, and the bytes behind that */
	const char *bytes;
	size_t len;
	int64_t number;
};

#define TEXT(literal) { 't', literal, sizeof literal - 1, 0 }
#define BLOB(literal) { 'b', literal, sizeof literal - 1, 0 }
#define NUMBER(n) { 'i', NULL, 0, n }
#define CLOCK(n) { 'c', "", 0, n }
#define CLOCK_AND(literal) { 'c', literal, sizeof literal - 1, 0 }
#define NOTHING { 'n', NULL, 0, 0 }
#define END { 0, NULL, 0, 0 }
#define REFERENCE(id) "\xd7\x01\0\0\0\0\0\0\0" id
#define DEEP8 "\x91\x91\x91\x91\x91\x91\x91\x91"

static const struct sample numbers[] = { NUMBER(0), NUMBER(1), NUMBER(2), NUMBER(3), NUMBER(-1), END };
static const struct sample durations[] = { NUMBER(0), NUMBER(1), NUMBER(1000), NUMBER(1000000), NUMBER(INT64_C(1000000000000000)), NUMBER(INT64_C(1000000000000001)), NUMBER(-1), END };
static const struct sample retains[] = { NUMBER(INT64_C(60000000)), NUMBER(0), NUMBER(INT64_C(1000000000000000)), NUMBER(-1), NUMBER(-1000000), END };
static const struct sample deadlines[] = { NUMBER(-1), NUMBER(0), NUMBER(INT64_C(60000000)), NUMBER(INT64_C(1000000000000000)), NUMBER(-2), END };
static const struct sample pool_names[] = { TEXT("shell"), TEXT("fn"), TEXT("thr"), TEXT("lua"), TEXT("one"), TEXT("shell-1"), TEXT("fn-1"), TEXT("gone"), TEXT(""), TEXT("a\0b"), TEXT("\xff\xfe"), NOTHING, END };
static const struct sample kinds[] = { TEXT("command"), TEXT("process"), TEXT("thread"), TEXT("interpreter"), TEXT("other"), NOTHING, END };
static const struct sample owners[] = { TEXT("uid:0"), TEXT("uid:4242"), TEXT("token:fuzz"), TEXT("cert:x"), TEXT("uid:4294967295"), TEXT("nobody"), TEXT(""), TEXT("token:\xff"), TEXT("uid:0x"), NOTHING, END };
static const struct sample functions[] = { TEXT("echo"), TEXT("f"), TEXT(""), TEXT("a\0b"), TEXT("\xc3"), BLOB("f"), NOTHING, END };
static const struct sample names[] = { NOTHING, TEXT("name"), TEXT("\xed\xa0\x80"), TEXT("a\0b"), BLOB("\x01\x02"), END };
static const struct sample tags[] = { BLOB(""), BLOB("\x92\xa1" "a\xa1" "b"), BLOB("\x90"), BLOB("\x91\xa1\xff"), BLOB("\xc1"), BLOB("\x92\xa1" "a"), BLOB("\x81\x01\x02"), BLOB("\x91\x01\x02"), NOTHING, END };
static const struct sample keywords[] = { BLOB(""), BLOB("\x81\xa1" "a\x01"), BLOB("\x80"), BLOB("\x90"), BLOB("\x81\xa1"), BLOB("\xc1"), BLOB("\x80\x80"), NOTHING, END };
static const struct sample runs[] = { BLOB(""), BLOB("\xa3" "cwd\xa1/"), BLOB("\xa3" "cwd"), BLOB("\xc1"), BLOB("\xa3" "cwd\xa1/\xa4" "nice\x05"), NOTHING, END };
static const struct sample environments[] = { BLOB("\x91\xa3" "A=b"), BLOB(""), BLOB("\x90"), BLOB("\x92\xa3" "A=b"), BLOB("\x80"), BLOB("\xc1"), NOTHING, END };
static const struct sample inputs[] = { BLOB(""), BLOB("in"), NOTHING, END };
static const struct sample arguments[] = { BLOB("\x91\xa1x"), BLOB("\x90"), BLOB("\x91" REFERENCE("\x01")), BLOB("\x92" REFERENCE("\x02") REFERENCE("\x01")), BLOB("\x91" REFERENCE("\x03")),
	BLOB("\x91" REFERENCE("\x63")), BLOB("\x91\xd7\x01\xff\xff\xff\xff\xff\xff\xff\xff"), BLOB("\xc1"), BLOB("\x92\x01"), BLOB(""), BLOB("\xdd\x7f\xff\xff\xff"), BLOB("\x01"), BLOB("\x91\x01\x02"), BLOB("\x81\x01\x02"),
	BLOB("\x91" DEEP8 DEEP8 DEEP8 DEEP8 DEEP8 "\x01"), BLOB("\x92\x01\xd7\x01\0\0"), BLOB("\x92\xc1\xd7" REFERENCE("\x01")), NOTHING, END };
static const struct sample values[] = { BLOB("\x83\xa4" "exit\0\xa6" "stdout\xc4\x02hi\xa6" "stderr\xc4\0"), BLOB("\xc0"), BLOB("\x91\x01"), BLOB("\x82\xa4" "type\xaaValueError\xa7" "message\xa1m"),
	BLOB("\x84\xa4" "type\xaf" "DependencyError\xa7" "message\xa1m\xa6" "future\x01\xa5" "cause\x82\xa4" "type\xa1" "E\xa7" "message\xa1m"), BLOB("\x83\xa4" "exit\0\xa6" "stdout\xc4\x7fhi"),
	BLOB("\x82\xa4" "type\x01\xa7" "message\xa1m"), BLOB("\x81\xa7" "message\xa1m"), BLOB("\xa2" "ok"), BLOB("\xc4\x02ok"), BLOB("\xc1"), BLOB("\xdd\x7f\xff\xff\xff"), BLOB("\x93\x01"), BLOB("\xc0\xc0"),
	BLOB(DEEP8 DEEP8 DEEP8 DEEP8 DEEP8 "\x01"), BLOB(""), NOTHING, END };
static const struct sample usages[] = { BLOB(""), BLOB("\x81\xa5utime\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a"), BLOB("\xc1"), BLOB("\x81\xa5utime"), BLOB("\x01"), NOTHING, END };
static const struct sample states[] = { TEXT("FINISHED"), TEXT("CANCELLED"), TEXT("PENDING"), TEXT("RUNNING"), TEXT(""), TEXT("finished"), END };
static const struct sample gates[] = { TEXT("[1]"), TEXT("[1,2]"), TEXT("[2]"), TEXT("[3,1,1]"), TEXT("[-1,2]"), TEXT("[-99]"), TEXT("[-0]"), TEXT("[--1]"), TEXT("[1,-9007199254740992]"), TEXT("[99]"), TEXT("[]"), TEXT(""), TEXT("[0]"), TEXT("[-1]"), TEXT("[18446744073709551615,1]"), TEXT("[1,"), TEXT("1,2"), TEXT("[1 ,2]"),
	TEXT("[1,99999999999999999999999]"), TEXT("[1\0,2]"), BLOB("[1]"), NOTHING, END };
static const struct sample keys[] = { TEXT("k"), TEXT("l"), TEXT(""), TEXT("a\0b"), BLOB("\xff"), NOTHING, END };
static const struct sample opened[] = { BLOB("\x84\xa4like\xa5shell\xa5owner\xa5uid:0\xa7workers\x02\xa9max_tasks\0"), BLOB("\x82\xa4like\xa2" "fn\xa5owner\xa5uid:0"),
	BLOB("\x86\xa4like\xa2" "fn\xa5owner\xa5uid:0\xa7workers\x01\xa7" "command\x92\xc4\x02/x\xc4\x01y\xa3" "env\x91\xc4\x03" "A=b\xa3" "cwd\xc4\x01/"),
	BLOB("\x84\xa4like\xa3thr\xa5owner\xa5uid:0\xabinitializer\xa1" "f\xa8initargs\x91\x01"), BLOB("\x83\xa4like\xa5shell\xa5owner\xa5uid:0\xa7workers\xce\xff\xff\xff\xff"),
	BLOB("\x83\xa4like\xa5shell\xa5owner\xa5uid:0\xa7workers\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), BLOB("\x83\xa4like\xa2" "fn\xa5owner\xa5uid:0\xa7" "command\xdd\x7f\xff\xff\xff"),
	BLOB("\x84\xa4like\xa2" "fn\xa5owner\xa5uid:0\xa7" "command\x91\xa1/\xa7" "command\x90"), BLOB("\x83\xa4like\xa2" "fn\xa5owner\xa5uid:0\xa7" "command\x92\xa1/"), BLOB("\x81\xa4like\xa6nosuch"),
	BLOB("\x82\xa4like\xa7shell-1\xa5owner\xa5uid:0"), BLOB("\x83\xa4like\xa3thr\xa5owner\xa5uid:0\xa8initargs\xc1"), BLOB("\x84\xa4like\xa2" "fn\xa5owner\xa5uid:0\xabinitializer\xa1" "a\xabinitializer\xa1" "b"),
	BLOB(""), BLOB("\xc1"), BLOB("\x80"), NOTHING, BLOB("\x83\xa4like\xa2" "fn\xa5owner\xa5uid:0\xa6" "closed\xc3"), BLOB("\x84\xa4like\xa5shell\xa5owner\xa5uid:0\xa6" "closed\xc3\xaa" "cancelling\xc3"),
	BLOB("\x83\xa4like\xa2" "fn\xa5owner\xa5uid:0\xaa" "cancelling\xc3"), BLOB("\x83\xa4like\xa2" "fn\xa5owner\xa5uid:0\xa6" "closed\x01"), BLOB("\x83\xa4like\xa2" "fn\xa5owner\xa5uid:0\xa5other\x91\x01"),
	BLOB("\x82\xa4like\xa0\xa5owner\xa5uid:0"), END };
static const struct sample pools_opened[] = { TEXT("shell-1"), TEXT("fn-1"), TEXT("shell"), TEXT(""), TEXT("a\0b"), TEXT("\xff"), NOTHING, END };
static const struct sample instances[] = { TEXT("0123456789abcdef0123456789abcdef"), TEXT(""), TEXT("\xff"), TEXT("0123456789abcdef0123456789abcdef0123"), NOTHING,
	CLOCK(0), CLOCK(3600000000), CLOCK(-3600000000), CLOCK(INT64_C(-4000000000000000)), CLOCK(INT64_C(1) << 55), CLOCK(INT64_C(1) << 60), TEXT("other 5"), TEXT(" "), CLOCK_AND("x"), CLOCK_AND("\0"), CLOCK_AND("000000000000"), END };
static const struct sample sums[] = { BLOB(""), NUMBER(7), TEXT("x"), END }; /* of an empty one: see fill_sums */
static const struct sample cuts[] = { NUMBER(0), NUMBER(5), NUMBER(-1), NUMBER(INT64_MAX), NUMBER(INT64_MAX / 2), TEXT("x"), NOTHING, END };
static const struct sample workers[] = { NUMBER(0), NUMBER(1), NUMBER(2), NUMBER(3), NUMBER(1024), NUMBER(1025), NUMBER(-1), NUMBER((INT64_C(1) << 32) + 2), NOTHING, END };
static const struct sample words[] = { TEXT("next_id"), TEXT("instance"), TEXT("other"), NOTHING, TEXT("clock"), END };

static const struct column {
	const char *name;
	const struct sample *samples; /* the first is what there usually is; NULL: see `own` */
	char own;                     /* i: the row's number; s, g, t: that of the last spec, gate, task; n: a time, now; l: what a slot holds; #: the checksum; d: of `daemon` */
} columns[ROWS_TABLES][COLUMNS_MAX + 1] = {
	[ROWS_SPECS] = { { "id", NULL, 'i' }, { "pool", pool_names, 0 }, { "kind", kinds, 0 }, { "owner", owners, 0 }, { "fn", functions, 0 }, { "name", names, 0 }, { "tags", tags, 0 }, { "kwargs", keywords, 0 },
		{ "run", runs, 0 }, { "opened", numbers, 0 }, { "run_pairs", numbers, 0 }, { "env", environments, 0 }, { "stdin", inputs, 0 }, { "stdin_kind", numbers, 0 }, { "stdin_future", numbers, 0 },
		{ "priority", numbers, 0 }, { "retries", numbers, 0 }, { "timeout_us", durations, 0 }, { "deadline_us", deadlines, 0 }, { "delay_us", durations, 0 }, { "retry_delay_us", durations, 0 },
		{ "retain_us", retains, 0 }, { "sum", NULL, '#' } },
	[ROWS_TASKS] = { { "id", NULL, 'i' }, { "spec", NULL, 's' }, { "submitted_us", NULL, 'n' }, { "args", arguments, 0 }, { "args_file", names, 0 }, { "gate", numbers, 0 }, { "attempt", numbers, 0 },
		{ "not_before_us", numbers, 0 }, { "let_go", numbers, 0 }, { "killed", numbers, 0 }, { "sum", NULL, '#' }, { "fed", numbers, 0 } },
	[ROWS_RESULTS] = { { "id", NULL, 't' }, { "state", states, 0 }, { "attempt", numbers + 1, 0 }, { "started_us", NULL, 'n' }, { "finished_us", NULL, 'n' }, { "failed", numbers, 0 }, { "seen", numbers, 0 },
		{ "value", values, 0 }, { "value_file", names, 0 }, { "rusage", usages, 0 }, { "sum", sums, '#' } },
	[ROWS_OUTPUTS] = { { "id", NULL, 't' }, { "stream", numbers, 0 }, { "bytes", inputs + 1, 0 }, { "cut", cuts, 0 } },
	[ROWS_GATES] = { { "id", NULL, 'i' }, { "ids", gates, 0 }, { "passed_us", numbers, 0 } },
	[ROWS_KEYS] = { { "first", NULL, 't' }, { "count", numbers + 1, 0 }, { "owner", owners, 0 }, { "key", keys, 0 } },
	[ROWS_POOLS] = { { "id", NULL, 'i' }, { "name", pools_opened, 0 }, { "what", opened, 0 } },
	[ROWS_SENT] = { { "host", NULL, 'h' }, { "slot", numbers, 0 }, { "tasks", NULL, 'l' } },
	[ROWS_DAEMON] = { { "name", words, 0 }, { "value", instances, 0 } },
	[ROWS_BY_HAND] = { { "pool", pool_names, 0 }, { "paused_us", NULL, 'n' }, { "paused_by", owners, 0 }, { "workers", workers, 0 }, { "configured", workers, 0 } },
};
static const char *const tables[ROWS_TABLES] = { "specs", "tasks", "results", "outputs", "gates", "keys", "pools", "sent", "daemon", "by_hand" };

static const int64_t edges[] = { 0, 1, -1, 2, 127, 255, 256, 1024, 10000, 10001, 32767, 32768, 65535, 65536, 65537, 1000000, INT32_MAX, INT32_MIN, UINT32_MAX, INT64_C(1) << 32, INT64_C(1) << 33, INT64_C(1) << 40,
	(INT64_C(1) << 53) - 1, INT64_C(1) << 53, INT64_C(1) << 56, INT64_MAX, INT64_MAX - 1, INT64_MIN, INT64_MIN + 1 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

static unsigned
count_columns(unsigned table)
{
	unsigned n = 0;
	while (columns[table][n].name)
		n++;
	return n;
}

/* ---- checksums ---- */

static struct sum_text
text_of(sqlite3_value *v)
{
	const void *at = sqlite3_value_blob(v);
	return (struct sum_text){ at, (size_t)sqlite3_value_bytes(v) };
}

/* A payload that is in a file; good until the next call, nothing where there is none. */
static struct sum_text
file_of(uint64_t id, unsigned pad)
{
	char path[300];
	static uint8_t data[65536];

	snprintf(path, sizeof path, "%s/%llu.args", payloads, (unsigned long long)id);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, data, sizeof data) : -1;
	if (fd >= 0)
		close(fd);
	return (struct sum_text){ data + pad, n > (ssize_t)pad ? (size_t)n - pad : 0 };
}

/* (id, spec, gate, args, args_file) */
static void
task_sum(sqlite3_context *c, int n, sqlite3_value **v)
{
	uint64_t id = (uint64_t)sqlite3_value_int64(v[0]);
	bool filed = sqlite3_value_type(v[4]) != SQLITE_NULL;
	struct sum_text args = filed ? file_of(id, (unsigned)sqlite3_value_int(v[4]) % PAYLOAD_PAGE) : text_of(v[3]);
	(void)n;

	sqlite3_result_int64(c, sum_task(id, (uint64_t)sqlite3_value_int64(v[1]), (uint64_t)sqlite3_value_int64(v[2]), args.at, args.len));
}

/* (id, state, failed, value, value_file, rusage) */
static void
result_sum(sqlite3_context *c, int n, sqlite3_value **v)
{
	const char *state = (const char *)sqlite3_value_text(v[1]);
	struct sum_text value = sqlite3_value_type(v[4]) == SQLITE_NULL ? text_of(v[3]) : (struct sum_text){ NULL, PAYLOAD_LARGE };
	(void)n;

	sqlite3_result_int64(c, sum_result((uint64_t)sqlite3_value_int64(v[0]), state ? state : "", sqlite3_value_int(v[2]), value, text_of(v[5])));
}

/* (pool, owner, fn, kwargs, run, env, stdin, run_pairs, stdin_kind, stdin_future, retries) */
static void
spec_sum(sqlite3_context *c, int n, sqlite3_value **v)
{
	struct sum_text texts[SUM_SPEC_TEXTS];
	(void)n;

	for (int i = 0; i < SUM_SPEC_TEXTS; i++)
		texts[i] = text_of(v[i]);
	sqlite3_result_int64(c, sum_spec(texts, (uint32_t)sqlite3_value_int64(v[7]), sqlite3_value_int(v[8]), (uint64_t)sqlite3_value_int64(v[9]),
	    (uint32_t)sqlite3_value_int64(v[10])));
}

/* ---- rows ---- */

static void
execute(const char *sql)
{
	MUST(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
}

void
rows_be_fast(void)
{
	sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

void
rows_payloads_in(const char *directory)
{
	snprintf(payloads, sizeof payloads, "%s", directory);
}

void
rows_open(const char *path)
{
	MUST(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK);
	execute("PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = OFF; BEGIN IMMEDIATE");
	MUST(sqlite3_create_function(db, "task_sum", 5, SQLITE_UTF8, NULL, task_sum, NULL, NULL) == SQLITE_OK);
	MUST(sqlite3_create_function(db, "spec_sum", 11, SQLITE_UTF8, NULL, spec_sum, NULL, NULL) == SQLITE_OK);
	MUST(sqlite3_create_function(db, "result_sum", 6, SQLITE_UTF8, NULL, result_sum, NULL, NULL) == SQLITE_OK);
	memset(last, 0, sizeof last);
	marked = false;
	damaged_count = 0;
}

/* Bytes of a row that are yet to be read: past the end they are zeroes. */
struct source {
	const uint8_t *at;
	size_t len;
};

static uint8_t
take(struct source *s)
{
	uint8_t b = s->len ? *s->at : 0;
	s->at += s->len != 0;
	s->len -= s->len != 0;
	return b;
}

static int64_t
now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void
bind_clock(sqlite3_stmt *s, int at, const struct sample *v)
{
	char text[160];
	int n = snprintf(text, sizeof text, "%s %lld", clock_boot(), (long long)(clock_stored_offset() + v->number));

	memcpy(text + n, v->bytes, v->len);
	n += (int)v->len;
	sqlite3_bind_text(s, at, text, n, SQLITE_TRANSIENT);
}

static void
bind_sample(sqlite3_stmt *s, int at, const struct sample *v)
{
	if (v->type == 'c')
		bind_clock(s, at, v);
	else if (v->type == 'i')
		sqlite3_bind_int64(s, at, v->number);
	else if (v->type == 't')
		sqlite3_bind_text(s, at, v->bytes, (int)v->len, SQLITE_STATIC);
	else if (v->type == 'b')
		sqlite3_bind_blob(s, at, v->bytes, (int)v->len, SQLITE_STATIC);
	else
		sqlite3_bind_null(s, at);
}

/* What the first slot holds: the last task, in its first entry, as its first attempt. */
static void
bind_held(sqlite3_stmt *s, int at)
{
	struct {
		uint64_t id;
		uint32_t attempt, entry;
	} held = { .id = (uint64_t)last[ROWS_TASKS], .attempt = 1 };
	sqlite3_bind_blob(s, at, &held, sizeof held, SQLITE_TRANSIENT);
}

static void
bind_usual(sqlite3_stmt *s, unsigned table, int at)
{
	const struct column *c = &columns[table][at - 1];

	switch (c->own) {
	case 'i': sqlite3_bind_int64(s, at, last[table] + 1); break;
	case 's': sqlite3_bind_int64(s, at, last[ROWS_SPECS]); break;
	case 't': sqlite3_bind_int64(s, at, last[ROWS_TASKS]); break;
	case 'n': sqlite3_bind_int64(s, at, now_us()); break;
	case 'h': sqlite3_bind_int64(s, at, ROWS_HOST); break;
	case 'l': bind_held(s, at); break;
	case '#': sqlite3_bind_null(s, at); break; /* see fill_sums */
	default: bind_sample(s, at, c->samples); break;
	}
}

static void
bind_sample_of(sqlite3_stmt *s, const struct column *c, int at, unsigned which)
{
	unsigned count = 0;

	while (c->samples && c->samples[count].type)
		count++;
	if (count)
		bind_sample(s, at, &c->samples[which % count]);
	else
		sqlite3_bind_int64(s, at, which % 8);
}

static void
bind_bytes(sqlite3_stmt *s, int at, struct source *from, bool text)
{
	size_t len = take(from);

	if (len > from->len)
		len = from->len;
	if (text)
		sqlite3_bind_text(s, at, (const char *)from->at, (int)len, SQLITE_TRANSIENT);
	else
		sqlite3_bind_blob(s, at, from->at, (int)len, SQLITE_TRANSIENT);
	from->at += len;
	from->len -= len;
}

static int64_t
take_large(struct source *from)
{
	uint64_t n = 0;
	for (int i = 0; i < 8; i++)
		n |= (uint64_t)take(from) << 8 * i;
	return (int64_t)n;
}

static void
bind_value(sqlite3_stmt *s, const struct column *c, int at, struct source *from)
{
	static char letters[64 * 255];

	switch (take(from) % ROWS_VALUES) {
	case ROWS_NULL: sqlite3_bind_null(s, at); break;
	case ROWS_SMALL: sqlite3_bind_int64(s, at, (int8_t)take(from)); break;
	case ROWS_LARGE: sqlite3_bind_int64(s, at, take_large(from)); break;
	case ROWS_EDGE: sqlite3_bind_int64(s, at, edges[take(from) % COUNT(edges)]); break;
	case ROWS_TEXT: bind_bytes(s, at, from, true); break;
	case ROWS_BLOB: bind_bytes(s, at, from, false); break;
	case ROWS_SAMPLE: bind_sample_of(s, c, at, take(from)); break;
	case ROWS_LONG:
		memset(letters, 'x', sizeof letters);
		sqlite3_bind_text(s, at, letters, 64 * take(from), SQLITE_STATIC);
		break;
	case ROWS_TIME: sqlite3_bind_int64(s, at, now_us() + (int8_t)take(from) * INT64_C(1000000)); break;
	case ROWS_REAL: sqlite3_bind_double(s, at, (double)edges[take(from) % COUNT(edges)] * 1.5); break;
	}
}

static sqlite3_stmt *
insert_into(unsigned table)
{
	char sql[160];
	int n = snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO %s VALUES (?", tables[table]);

	if (inserts[table])
		return inserts[table];
	for (unsigned i = 1; i < count_columns(table); i++)
		n += snprintf(sql + n, sizeof sql - (size_t)n, ",?");
	snprintf(sql + n, sizeof sql - (size_t)n, ")");
	MUST(sqlite3_prepare_v2(db, sql, -1, &inserts[table], NULL) == SQLITE_OK);
	return inserts[table];
}

/* The next row's usual number follows this one's, unless that is far away. */
static void
note_last(unsigned table)
{
	int64_t id = sqlite3_last_insert_rowid(db);
	if (id > last[table] && id < 1000)
		last[table] = id;
}

void
rows_put(unsigned table, const uint8_t *data, size_t len)
{
	struct source from = { data, len };

	table %= ROWS_TABLES;
	sqlite3_stmt *s = insert_into(table);
	unsigned count = count_columns(table);
	for (unsigned i = 0; i < count; i++)
		bind_usual(s, table, (int)i + 1);
	while (from.len) {
		unsigned at = take(&from) % count;
		bind_value(s, &columns[table][at], (int)at + 1, &from);
	}
	if (sqlite3_step(s) == SQLITE_DONE) /* else it cannot be there */
		note_last(table);
	sqlite3_reset(s);
	marked |= table == ROWS_DAEMON; /* perhaps */
}

/* ---- the end ---- */

#define TASK_SUM "task_sum(t.id, t.spec, t.gate, t.args, t.args_file)"
#define SPEC_SUM "spec_sum(s.pool, s.owner, s.fn, s.kwargs, s.run, s.env, s.stdin, s.run_pairs, s.stdin_kind, s.stdin_future, s.retries)"

#define RESULT_SUM "result_sum(r.id, r.state, r.failed, r.value, r.value_file, r.rusage)"

static void
fill_sums(void)
{
	execute("UPDATE specs AS s SET sum = " SPEC_SUM " WHERE sum IS NULL");
	execute("UPDATE tasks AS t SET sum = " TASK_SUM " WHERE sum IS NULL");
	execute("UPDATE results AS r SET sum = " RESULT_SUM " WHERE sum IS NULL");
	execute("UPDATE results SET sum = NULL WHERE sum = x''"); /* as earlier daemons' were */
	if (!marked)
		execute("UPDATE daemon SET value = max(value, (SELECT coalesce(max(id), 0) + 1 FROM tasks WHERE typeof(id) = 'integer' AND id < 1000)) WHERE name = 'next_id'");
}

/* Calls `each` with the first column of every row, until it says no. */
static void
read_rows(const char *sql, bool (*each)(sqlite3_stmt *s))
{
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK)
		while (sqlite3_step(s) == SQLITE_ROW && each(s))
			;
	sqlite3_finalize(s);
}

static bool
note_damaged(sqlite3_stmt *s)
{
	damaged[damaged_count++] = (uint64_t)sqlite3_column_int64(s, 0);
	return damaged_count < DAMAGED_MAX;
}

static bool
note_wide(sqlite3_stmt *s)
{
	int64_t least = sqlite3_column_int64(s, 0), most = sqlite3_column_int64(s, 1), mark = sqlite3_column_int64(s, 2);

	if (mark > most)
		most = mark;
	wide = least > 0 && most > least && most - least > (INT64_C(1) << 28) && most - least <= (INT64_C(1) << 36);
	return false;
}

static void
look(void)
{
	damaged_count = 0;
	read_rows("SELECT min(id), max(id), (SELECT max(value) FROM daemon WHERE name = 'next_id' AND typeof(value) = 'integer') FROM tasks WHERE typeof(id) = 'integer' AND id > 0", note_wide);
	read_rows("SELECT t.id FROM tasks t LEFT JOIN specs s ON s.id = cast(t.spec AS INTEGER) WHERE (t.sum IS NOT " TASK_SUM " OR s.sum IS NOT " SPEC_SUM ")"
		  " AND NOT EXISTS (SELECT 1 FROM results r WHERE r.id = t.id)"
		  " UNION ALL SELECT r.id FROM results r WHERE r.sum <> " RESULT_SUM " AND r.state IS NOT NULL", note_damaged);
}

void
rows_close(bool logged)
{
	fill_sums();
	execute("COMMIT");
	look();
	for (int i = 0; i < ROWS_TABLES; i++) {
		sqlite3_finalize(inserts[i]);
		inserts[i] = NULL;
	}
	sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, (int)logged, NULL);
	MUST(sqlite3_close(db) == SQLITE_OK);
	db = NULL;
}

bool
rows_is_damaged(uint64_t id)
{
	for (size_t i = 0; i < damaged_count; i++)
		if (damaged[i] == id)
			return true;
	return false;
}

bool
rows_are_wide(void)
{
	return wide;
}

/* ---- other files ---- */

void
rows_make_loose(const char *path)
{
	char sql[600];

	rows_open(path);
	execute("DROP VIEW futures");
	for (unsigned table = 0; table < ROWS_TABLES; table++) {
		int n = snprintf(sql, sizeof sql, "ALTER TABLE %s RENAME TO old; CREATE TABLE %s (%s", tables[table], tables[table], columns[table][0].name);
		for (unsigned i = 1; i < count_columns(table); i++)
			n += snprintf(sql + n, sizeof sql - (size_t)n, ", %s", columns[table][i].name);
		snprintf(sql + n, sizeof sql - (size_t)n, "); INSERT INTO %s SELECT * FROM old; DROP TABLE old", tables[table]);
		execute(sql);
	}
	rows_close(false);
}

static uint64_t counted;

static bool
count_row(sqlite3_stmt *s)
{
	counted += (uint64_t)sqlite3_column_int64(s, 0);
	return true;
}

uint64_t
rows_count(const char *path)
{
	counted = 0;
	MUST(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK);
	read_rows("SELECT count(*) FROM specs WHERE id <> 0 UNION ALL SELECT count(*) FROM tasks UNION ALL SELECT count(*) FROM results UNION ALL SELECT count(*) FROM outputs"
		  " UNION ALL SELECT count(*) FROM gates UNION ALL SELECT count(*) FROM keys UNION ALL SELECT count(*) FROM sent", count_row);
	MUST(sqlite3_close(db) == SQLITE_OK);
	db = NULL;
	return counted;
}
