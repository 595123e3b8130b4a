/* settings.h: what can be chosen about a training, written once.
 *
 * The table below is the only list of settings.  The struct, the parser, the
 * validation, gaitctl's flags and help, the columns of `run`, and the run key
 * all follow from it: a new setting is one line (and the code that obeys it).
 *
 * Kinds decide identity.  TRAJECTORY and MEASUREMENT settings are part of the
 * run key (schema/key.h): the first decide the weights, the second which rows
 * exist.  PLACEMENT and LENGTH are not.  Defaults never change once released,
 * because a key leaves them out.
 */
#ifndef SCHEMA_SETTINGS_H
#define SCHEMA_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/error.h"

struct cJSON;
struct faults;

/* Learning rules: X(name in specs, C suffix, whether its errors go through
 * the inverses of weights).  The worker's engine declares one `rule_<suffix>`
 * for each (worker/engine/rule.h). */
#define RULES(X)                                                               \
    X(BP, bp, false)                                                           \
    X(GAIT, gait, true)                                                        \
    X(TP, tp, true)                                                            \
    X(ITP, itp, true)                                                          \
    X(FA, fa, false)                                                           \
    X(DFA, dfa, false)

#define RULE_WORD(name, suffix, inverts) #name " "

/* Types: TEXT is char[], INTEGER int64_t, REAL double, BOOLEAN bool.
 * `words`: TEXT: the values allowed, "" for free text with its own check;
 *          INTEGER: a word that stands for 0, "" for none. */
// clang-format off
#define SETTINGS(X)                                                                                  \
/*    name             type     kind         initial    least  most    words   help */               \
    X(algorithm,       TEXT,    TRAJECTORY,  "BP",      0,     0,      RULES(RULE_WORD),             \
      "learning rule")                                                                               \
    X(dataset,         TEXT,    TRAJECTORY,  "MNIST",   0,     0,      "",                           \
      "MNIST, KMNIST, FMNIST, or a name configured in gaitd.json")                                   \
    X(nb_layers,       INTEGER, TRAJECTORY,  "1",       1,     64,     "",                           \
      "hidden layers of a square network; not used with tower")                                      \
    X(tower,           BOOLEAN, TRAJECTORY,  "false",   0,     1,      "",                           \
      "layers of decreasing width instead of a square network")                                      \
    X(widths,          TEXT,    TRAJECTORY,  "none",    0,     0,      "",                           \
      "layer widths of a tower, such as 784x500x200x10 (which none stands for)")                     \
    X(linear,          BOOLEAN, TRAJECTORY,  "false",   0,     1,      "",                           \
      "linear units instead of leaky ReLU")                                                          \
    X(learning_rate,   REAL,    TRAJECTORY,  "0.0001",  0,     1e6,    "",                           \
      "step size of the optimiser")                                                                  \
    X(orthogonal_reg,  REAL,    TRAJECTORY,  "0",       0,     1e12,   "",                           \
      "strength of the orthogonality regulariser")                                                   \
    X(orthogonal_form, TEXT,    TRAJECTORY,  "offdiagonal", 0, 0,      "offdiagonal full",           \
      "what the regulariser keeps small: W W^T off its diagonal, or all of W W^T - I")               \
    X(orthogonal_init, BOOLEAN, TRAJECTORY,  "false",   0,     1,      "",                           \
      "start from orthogonal weights; always so when orthogonal_reg is 0")                           \
    X(seed,            INTEGER, TRAJECTORY,  "1",       0,     4294967230, "",                       \
      "seed of the initial weights: layer k uses seed + k")                                          \
    X(batch_size,      INTEGER, TRAJECTORY,  "60",      1,     1000000, "",                          \
      "rows per update")                                                                             \
    X(gamma,           REAL,    TRAJECTORY,  "0.001",   1e-12, 1,      "",                           \
      "GAIT-prop's step towards the target")                                                         \
    X(gait_form,       TEXT,    TRAJECTORY,  "exact",   0,     0,      "exact published",            \
      "GAIT-prop's arithmetic: without cancellation, or as published (in float64)")                  \
    X(precision,       TEXT,    TRAJECTORY,  "float32", 0,     0,      "float32 float64",            \
      "number format of parameters, moments and arithmetic")                                         \
    X(tf32,            BOOLEAN, TRAJECTORY,  "false",   0,     1,      "",                           \
      "on GPUs, round the factors of float32 products to 10 bits for speed")                         \
    X(train_rows,      INTEGER, TRAJECTORY,  "all",     0,     1e9,    "all",                        \
      "rows to train on, from the first")                                                            \
    X(valid_rows,      INTEGER, TRAJECTORY,  "0",       0,     1e9,    "",                           \
      "rows held out for validation, the last of the training set")                                  \
    X(shuffle,         BOOLEAN, TRAJECTORY,  "false",   0,     1,      "",                           \
      "permute the rows anew each epoch, by seed and epoch")                                         \
    X(eval_every,      INTEGER, MEASUREMENT, "0",       0,     1e9,    "",                           \
      "evaluate every so many batches within an epoch; 0: at its end only")                          \
    X(eval_offset,     INTEGER, MEASUREMENT, "0",       0,     1e9,    "",                           \
      "batches by which those evaluations are shifted (published: 1)")                               \
    X(test_rows,       INTEGER, MEASUREMENT, "all",     0,     1e9,    "all",                        \
      "rows of the test set to evaluate on, from the first")                                         \
    X(diagnostics,     BOOLEAN, MEASUREMENT, "false",   0,     1,      "",                           \
      "measure each layer's angle to BP, orthogonality, condition and errors too")                   \
    X(device,          TEXT,    PLACEMENT,   "any",     0,     0,      "",                           \
      "where to run: any, cpu, cuda, or the index of a GPU")                                         \
    X(threads,         INTEGER, PLACEMENT,   "1",       1,     256,    "",                           \
      "CPU threads of the job")                                                                      \
    X(nb_epochs,       INTEGER, LENGTH,      "100",     0,     1e6,    "",                           \
      "epochs to train to")
// clang-format on

enum setting_type {
    SETTING_TEXT,
    SETTING_INTEGER,
    SETTING_REAL,
    SETTING_BOOLEAN
};

enum setting_kind {
    SETTING_TRAJECTORY,
    SETTING_MEASUREMENT,
    SETTING_PLACEMENT,
    SETTING_LENGTH,
    SETTING_CONTROL, /* of a sweep: schema/control.h */
};

#define SETTING_ONE(...) +1
enum {
    SETTING_COUNT = 0 SETTINGS(SETTING_ONE),
    SETTING_TEXT_BYTES = 328, /* 64 widths of up to four digits, and more */
    LAYERS_MAX = 65,          /* 64 hidden layers and the output layer */
    CLASSES = 10, /* class outputs: the first 10 of the last layer */
};

#define SETTING_FIELD_TEXT(name) char name[SETTING_TEXT_BYTES];
#define SETTING_FIELD_INTEGER(name) int64_t name;
#define SETTING_FIELD_REAL(name) double name;
#define SETTING_FIELD_BOOLEAN(name) bool name;
#define SETTING_FIELD(name, type, kind, initial, least, most, words, help)     \
    SETTING_FIELD_##type(name)

struct settings {
    SETTINGS(SETTING_FIELD)
};

struct setting {
    const char *name;
    enum setting_type type;
    enum setting_kind kind;
    const char *initial; /* the default, as text */
    double least, most;  /* bounds of numbers, both allowed */
    const char *words;
    const char *help;
    size_t offset; /* of the field in struct settings */
};

extern const struct setting setting_table[];
extern const int setting_count;

/* What a spec is checked against, and a key made from: the shape of a data set
 * and the hash of its contents (pixels and labels, however they were packed).
 */
struct dataset_shape {
    int64_t train_rows, test_rows;
    int width;       /* pixels per row */
    char digest[33]; /* 128 bits, lower-case hex */
};

/* The setting of that name, or NULL.  Names are spelled with underscores. */
const struct setting *setting_find(const char *name);

/* The known setting whose name is nearest to `name`, or NULL when none is
 * near enough to be what was meant. */
const char *setting_nearest(const char *name);

/* Adds the fault of a name that is no setting's. */
void setting_unknown(const char *name, struct faults *faults);

void settings_init(struct settings *settings); /* all defaults */
void setting_reset(const struct setting *setting, struct settings *settings);

/* Reads one JSON value into its field.  Text is accepted for words only
 * ("all"), never for numbers; a GPU's index may be a number.  On failure adds
 * a fault, leaves the field alone, and returns false. */
bool setting_read(const struct setting *setting, const struct cJSON *value,
                  struct settings *out, struct faults *faults);

/* Reads one value as typed on a command line ("1e-4", "true", "all") into a
 * new JSON value, which is the caller's; text that is no number stays text,
 * so that the daemon can say what was expected. */
struct cJSON *setting_value(const struct setting *setting, const char *text);

/* The field as a new JSON value (the caller's), and as text for people: a word
 * such as "all" is 0 in the first, so that a column keeps one type. */
struct cJSON *setting_write(const struct setting *setting,
                            const struct settings *settings);
void setting_print(const struct setting *setting,
                   const struct settings *settings, char *text, size_t bytes);
bool setting_equal(const struct setting *setting, const struct settings *a,
                   const struct settings *b);

/* All settings as a new JSON object, and back (missing members keep their
 * defaults, or what `out` holds; unknown ones are faults). */
struct cJSON *settings_write(const struct settings *settings);
bool settings_read(const struct cJSON *object, struct settings *out,
                   struct faults *faults);
bool settings_override(const struct cJSON *object, struct settings *out,
                       struct faults *faults);

/* Layer widths of the network over rows of `width` pixels, in
 * `widths[0..return)`: square: nb_layers + 1 times `width`; tower: `widths`,
 * or 784x500x200x10.  Returns 0 when `widths` cannot be read. */
int settings_widths(const struct settings *settings, int width,
                    int widths[LAYERS_MAX]);

/* Faults between settings, and against the data: tower widths that increase,
 * a batch larger than the training rows, and the like. */
void settings_check(const struct settings *settings,
                    const struct dataset_shape *shape, struct faults *faults);

/* Whether the setting has any effect beside the others: not gamma and
 * gait_form unless GAIT, gamma without kinks in exact form, nb_layers under
 * tower, orthogonal_form at orthogonal_reg 0, eval_offset at eval_every 0,
 * tf32 in float64 or on device cpu.
 * The same of settings and of what settings_canonical made of them. */
bool setting_has_effect(const struct setting *setting,
                        const struct settings *settings);
/* Whether another decides on that, or on what settings_canonical makes of it.
 */
bool setting_leans_on(const struct setting *setting,
                      const struct setting *other);

/* Resets what has no effect to its default, so that equal trainings look
 * equal: that, widths that are those of "none", orthogonal_init where weights
 * start orthogonal anyway, row counts that are all. */
void settings_canonical(struct settings *settings,
                        const struct dataset_shape *shape);

/* What is to be shown: says of orthogonal_init what becomes of it.  Then
 * setting_show writes as setting_write does, and null what has no effect. */
void settings_effective(struct settings *settings);
struct cJSON *setting_show(const struct setting *setting,
                           const struct settings *effective);

/* Whether weights start orthogonal: as orthogonal_init says, and always at
 * orthogonal_reg 0, as published. */
bool settings_is_orthogonal(const struct settings *settings);

/* Whether GAIT is to be computed as published, rounding and all. */
bool settings_is_published(const struct settings *settings);

/* Whether the learning rule takes errors through the inverses of weights. */
bool settings_inverts(const struct settings *settings);

/* Rows really trained on, and tested on, after `all` is resolved. */
int64_t settings_train_rows(const struct settings *settings,
                            const struct dataset_shape *shape);
int64_t settings_test_rows(const struct settings *settings,
                           const struct dataset_shape *shape);

#endif
