/* The log: one line per event, with a level, a subsystem and the ids that let one follow a story. To stderr, as text or JSON; or, where stderr is the
 * systemd journal, to the journal itself, with the ids as fields.
 * The function that decides what to do about an error logs it, once. No secrets, no payloads; control
 * characters are made visible, so one event is one line. */
#ifndef FUTURED_DAEMON_LOG_H
#define FUTURED_DAEMON_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* What an event is about; zero bytes mean nothing said. Borrowed. */
struct log_about {
	uint64_t future, conn;
	int64_t worker;        /* its pid */
	const char *pool;
	const char *state;     /* that a future has come to */
	const int64_t *exit;   /* exit code */
	const uint64_t *us;    /* how long it took */
	const uint32_t *uid;   /* of the client */
};

/* "error", "warn", "info" or "debug"; anything else is info. */
enum log_level log_level_find(const char *name);
void log_set_level(enum log_level level);
/* Lines for stderr are JSON objects from now on, or text. */
void log_set_json(bool json);
/* Finds out whether stderr is the journal. */
void log_init(void);
bool log_is_wanted(enum log_level level);
void log_line(enum log_level level, const char *subsystem, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void log_about(enum log_level level, const char *subsystem, const struct log_about *about, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
