/* SPDX-License-Identifier: MIT */
/*
 * @NAME@.cc - greets, then answers each line: what a plugin in C++ may begin with
 *
 * Only handle() is required; sockserver-plugin(3) lists the other hooks. They are C
 * functions: an exception must not leave one.
 *
 * Runs in:  under "threading" several threads at once: what they share needs a
 *           lock or an atomic. Everything here is safe under every mixin.
 * Owns:     a visit, from setup() to finish().
 * Failures: a negative errno goes back to the daemon, which logs it.
 */
#include <cerrno>
#include <new>
#include <sockserver/plugin.h>
#include <string>

/* What a user may set in the listener's `options` group, or with -o NAME=VALUE. */
static const ss_option options[] = {
    {.name = "greeting", .type = SS_STRING, .fallback = "hello", .min = 0, .max = 200,
     .help = "sent to a client first", .required = false},
    {.name = "limit", .type = SS_INTEGER, .fallback = "100", .min = 1, .max = 1000000,
     .help = "lines a client may send", .required = false},
    {},
};

SS_PLUGIN(.name = "@NAME@", .summary = "greets, then answers each line",
          .transports = SS_STREAM | SS_DATAGRAM, /* delete what makes no sense for you */
          .mixins = SS_THREADING | SS_COROUTINE, /* promises: keep only what is true */
          .options = options)

namespace {

/* One per request, touched by that request alone. */
class visit {
public:
    std::string answer(const char *line, ssize_t size)
    {
        return std::to_string(++lines_) + ": " + std::string(line, static_cast<size_t>(size));
    }

    long lines() const
    {
        return lines_;
    }

private:
    long lines_ = 0;
};

int
serve(ss_request *request, visit &visit)
{
    const long limit = ss_option_integer(ss_server(request), "limit");
    char *line;

    (void)ss_printf(request, "%s\n", ss_option_string(ss_server(request), "greeting"));
    while (visit.lines() < limit) {
        ssize_t size = ss_wait_input(request, -1); /* ends when the daemon drains */
        if (size > 0)
            size = ss_readline(request, &line);
        if (size <= 0)
            return static_cast<int>(size);
        const std::string answer = visit.answer(line, size);
        (void)ss_write(request, answer.data(), answer.size());
    }
    return 0;
}

} // namespace

/* Prepares. After a failure neither handle() nor finish() is called. */
int
setup(ss_request *request)
{
    visit *mine = new (std::nothrow) visit;

    ss_set_data(request, mine);
    return mine != nullptr ? 0 : -ENOMEM;
}

/* Does the work. Writes need no check: an error comes back from the next read. */
int
handle(ss_request *request)
try {
    return serve(request, *static_cast<visit *>(ss_data(request)));
} catch (const std::bad_alloc &) {
    return -ENOMEM;
}

/* Cleans up what setup() made, however handle() ended. */
void
finish(ss_request *request)
{
    delete static_cast<visit *>(ss_data(request));
}
