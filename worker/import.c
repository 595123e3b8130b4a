#include "worker/import.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "schema/settings.h"
#include "worker/idx.h"
#include "worker/npz.h"

enum { NAME_BYTES = 400, ENDINGS_MAX = 5 };

/* A file's name is [<data set>-]<stem><ending>, with any of the endings. */
static const struct format {
    bool (*read)(const char *path, int dimensions, struct array *array,
                 struct error *error);
    bool is_prefixed; /* by the data set's name in lower case */
    const char *stems[IMPORT_PARTS];
    const char *endings[2][ENDINGS_MAX]; /* of images, of labels */
    const char *note;                    /* on the first ending, for people */
} formats[] = {
    {
        .read = idx_read,
        .stems = {"train-images", "train-labels", "t10k-images", "t10k-labels"},
        .endings = {{"-idx3-ubyte", "-idx3-ubyte.gz", ".idx3-ubyte",
                     ".idx3-ubyte.gz"},
                    {"-idx1-ubyte", "-idx1-ubyte.gz", ".idx1-ubyte",
                     ".idx1-ubyte.gz"}},
        .note = "(.gz)",
    },
    {
        .read = npz_read,
        .is_prefixed = true,
        .stems = {"train-imgs", "train-labels", "test-imgs", "test-labels"},
        .endings = {{".npz"}, {".npz"}},
        .note = "",
    },
};
enum { FORMATS = sizeof formats / sizeof formats[0] };

static const struct origin {
    const char *name, *advice;
} origins[] = {
    {"FMNIST", "Debian's package dataset-fashion-mnist"},
    {"MNIST", "https://ossci-datasets.s3.amazonaws.com/mnist, and put its "
              "four files there"},
    {"KMNIST", "http://codh.rois.ac.jp/kmnist, and put its four files there"},
};

/* --- finding ---------------------------------------------------------------
 */

static void print_file(const struct format *format, const char *name, int part,
                       const char *ending, char text[NAME_BYTES])
{
    size_t used = 0;
    if (format->is_prefixed) {
        for (; name[used] && used < NAME_BYTES / 2; used++)
            text[used] = (char)tolower((unsigned char)name[used]);
        text[used++] = '-';
    }
    snprintf(text + used, NAME_BYTES - used, "%s%s", format->stems[part],
             ending);
}

static bool examine(struct import_file *file)
{
    struct stat status;
    if (stat(file->path, &status) != 0)
        return false;
    file->bytes = status.st_size;
    file->modified =
        (double)status.st_mtim.tv_sec + 1e-9 * (double)status.st_mtim.tv_nsec;
    return true;
}

static bool find_file(const struct format *format, const char *folder,
                      const char *name, int part, struct import_file *file)
{
    char text[NAME_BYTES];
    struct error error;
    for (int i = 0; i < ENDINGS_MAX && format->endings[part & 1][i]; i++) {
        print_file(format, name, part, format->endings[part & 1][i], text);
        if (path_join(file->path, folder, text, &error) && examine(file))
            return true;
    }
    return false;
}

static bool find_rest(const struct format *format, const char *folder,
                      const char *name, struct import_file *files,
                      struct error *error)
{
    char text[NAME_BYTES];
    for (int part = 1; part < IMPORT_PARTS; part++)
        if (!find_file(format, folder, name, part, &files[part])) {
            print_file(format, name, part, format->endings[part & 1][0], text);
            return error_set(error, ERROR_NOT_FOUND,
                             "data set \"%s\": \"%s\" is there, but not %s%s "
                             "beside it",
                             name, files[0].path, text, format->note);
        }
    return true;
}

struct sentence {
    char text[1000];
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void say(struct sentence *sentence,
                                                      const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t room = sizeof sentence->text - sentence->used;
    int length =
        vsnprintf(sentence->text + sentence->used, room, format, arguments);
    va_end(arguments);
    if (length > 0)
        sentence->used += (size_t)length < room ? (size_t)length : room - 1;
}

static bool not_found(const struct dataset_place *place, struct error *error)
{
    struct sentence where = {0};
    char file[NAME_BYTES];
    for (int i = 0; i < FORMATS; i++) {
        print_file(&formats[i], place->name, 0, formats[i].endings[0][0], file);
        say(&where, "%s%s%s", i ? " or " : "", file, formats[i].note);
    }
    say(&where, " in");
    for (int i = 0; i < place->folder_count; i++)
        say(&where, "%s \"%s\"", i ? "," : "", place->folders[i]);
    if (place->folder_count == 0)
        say(&where, " no folder");
    for (size_t i = 0; i < sizeof origins / sizeof origins[0]; i++)
        if (strcmp(origins[i].name, place->name) == 0)
            say(&where, "; get it from %s", origins[i].advice);
    return error_set(error, ERROR_NOT_FOUND,
                     "data set \"%s\" not found: looked for %s", place->name,
                     where.text);
}

static const struct format *find(const struct dataset_place *place,
                                 struct import_file *files, struct error *error)
{
    for (int i = 0; i < place->folder_count; i++)
        for (const struct format *f = formats; f < formats + FORMATS; f++)
            if (find_file(f, place->folders[i], place->name, 0, &files[0]))
                return find_rest(f, place->folders[i], place->name, files,
                                 error)
                           ? f
                           : NULL;
    not_found(place, error);
    return NULL;
}

/* --- checking --------------------------------------------------------------
 */

static bool check_labels(const struct import *import, int part,
                         struct error *error)
{
    const struct array *labels = &import->parts[part];
    const char *path = import->files[part].path;
    int64_t images = import->parts[part - 1].rows;
    if (labels->rows != images)
        return error_set(error, ERROR_CORRUPT,
                         "\"%s\": %" PRId64 " labels for %" PRId64 " images",
                         path, labels->rows, images);
    for (int64_t i = 0; i < labels->rows; i++)
        if (labels->values[i] >= CLASSES)
            return error_set(error, ERROR_CORRUPT,
                             "\"%s\": label %d at row %" PRId64
                             "; expected 0 to %d",
                             path, labels->values[i], i, CLASSES - 1);
    return true;
}

static bool check_images(const struct import *import, int part,
                         struct error *error)
{
    const struct array *images = &import->parts[part];
    const char *path = import->files[part].path;
    int64_t width = import->parts[TRAIN_IMAGES].width;
    if (images->rows == 0)
        return error_set(error, ERROR_CORRUPT, "\"%s\": holds no images", path);
    if (images->width == 0)
        return error_set(error, ERROR_CORRUPT,
                         "\"%s\": its images have no pixels", path);
    return images->width == width ||
           error_set(error, ERROR_CORRUPT,
                     "\"%s\": images of %" PRId64 " pixels, but %" PRId64
                     " in \"%s\"",
                     path, images->width, width,
                     import->files[TRAIN_IMAGES].path);
}

/* Names become parts of file names. */
static bool check_name(const char *name, struct error *error)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t length = strlen(name);
    return (length > 0 && length < 128 && name[0] != '.' &&
            strspn(name, allowed) == length) ||
           error_set(error, ERROR_PARAMS,
                     "\"%.100s\" cannot name a data set: expected letters, "
                     "digits, '.', '_' and '-'",
                     name);
}

bool import_read(struct import *import, const struct dataset_place *place,
                 struct error *error)
{
    *import = (struct import){0};
    if (!check_name(place->name, error))
        return false;
    const struct format *format = find(place, import->files, error);
    if (!format)
        return false;
    for (int part = 0; part < IMPORT_PARTS; part++) {
        bool is_labels = part & 1;
        if (!format->read(import->files[part].path,
                          is_labels ? ARRAY_LABELS : ARRAY_IMAGES,
                          &import->parts[part], error) ||
            !(is_labels ? check_labels : check_images)(import, part, error))
            return false;
    }
    return true;
}

void import_release(struct import *import)
{
    for (int part = 0; part < IMPORT_PARTS; part++)
        array_release(&import->parts[part]);
}
