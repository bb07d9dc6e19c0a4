#include "daemon/rows.h"

#include <stdio.h>
#include <string.h>

#include "daemon/future.h"
#include "daemon/payload.h"
#include "daemon/replay.h"
#include "daemon/sum.h"
#include "proto/board.h"

bool
rows_complain(sqlite3 *db, char *why, size_t size)
{
	int code = sqlite3_errcode(db), number = sqlite3_system_errno(db);
	bool system = (code == SQLITE_IOERR || code == SQLITE_CANTOPEN) && number;

	snprintf(why, size, "%s%s%s", sqlite3_errmsg(db), system ? ": " : "", system ? strerror(number) : "");
	return false;
}

static struct replay_text
column(sqlite3_stmt *s, int at)
{
	if (sqlite3_column_type(s, at) == SQLITE_NULL)
		return (struct replay_text){ .at = NULL };
	const void *data = sqlite3_column_blob(s, at);
	return (struct replay_text){ .at = data ? data : "", .len = (size_t)sqlite3_column_bytes(s, at) };
}

/* What is no such number is the highest. */
static uint32_t
column_small(sqlite3_stmt *s, int at)
{
	int64_t value = sqlite3_column_int64(s, at);
	return value >= 0 && value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

/* Calls `each` for every row. */
static bool
read_rows(sqlite3 *db, const char *sql, struct replay *to, bool (*each)(sqlite3_stmt *s, struct replay *to), char *why, size_t size)
{
	sqlite3_stmt *s = NULL;
	int result = sqlite3_prepare_v2(db, sql, -1, &s, NULL);

	if (result == SQLITE_OK) {
		while ((result = sqlite3_step(s)) == SQLITE_ROW) {
			if (!each(s, to)) {
				snprintf(why, size, "out of memory");
				sqlite3_finalize(s);
				return false;
			}
		}
	}
	bool good = result == SQLITE_DONE || rows_complain(db, why, size);
	sqlite3_finalize(s);
	return good;
}

static bool
read_daemon(sqlite3_stmt *s, struct replay *to)
{
	const char *name = (const char *)sqlite3_column_text(s, 0);
	if (name && strcmp(name, "next_id") == 0 && sqlite3_column_type(s, 1) == SQLITE_INTEGER)
		replay_ids(to, (uint64_t)sqlite3_column_int64(s, 1));
	else if (name && strcmp(name, "instance") == 0 && sqlite3_column_type(s, 1) == SQLITE_TEXT)
		replay_instance(to, column(s, 1));
	else if (name && strcmp(name, "clock") == 0 && sqlite3_column_type(s, 1) == SQLITE_TEXT)
		replay_clock(to, column(s, 1));
	return true;
}

static bool
read_pool(sqlite3_stmt *s, struct replay *to)
{
	return replay_pool(to, (uint64_t)sqlite3_column_int64(s, 0), column(s, 1), column(s, 2));
}

static bool
read_by_hand(sqlite3_stmt *s, struct replay *to)
{
	return replay_by_hand(to, column(s, 0), sqlite3_column_int64(s, 1), column(s, 2), column_small(s, 3), column_small(s, 4));
}

static struct sum_text
text_of(struct replay_text t)
{
	return (struct sum_text){ t.at, t.len };
}

static bool
read_spec(sqlite3_stmt *s, struct replay *to)
{
	struct replay_spec spec = {
		.row = (uint64_t)sqlite3_column_int64(s, 0), .pool = column(s, 1), .kind = column(s, 2), .owner = column(s, 3), .fn = column(s, 4),
		.name = column(s, 5), .tags = column(s, 6), .kwargs = column(s, 7), .run = column(s, 8),
		.opened = (enum replay_opened)sqlite3_column_int(s, 9),
		.run_pairs = column_small(s, 10), .env = column(s, 11), .stdin_bytes = column(s, 12),
		.stdin_kind = sqlite3_column_int(s, 13), .stdin_future = (uint64_t)sqlite3_column_int64(s, 14),
		.priority = sqlite3_column_int(s, 15), .retries = column_small(s, 16),
		.timeout_us = (uint64_t)sqlite3_column_int64(s, 17), .deadline_us = (uint64_t)sqlite3_column_int64(s, 18),
		.delay_us = (uint64_t)sqlite3_column_int64(s, 19), .retry_delay_us = (uint64_t)sqlite3_column_int64(s, 20),
		.retain_us = (uint64_t)sqlite3_column_int64(s, 21),
	};
	struct sum_text texts[] = { text_of(spec.pool), text_of(spec.owner), text_of(spec.fn), text_of(spec.kwargs), text_of(spec.run), text_of(spec.env),
		text_of(spec.stdin_bytes) };
	spec.damaged = sqlite3_column_int64(s, 22) != sum_spec(texts, spec.run_pairs, spec.stdin_kind, spec.stdin_future, spec.retries);
	return replay_spec(to, &spec);
}

static bool
read_gate(sqlite3_stmt *s, struct replay *to)
{
	return replay_gate(to, (uint64_t)sqlite3_column_int64(s, 0), column(s, 1), sqlite3_column_int64(s, 2));
}

static bool
read_sent(sqlite3_stmt *s, struct replay *to)
{
	struct note_sent sent[BOARD_ENTRIES];
	struct replay_text t = column(s, 2);
	size_t count = t.len / sizeof *sent;

	if (count > BOARD_ENTRIES)
		count = BOARD_ENTRIES;
	if (count)
		memcpy(sent, t.at, count * sizeof *sent);
	return replay_sent(to, (uint64_t)sqlite3_column_int64(s, 0), (uint32_t)sqlite3_column_int64(s, 1), sent, count);
}

/* Where the payload is in a file: that. False if it is not there. */
static bool
read_payload(sqlite3_stmt *s, int at, uint64_t id, enum payload_kind kind, struct bytes *out, const struct bytes **told)
{
	if (sqlite3_column_type(s, at) == SQLITE_NULL)
		return true;
	if (!payload_read(id, kind, (unsigned)sqlite3_column_int(s, at) % PAYLOAD_PAGE, out))
		return false;
	*told = out;
	return true;
}

static bool
read_task(sqlite3_stmt *s, struct replay *to)
{
	struct replay_task t = {
		.id = (uint64_t)sqlite3_column_int64(s, 0), .spec = (uint64_t)sqlite3_column_int64(s, 1), .submitted = sqlite3_column_int64(s, 2),
		.args = column(s, 3), .gate = (uint64_t)sqlite3_column_int64(s, 4), .attempt = column_small(s, 5),
		.not_before = sqlite3_column_int64(s, 6), .let_go = sqlite3_column_int(s, 7), .killed = sqlite3_column_int(s, 19), .fed = sqlite3_column_int(s, 21),
		.final = sqlite3_column_type(s, 9) != SQLITE_NULL,
	};
	struct bytes args = { .len = 0 }, value = { .len = 0 };
	bool there = read_payload(s, 17, t.id, PAYLOAD_ARGS, &args, &t.args_bytes);
	const void *data = t.args_bytes ? (const void *)bytes_data(&args) : t.args.at;
	t.damaged = !there || (!t.final && sqlite3_column_int64(s, 8) != sum_task(t.id, t.spec, t.gate, data, t.args_bytes ? bytes_len(&args) : t.args.len));
	if (t.final) {
		const char *state = (const char *)sqlite3_column_text(s, 9);
		t.state = state && strcmp(state, "CANCELLED") == 0 ? FUTURE_CANCELLED : FUTURE_FINISHED;
		t.attempt = column_small(s, 10);
		t.started = sqlite3_column_int64(s, 11);
		t.finished = sqlite3_column_int64(s, 12);
		t.failed = sqlite3_column_int(s, 13);
		t.seen = sqlite3_column_int(s, 14);
		t.value = column(s, 15);
		t.rusage = column(s, 16);
		bool filed = sqlite3_column_type(s, 18) != SQLITE_NULL;
		t.value_lost = !read_payload(s, 18, t.id, PAYLOAD_VALUE, &value, &t.value_bytes);
		t.value_damaged = sqlite3_column_type(s, 20) != SQLITE_NULL && sqlite3_column_int64(s, 20) !=
		    sum_result(t.id, state ? state : "", t.failed, (struct sum_text){ t.value.at, filed ? PAYLOAD_LARGE : t.value.len }, text_of(t.rusage));
	}
	bool good = replay_task(to, &t);
	bytes_drop(&args);
	bytes_drop(&value);
	return good;
}

static bool
read_output(sqlite3_stmt *s, struct replay *to)
{
	return replay_output(to, (uint64_t)sqlite3_column_int64(s, 0), sqlite3_column_int(s, 1), column(s, 2), (uint64_t)sqlite3_column_int64(s, 3));
}

static bool
read_key(sqlite3_stmt *s, struct replay *to)
{
	return replay_key(to, (uint64_t)sqlite3_column_int64(s, 0), (uint64_t)sqlite3_column_int64(s, 1), column(s, 2), column(s, 3));
}

bool
rows_replay(sqlite3 *db, struct replay *to, char *why, size_t size)
{
	return read_rows(db, "SELECT name, value FROM daemon", to, read_daemon, why, size) &&
	    read_rows(db, "SELECT id, name, what FROM pools ORDER BY id", to, read_pool, why, size) &&
	    read_rows(db, "SELECT * FROM specs", to, read_spec, why, size) &&
	    read_rows(db, "SELECT pool, paused_us, paused_by, workers, configured FROM by_hand", to, read_by_hand, why, size) &&
	    read_rows(db, "SELECT id, ids, passed_us FROM gates", to, read_gate, why, size) &&
	    read_rows(db, "SELECT host, slot, tasks FROM sent", to, read_sent, why, size) &&
	    read_rows(db, "SELECT t.id, spec, submitted_us, args, gate, t.attempt, not_before_us, let_go, t.sum, r.state, r.attempt, r.started_us,"
		      " r.finished_us, r.failed, r.seen, r.value, r.rusage, args_file, value_file, killed, r.sum, fed FROM tasks t LEFT JOIN results r ON r.id = t.id"
		      " ORDER BY t.id", to, read_task, why, size) &&
	    read_rows(db, "SELECT id, stream, bytes, cut FROM outputs", to, read_output, why, size) &&
	    read_rows(db, "SELECT first, count, owner, key FROM keys", to, read_key, why, size);
}
