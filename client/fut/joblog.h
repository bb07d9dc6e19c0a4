/* The joblog of map: a line for each item that was run, in GNU parallel's format, written as soon as it is known; and going on where
 * an earlier one ended.
 *
 *	Seq  Host  Starttime  JobRuntime  Send  Receive  Exitval  Signal  Command
 *
 * Host is the pool. Control characters in a command are made visible, so that a line is a line. */
#ifndef FUT_JOBLOG_H
#define FUT_JOBLOG_H

#include "client/fut/fut.h"

struct joblog;

/* With `resume` the file's lines are read first and it is added to; else it is begun anew. NULL: said. */
struct joblog *joblog_open(struct fut *f, const char *path, const char *pool, bool resume);
void joblog_free(struct joblog *log);
enum joblog_known {
	JOBLOG_UNKNOWN, /* not there, or not well */
	JOBLOG_WELL,    /* it went well */
	JOBLOG_OTHER,   /* another command was run as this number: said */
};
enum joblog_known joblog_known(const struct joblog *log, uint64_t number, const char *command);
/* A future is done: its line is written once the daemon has said when it ran. `command` is copied. One that never began has none. */
void joblog_done(struct joblog *log, uint64_t number, uint64_t id, const char *command, const struct futured_reply *outcome);
/* How many lines are not written yet. */
size_t joblog_waiting(const struct joblog *log);
/* Whether all could be written; else it is said, once. */
bool joblog_is_well(const struct joblog *log);

#endif
