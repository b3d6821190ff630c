/* What a Soul in C uses everywhere: in a component, and in a fake node. How it meets a real one is in `matrix_component.c`. */
#include "matrix_soul.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matrix_inside.h"

matrix_bytes matrix_text(const char *text) {
    return (matrix_bytes){(const uint8_t *)text, strlen(text)};
}

bool matrix_is(matrix_bytes bytes, const char *text) {
    return bytes.length == strlen(text) && memcmp(bytes.data, text, bytes.length) == 0;
}

bool matrix_is_utf8(matrix_bytes bytes) {
    /* The smallest code point that so many bytes may hold: what is longer than it needs to be is no UTF-8. */
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    for (size_t at = 0; at < bytes.length;) {
        uint8_t first = bytes.data[at];
        size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
        if (length == 0 || length > bytes.length - at) return false;
        uint32_t point = length == 1 ? first : first & (0x7fu >> length);
        for (size_t more = 1; more < length; more++) {
            if ((bytes.data[at + more] & 0xc0) != 0x80) return false;
            point = point << 6 | (bytes.data[at + more] & 63);
        }
        if (point < least[length] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
        at += length;
    }
    return true;
}

/* Room for so many bytes more. */
static uint8_t *room_for(matrix_buffer *buffer, size_t more) {
    if (more > SIZE_MAX / 2 - buffer->length) abort();
    if (buffer->length + more > buffer->room) {
        buffer->room = 2 * (buffer->length + more);
        buffer->data = realloc(buffer->data, buffer->room);
        if (buffer->data == NULL) abort();
    }
    return buffer->data + buffer->length;
}

void matrix_append(matrix_buffer *buffer, const void *data, size_t length) {
    if (length == 0) return;
    memcpy(room_for(buffer, length), data, length);
    buffer->length += length;
}

void matrix_vprint(matrix_buffer *buffer, const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    if (length < 0) abort();
    vsnprintf((char *)room_for(buffer, (size_t)length + 1), (size_t)length + 1, format, again);
    buffer->length += (size_t)length;
    va_end(again);
}

void matrix_print(matrix_buffer *buffer, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    matrix_vprint(buffer, format, arguments);
    va_end(arguments);
}

void matrix_clear(matrix_buffer *buffer) { buffer->length = 0; }

void matrix_free(matrix_buffer *buffer) {
    free(buffer->data);
    *buffer = (matrix_buffer){0};
}

matrix_bytes matrix_view(const matrix_buffer *buffer) { return (matrix_bytes){buffer->data, buffer->length}; }

bool matrix_refuse(matrix_buffer *why, const char *format, ...) {
    if (why == NULL) return false;
    matrix_clear(why);
    va_list arguments;
    va_start(arguments, format);
    matrix_vprint(why, format, arguments);
    va_end(arguments);
    return false;
}

void matrix_put(matrix_buffer *state, uint64_t number) {
    do {
        uint8_t byte = (uint8_t)((number & 0x7f) | (number > 0x7f ? 0x80 : 0));
        matrix_append(state, &byte, 1);
        number >>= 7;
    } while (number > 0);
}

bool matrix_take(matrix_bytes *state, uint64_t *number) {
    *number = 0;
    for (size_t place = 0; place < state->length && place < 10; place++) {
        uint64_t group = state->data[place] & 0x7f;
        /* The tenth byte has room for one bit. */
        if (place == 9 && group > 1) return false;
        *number |= group << (7 * place);
        if (state->data[place] < 0x80) {
            *state = (matrix_bytes){state->data + place + 1, state->length - place - 1};
            return true;
        }
    }
    return false;
}

bool matrix_take_bytes(matrix_bytes *state, size_t length, matrix_bytes *taken) {
    if (length > state->length) return false;
    *taken = (matrix_bytes){state->data, length};
    *state = (matrix_bytes){state->data + length, state->length - length};
    return true;
}

matrix_content matrix_plain(matrix_bytes text) { return (matrix_content){matrix_text("text/plain"), text}; }

bool matrix_setting(const matrix_birth *birth, const char *name, matrix_bytes *text) {
    for (size_t place = 0; place < birth->config_count; place++) {
        if (matrix_is(birth->config[place].name, name)) {
            *text = birth->config[place].text;
            return true;
        }
    }
    return false;
}

bool matrix_answer(matrix_reply *reply, const char *format, ...) {
    matrix_clear(&reply->body);
    va_list arguments;
    va_start(arguments, format);
    matrix_vprint(&reply->body, format, arguments);
    va_end(arguments);
    return reply->is_given = true;
}

bool matrix_answer_content(matrix_reply *reply, matrix_content content) {
    matrix_clear(&reply->content_type);
    matrix_append(&reply->content_type, content.content_type.data, content.content_type.length);
    matrix_clear(&reply->body);
    matrix_append(&reply->body, content.body.data, content.body.length);
    return reply->is_given = true;
}

void matrix_figure(matrix_metrics *metrics, const char *name, double value) {
    if (metrics->count == MATRIX_METRICS_MAX) abort();
    metrics->figures[metrics->count++] = (struct matrix_named){name, value};
}

void matrix_log(matrix_level level, const char *format, ...) {
    matrix_buffer line = {0};
    va_list arguments;
    va_start(arguments, format);
    matrix_vprint(&line, format, arguments);
    va_end(arguments);
    matrix_log_line(level, matrix_view(&line));
    matrix_free(&line);
}

static uint64_t now_ms;
static uint64_t chance;
static bool is_seeded;

uint64_t matrix_now(void) { return now_ms; }

void matrix_move_to(uint64_t ms) { now_ms = ms; }

void matrix_seed(uint64_t seed) { chance = seed, is_seeded = true; }

uint64_t matrix_random(void) {
    if (!is_seeded) {
        matrix_log(MATRIX_CRITICAL, "`matrix_random` is a Soul's alone: rules draw from a `matrix_chance` in their state");
        abort();
    }
    /* A counter, mixed: every seed has the whole period. */
    uint64_t mixed = chance += 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
    return mixed ^ mixed >> 31;
}
