/* Runs of tiny networks: which rows exist, what they are over, and that a run
 * which is stopped anywhere and restored is the undisturbed one, bit by bit. */
#include "worker_engine_fixture.h"

#include "worker/engine/order.h"
#include "worker/engine/sample.h"
#include "worker/engine/stream.h"
#include "worker/engine/trainer.h"

enum { WIDTH = 16, TRAIN = 100, TEST = 23, ROWS_MAX = 200 };

struct tiny {
    uint8_t train_pixels[TRAIN * WIDTH], train_labels[TRAIN];
    uint8_t test_pixels[TEST * WIDTH], test_labels[TEST];
    struct data data;
};

static void fill(uint8_t *bytes, int count, uint32_t bound, uint32_t seed)
{
    struct stream stream;
    stream_init(&stream, seed);
    for (int i = 0; i < count; i++)
        bytes[i] = (uint8_t)(stream_word(&stream) % bound);
}

static void make_tiny(struct tiny *tiny)
{
    fill(tiny->train_pixels, TRAIN * WIDTH, 256, 1);
    fill(tiny->train_labels, TRAIN, CLASSES, 2);
    fill(tiny->test_pixels, TEST * WIDTH, 256, 3);
    fill(tiny->test_labels, TEST, CLASSES, 4);
    tiny->train_pixels[0] = 255; /* the largest stays, whatever tests change */
    tiny->data = (struct data){
        .train = {tiny->train_pixels, tiny->train_labels, TRAIN},
        .test = {tiny->test_pixels, tiny->test_labels, TEST},
        .width = WIDTH,
    };
}

/* 7 steps an epoch, two of them evaluated within it. */
static struct settings tiny_settings(void)
{
    struct settings settings;
    settings_init(&settings);
    settings.nb_layers = 2;
    settings.batch_size = 12;
    settings.learning_rate = 1e-3;
    settings.valid_rows = 7;
    settings.eval_every = 2;
    settings.eval_offset = 1;
    return settings;
}

static void set_text(char *field, const char *text)
{
    snprintf(field, SETTING_TEXT_BYTES, "%s", text);
}

/* Hooks that keep rows and stop at the `stop_at`-th call, if there is one. */
struct record {
    int count, calls, stop_at;
    int64_t last_step;
    struct evaluation rows[ROWS_MAX];
};

static void keep_row(void *user, const struct evaluation *row)
{
    struct record *record = user;
    assert_in_range(record->count, 0, ROWS_MAX - 1);
    record->rows[record->count++] = *row;
}

static bool count_step(void *user, int64_t step)
{
    struct record *record = user;
    record->last_step = step;
    return ++record->calls == record->stop_at;
}

static bool run_to(struct trainer *trainer, int64_t epoch,
                   struct record *record, struct error *error)
{
    struct trainer_hooks hooks = {record, keep_row, count_step};
    return trainer_run(trainer, epoch, &hooks, error);
}

static struct trainer *new_trainer(const struct settings *settings,
                                   const struct data *data)
{
    struct error error;
    struct trainer *trainer =
        trainer_new(settings, data, fixture_device(), &error);
    if (!trainer)
        fail_msg("trainer_new: %s", error.text);
    return trainer;
}

static void train(const struct settings *settings, const struct data *data,
                  int64_t epochs, struct record *record)
{
    struct error error;
    struct trainer *trainer = new_trainer(settings, data);
    if (!run_to(trainer, epochs, record, &error))
        fail_msg("trainer_run: %s", error.text);
    trainer_free(trainer);
}

static void assert_steps(const struct record *record, int count,
                         const int *steps)
{
    for (int i = 0; i < count && i < record->count; i++)
        assert_int_equal(record->rows[i].step, steps[i]);
    assert_int_equal(record->count, count);
}

/* Equal but for the time they took. */
static void assert_same_row(const struct evaluation *a,
                            const struct evaluation *b)
{
    struct evaluation left = *a, right = *b;
    left.seconds = right.seconds = 0.0;
    assert_int_equal(left.step, right.step);
    assert_memory_equal(left.state_hash, right.state_hash, 16);
    assert_memory_equal(&left, &right, sizeof left);
}

/* --- which rows ---------------------------------------------------------- */

static void rows_follow_the_cadence(void **state)
{
    (void)state;
    static const int twice[] = {0, 3, 5, 7, 10, 12, 14};
    static const int ends[] = {0, 7, 14};
    static const int past[] = {0, 4, 7, 11, 14};
    struct tiny tiny;
    make_tiny(&tiny);
    struct settings settings = tiny_settings();

    struct record record = {0};
    train(&settings, &tiny.data, 2, &record);
    assert_steps(&record, 7, twice); /* 1 + 2 k; 7 is also the epoch's end */
    assert_int_equal(record.rows[2].epoch, 0);
    assert_int_equal(record.rows[3].epoch, 1);
    assert_int_equal(record.rows[6].epoch, 2);

    record = (struct record){0};
    settings.eval_offset = 0;
    settings.eval_every = 4;
    train(&settings, &tiny.data, 2, &record);
    assert_steps(&record, 5, past);

    record = (struct record){0};
    settings.eval_every = 0;
    train(&settings, &tiny.data, 2, &record);
    assert_steps(&record, 3, ends);

    record = (struct record){0};
    train(&settings, &tiny.data, 0, &record);
    assert_steps(&record, 1, ends);
}

/* Batches of 1: as many updates as rows. */
static void the_published_cadence(void **state)
{
    (void)state;
    static uint8_t pixels[1000 * CLASSES], labels[1000];
    struct data data = {{pixels, labels, 1000}, {pixels, labels, 10}, CLASSES};
    struct settings settings;
    struct record record = {0};
    fill(pixels, sizeof pixels, 256, 1);
    settings_init(&settings);
    settings.batch_size = 1;
    settings.eval_every = 10;
    settings.eval_offset = 1;
    train(&settings, &data, 1, &record);
    assert_int_equal(record.count, 101);
    for (int i = 1; i < 100; i++)
        assert_int_equal(record.rows[i].step, 10 * i + 1);
    assert_int_equal(record.rows[0].step, 0);
    assert_int_equal(record.rows[100].step, 1000);
}

static void a_run_goes_on_where_it_ended(void **state)
{
    (void)state;
    struct tiny tiny;
    struct error error;
    struct record whole = {0}, parts = {0};
    make_tiny(&tiny);
    struct settings settings = tiny_settings();
    train(&settings, &tiny.data, 3, &whole);
    struct trainer *trainer = new_trainer(&settings, &tiny.data);
    assert_int_equal(trainer_steps_per_epoch(trainer), 7);
    assert_true(run_to(trainer, 1, &parts, &error));
    assert_int_equal(trainer_step(trainer), 7);
    assert_true(run_to(trainer, 1, &parts, &error)); /* nothing to do */
    assert_true(run_to(trainer, 3, &parts, &error));
    assert_true(run_to(trainer, 2, &parts, &error));
    assert_int_equal(trainer_step(trainer), 21);
    trainer_free(trainer);
    assert_int_equal(whole.count, parts.count);
    for (int i = 0; i < whole.count; i++)
        assert_same_row(&whole.rows[i], &parts.rows[i]);
}

/* --- what they are over -------------------------------------------------- */

static void each_metric_is_over_its_rows(void **state)
{
    (void)state;
    struct tiny tiny;
    struct record got = {0}, valid = {0}, head = {0}, none = {0};
    make_tiny(&tiny);
    struct settings settings = tiny_settings();
    settings.train_rows = 50;
    settings.test_rows = 11;
    train(&settings, &tiny.data, 0, &got);

    /* The same rows as test sets of other trainers, with the same weights. */
    struct settings plain = tiny_settings();
    struct data data = tiny.data;
    plain.valid_rows = 0;
    data.test = (struct row_set){tiny.train_pixels + 93 * WIDTH,
                                 tiny.train_labels + 93, 7};
    train(&plain, &data, 0, &valid);
    data.test = (struct row_set){tiny.train_pixels, tiny.train_labels, 50};
    train(&plain, &data, 0, &head);
    data.test = (struct row_set){tiny.test_pixels, tiny.test_labels, 11};
    train(&plain, &data, 0, &none);

    assert_within(got.rows[0].valid_loss, valid.rows[0].test_loss, 0.0);
    assert_within(got.rows[0].valid_accuracy, valid.rows[0].test_accuracy, 0.0);
    assert_within(got.rows[0].train_loss, head.rows[0].test_loss, 0.0);
    assert_within(got.rows[0].train_accuracy, head.rows[0].test_accuracy, 0.0);
    assert_within(got.rows[0].test_loss, none.rows[0].test_loss, 0.0);
    assert_true(isnan(none.rows[0].valid_loss));
    assert_true(isnan(none.rows[0].valid_accuracy));
}

/* 93 rows are not held out, 84 of them fill batches. */
static void rows_outside_the_batches_are_not_trained_on(void **state)
{
    (void)state;
    struct tiny tiny;
    struct record a = {0}, b = {0}, c = {0};
    make_tiny(&tiny);
    struct settings settings = tiny_settings();
    train(&settings, &tiny.data, 2, &a);
    for (int i = 84 * WIDTH; i < TRAIN * WIDTH; i++)
        tiny.train_pixels[i] ^= 1;
    train(&settings, &tiny.data, 2, &b);
    tiny.train_pixels[83 * WIDTH] ^= 1;
    train(&settings, &tiny.data, 2, &c);
    const struct evaluation *last = &a.rows[a.count - 1];
    assert_memory_equal(last->state_hash, b.rows[b.count - 1].state_hash, 16);
    assert_memory_not_equal(last->state_hash, c.rows[c.count - 1].state_hash,
                            16);
    assert_true(last->train_loss != b.rows[b.count - 1].train_loss);
    assert_true(last->valid_loss != b.rows[b.count - 1].valid_loss);
}

static void a_shuffled_epoch_is_another_order(void **state)
{
    (void)state;
    struct tiny tiny;
    struct record plain = {0}, shuffled = {0}, other = {0};
    make_tiny(&tiny);
    struct settings settings = tiny_settings();
    train(&settings, &tiny.data, 1, &plain);
    settings.shuffle = true;
    train(&settings, &tiny.data, 1, &shuffled);
    train(&settings, &tiny.data, 1, &other);
    assert_same_row(&plain.rows[0], &shuffled.rows[0]);
    assert_same_row(&other.rows[3], &shuffled.rows[3]);
    assert_memory_not_equal(plain.rows[3].state_hash,
                            shuffled.rows[3].state_hash, 16);
}

/* Shuffling an epoch is training on shuffled rows. */
static void a_shuffle_moves_pixels_and_labels_together(void **state)
{
    (void)state;
    struct tiny tiny, moved;
    struct record shuffled = {0}, plain = {0};
    int32_t order[93];
    make_tiny(&tiny);
    make_tiny(&moved);
    struct settings settings = tiny_settings();
    order_shuffle(settings.seed, 0, order, 93);
    for (int i = 0; i < 93; i++) {
        memcpy(moved.train_pixels + i * WIDTH,
               tiny.train_pixels + order[i] * WIDTH, WIDTH);
        moved.train_labels[i] = tiny.train_labels[order[i]];
    }
    train(&settings, &moved.data, 1, &plain);
    settings.shuffle = true;
    train(&settings, &tiny.data, 1, &shuffled);
    for (int i = 0; i < plain.count; i++)
        assert_memory_equal(plain.rows[i].state_hash,
                            shuffled.rows[i].state_hash, 16);
}

static void black_pictures_are_zeros(void **state)
{
    (void)state;
    struct tiny tiny;
    struct record record = {0};
    make_tiny(&tiny);
    memset(tiny.train_pixels, 0, sizeof tiny.train_pixels);
    memset(tiny.test_pixels, 0, sizeof tiny.test_pixels);
    struct settings settings = tiny_settings();
    train(&settings, &tiny.data, 1, &record);
    assert_within(record.rows[0].test_loss, 1.0, 0.0);
}

/* --- stop and restore ---------------------------------------------------- */

struct saved {
    struct progress progress;
    int count;
    void *values[LAYERS_MAX * 6];
};

static void save(struct trainer *trainer, struct saved *saved)
{
    struct error error;
    const struct tensor *tensors =
        trainer_tensors(trainer, &saved->count, &error);
    trainer_progress(trainer, &saved->progress);
    for (int i = 0; i < saved->count; i++) {
        saved->values[i] = malloc(tensors[i].bytes);
        assert_non_null(saved->values[i]);
        memcpy(saved->values[i], tensors[i].values, tensors[i].bytes);
    }
}

static void restore(struct trainer *trainer, struct saved *saved)
{
    struct error error;
    int count;
    const struct tensor *tensors = trainer_tensors(trainer, &count, &error);
    assert_int_equal(count, saved->count);
    for (int i = 0; i < count; i++) {
        memcpy(tensors[i].values, saved->values[i], tensors[i].bytes);
        free(saved->values[i]);
    }
    trainer_restore(trainer, &saved->progress);
}

/* Trains to epoch 2 in two trainers, changing over at call `stop_at`. */
static bool change_over(const struct settings *settings,
                        const struct data *data, int stop_at,
                        struct record *record)
{
    struct error error;
    struct saved saved;
    *record = (struct record){.stop_at = stop_at};
    struct trainer *trainer = new_trainer(settings, data);
    if (run_to(trainer, 2, record, &error)) {
        trainer_free(trainer);
        return false;
    }
    assert_int_equal(error.code, ERROR_STOPPED);
    save(trainer, &saved);
    assert_int_equal(saved.progress.step, record->last_step);
    trainer_free(trainer);
    trainer = new_trainer(settings, data);
    restore(trainer, &saved);
    assert_true(run_to(trainer, 2, record, &error));
    trainer_free(trainer);
    return true;
}

static void check_all_stops(const struct settings *settings,
                            const struct data *data)
{
    struct record whole = {0}, parts;
    int stop_at = 1;
    train(settings, data, 2, &whole);
    for (; change_over(settings, data, stop_at, &parts); stop_at++) {
        assert_int_equal(whole.count, parts.count);
        for (int i = 0; i < whole.count; i++)
            assert_same_row(&whole.rows[i], &parts.rows[i]);
    }
    assert_int_equal(stop_at - 1, whole.calls);
    assert_true(stop_at > 14 + 7 * 3); /* steps, and chunks of evaluations */
}

static void a_stop_anywhere_changes_nothing(void **state)
{
    (void)state;
    struct tiny tiny;
    make_tiny(&tiny);
    for (int i = 0; i < SAMPLES; i++) {
        struct settings settings = tiny_settings();
        sample_vary(&settings, i, WIDTH);
        check_all_stops(&settings, &tiny.data);
    }
}

static void a_stop_within_an_evaluation_leaves_it_due(void **state)
{
    (void)state;
    struct tiny tiny;
    struct error error;
    struct progress progress;
    struct record record = {.stop_at = 2}; /* after the validation rows */
    make_tiny(&tiny);
    struct settings settings = tiny_settings();
    struct trainer *trainer = new_trainer(&settings, &tiny.data);
    assert_false(run_to(trainer, 1, &record, &error));
    trainer_progress(trainer, &progress);
    assert_int_equal(progress.step, 0);
    assert_int_equal(progress.evaluated_step, -1);
    record.stop_at = record.calls + 3 + 3 + 1; /* in the second, at step 3 */
    assert_false(run_to(trainer, 1, &record, &error));
    trainer_progress(trainer, &progress);
    assert_int_equal(record.count, 1);
    assert_int_equal(progress.step, 3);
    assert_int_equal(progress.evaluated_step, 0);
    assert_true(progress.seconds > 0.0);
    trainer_free(trainer);
}

/* --- state hash ---------------------------------------------------------- */

/* The hash of the trainer's state, by evaluating it anew. */
static void hash_of(struct trainer *trainer, uint8_t hash[16])
{
    struct error error;
    struct record record = {0};
    struct progress progress = {.evaluated_step = -1};
    trainer_restore(trainer, &progress);
    assert_true(run_to(trainer, 0, &record, &error));
    memcpy(hash, record.rows[0].state_hash, 16);
}

static void the_hash_covers_every_tensor(void **state)
{
    (void)state;
    struct tiny tiny;
    uint8_t hashes[3 * 6 + 1][16];
    struct error error;
    int count;
    make_tiny(&tiny);
    struct settings settings = tiny_settings();
    struct trainer *trainer = new_trainer(&settings, &tiny.data);
    const struct tensor *tensors = trainer_tensors(trainer, &count, &error);
    assert_int_equal(count, 3 * 6);
    hash_of(trainer, hashes[count]);
    for (int i = 0; i < count; i++) {
        uint8_t *last = (uint8_t *)tensors[i].values + tensors[i].bytes - 4;
        *last ^= 1;
        hash_of(trainer, hashes[i]);
        *last ^= 1;
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(hashes[i], hashes[j], 16);
        assert_memory_not_equal(hashes[i], hashes[count], 16);
    }
    uint8_t again[16];
    hash_of(trainer, again);
    assert_memory_equal(again, hashes[count], 16);
    trainer_free(trainer);
}

static void tensors_are_named_and_shaped(void **state)
{
    (void)state;
    struct tiny tiny;
    struct error error;
    int count;
    make_tiny(&tiny);
    struct settings settings = tiny_settings();
    settings.tower = true;
    set_text(settings.widths, "14x10");
    set_text(settings.precision, "float64");
    struct trainer *trainer = new_trainer(&settings, &tiny.data);
    const struct tensor *tensors = trainer_tensors(trainer, &count, &error);
    assert_int_equal(count, 12);
    assert_string_equal(tensors[0].name, "layers.0.weight");
    assert_string_equal(tensors[0].dtype, "F64");
    assert_int_equal(tensors[0].shape[0], 14);
    assert_int_equal(tensors[0].shape[1], 14);
    assert_int_equal(tensors[0].bytes, 14 * 14 * 8);
    assert_string_equal(tensors[3].name, "layers.1.bias");
    assert_int_equal(tensors[3].shape[0], 10);
    assert_int_equal(tensors[3].shape[1], 0);
    assert_string_equal(tensors[4].name, "layers.0.weight.m");
    assert_string_equal(tensors[11].name, "layers.1.bias.v");
    trainer_free(trainer);
}

/* --- what fails ---------------------------------------------------------- */

static const struct progress start = {.evaluated_step = -1};

static void divergence_is_found_and_named(void **state)
{
    (void)state;
    struct tiny tiny;
    struct error error, again;
    struct record record = {0}, second = {0};
    make_tiny(&tiny);
    struct settings settings = tiny_settings();
    settings.learning_rate = 1e6;
    settings.nb_layers = 7;
    settings.linear = true;
    struct trainer *trainer = new_trainer(&settings, &tiny.data);
    assert_false(run_to(trainer, 2, &record, &error));
    trainer_free(trainer);
    assert_int_equal(error.code, ERROR_DIVERGED);
    assert_string_equal(error.text, "diverged in epoch 1 (step 2): layer 7 has "
                                    "a gradient that is not finite");
    trainer = new_trainer(&settings, &tiny.data);
    assert_false(run_to(trainer, 2, &second, &again));
    trainer_free(trainer);
    assert_string_equal(error.text, again.text);
    assert_int_equal(record.count, second.count);
}

/* A squared gradient can overflow while the loss stays finite. */
static void a_moment_that_is_not_finite_is_divergence(void **state)
{
    (void)state;
    struct tiny tiny;
    struct error error;
    struct record record = {0};
    int count;
    make_tiny(&tiny);
    struct settings settings = tiny_settings();
    struct trainer *trainer = new_trainer(&settings, &tiny.data);
    const struct tensor *tensors = trainer_tensors(trainer, &count, &error);
    assert_string_equal(tensors[15].name, "layers.1.bias.v");
    *(float *)tensors[15].values = INFINITY;
    trainer_restore(trainer, &start);
    assert_false(run_to(trainer, 2, &record, &error));
    trainer_free(trainer);
    assert_int_equal(error.code, ERROR_DIVERGED);
    assert_string_equal(error.text, "diverged in epoch 1 (step 1): layer 1 has "
                                    "a moment that is not finite");
    assert_int_equal(record.count, 1);
}

static void a_loss_that_is_not_finite_is_divergence(void **state)
{
    (void)state;
    struct tiny tiny;
    struct error error;
    struct record record = {0};
    int count;
    make_tiny(&tiny);
    struct settings settings = tiny_settings();
    struct trainer *trainer = new_trainer(&settings, &tiny.data);
    *(float *)trainer_tensors(trainer, &count, &error)[0].values = NAN;
    trainer_restore(trainer, &start);
    assert_false(run_to(trainer, 2, &record, &error));
    trainer_free(trainer);
    assert_int_equal(error.code, ERROR_DIVERGED);
    assert_string_equal(error.text,
                        "diverged in epoch 0 (step 0): the loss over the "
                        "training rows is not finite");
    assert_int_equal(record.count, 0);
}

static void assert_refused(const struct settings *settings,
                           const struct data *data, const char *text)
{
    struct error error;
    assert_null(trainer_new(settings, data, fixture_device(), &error));
    assert_int_equal(error.code, ERROR_SPEC);
    if (!strstr(error.text, text))
        fail_msg("\"%s\" does not mention \"%s\"", error.text, text);
}

static void what_cannot_be_trained_is_refused(void **state)
{
    (void)state;
    struct tiny tiny;
    make_tiny(&tiny);
    struct settings settings = tiny_settings();
    settings.batch_size = 94;
    assert_refused(&settings, &tiny.data, "batch_size 94");
    settings = tiny_settings();
    settings.valid_rows = 100;
    assert_refused(&settings, &tiny.data, "rows");
    settings.valid_rows = 101;
    assert_refused(&settings, &tiny.data, "rows");
    settings = tiny_settings();
    settings.train_rows = 94;
    assert_refused(&settings, &tiny.data, "94 training and 7 validation rows");
    settings = tiny_settings();
    settings.test_rows = TEST + 1;
    assert_refused(&settings, &tiny.data, "24 test rows");
    settings = tiny_settings();
    settings.tower = true;
    set_text(settings.widths, "20x10");
    assert_refused(&settings, &tiny.data, "widths");
    set_text(settings.widths, "16x12x14x10");
    assert_refused(&settings, &tiny.data, "widths");
    settings = tiny_settings();
    tiny.test_labels[3] = 10;
    assert_refused(&settings, &tiny.data, "label 10");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_follow_the_cadence),
        cmocka_unit_test(the_published_cadence),
        cmocka_unit_test(a_run_goes_on_where_it_ended),
        cmocka_unit_test(each_metric_is_over_its_rows),
        cmocka_unit_test(rows_outside_the_batches_are_not_trained_on),
        cmocka_unit_test(a_shuffled_epoch_is_another_order),
        cmocka_unit_test(a_shuffle_moves_pixels_and_labels_together),
        cmocka_unit_test(black_pictures_are_zeros),
        cmocka_unit_test(a_stop_anywhere_changes_nothing),
        cmocka_unit_test(a_stop_within_an_evaluation_leaves_it_due),
        cmocka_unit_test(the_hash_covers_every_tensor),
        cmocka_unit_test(tensors_are_named_and_shaped),
        cmocka_unit_test(divergence_is_found_and_named),
        cmocka_unit_test(a_moment_that_is_not_finite_is_divergence),
        cmocka_unit_test(a_loss_that_is_not_finite_is_divergence),
        cmocka_unit_test(what_cannot_be_trained_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
