/* The log: one line per event to stderr, with a level, a subsystem and the ids that let one follow a story.
 * The function that decides what to do about an error logs it, once. No secrets, no payloads; control
 * characters are made visible, so one event is one line. */
#ifndef FUTURED_DAEMON_LOG_H
#define FUTURED_DAEMON_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* "error", "warn", "info" or "debug"; anything else is info. */
enum log_level log_level_find(const char *name);
void log_set_level(enum log_level level);
void log_line(enum log_level level, const char *subsystem, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
