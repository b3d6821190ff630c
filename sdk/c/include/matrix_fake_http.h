/**
 * The hosts outside the realm for tests: what they answer is the test's to say. Until it says so, the grant `http` is missing, and each
 * request is denied.
 */
#ifndef MATRIX_FAKE_HTTP_H
#define MATRIX_FAKE_HTTP_H

#include "matrix_http.h"

/** Answers requests by any method for this URL, from now on, before `fake_host` is asked. */
void fake_page(const char *url, uint16_t status, const char *body);
/** Answers what the Soul asks; false: with why in `error` (`fake_failure`). The status is 200 unless changed. */
extern bool (*fake_host)(const matrix_http_request *request, matrix_http_answer *answer, matrix_http_error *error);
/** Adds a header to an answer. */
void fake_header(matrix_http_answer *answer, const char *name, const char *value);
/** Says no in the words of the SDK, and returns false; `what` is the URL, the header, or what failed. */
bool fake_failure(matrix_http_error *error, matrix_http_kind kind, const char *what);

/** How many requests left the Soul, whatever became of them. */
size_t fake_request_count(void);
/** One of them, the oldest first; it is good until they are forgotten. */
const matrix_http_request *fake_request(size_t place);
/** Forgets the requests and the pages, and takes the grant away. */
void fake_forget_hosts(void);

#endif
