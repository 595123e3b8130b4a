#include "worker/engine/sample.h"

#include <stdio.h>

static void set_text(char field[SETTING_TEXT_BYTES], const char *text)
{
    snprintf(field, SETTING_TEXT_BYTES, "%s", text);
}

void sample_vary(struct settings *settings, int i, int width)
{
#define RULE_NAME(name, suffix, inverts) #name,
    static const char *const rules[] = {RULES(RULE_NAME)};
    enum { RULE_COUNT = sizeof rules / sizeof rules[0] };
    int variant = i / RULE_COUNT;
    bool is_odd = variant % 2;
    set_text(settings->algorithm, rules[i % RULE_COUNT]);
    set_text(settings->precision, is_odd ? "float64" : "float32");
    set_text(settings->gait_form, is_odd ? "published" : "exact");
    set_text(settings->orthogonal_form, is_odd ? "full" : "offdiagonal");
    settings->orthogonal_reg = (i + variant) % 2 ? 0.1 : 0.0;
    settings->linear = settings->shuffle = variant / 4;
    settings->tower = variant / 2 % 2;
    set_text(settings->widths, "none");
    if (settings->tower)
        snprintf(settings->widths, SETTING_TEXT_BYTES, "%dx%dx10", width,
                 width - 2);
}
