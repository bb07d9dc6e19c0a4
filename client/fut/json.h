/* JSON in and out.
 *
 * Out: integers of 64 bits are exact; a float always has a point or an exponent; NaN and the infinities are null; bytes are
 * {"base64": "…"}, a reference to a future {"future": 12}; keys that are no strings become strings. What a command printed
 * ("stdout" and "stderr") is a string where it is UTF-8.
 * In: the same forms back. Integers beyond 64 bits are refused, never rounded. */
#ifndef FUT_JSON_H
#define FUT_JSON_H

#include "client/fut/fut.h"

/* Writes a value, without a newline. */
void jsonout_value(FILE *out, struct futured_value v);
/* Writes bytes as a JSON string; what is no UTF-8 in it as U+FFFD. */
void jsonout_string(FILE *out, const char *s, size_t len);
/* Writes what a command printed: a string, or {"base64": …}. */
void jsonout_printed(FILE *out, const void *bytes, size_t len);
/* {"type": …, "message": …} from an error, whichever side made it. */
void jsonout_error(FILE *out, const struct futured_error *e);

/* Reads one JSON text and appends it to a pack. False, with a sentence. */
bool jsonin_read(const char *text, size_t len, struct futured_pack *p, char *why, size_t why_size);

#endif
