/* What the headers promise of the node, by the generated bindings; what is not called is not imported. */
#include "matrix_glue.h"

static matrix_node_types_content_t lent_content(matrix_content content) {
    return (matrix_node_types_content_t){lent(content.content_type), lent_list(content.body)};
}

void matrix_log_line(matrix_level level, matrix_bytes line) {
    matrix_buffer copy = {0};
    matrix_append(&copy, line.data, line.length);
    soul_string_t context = lent(matrix_text("component")), text = given(&copy);
    wasi_logging_logging_log((wasi_logging_logging_level_t)level, &context, &text);
    matrix_free(&copy);
}

/* What the C library asks a system for its streams, answered here: what is printed goes to the log, line by line. Whatever else it
 * would ask for stays an import, and is refused by name when the component is made. */

#define WASI_BAD_DESCRIPTOR 8
#define WASI_CHARACTER_DEVICE 2

typedef struct {
    const uint8_t *data;
    size_t length;
} wasi_piece;

int32_t __imported_wasi_snapshot_preview1_fd_write(int32_t descriptor, int32_t pieces, int32_t count, int32_t written) {
    static matrix_buffer lines[2];
    if (descriptor != 1 && descriptor != 2) return WASI_BAD_DESCRIPTOR;
    matrix_buffer *line = &lines[descriptor - 1];
    const wasi_piece *piece = (const wasi_piece *)pieces;
    size_t all = 0;
    for (int32_t at = 0; at < count; all += piece[at].length, at++) {
        for (size_t byte = 0; byte < piece[at].length; byte++) {
            if (piece[at].data[byte] != '\n') {
                matrix_append(line, piece[at].data + byte, 1);
                continue;
            }
            matrix_log_line(descriptor == 1 ? MATRIX_INFO : MATRIX_WARN, matrix_view(line));
            matrix_clear(line);
        }
    }
    *(size_t *)written = all;
    return 0;
}

/* That the streams are a terminal, so that each line is written when it ends. */
int32_t __imported_wasi_snapshot_preview1_fd_fdstat_get(int32_t descriptor, int32_t found) {
    (void)descriptor;
    memset((void *)found, 0, 24);
    *(uint8_t *)found = WASI_CHARACTER_DEVICE;
    return 0;
}

int32_t __imported_wasi_snapshot_preview1_fd_close(int32_t descriptor) { return (void)descriptor, 0; }

int32_t __imported_wasi_snapshot_preview1_fd_seek(int32_t descriptor, int64_t offset, int32_t whence, int32_t to) {
    (void)descriptor, (void)offset, (void)whence, (void)to;
    return WASI_BAD_DESCRIPTOR;
}

void matrix_emit(const char *kind, matrix_content content) {
    soul_string_t name = lent(matrix_text(kind));
    matrix_node_types_content_t said = lent_content(content);
    matrix_node_events_emit(&name, &said);
}

static matrix_node_types_address_t lent_address(matrix_address to) {
    matrix_node_types_address_t address = {.tag = (uint8_t)to.kind};
    address.val.soul = lent(to.name);
    return address;
}

/* Says why a message was not accepted, or not answered. */
static bool unsent(matrix_node_messaging_send_error_t *error, matrix_bytes to, matrix_buffer *why) {
    static const char *const texts[] = {
        [MATRIX_NODE_MESSAGING_SEND_ERROR_UNKNOWN_RECIPIENT] = "nobody is called",
        [MATRIX_NODE_MESSAGING_SEND_ERROR_MAILBOX_FULL] = "try later: full is the mailbox of",
        [MATRIX_NODE_MESSAGING_SEND_ERROR_UNREACHABLE] = "no answer from the node of",
        [MATRIX_NODE_MESSAGING_SEND_ERROR_TOO_LARGE] = "the body is too large for",
        [MATRIX_NODE_MESSAGING_SEND_ERROR_DEADLINE_EXCEEDED] = "no answer in time from",
        [MATRIX_NODE_MESSAGING_SEND_ERROR_QUOTA_EXCEEDED] = "the quota of messages is used up for now: not sent to",
        [MATRIX_NODE_MESSAGING_SEND_ERROR_TOO_MANY_HOPS] = "the chain of messages that led here is too long for",
    };
    bool has_text = error->tag == MATRIX_NODE_MESSAGING_SEND_ERROR_DENIED || error->tag == MATRIX_NODE_MESSAGING_SEND_ERROR_FAILED;
    if (has_text) matrix_refuse(why, "%.*s", (int)error->val.denied.len, (const char *)error->val.denied.ptr);
    else matrix_refuse(why, "%s `%.*s`", texts[error->tag], (int)to.length, (const char *)to.data);
    matrix_node_messaging_send_error_free(error);
    return false;
}

bool matrix_send(matrix_address to, matrix_content content, matrix_buffer *why) {
    matrix_node_types_address_t address = lent_address(to);
    matrix_node_types_content_t said = lent_content(content);
    matrix_node_messaging_message_id_t id;
    matrix_node_messaging_send_error_t error;
    return matrix_node_messaging_send(&address, &said, &id, &error) || unsent(&error, to.name, why);
}

bool matrix_ask(matrix_address to, matrix_content content, uint32_t timeout_ms, matrix_reply *reply, matrix_buffer *why) {
    matrix_node_types_address_t address = lent_address(to);
    matrix_node_types_content_t said = lent_content(content);
    matrix_node_messaging_option_content_t answer;
    matrix_node_messaging_send_error_t error;
    if (!matrix_node_messaging_ask(&address, &said, timeout_ms, &answer, &error)) return unsent(&error, to.name, why);
    reply->is_given = false;
    if (answer.is_some) {
        matrix_content found = {bytes_of(answer.val.content_type), bytes_of_list(answer.val.body)};
        matrix_answer_content(reply, found);
    }
    matrix_node_messaging_option_content_free(&answer);
    return true;
}

bool matrix_subscribe(const char *topic, matrix_buffer *why) {
    soul_string_t name = lent(matrix_text(topic));
    matrix_node_messaging_send_error_t error;
    return matrix_node_messaging_subscribe(&name, &error) || unsent(&error, matrix_text(topic), why);
}

bool matrix_unsubscribe(const char *topic, matrix_buffer *why) {
    soul_string_t name = lent(matrix_text(topic));
    matrix_node_messaging_send_error_t error;
    return matrix_node_messaging_unsubscribe(&name, &error) || unsent(&error, matrix_text(topic), why);
}

/* Says why nothing was remembered, found or forgotten. */
static bool forgotten(matrix_node_memory_memory_error_t *error, matrix_buffer *why) {
    if (error->tag == MATRIX_NODE_MEMORY_MEMORY_ERROR_QUOTA_EXCEEDED) {
        matrix_refuse(why, "the quota is used up: raise `limits.memory_per_second`");
    } else {
        matrix_refuse(why, "%.*s", (int)error->val.denied.len, (const char *)error->val.denied.ptr);
    }
    matrix_node_memory_memory_error_free(error);
    return false;
}

bool matrix_remember(const matrix_impression *impression, uint64_t *id, matrix_buffer *why) {
    soul_string_t *tags = calloc(impression->tag_count + 1, sizeof *tags);
    if (tags == NULL) abort();
    for (size_t at = 0; at < impression->tag_count; at++) tags[at] = lent(impression->tags[at]);
    matrix_node_memory_impression_t told = {
        .text = lent(impression->text),
        .importance = impression->importance,
        .tags = {tags, impression->tag_count},
        .embedding = {(float *)(uintptr_t)impression->embedding, impression->embedding_count},
    };
    matrix_node_memory_list_episode_id_t instead_of = {NULL, 0};
    matrix_node_memory_memory_error_t error;
    bool is_kept = matrix_node_memory_remember(&told, &instead_of, id, &error);
    free(tags);
    return is_kept || forgotten(&error, why);
}

bool matrix_recall(matrix_bytes words, uint32_t limit, bool (*visit)(const matrix_recollection *, void *), void *with,
                   matrix_buffer *why) {
    matrix_node_memory_cue_t cue = {.text = lent(words)};
    matrix_node_memory_list_recollection_t found;
    matrix_node_memory_memory_error_t error;
    if (!matrix_node_memory_recall(&cue, limit, &found, &error)) return forgotten(&error, why);
    for (size_t at = 0; at < found.len; at++) {
        const matrix_node_memory_episode_t *it = &found.ptr[at].episode;
        matrix_recollection told = {
            .id = it->id,
            .at = it->at,
            .recalled_at = it->recalled_at,
            .text = bytes_of(it->text),
            .importance = it->importance,
            .score = found.ptr[at].score,
            .times = it->times,
            .last_at = it->last_at,
        };
        if (!visit(&told, with)) break;
    }
    matrix_node_memory_list_recollection_free(&found);
    return true;
}

bool matrix_forget(uint64_t id, matrix_buffer *why) {
    bool was_there;
    matrix_node_memory_memory_error_t error;
    return matrix_node_memory_forget(id, &was_there, &error) || forgotten(&error, why);
}

/* Says why an operation on the KV failed. */
static bool undone(wasi_keyvalue_store_error_t *error, matrix_buffer *why) {
    if (error->tag == WASI_KEYVALUE_STORE_ERROR_NO_SUCH_STORE) matrix_refuse(why, "there is no such bucket");
    else if (error->tag == WASI_KEYVALUE_STORE_ERROR_ACCESS_DENIED) matrix_refuse(why, "there is no grant for this bucket");
    else matrix_refuse(why, "%.*s", (int)error->val.other.len, (const char *)error->val.other.ptr);
    wasi_keyvalue_store_error_free(error);
    return false;
}

static wasi_keyvalue_store_borrow_bucket_t borrowed(matrix_bucket bucket) {
    return (wasi_keyvalue_store_borrow_bucket_t){bucket.handle};
}

bool matrix_open(const char *name, matrix_bucket *bucket, matrix_buffer *why) {
    soul_string_t identifier = lent(matrix_text(name));
    wasi_keyvalue_store_own_bucket_t opened;
    wasi_keyvalue_store_error_t error;
    if (!wasi_keyvalue_store_open(&identifier, &opened, &error)) return undone(&error, why);
    bucket->handle = opened.__handle;
    return true;
}

void matrix_close(matrix_bucket bucket) { wasi_keyvalue_store_bucket_drop_own((wasi_keyvalue_store_own_bucket_t){bucket.handle}); }

bool matrix_get(matrix_bucket bucket, matrix_bytes key, matrix_buffer *value, bool *is_there, matrix_buffer *why) {
    soul_string_t name = lent(key);
    soul_option_list_u8_t found;
    wasi_keyvalue_store_error_t error;
    if (!wasi_keyvalue_store_method_bucket_get(borrowed(bucket), &name, &found, &error)) return undone(&error, why);
    matrix_clear(value);
    *is_there = found.is_some;
    if (found.is_some) matrix_append(value, found.val.ptr, found.val.len);
    soul_option_list_u8_free(&found);
    return true;
}

bool matrix_set(matrix_bucket bucket, matrix_bytes key, matrix_bytes value, matrix_buffer *why) {
    soul_string_t name = lent(key);
    soul_list_u8_t bytes = lent_list(value);
    wasi_keyvalue_store_error_t error;
    return wasi_keyvalue_store_method_bucket_set(borrowed(bucket), &name, &bytes, &error) || undone(&error, why);
}

bool matrix_delete(matrix_bucket bucket, matrix_bytes key, matrix_buffer *why) {
    soul_string_t name = lent(key);
    wasi_keyvalue_store_error_t error;
    return wasi_keyvalue_store_method_bucket_delete(borrowed(bucket), &name, &error) || undone(&error, why);
}

bool matrix_increment(matrix_bucket bucket, matrix_bytes key, uint64_t delta, uint64_t *sum, matrix_buffer *why) {
    soul_string_t name = lent(key);
    wasi_keyvalue_atomics_error_t error;
    return wasi_keyvalue_atomics_increment(borrowed(bucket), &name, delta, sum, &error) || undone(&error, why);
}
