/* A YAML value as MessagePack, for initargs: the one place where a configuration carries values of any type.
 *
 * Scalars follow YAML 1.2's core schema: null, true, false, integers, floats; whatever is quoted is a str. */
#ifndef FUTURED_CONFIG_INITARGS_H
#define FUTURED_CONFIG_INITARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/report.h"
#include "config/tree.h"

/* Encodes the list; *bytes is new (free()). False, with a mistake reported under `path`, if a number does not fit 64 bits
 * or a map's key is no scalar. */
bool initargs_encode(const struct node *list, const char *path, struct report *report, uint8_t **bytes, size_t *len);

#endif
