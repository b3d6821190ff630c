/** A test that says where it failed, and ends. */
#ifndef MATRIX_TEST_H
#define MATRIX_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition)                                                        \
    do {                                                                         \
        if (!(condition)) {                                                      \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                             \
        }                                                                        \
    } while (0)

#define EXPECT_TEXT(text, expected)                                              \
    do {                                                                         \
        const char *found_ = (text);                                             \
        if (found_ == NULL || strcmp(found_, (expected)) != 0) {                 \
            fprintf(stderr, "%s:%d: `%s`, and not `%s`\n", __FILE__, __LINE__, found_ ? found_ : "(none)", (expected)); \
            exit(1);                                                             \
        }                                                                        \
    } while (0)

#endif
