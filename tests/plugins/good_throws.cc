/* SPDX-License-Identifier: MIT */
/*
 * good_throws.cc - a plugin in C++ that waits while it holds an exception
 *
 * One command a line:
 *
 *   catch NAME   caught NAME, then waits in the catch block for the next line, rethrows what it has
 *                caught, and says "again NAME"
 *   fly NAME     flying 1, from a destructor that runs while an exception is thrown, and waits there
 *                for the next line; then "flying 1" again, and "landed NAME"
 *   count        count 0: how many exceptions are being thrown
 */
#include <exception>
#include <sockserver/plugin.h>
#include <string>

SS_PLUGIN(.name = "good_throws", .summary = "waits while it holds an exception",
          .transports = SS_STREAM, .mixins = SS_THREADING | SS_COROUTINE, .options = nullptr)

namespace {

void
await_line(ss_request *request)
{
    char *line;

    (void)ss_flush(request);
    (void)ss_readline(request, &line);
}

void
hold(ss_request *request, const std::string &name)
{
    try {
        throw name;
    } catch (const std::string &caught) {
        ss_printf(request, "caught %s\n", caught.c_str());
        await_line(request);
        try {
            throw;
        } catch (const std::string &again) {
            ss_printf(request, "again %s\n", again.c_str());
        } catch (...) {
            ss_printf(request, "again, but something else\n");
        }
    }
}

class Wing {
    ss_request *request;

public:
    explicit Wing(ss_request *given) : request(given) {}
    ~Wing()
    {
        ss_printf(request, "flying %d\n", std::uncaught_exceptions());
        await_line(request);
        ss_printf(request, "flying %d\n", std::uncaught_exceptions());
    }
};

void
fly(ss_request *request, const std::string &name)
{
    try {
        Wing wing(request);
        throw name;
    } catch (const std::string &caught) {
        ss_printf(request, "landed %s\n", caught.c_str());
    }
}

} // namespace

int
handle(ss_request *request)
{
    ssize_t size;
    char *line;

    while ((size = ss_readline(request, &line)) > 0) {
        std::string command(line, static_cast<std::size_t>(size - 1));
        if (command.rfind("catch ", 0) == 0)
            hold(request, command.substr(6));
        else if (command.rfind("fly ", 0) == 0)
            fly(request, command.substr(4));
        else
            ss_printf(request, "count %d\n", std::uncaught_exceptions());
    }
    return static_cast<int>(size);
}
