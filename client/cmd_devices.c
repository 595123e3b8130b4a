/* cmd_devices.c: what there is to run on. */
#include <cjson/cJSON.h>
#include <stdio.h>

#include "client/command.h"
#include "client/connection.h"
#include "client/exits.h"
#include "client/text.h"
#include "schema/gpu_memory.h"
#include "schema/json.h"

static const struct column columns[] = {
    {"device", NULL, COLUMN_TEXT, true},
    {"model", NULL, COLUMN_TEXT, true},
    {"uuid", NULL, COLUMN_TEXT, true},
    {"capability", NULL, COLUMN_TEXT, true},
    {"memory", NULL, COLUMN_TEXT, true},
    {"free", NULL, COLUMN_TEXT, true},
    {"slots", NULL, COLUMN_NUMBER, true},
    {"running", "jobs", COLUMN_TEXT, true},
};

static const struct column data_columns[] = {
    {"device", NULL, COLUMN_TEXT, true},
    {"model", NULL, COLUMN_TEXT, true},
    {"uuid", NULL, COLUMN_TEXT, true},
    {"capability", NULL, COLUMN_TEXT, true},
    {"memory_bytes", NULL, COLUMN_NUMBER, true},
    {"free_bytes", NULL, COLUMN_NUMBER, true},
    {"slots", NULL, COLUMN_NUMBER, true},
    {"running", "jobs", COLUMN_TEXT, true},
    {"device_class", NULL, COLUMN_TEXT, true},
    {"used_by", NULL, COLUMN_TEXT, true},
    {"trouble", NULL, COLUMN_TEXT, true},
};

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static void add_size(struct cJSON *device, const char *name, const char *bytes)
{
    char text[GPU_SIZE_BYTES];
    int64_t size = json_integer_or(device, bytes, -1);
    if (size >= 0)
        cJSON_AddStringToObject(device, name, gpu_size(size, text));
}

/* "3 7" */
static void add_jobs(struct cJSON *device)
{
    char text[256] = "";
    size_t used = 0;
    const struct cJSON *job;
    cJSON_ArrayForEach(job, cJSON_GetObjectItemCaseSensitive(device, "jobs"))
    {
        if (used < sizeof text)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%.0f",
                                     used ? " " : "", job->valuedouble);
    }
    cJSON_AddStringToObject(device, "running", text);
}

static void show_rows(struct output *output, const struct cJSON *devices,
                      const struct column *shown, int count)
{
    output_begin(output, shown, count);
    output_rows(output, devices);
    output_end(output);
}

/* Below the table: who is on a GPU, and why it is not used. */
static void show_notes(struct output *output, const struct cJSON *answer)
{
    const struct cJSON *device,
        *list = cJSON_GetObjectItemCaseSensitive(answer, "devices");
    const char *driver = json_text_or(answer, "driver", NULL);
    const char *no_gpu = json_text_or(answer, "no_gpu", NULL);
    if (driver)
        fprintf(output->file, "NVIDIA driver %s\n", driver);
    if (no_gpu)
        fprintf(output->file, "no GPU: %s\n", no_gpu);
    cJSON_ArrayForEach(device, list)
    {
        const char *name = json_text_or(device, "device", "");
        const char *trouble = json_text_or(device, "trouble", NULL);
        const char *users = json_text_or(device, "used_by", NULL);
        bool is_used = json_integer_or(device, "slots", 0) > 0;
        if (trouble)
            fprintf(output->file, "%s is %s%s\n", name,
                    is_used ? "" : "not used: ", trouble);
        else if (users)
            fprintf(output->file, "%s is shared with process %s\n", name,
                    users);
    }
}

static void show(struct output *output, struct cJSON *answer)
{
    struct cJSON *device,
        *list = cJSON_GetObjectItemCaseSensitive(answer, "devices");
    if (output->format != OUTPUT_TABLE && output->format != OUTPUT_CSV) {
        (output->format == OUTPUT_JSON ? output_json : output_line)(output,
                                                                    answer);
        return;
    }
    cJSON_ArrayForEach(device, list)
    {
        add_size(device, "memory", "memory_bytes");
        add_size(device, "free", "free_bytes");
        add_jobs(device);
    }
    if (output->format == OUTPUT_CSV) {
        show_rows(output, list, data_columns, COUNT(data_columns));
        return;
    }
    show_rows(output, list, columns, COUNT(columns));
    show_notes(output, answer);
}

static int run(struct client *client, struct error *error)
{
    struct connection connection;
    struct cJSON *answer = NULL;
    if (connection_open(&connection, error))
        answer = connection_request(&connection, "devices", NULL, error);
    connection_close(&connection);
    if (!answer)
        return -1;
    show(&client->output, answer);
    cJSON_Delete(answer);
    return EXIT_GOOD;
}

const struct command command_devices = {
    .name = "devices",
    .synopsis = "",
    .summary = "show GPUs and the CPU, what runs there, and who else does",
    .details = "GPUs are looked at anew.  A GPU that jobs cannot have is told "
               "of with the reason:\nleft out by an option or by "
               "CUDA_VISIBLE_DEVICES, used by other people's processes\nor by "
               "another gaitd, or failed.\n",
    .run = run,
};
