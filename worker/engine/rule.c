#include "worker/engine/rule.h"

#include <stddef.h>
#include <string.h>

#define RULE_POINTER(name, suffix, inverts) &rule_##suffix,
static const struct rule *const rules[] = {RULES(RULE_POINTER)};

const struct rule *rule_find(const char *name)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (strcmp(rules[i]->name, name) == 0)
            return rules[i];
    return NULL;
}

const struct rule *rule_choose(const struct settings *settings)
{
    return settings_is_published(settings) ? &rule_gait_published
                                           : rule_find(settings->algorithm);
}
