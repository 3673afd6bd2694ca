/* SPDX-License-Identifier: MIT */
/*
 * test_import_table.c - every attribute of xinetd.conf(5) is in the table of the import
 *
 * The list of tests/import/attributes is that of the manual page, with the flags; where xinetd is
 * installed, its own page is asked, too.
 */
#include <stdio.h>
#include <unistd.h>

#include "common/array.h"
#include "ctl/import/import.h"
#include "support/test.h"

#define LIST SOURCE_DIR "/tests/import/attributes"
#define PAGE "/usr/share/man/man5/xinetd.conf.5.gz"

/* Calls the function for each line of what a command prints. */
static size_t
for_each_line(const char *command, void (*function)(char *line))
{
    FILE *stream = popen(command, "r");
    size_t room = 0, count = 0;
    char *line = NULL;

    assert_non_null(stream);
    for (ssize_t size; (size = getline(&line, &room, stream)) > 0; count++) {
        line[size - 1] = '\0';
        function(line);
    }
    free(line);
    assert_int_equal(pclose(stream), 0);
    return count;
}

static void
expect_attribute(char *line)
{
    const struct attribute *attribute = attribute_find(line);

    if (attribute == NULL || attribute->inetd)
        fail_msg("the table has no attribute %s", line);
}

static void
the_stored_list_is_in_the_table(void **state)
{
    (void)state;
    assert_true(for_each_line("cat " LIST, expect_attribute) > 45);
}

static bool
stands_in_list(const char *name)
{
    return strstr(text_of("\n%s", file_text(LIST)), text_of("\n%s\n", name)) != NULL;
}

static void
the_table_is_in_the_stored_list(void **state)
{
    (void)state;
    for (size_t i = 0; i < attribute_count; i++)
        if (!attributes[i].inetd && !stands_in_list(attributes[i].name))
            fail_msg("xinetd.conf(5) has no attribute %s", attributes[i].name);
}

/* In the page an attribute is ".B name" below ".TP", in small letters. */
static void
expect_of_page(char *line)
{
    size_t size = strspn(line, "abcdefghijklmnopqrstuvwxyz_");

    if (size > 0 && line[size] == '\0')
        expect_attribute(line);
}

static void
the_installed_page_says_nothing_else(void **state)
{
    (void)state;
    if (access(PAGE, R_OK) < 0) {
        print_message("skipped: %s is not installed\n", PAGE);
        skip();
    }
    assert_true(for_each_line("zcat " PAGE " | sed -n '/^\\.TP/{n;s/^\\.B \\([a-z_]*\\)$/\\1/p}'",
                              expect_of_page) > 45);
}

static void
each_row_says_what_becomes_of_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < attribute_count; i++) {
        assert_true((attributes[i].map == NULL) == (attributes[i].text != NULL));
        assert_ptr_equal(attribute_find(attributes[i].name), &attributes[i]);
    }
}

RUN_TESTS(TEST(the_stored_list_is_in_the_table), TEST(the_table_is_in_the_stored_list),
          TEST(the_installed_page_says_nothing_else), TEST(each_row_says_what_becomes_of_it))
