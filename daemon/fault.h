/* Faults on purpose, for tests that must be able to fail: in a build with `make FAULTS=1`, nowhere else; elsewhere both macros are nothing.
 *
 *     FUTURED_FAULT=name[,name]     FAULT(name) is true: the daemon does the named thing wrong. What a test catches with it, it can catch.
 *     FUTURED_CRASH=point[:n]       the process dies, as of kill -9, when it comes to CRASH_POINT(point) for the nth time (the first).
 *     FUTURED_POINTS=file           each point that is passed is appended to the file, once.
 *
 * Names are letters and underscores, not strings; scripts/points lists those of a build. A point says what comes before it and what after:
 * before_commit, after_commit. One that stands in a thread of its own is a point like any other. */
#ifndef FUTURED_DAEMON_FAULT_H
#define FUTURED_DAEMON_FAULT_H

#include <stdbool.h>

#ifdef FUTURED_FAULTS

bool fault_is(const char *name);
void fault_pass(const char *point);

/* The name lies in a section of its own, so that the tests find all there are in the program itself. */
#define FAULT_NAME(section_name, name) \
	({ static const char fault_name[] __attribute__((section(section_name), used)) = #name; fault_name; })
#define FAULT(name) fault_is(FAULT_NAME("fault_names", name))
#define CRASH_POINT(name) fault_pass(FAULT_NAME("crash_points", name))

#else

#define FAULT(name) false
#define CRASH_POINT(name) ((void)0)

#endif
#endif
