/* SPDX-License-Identifier: MIT */
/*
 * near_hooks.c - functions of a plugin that look as if they were meant for hooks
 *
 * Nobody misses a hook that is not there, so one that is mistyped is simply never called. The
 * plugin's own symbol table is looked through: what is compiled with -fvisibility=hidden, and is
 * declared by no header, is in no table for the linker.
 *
 * Runs in:  who has loaded the plugin: --describe, a worker that cannot start.
 * Owns:     the mapping of the file, while it looks.
 * Failures: what cannot be told is left out.
 */
#include "worker/plugin/near_hooks.h"

#include <ctype.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/suggest.h"

#define LONGEST_NAME 200
#define SYMBOLS_MOST 1000000u
#define SLIP         2 /* characters too many, or too few */

struct search {
    const char *bytes; /* of the file */
    size_t size;
    const char *const *present, *const *missing;
    struct errors *found;
};

static bool
lies_within(const struct search *search, uint64_t offset, uint64_t size)
{
    return offset <= search->size && size <= search->size - offset;
}

/* ---- one name ------------------------------------------------------------------------------ */

/* What a C++ compiler made a name of, as far as it is a plain function: "handle" for
 * "_Z6handleP10ss_request" and for "_ZN4mine6handleEi". False: it is no such name. */
static bool
unmangle(const char *symbol, char ret[LONGEST_NAME])
{
    const char *at = symbol + 2;
    bool found = false;

    if (strncmp(symbol, "_Z", 2) != 0)
        return false;
    while (*at == 'N' || *at == 'L') /* in a namespace; static */
        at++;
    while (isdigit((unsigned char)*at)) {
        char *name;
        unsigned long size = strtoul(at, &name, 10);
        if (size == 0 || size >= LONGEST_NAME || strlen(name) < size)
            return found;
        memcpy(ret, name, size);
        ret[size] = '\0';
        at = name + size;
        found = true;
    }
    return found;
}

static const char *
same_but_for_case(const char *name, const char *const *names)
{
    for (size_t i = 0; names[i] != NULL; i++)
        if (strcasecmp(names[i], name) == 0)
            return names[i];
    return NULL;
}

/* Whether it is a slip of the fingers, and neither a hook that is there nor a longer name that
 * begins or ends like one. */
static const char *
mistyped(const char *name, const struct search *search)
{
    const char *near = suggest(name, search->missing), *known = suggest(name, search->present);
    size_t size = strlen(name), near_size = near == NULL ? 0 : strlen(near);

    if (near == NULL || (size > near_size ? size - near_size : near_size - size) > SLIP)
        return NULL;
    return known != NULL && strncmp(known, name, strlen(known)) == 0 ? NULL : near;
}

static void
judge_name(const char *symbol, const struct search *search)
{
    char plain[LONGEST_NAME];
    bool mangled = unmangle(symbol, plain);
    const char *name = mangled ? plain : symbol;
    const char *near = same_but_for_case(name, search->missing);

    if (mangled && near != NULL && strcmp(near, name) == 0)
        errors_add(search->found, NULL, 0,
                   "%s is a C++ function of its own (%s) and is never called: write its "
                   "parameters as <sockserver/plugin.h> does, outside of any namespace, or put "
                   "extern \"C\" before it",
                   name, symbol);
    else if (near != NULL || (near = mistyped(name, search)) != NULL)
        errors_add(search->found, NULL, 0,
                   "%s is no hook and is never called by the daemon: did you mean %s?", name, near);
}

/* ---- the file ------------------------------------------------------------------------------ */

/* What linkers make of a hidden function is a local one. It differs from a static one by its
 * visibility, or it stands behind those of all source files. */
static bool
is_public_function(const ElfW(Sym) * symbol, bool behind_files)
{
    unsigned binding = ELF64_ST_BIND(symbol->st_info);
    unsigned visibility = ELF64_ST_VISIBILITY(symbol->st_other);

    if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC || symbol->st_shndx == SHN_UNDEF)
        return false;
    return binding != STB_LOCAL || visibility == STV_HIDDEN || behind_files;
}

static void
look_through(const struct search *search, const ElfW(Shdr) * table, const ElfW(Shdr) * names)
{
    size_t count = table->sh_size / sizeof(ElfW(Sym));
    bool behind_files = false;

    if (!lies_within(search, table->sh_offset, table->sh_size) ||
        !lies_within(search, names->sh_offset, names->sh_size) || names->sh_size == 0 ||
        search->bytes[names->sh_offset + names->sh_size - 1] != '\0')
        return;
    for (size_t i = 0; i < count && i < SYMBOLS_MOST; i++) {
        ElfW(Sym) symbol;
        memcpy(&symbol, search->bytes + table->sh_offset + i * sizeof(symbol), sizeof(symbol));
        if (symbol.st_name >= names->sh_size)
            continue;
        const char *name = search->bytes + names->sh_offset + symbol.st_name;
        if (ELF64_ST_TYPE(symbol.st_info) == STT_FILE)
            behind_files = *name == '\0';
        else if (is_public_function(&symbol, behind_files))
            judge_name(name, search);
    }
}

/* The plugin's own table knows more than the linker's, and may be stripped. */
static bool
look_for_table(const struct search *search, uint32_t type)
{
    ElfW(Ehdr) head;

    if (search->size < sizeof(head))
        return false;
    memcpy(&head, search->bytes, sizeof(head));
    if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_shentsize != sizeof(ElfW(Shdr)) ||
        head.e_shoff % sizeof(uint64_t) != 0 ||
        !lies_within(search, head.e_shoff, (uint64_t)head.e_shnum * sizeof(ElfW(Shdr))))
        return false;
    const ElfW(Shdr) *sections = (const void *)(search->bytes + head.e_shoff);
    for (size_t i = 0; i < head.e_shnum; i++) {
        if (sections[i].sh_type != type || sections[i].sh_link >= head.e_shnum)
            continue;
        look_through(search, &sections[i], &sections[sections[i].sh_link]);
        return true;
    }
    return false;
}

void
near_hooks_find(const char *file, const char *const *present, const char *const *missing,
                struct errors *ret)
{
    struct search search = {.present = present, .missing = missing, .found = ret};
    _cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0 || status.st_size <= 0)
        return;
    search.size = (size_t)status.st_size;
    void *bytes = mmap(NULL, search.size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return;
    search.bytes = bytes;
    if (!look_for_table(&search, SHT_SYMTAB))
        (void)look_for_table(&search, SHT_DYNSYM);
    (void)munmap(bytes, search.size);
}
