/* How a Soul in C meets the node: between the generated bindings and what `matrix_soul.h` promises. */
#include <stdlib.h>
#include <string.h>

#include "matrix_inside.h"
#include "soul.h"

/* Words a message, and words a turn. */
#define MESSAGE_WORDS 16
#define TURN_WORDS 5

static matrix_bytes bytes_of(soul_string_t text) { return (matrix_bytes){(const uint8_t *)text.ptr, text.len}; }
static matrix_bytes bytes_of_list(soul_list_u8_t list) { return (matrix_bytes){list.ptr, list.len}; }

/* What is lent to the node for a call: it only reads. */
static soul_string_t lent(matrix_bytes text) { return (soul_string_t){(uint8_t *)(uintptr_t)text.data, text.length}; }
static soul_list_u8_t lent_list(matrix_bytes list) { return (soul_list_u8_t){(uint8_t *)(uintptr_t)list.data, list.length}; }

/* Text crosses the boundary as UTF-8 or not at all: what is none is made so. */
static soul_string_t given(matrix_buffer *buffer) {
    bool is_text = matrix_is_utf8(matrix_view(buffer));
    for (size_t at = 0; !is_text && at < buffer->length; at++) {
        if (buffer->data[at] > 0x7f) buffer->data[at] = '?';
    }
    return (soul_string_t){buffer->data, buffer->length};
}

static matrix_node_types_content_t lent_content(matrix_content content) {
    return (matrix_node_types_content_t){lent(content.content_type), lent_list(content.body)};
}

/* Where the Soul is born, it is given arrays of all that the birth lists. */
bool exports_matrix_node_agent_init(exports_matrix_node_agent_birth_t *birth, soul_string_t *err) {
    matrix_seed(birth->seed);
    size_t trait_count = birth->persona.traits.len, value_count = birth->persona.values.len, config_count = birth->config.len;
    matrix_bytes *traits = calloc(trait_count + 1, sizeof *traits);
    matrix_entry *values = calloc(value_count + 1, sizeof *values), *config = calloc(config_count + 1, sizeof *config);
    if (traits == NULL || values == NULL || config == NULL) abort();
    for (size_t at = 0; at < trait_count; at++) traits[at] = bytes_of(birth->persona.traits.ptr[at]);
    for (size_t at = 0; at < value_count; at++) {
        values[at] = (matrix_entry){.name = bytes_of(birth->persona.values.ptr[at].name), .weight = birth->persona.values.ptr[at].weight};
    }
    for (size_t at = 0; at < config_count; at++) {
        config[at] = (matrix_entry){.name = bytes_of(birth->config.ptr[at].f0), .text = bytes_of(birth->config.ptr[at].f1)};
    }
    matrix_birth told = {
        .name = bytes_of(birth->name),
        .description = bytes_of(birth->persona.description),
        .traits = traits,
        .trait_count = trait_count,
        .values = values,
        .value_count = value_count,
        .config = config,
        .config_count = config_count,
        .seed = birth->seed,
    };
    matrix_buffer why = {0};
    bool is_born = matrix_soul.born == NULL || matrix_soul.born(&told, &why);
    free(traits), free(values), free(config);
    exports_matrix_node_agent_birth_free(birth);
    if (!is_born) *err = given(&why);
    return is_born;
}

/* Reads one message of a batch; false: it is cut off. */
static bool read_message(const uint32_t *head, matrix_bytes *rest, matrix_message *message) {
    matrix_bytes name;
    *message = (matrix_message){
        .id = {head[0], head[1], head[2], head[3]},
        .in_reply_to = {head[9], head[10], head[11], head[12]},
        .sent_at = (uint64_t)head[13] << 32 | head[14],
    };
    bool is_whole = matrix_take_bytes(rest, head[5], &name) && matrix_take_bytes(rest, head[6], &message->topic) &&
                    matrix_take_bytes(rest, head[7], &message->content.content_type) &&
                    matrix_take_bytes(rest, head[8], &message->content.body);
    message->sender = (matrix_address){head[4] > MATRIX_CLIENT ? MATRIX_CLIENT : (matrix_kind)head[4], name};
    return is_whole;
}

void exports_matrix_node_agent_receive(exports_matrix_node_agent_batch_t *batch,
                                       exports_matrix_node_agent_list_result_option_content_string_t *ret) {
    size_t count = batch->heads.len / MESSAGE_WORDS;
    matrix_bytes rest = bytes_of_list(batch->bytes);
    ret->ptr = calloc(count + 1, sizeof *ret->ptr);
    ret->len = count;
    if (ret->ptr == NULL) abort();
    for (size_t at = 0; at < count; at++) {
        matrix_message message;
        matrix_reply reply = {0};
        bool is_read = read_message(batch->heads.ptr + at * MESSAGE_WORDS, &rest, &message);
        if (!is_read) matrix_refuse(&reply.body, "a packed list holds fewer bytes than its words say");
        if (is_read) matrix_move_to(message.sent_at);
        ret->ptr[at].is_err = !is_read || !matrix_soul.receive(&message, &reply);
        if (ret->ptr[at].is_err) {
            ret->ptr[at].val.err = given(&reply.body);
        } else if (reply.is_given) {
            if (reply.content_type.length == 0) matrix_print(&reply.content_type, "text/plain");
            ret->ptr[at].val.ok.is_some = true;
            ret->ptr[at].val.ok.val.content_type = given(&reply.content_type);
            ret->ptr[at].val.ok.val.body = (soul_list_u8_t){reply.body.data, reply.body.length};
        }
    }
    exports_matrix_node_agent_batch_free(batch);
}

#ifdef MATRIX_EXPORTS_stateful

void exports_matrix_node_stateful_schema(soul_string_t *ret) {
    matrix_buffer schema = {0};
    matrix_print(&schema, "%s", matrix_soul.schema);
    *ret = given(&schema);
}

bool exports_matrix_node_stateful_snapshot(soul_list_u8_t *ret, soul_string_t *err) {
    matrix_buffer state = {0};
    bool is_taken = matrix_soul.snapshot(&state);
    if (is_taken) *ret = (soul_list_u8_t){state.data, state.length};
    else *err = given(&state);
    return is_taken;
}

bool exports_matrix_node_stateful_restore(soul_string_t *schema, soul_list_u8_t *bytes, soul_string_t *err) {
    matrix_buffer why = {0};
    bool is_taken = matrix_soul.restore(bytes_of(*schema), bytes_of_list(*bytes), &why);
    if (!is_taken) *err = given(&why);
    soul_string_free(schema);
    soul_list_u8_free(bytes);
    return is_taken;
}

#endif
#ifdef MATRIX_EXPORTS_player

bool exports_matrix_node_player_act(soul_string_t *matrix, uint64_t tick, exports_matrix_node_player_turns_t *turns,
                                    exports_matrix_node_player_choices_t *ret, soul_string_t *err) {
    size_t count = turns->heads.len / TURN_WORDS;
    matrix_bytes rest = bytes_of_list(turns->bytes);
    uint32_t *lengths = calloc(count + 1, sizeof *lengths);
    matrix_buffer actions = {0}, action = {0};
    bool is_done = true;
    if (lengths == NULL) abort();
    for (size_t at = 0; is_done && at < count; at++) {
        const uint32_t *head = turns->heads.ptr + at * TURN_WORDS;
        uint64_t bits = (uint64_t)head[3] << 32 | head[4];
        matrix_turn turn = {.matrix = bytes_of(*matrix), .tick = tick, .seat = head[0], .is_final = head[2] != 0};
        memcpy(&turn.reward, &bits, sizeof bits);
        matrix_clear(&action);
        is_done = matrix_take_bytes(&rest, head[1], &turn.observation)
                      ? matrix_soul.act(&turn, &action)
                      : matrix_refuse(&action, "a packed list holds fewer bytes than its words say");
        lengths[at] = (uint32_t)action.length;
        matrix_append(&actions, action.data, action.length);
    }
    soul_string_free(matrix);
    exports_matrix_node_player_turns_free(turns);
    if (!is_done) {
        free(lengths), matrix_free(&actions);
        *err = given(&action);
        return false;
    }
    matrix_free(&action);
    ret->lengths = (soul_list_u32_t){lengths, count};
    ret->bytes = (soul_list_u8_t){actions.data, actions.length};
    return true;
}

#endif
#ifdef MATRIX_EXPORTS_learner

typedef bool lesson(const matrix_experience *, size_t, matrix_metrics *, matrix_buffer *);

static bool learn(lesson *step, exports_matrix_node_learner_list_experience_t *batch, exports_matrix_node_learner_list_metric_t *ret,
                  soul_string_t *err) {
    matrix_experience *told = calloc(batch->len + 1, sizeof *told);
    matrix_metrics metrics = {0};
    matrix_buffer why = {0};
    if (told == NULL) abort();
    for (size_t at = 0; at < batch->len; at++) {
        exports_matrix_node_learner_experience_t *it = &batch->ptr[at];
        told[at] = (matrix_experience){.id = it->id, .source = (matrix_source)it->source, .at = it->at, .reward = 1};
        told[at].input = bytes_of_list(it->input), told[at].output = bytes_of_list(it->output);
        if (it->reward.is_some) told[at].has_reward = true, told[at].reward = it->reward.val;
    }
    bool is_done = step != NULL ? step(told, batch->len, &metrics, &why) : matrix_refuse(&why, "the Soul has no such lesson");
    free(told);
    exports_matrix_node_learner_list_experience_free(batch);
    if (!is_done) {
        *err = given(&why);
        return false;
    }
    ret->ptr = calloc(metrics.count + 1, sizeof *ret->ptr);
    ret->len = metrics.count;
    if (ret->ptr == NULL) abort();
    for (size_t at = 0; at < metrics.count; at++) {
        matrix_buffer name = {0};
        matrix_print(&name, "%s", metrics.figures[at].name);
        ret->ptr[at].name = given(&name), ret->ptr[at].value = metrics.figures[at].value;
    }
    return true;
}

bool exports_matrix_node_learner_train(exports_matrix_node_learner_list_experience_t *batch,
                                       exports_matrix_node_learner_list_metric_t *ret, soul_string_t *err) {
    return learn(matrix_soul.train, batch, ret, err);
}

bool exports_matrix_node_learner_evaluate(exports_matrix_node_learner_list_experience_t *batch,
                                          exports_matrix_node_learner_list_metric_t *ret, soul_string_t *err) {
    return learn(matrix_soul.evaluate, batch, ret, err);
}

#endif

void matrix_log_line(matrix_level level, matrix_bytes line) {
    matrix_buffer copy = {0};
    matrix_append(&copy, line.data, line.length);
    soul_string_t context = lent(matrix_text("soul")), text = given(&copy);
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
