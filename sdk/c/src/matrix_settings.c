/* Settings of rules: read from JSON, and told as its schema. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "matrix_inside.h"

/* What is left of a text, and where what is wrong with it is written. */
typedef struct {
    matrix_bytes rest;
    matrix_buffer *why;
} reading;

/* The first byte behind blanks; 0: there is none. */
static uint8_t ahead(reading *it) {
    while (it->rest.length > 0 && memchr(" \t\r\n", it->rest.data[0], 4) != NULL) it->rest.data++, it->rest.length--;
    return it->rest.length > 0 ? it->rest.data[0] : 0;
}

static bool took(reading *it, char wanted) {
    if (ahead(it) != (uint8_t)wanted) return false;
    it->rest.data++, it->rest.length--;
    return true;
}

static bool no_json(reading *it, const char *wanted) {
    return matrix_refuse(it->why, "config: no JSON: %s is missing %zu bytes before the end", wanted, it->rest.length);
}

/* A string of JSON, as it is written between its quotes. */
static bool string(reading *it, matrix_bytes *found) {
    if (!took(it, '"')) return no_json(it, "a name in quotes");
    *found = (matrix_bytes){it->rest.data, 0};
    for (; found->length < it->rest.length && it->rest.data[found->length] != '"'; found->length++) {
        if (it->rest.data[found->length] < 0x20) return no_json(it, "the end of a string");
        if (it->rest.data[found->length] == '\\') found->length++;
    }
    if (found->length >= it->rest.length) return no_json(it, "the end of a string");
    it->rest.data += found->length + 1, it->rest.length -= found->length + 1;
    return true;
}

static size_t digits(matrix_bytes text, size_t at) {
    size_t end = at;
    while (end < text.length && text.data[end] >= '0' && text.data[end] <= '9') end++;
    return end - at;
}

/* How many bytes at the front are a number of JSON; 0: none. `is_whole` says whether it has neither fraction nor exponent. */
static size_t number_length(matrix_bytes text, bool *is_whole) {
    size_t at = text.length > 0 && text.data[0] == '-', count = digits(text, at);
    if (count == 0 || (count > 1 && text.data[at] == '0')) return 0;
    at += count;
    *is_whole = true;
    if (at < text.length && text.data[at] == '.') {
        count = digits(text, at + 1);
        if (count == 0) return 0;
        at += 1 + count, *is_whole = false;
    }
    if (at < text.length && (text.data[at] | 0x20) == 'e') {
        size_t sign = at + 1 < text.length && (text.data[at + 1] == '+' || text.data[at + 1] == '-');
        count = digits(text, at + 1 + sign);
        if (count == 0) return 0;
        at += 1 + sign + count, *is_whole = false;
    }
    return at;
}

static bool wrong(reading *it, const matrix_setting_of_rules *setting, const char *must) {
    return matrix_refuse(it->why, "config: `%s` must be %s", setting->name, must);
}

static bool number(reading *it, const matrix_setting_of_rules *setting, double *value) {
    bool is_whole = false;
    ahead(it);
    size_t length = number_length(it->rest, &is_whole);
    if (length == 0 || length > 64) return wrong(it, setting, "a number of at most 64 digits");
    char text[65] = {0};
    memcpy(text, it->rest.data, length);
    it->rest.data += length, it->rest.length -= length;
    *value = strtod(text, NULL);
    if (setting->type == MATRIX_INTEGER && (!is_whole || fabs(*value) > 0x1p53)) return wrong(it, setting, "a whole number");
    if (!isfinite(*value)) return wrong(it, setting, "a number that can be counted with");
    bool is_bounded = setting->min != 0 || setting->max != 0;
    if (is_bounded && !(*value >= setting->min && *value <= setting->max)) {
        return matrix_refuse(it->why, "config: `%s` is %s: it must be from %.17g to %.17g", setting->name, text, setting->min,
                             setting->max);
    }
    return true;
}

static bool flag(reading *it, const matrix_setting_of_rules *setting, double *value) {
    ahead(it);
    for (int is_true = 0; is_true < 2; is_true++) {
        matrix_bytes text = matrix_text(is_true ? "true" : "false");
        if (it->rest.length >= text.length && memcmp(it->rest.data, text.data, text.length) == 0) {
            it->rest.data += text.length, it->rest.length -= text.length;
            *value = is_true;
            return true;
        }
    }
    return wrong(it, setting, "true or false");
}

static bool word(reading *it, const matrix_setting_of_rules *setting, double *value) {
    matrix_bytes found = {0};
    if (ahead(it) != '"') return matrix_refuse(it->why, "config: `%s` must be one of: %s", setting->name, setting->words);
    if (!string(it, &found)) return false;
    *value = 0;
    for (const char *words = setting->words; *words != 0; *value += 1) {
        size_t length = strcspn(words, " ");
        if (found.length == length && memcmp(found.data, words, length) == 0) return true;
        words += length, words += *words == ' ';
    }
    return matrix_refuse(it->why, "config: `%s` must be one of: %s", setting->name, setting->words);
}

/* How long the name of the object is in which a setting stands; 0: in none. */
static size_t group_length(const char *name) {
    const char *dot = strchr(name, '.');
    return dot == NULL ? 0 : (size_t)(dot - name);
}

static bool is_named(const char *name, size_t skipped, matrix_bytes key) {
    return strlen(name) == skipped + key.length && memcmp(name + skipped, key.data, key.length) == 0;
}

/* An object of settings: those of the object called `group`, or those that stand in none. */
static bool object(reading *it, const matrix_setting_of_rules *settings, size_t count, matrix_bytes group, double *values) {
    if (!took(it, '{')) {
        if (group.length == 0) return matrix_refuse(it->why, "config: the settings must be an object of JSON");
        return matrix_refuse(it->why, "config: `%.*s` must be an object", (int)group.length, (const char *)group.data);
    }
    size_t skipped = group.length == 0 ? 0 : group.length + 1;
    for (bool is_first = true; !took(it, '}'); is_first = false) {
        matrix_bytes key = {0};
        if (!is_first && !took(it, ',')) return no_json(it, "`,`");
        if (!string(it, &key)) return false;
        if (!took(it, ':')) return no_json(it, "`:`");
        bool is_known = false;
        for (size_t at = 0; at < count && !is_known; at++) {
            const char *name = settings[at].name;
            size_t own = group_length(name);
            if (group.length != own || (own > 0 && memcmp(name, group.data, own) != 0)) {
                /* A setting of another object: only the object itself can be meant. */
                is_known = group.length == 0 && own > 0 && own == key.length && memcmp(name, key.data, own) == 0;
                if (is_known && !object(it, settings, count, key, values)) return false;
                continue;
            }
            is_known = is_named(name, skipped, key);
            if (!is_known) continue;
            bool is_read = settings[at].type == MATRIX_FLAG   ? flag(it, &settings[at], &values[at])
                           : settings[at].type == MATRIX_WORD ? word(it, &settings[at], &values[at])
                                                              : number(it, &settings[at], &values[at]);
            if (!is_read) return false;
        }
        if (!is_known) {
            int shown = key.length < 40 ? (int)key.length : 40;
            return matrix_refuse(it->why, "config: there is no setting `%.*s%s%.*s`", (int)group.length, (const char *)group.data,
                                 group.length > 0 ? "." : "", shown, (const char *)key.data);
        }
    }
    return true;
}

bool matrix_read_settings(matrix_bytes config, const matrix_setting_of_rules *settings, size_t count, double *values,
                          matrix_buffer *why) {
    reading it = {config, why};
    for (size_t at = 0; at < count; at++) values[at] = settings[at].by_default;
    if (config.length == 0 || (ahead(&it) == 0 && it.rest.length == 0)) return true;
    if (!object(&it, settings, count, (matrix_bytes){0}, values)) return false;
    ahead(&it);
    return it.rest.length == 0 || no_json(&it, "the end");
}

/* The settings that stand in the same object as the first, one behind the other: where they end. */
static const matrix_setting_of_rules *last_of_group(const matrix_setting_of_rules *first, const matrix_setting_of_rules *end) {
    size_t length = group_length(first->name);
    const matrix_setting_of_rules *at = first + 1;
    while (length > 0 && at < end && group_length(at->name) == length && memcmp(at->name, first->name, length) == 0) at++;
    return at;
}

static void write_default(matrix_buffer *schema, const matrix_setting_of_rules *it) {
    if (it->type == MATRIX_FLAG) {
        matrix_print(schema, it->by_default != 0 ? "true" : "false");
        return;
    }
    if (it->type != MATRIX_WORD) {
        matrix_print(schema, "%.17g", it->by_default);
        return;
    }
    const char *words = it->words;
    for (double place = 0; place < it->by_default; place += 1) words += strcspn(words, " ") + 1;
    matrix_print_json(schema, (matrix_bytes){(const uint8_t *)words, strcspn(words, " ")});
}

static void write_setting(matrix_buffer *schema, const matrix_setting_of_rules *it) {
    static const char *const types[] = {[MATRIX_FLAG] = "boolean", [MATRIX_INTEGER] = "integer", [MATRIX_NUMBER] = "number"};
    if (it->type == MATRIX_WORD) {
        matrix_print(schema, "{\"enum\":[");
        for (const char *words = it->words; *words != 0;) {
            size_t length = strcspn(words, " ");
            matrix_print_json(schema, (matrix_bytes){(const uint8_t *)words, length});
            words += length;
            if (*words == ' ') words++, matrix_print(schema, ",");
        }
        matrix_print(schema, "]");
    } else {
        matrix_print(schema, "{\"type\":\"%s\"", types[it->type]);
        if (it->min != 0 || it->max != 0) matrix_print(schema, ",\"minimum\":%.17g,\"maximum\":%.17g", it->min, it->max);
    }
    if (it->description != NULL) {
        matrix_print(schema, ",\"description\":");
        matrix_print_json(schema, matrix_text(it->description));
    }
    matrix_print(schema, ",\"default\":");
    write_default(schema, it);
    matrix_print(schema, "}");
}

static void write_settings(matrix_buffer *schema, const matrix_setting_of_rules *first, const matrix_setting_of_rules *end, size_t skipped) {
    matrix_print(schema, "\"type\":\"object\",\"additionalProperties\":false,\"properties\":{");
    for (const matrix_setting_of_rules *at = first; at < end;) {
        const char *name = at->name + skipped;
        size_t length = group_length(name);
        if (at > first) matrix_print(schema, ",");
        matrix_print_json(schema, (matrix_bytes){(const uint8_t *)name, length > 0 ? length : strlen(name)});
        matrix_print(schema, ":");
        if (length == 0) {
            write_setting(schema, at++);
            continue;
        }
        const matrix_setting_of_rules *behind = last_of_group(at, end);
        matrix_print(schema, "{");
        write_settings(schema, at, behind, length + 1);
        matrix_print(schema, ",\"default\":{");
        for (const matrix_setting_of_rules *it = at; it < behind; it++) {
            if (it > at) matrix_print(schema, ",");
            matrix_print_json(schema, matrix_text(it->name + length + 1));
            matrix_print(schema, ":");
            write_default(schema, it);
        }
        matrix_print(schema, "}}");
        at = behind;
    }
    matrix_print(schema, "}");
}

void matrix_write_schema(matrix_buffer *schema, const matrix_setting_of_rules *settings, size_t count) {
    matrix_print(schema, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",");
    write_settings(schema, settings, settings + count, 0);
    matrix_print(schema, "}");
}
