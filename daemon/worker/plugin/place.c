/* SPDX-License-Identifier: MIT */
/*
 * place.c - where in which file a thread is: for handlers that spin, and for crashes
 *
 * dladdr() takes locks, and the thread that was interrupted may hold them. So the loaded files are
 * noted beforehand, and everything else is read from memory that stays as it is: the symbol tables
 * that the linker uses, and the plugin's own one, whose file is mapped. The stack is searched for
 * addresses that lie behind a call in the plugin. Where it is unwound instead, the unwinder reads
 * tables of the files and the stack itself, and takes no lock (of glibc 2.35 and later); a fault
 * that a broken stack leads it into is caught.
 *
 * Runs in:  a worker; place_describe() in a signal handler of any thread there.
 * Owns:     the table, and the mapping of the plugin's file.
 * Failures: what cannot be told is left out.
 */
#include "worker/plugin/place.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <setjmp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include "common/cleanup.h"

#define OBJECTS 64
#define STACK_DEPTH                                                                                \
    (256u * 1024)              /* bytes that are searched if the end of the stack is not known     \
                                */
#define SYMBOLS_MAX   1000000u /* more in one file are not looked at */
#define NAME_SIZE     80       /* a longer symbol is cut */
#define WORDS_AT_ONCE 256

struct symbols {
    const ElfW(Sym) * table;
    size_t count;
    const char *names;
    size_t names_size;
};

struct object {
    const char *name;
    uintptr_t base, start, end; /* of its code */
    const ElfW(Dyn) * dynamic;
};

static struct {
    struct object objects[OBJECTS];
    size_t count;
    const struct object *plugin;
    struct symbols own; /* of the plugin's file; empty if it is stripped */
} places;

/* ---- beforehand ---------------------------------------------------------------------------- */

static int
note_object(struct dl_phdr_info *info, size_t size, void *argument)
{
    struct object object = {.name = info->dlpi_name, .base = info->dlpi_addr, .start = UINTPTR_MAX};

    (void)size;
    (void)argument;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t start = object.base + part->p_vaddr;

        if (part->p_type == PT_DYNAMIC)
            object.dynamic = (const void *)start;
        if (part->p_type != PT_LOAD || (part->p_flags & PF_X) == 0)
            continue;
        object.start = start < object.start ? start : object.start;
        object.end = start + part->p_memsz > object.end ? start + part->p_memsz : object.end;
    }
    if (object.end > 0)
        places.objects[places.count++] = object;
    return places.count == OBJECTS;
}

/* Whether a part of the file lies within it, aligned as numbers must be. */
static bool
lies_within(uint64_t offset, uint64_t part, size_t size)
{
    return offset <= size && part <= size - offset && offset % sizeof(uint64_t) == 0;
}

static struct symbols
find_symbol_table(const char *bytes, size_t size)
{
    const ElfW(Ehdr) *head = (const void *)bytes;
    struct symbols none = {0};

    if (size < sizeof(*head) || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 ||
        head->e_shentsize != sizeof(ElfW(Shdr)) ||
        !lies_within(head->e_shoff, (uint64_t)head->e_shnum * sizeof(ElfW(Shdr)), size))
        return none;
    const ElfW(Shdr) *sections = (const void *)(bytes + head->e_shoff);
    for (size_t i = 0; i < head->e_shnum; i++) {
        const ElfW(Shdr) *table = &sections[i];

        if (table->sh_type != SHT_SYMTAB || table->sh_link >= head->e_shnum)
            continue;
        const ElfW(Shdr) *names = &sections[table->sh_link];
        if (!lies_within(table->sh_offset, table->sh_size, size) || names->sh_offset > size ||
            names->sh_size > size - names->sh_offset)
            return none;
        return (struct symbols){(const void *)(bytes + table->sh_offset),
                                table->sh_size / sizeof(ElfW(Sym)), bytes + names->sh_offset,
                                names->sh_size};
    }
    return none;
}

/* The mapping stays: what nobody reads costs no memory. */
static void
map_plugin(const char *file)
{
    _cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0 || status.st_size <= 0)
        return;
    size_t size = (size_t)status.st_size;
    void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return;
    places.own = find_symbol_table(bytes, size);
    if (places.own.count == 0)
        (void)munmap(bytes, size);
}

static const struct object *
object_of(uintptr_t address)
{
    for (size_t i = 0; i < places.count; i++)
        if (address >= places.objects[i].start && address < places.objects[i].end)
            return &places.objects[i];
    return NULL;
}

void
places_note(const void *function, const char *file)
{
    if (places.count > 0)
        return;
    (void)dl_iterate_phdr(note_object, NULL);
    places.plugin = object_of((uintptr_t)function);
    if (file != NULL)
        map_plugin(file);
}

/* ---- symbols --------------------------------------------------------------------------------- */

/* The linker's own hash table tells how many symbols there are: the last one of its chains. */
static size_t
count_by_hash(const uint32_t *hash)
{
    uint32_t bucket_count = hash[0], first = hash[1], bloom_size = hash[2], last = 0;
    const uint32_t *buckets = hash + 4 + bloom_size * (sizeof(ElfW(Addr)) / sizeof(uint32_t));
    const uint32_t *chains = buckets + bucket_count;

    for (uint32_t i = 0; i < bucket_count; i++)
        last = buckets[i] > last ? buckets[i] : last;
    if (last < first)
        return first;
    while ((chains[last - first] & 1) == 0)
        last++;
    return last + 1;
}

/* Most machines' linkers leave addresses in the table, some leave offsets. */
static const void *
pointer_of(const struct object *object, const ElfW(Dyn) * entry)
{
    uintptr_t pointer = entry->d_un.d_ptr;

    return (const void *)(pointer < object->base ? object->base + pointer : pointer);
}

static struct symbols
symbols_of(const struct object *object)
{
    struct symbols symbols = {0};

    if (object == places.plugin && places.own.count > 0)
        return places.own;
    for (const ElfW(Dyn) *d = object->dynamic; d != NULL && d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_SYMTAB)
            symbols.table = pointer_of(object, d);
        else if (d->d_tag == DT_STRTAB)
            symbols.names = pointer_of(object, d);
        else if (d->d_tag == DT_STRSZ)
            symbols.names_size = d->d_un.d_val;
        else if (d->d_tag == DT_GNU_HASH)
            symbols.count = count_by_hash(pointer_of(object, d));
    }
    if (symbols.table == NULL || symbols.names == NULL)
        symbols.count = 0;
    return symbols;
}

/* The function that holds the offset; *ret_into: how far into it. NULL: none does. */
static const char *
find_symbol(const struct object *object, uintptr_t offset, uintptr_t *ret_into)
{
    struct symbols symbols = symbols_of(object);

    if (symbols.count > SYMBOLS_MAX)
        return NULL;
    for (size_t i = 0; i < symbols.count; i++) {
        const ElfW(Sym) *symbol = &symbols.table[i];

        if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC || symbol->st_shndx == SHN_UNDEF ||
            offset < symbol->st_value || offset - symbol->st_value >= symbol->st_size ||
            symbol->st_name >= symbols.names_size)
            continue;
        *ret_into = offset - symbol->st_value;
        return symbols.names + symbol->st_name;
    }
    return NULL;
}

/* ---- the text ------------------------------------------------------------------------- */

struct text {
    char *at, *end;
};

static void
put(struct text *text, const char *what)
{
    char *end = text->end - text->at > NAME_SIZE ? text->at + NAME_SIZE : text->end;

    while (*what != '\0' && text->at < end)
        *text->at++ = *what++;
    *text->at = '\0';
}

static void
put_hex(struct text *text, uintptr_t number)
{
    char digits[2 * sizeof(number) + 1];
    size_t first = sizeof(digits) - 1;

    digits[first] = '\0';
    do
        digits[--first] = "0123456789abcdef"[number & 15];
    while ((number >>= 4) != 0);
    put(text, "0x");
    put(text, digits + first);
}

static void
put_place(struct text *text, uintptr_t address)
{
    const struct object *object = object_of(address);
    uintptr_t into = 0;

    if (object == NULL) {
        put_hex(text, address);
        return;
    }
    const char *slash = strrchr(object->name, '/');
    put(text, object->name[0] == '\0' ? "the worker" : slash == NULL ? object->name : slash + 1);
    put(text, "+");
    put_hex(text, address - object->base);
    const char *symbol = find_symbol(object, address - object->base, &into);
    if (symbol == NULL)
        return;
    put(text, " (");
    put(text, symbol);
    put(text, "+");
    put_hex(text, into);
    put(text, ")");
}

/* ---- the stack -------------------------------------------------------------------------- */

static void
read_context(const void *context, uintptr_t *ret_instruction, uintptr_t *ret_stack)
{
    const ucontext_t *user = context;

#if defined(__x86_64__)
    *ret_instruction = (uintptr_t)user->uc_mcontext.gregs[REG_RIP];
    *ret_stack = (uintptr_t)user->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    *ret_instruction = (uintptr_t)user->uc_mcontext.pc;
    *ret_stack = (uintptr_t)user->uc_mcontext.sp;
#else
    (void)user;
    *ret_instruction = *ret_stack = 0;
#endif
}

static bool
in_plugin(uintptr_t address)
{
    return places.plugin != NULL && address >= places.plugin->start && address < places.plugin->end;
}

/* Whether the code just before the address is a call: else the number is on the stack by chance. */
static bool
follows_call(uintptr_t address)
{
    if (!in_plugin(address) || !in_plugin(address - 8))
        return false;
#if defined(__x86_64__)
    const unsigned char *code = (const unsigned char *)address;
    static const int distances[] = {2, 3, 6, 7}; /* of calls through a register or memory */

    if (code[-5] == 0xe8)
        return true;
    for (size_t i = 0; i < sizeof(distances) / sizeof(distances[0]); i++)
        if (code[-distances[i]] == 0xff && (code[1 - distances[i]] >> 3 & 7) == 2)
            return true;
    return false;
#elif defined(__aarch64__)
    uint32_t code = *(const uint32_t *)(address - 4);

    return address % 4 == 0 && (code >> 26 == 0x25 || (code & 0xfffffc1fu) == 0xd63f0000u);
#else
    return true;
#endif
}

/* Of what the stack holds from here to its top: the innermost call that the plugin made. 0: none.
 */
static uintptr_t
find_call(uintptr_t stack, uintptr_t top)
{
    uintptr_t words[WORDS_AT_ONCE];
    int ends[2];
    ssize_t got;

    /* By way of a pipe: the stack pointer may be anything, and a stack ends somewhere. The kernel
     * finds out, and no process is forbidden to write its own memory. */
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return 0;
    _cleanup_close_ int out = ends[0], in = ends[1];
    for (uintptr_t from = stack & ~(sizeof(*words) - 1); from < top; from += (uintptr_t)got) {
        size_t size = top - from < sizeof(words) ? top - from : sizeof(words);

        /* Not write(2)'s own function: a sanitizer's knows what may not be read of a stack. */
        got = syscall(SYS_write, in, from, size);
        if (got < (ssize_t)sizeof(*words) || read(out, words, (size_t)got) != got)
            break;
        for (size_t i = 0; i < (size_t)got / sizeof(*words); i++)
            if (follows_call(words[i]))
                return words[i] - 1; /* in the call, not behind it */
    }
    return 0;
}

struct unwinding {
    uintptr_t instruction; /* that was interrupted: what is below it is the signal handler's */
    bool reached;
    uintptr_t call; /* the innermost place in the plugin; 0: none yet */
};

static _Unwind_Reason_Code
look_at_frame(struct _Unwind_Context *frame, void *argument)
{
    struct unwinding *unwinding = argument;
    int interrupted = 0;
    uintptr_t place = _Unwind_GetIPInfo(frame, &interrupted);

    unwinding->reached |= place == unwinding->instruction;
    place -= !interrupted; /* in the call, not behind it */
    if (!unwinding->reached || !in_plugin(place))
        return _URC_NO_REASON;
    unwinding->call = place;
    return _URC_END_OF_STACK;
}

/* ---- a trace --------------------------------------------------------------------------- */

#define TRACE_DEPTH 64 /* frames that are looked at */

struct trace {
    uintptr_t instruction; /* that was interrupted; 0: nothing was */
    bool reached;
    size_t count, last; /* last: one behind the outermost frame of the plugin; 0: there is none */
    uintptr_t places[TRACE_DEPTH];
};

/* Where a fault of the unwinder leads; NULL: nothing is unwound in this thread. */
static _Thread_local sigjmp_buf *volatile way_out;

void
place_rescue(void)
{
    if (way_out != NULL)
        siglongjmp(*way_out, 1);
}

static _Unwind_Reason_Code
note_frame(struct _Unwind_Context *frame, void *argument)
{
    struct trace *trace = argument;
    int interrupted = 0;
    uintptr_t place = _Unwind_GetIPInfo(frame, &interrupted);

    trace->reached |= trace->instruction == 0 || place == trace->instruction;
    if (place == 0 || trace->count == TRACE_DEPTH)
        return _URC_END_OF_STACK;
    if (!trace->reached)
        return _URC_NO_REASON;
    place -= !interrupted; /* in the call, not behind it */
    trace->places[trace->count++] = place;
    if (in_plugin(place))
        trace->last = trace->count;
    return _URC_NO_REASON;
}

static void
unwind(struct trace *trace)
{
    sigjmp_buf here;

    if (sigsetjmp(here, 1) == 0) {
        way_out = &here;
        (void)_Unwind_Backtrace(note_frame, trace);
    }
    way_out = NULL;
}

static bool
has_name(uintptr_t address)
{
    const struct object *object = object_of(address);
    uintptr_t into;

    return object == NULL || object->name[0] != '\0' ||
           find_symbol(object, address - object->base, &into) != NULL;
}

void
place_trace(const void *context, char *text, size_t size)
{
    struct text result = {text, text + size - 1};
    struct trace trace = {0};
    uintptr_t stack;

    text[0] = '\0';
    if (context != NULL)
        read_context(context, &trace.instruction, &stack);
    unwind(&trace);
    if (trace.count == 0 && trace.instruction != 0)
        put_place(&result, trace.instruction);
    for (size_t i = 0; i < (trace.last > 0 ? trace.last : trace.count); i++) {
        if (!has_name(trace.places[i]))
            continue;
        if (result.at > text)
            put(&result, "\n");
        put_place(&result, trace.places[i]);
    }
}

/* ---- both ----------------------------------------------------------------------------- */

static void
describe(uintptr_t instruction, uintptr_t call, struct text *text)
{
    put_place(text, instruction);
    if (call == 0 || in_plugin(instruction))
        return;
    put(text, ", called from ");
    put_place(text, call);
}

void
place_describe(const void *context, uintptr_t top, char text[PLACE_SIZE])
{
    struct text result = {text, text + PLACE_SIZE - 1};
    uintptr_t instruction, stack, call = 0;

    text[0] = '\0';
    read_context(context, &instruction, &stack);
    if (stack == 0)
        return;
    if (!in_plugin(instruction))
        call = find_call(stack, top > stack ? top : stack + STACK_DEPTH);
    describe(instruction, call, &result);
}

void
place_unwind(const void *context, char text[PLACE_SIZE])
{
    char *last = text + PLACE_SIZE - 1;
    struct text result = {text, last};
    struct unwinding unwinding = {0};
    uintptr_t stack;

    read_context(context, &unwinding.instruction, &stack);
    if (stack == 0 || in_plugin(unwinding.instruction))
        return;
    (void)_Unwind_Backtrace(look_at_frame, &unwinding);
    if (unwinding.call != 0)
        describe(unwinding.instruction, unwinding.call, &result);
}
