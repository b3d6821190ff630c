/* What a stage in C uses everywhere: in a component, and in tests. How it meets a node is in `matrix_interceptor_component.c`. */
#include "matrix_interceptor.h"

#include <stdarg.h>
#include <string.h>

#include "matrix_inside.h"

matrix_verdict matrix_reject(matrix_reply *changed, const char *format, ...) {
    matrix_clear(&changed->body);
    va_list arguments;
    va_start(arguments, format);
    matrix_vprint(&changed->body, format, arguments);
    va_end(arguments);
    return MATRIX_REJECT;
}

bool matrix_is_text(matrix_bytes content_type) {
    while (content_type.length > 0 && content_type.data[0] == ' ') content_type.data++, content_type.length--;
    if (content_type.length < 5 || content_type.data[4] != '/') return false;
    for (size_t at = 0; at < 4; at++) {
        if ((content_type.data[at] | 0x20) != "text"[at]) return false;
    }
    return true;
}

bool matrix_setting_of(const matrix_entry *settings, size_t count, const char *name, matrix_bytes *text) {
    for (size_t at = 0; at < count; at++) {
        if (matrix_is(settings[at].name, name)) {
            *text = settings[at].text;
            return true;
        }
    }
    return false;
}
