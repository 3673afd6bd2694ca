// SPDX-License-Identifier: MIT
//
// chat_cpp.cc - the chat of examples/chat in C++, in plain memory
//
// A member is an object that lives as long as its handle(): its constructor enters the hall, its
// destructor leaves it, however the conversation ends. Calls that fail throw, and no exception
// leaves a hook. A line that is said is one string, which the queues of all who hear it share; who
// has a full queue misses it. SS_ONE_PROCESS says that all members are in one process.
//
// Runs in:  a handler thread or coroutine.
// Owns:     the hall, from server_activate() on.
// Failures: of a call, the member's end. Without memory a line is lost, or a member.
#include <algorithm>
#include <cerrno>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <sockserver/plugin.h>

namespace
{
constexpr std::size_t longest = 500; // bytes that are said at once
constexpr std::size_t behind = 1024; // lines that a member may be behind

const ss_option options[] = {
    {.name = "members",
     .type = SS_INTEGER,
     .fallback = "1000",
     .min = 1,
     .max = 20000,
     .help = "how many there may be at a time",
     .required = false},
    {},
};

// What a call has returned, when it was a negative errno; 0: the member wants to go.
struct Ended {
    int error;
};

template <class Number>
Number
check(Number result)
{
    if (result < 0)
        throw Ended{static_cast<int>(result)};
    return result;
}

// What a hook does, with exceptions made into what hooks return.
template <class Function>
int
guarded(Function function)
{
    try {
        function();
        return 0;
    } catch (const Ended &ended) {
        return ended.error;
    } catch (const std::bad_alloc &) {
        return -ENOMEM;
    } catch (const std::exception &exception) {
        ss_log(LOG_ERR, "%s", exception.what());
        return -EIO;
    }
}

using Line = std::shared_ptr<const std::string>;
class Member;

// Under its lock, which nobody holds while waiting.
class Hall
{
  public:
    explicit Hall(std::size_t members) : most(members)
    {
    }

    bool enter(Member &member);
    void leave(Member &member) noexcept;
    bool rename(Member &member, std::string nick);
    void move(Member &member, std::string room);
    void say(const Member &member, std::string text);
    std::string who(const Member &member);
    bool take(Member &member, std::vector<Line> &lines);

  private:
    void tell(const std::string &room, std::string text);

    std::mutex mutex;
    std::size_t most;
    unsigned guests = 0;
    std::map<std::string, Member *> nicks;
    std::map<std::string, std::set<Member *>> rooms;
};

class Member
{
  public:
    Member(Hall &where, ss_request *of) : hall(where), request(of), waker(ss_waker(of))
    {
        if (waker == nullptr)
            throw std::bad_alloc();
    }
    ~Member()
    {
        hall.leave(*this);
    }
    Member(const Member &) = delete;
    Member &operator=(const Member &) = delete;

    void attend();

  private:
    friend Hall;

    void
    write(const std::string &text)
    {
        check(ss_write(request, text.data(), text.size()));
    }
    void hear();
    void obey();
    void run(const std::string &word, const std::string &text);

    Hall &hall;
    ss_request *request;
    struct ss_waker *waker;
    std::vector<Line> heard;
    // The hall's, and under its lock:
    std::string nick, room;
    std::vector<Line> queue;
    bool lost = false;
};

// ---- the hall

// False: it is full. Whatever throws here, leave() clears what has been done.
bool
Hall::enter(Member &member)
{
    std::lock_guard lock(mutex);
    if (nicks.size() == most)
        return false;
    do
        member.nick = "guest" + std::to_string(++guests);
    while (!nicks.emplace(member.nick, &member).second);
    member.room = "lobby";
    rooms[member.room].insert(&member);
    tell(member.room, "* " + member.nick + " has joined lobby\n");
    return true;
}

void
Hall::leave(Member &member) noexcept
{
    std::lock_guard lock(mutex);
    if (auto found = nicks.find(member.nick); found != nicks.end() && found->second == &member)
        nicks.erase(found);
    auto found = rooms.find(member.room);
    if (found == rooms.end() || found->second.erase(&member) == 0)
        return;
    try {
        tell(member.room, "* " + member.nick + " has left\n");
    } catch (const std::bad_alloc &) { // they will notice
    }
    if (found->second.empty())
        rooms.erase(found);
}

// Under the lock.
void
Hall::tell(const std::string &room, std::string text)
{
    auto found = rooms.find(room);
    if (found == rooms.end())
        return;
    const auto line = std::make_shared<const std::string>(std::move(text));
    for (Member *member : found->second) {
        if (member->queue.size() == behind) {
            member->queue.clear();
            member->lost = true;
        }
        member->queue.push_back(line);
        ss_wake(member->waker);
    }
}

void
Hall::say(const Member &member, std::string text)
{
    std::lock_guard lock(mutex);
    tell(member.room, member.nick + ": " + std::move(text) + "\n");
}

// What can throw comes before what changes something, here and in move().
bool
Hall::rename(Member &member, std::string nick)
{
    std::lock_guard lock(mutex);
    if (!nicks.emplace(nick, &member).second)
        return false;
    nicks.erase(member.nick);
    member.nick.swap(nick);
    tell(member.room, "* " + nick + " is now " + member.nick + "\n");
    return true;
}

void
Hall::move(Member &member, std::string room)
{
    std::lock_guard lock(mutex);
    if (room == member.room)
        return;
    rooms[room].insert(&member);
    member.room.swap(room);
    auto before = rooms.find(room);
    before->second.erase(&member);
    if (before->second.empty())
        rooms.erase(before);
    tell(room, "* " + member.nick + " has left for " + member.room + "\n");
    tell(member.room, "* " + member.nick + " has joined " + member.room + "\n");
}

std::string
Hall::who(const Member &member)
{
    std::lock_guard lock(mutex);
    std::string text = "* in " + member.room + ":";
    for (const Member *other : rooms[member.room])
        text += " " + other->nick;
    return text + "\n";
}

// What the member has not heard; whether it has missed something besides.
bool
Hall::take(Member &member, std::vector<Line> &lines)
{
    std::lock_guard lock(mutex);
    lines.swap(member.queue);
    return std::exchange(member.lost, false);
}

// ---- a member

bool
is_name(const std::string &name)
{
    return !name.empty() && name.size() < 32 &&
           name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_-") == name.npos;
}

// Passes on what has been said. A write may wait, and more is said meanwhile.
void
Member::hear()
{
    do {
        heard.clear();
        if (hall.take(*this, heard))
            write("* you are slow, and have missed something\n");
        for (const auto &line : heard)
            write(*line);
    } while (!heard.empty());
}

void
Member::run(const std::string &word, const std::string &text)
{
    if (word == "/quit") {
        write("* goodbye, " + nick + "\n");
        throw Ended{0};
    } else if (word == "/who") {
        write(hall.who(*this));
    } else if ((word == "/nick" || word == "/join") && !is_name(text)) {
        write("* " + word + (word == "/join" ? " ROOM" : " NAME") +
              ": letters, digits, \"_\" and \"-\", at most 31\n");
    } else if (word == "/nick") {
        if (!hall.rename(*this, text))
            write("* " + text + " is taken\n");
    } else if (word == "/join") {
        hall.move(*this, text);
    } else {
        write("* /nick NAME, /join ROOM, /who, /quit; all else is said\n");
    }
}

// Does what one line says.
void
Member::obey()
{
    const std::string too_long = "* that was too long: 500 bytes at once\n";
    char *bytes;
    const auto size = ss_readline(request, &bytes);
    if (size == -EMSGSIZE) { // who sends that is no member of a chat
        write(too_long);
        throw Ended{0};
    }
    if (check(size) == 0)
        throw Ended{0};
    std::string line(bytes, static_cast<std::size_t>(size));
    line.erase(line.find_last_not_of("\r\n") + 1);
    if (line.size() > longest)
        return write(too_long);
    // Control characters, also those that are two bytes of UTF-8, could do something to terminals.
    for (std::size_t i = 0; i < line.size(); i++) {
        const auto one = static_cast<unsigned char>(line[i]);
        const auto two = static_cast<unsigned char>(i + 1 < line.size() ? line[i + 1] : 0);
        if (one < ' ' || one == 127 || (one == 0xc2 && two >= 0x80 && two < 0xa0))
            line[i] = '?';
    }
    if (line.starts_with('/')) {
        const auto space = std::min(line.find(' '), line.size());
        const auto text = std::min(line.find_first_not_of(' ', space), line.size());
        run(line.substr(0, space), line.substr(text));
    } else if (!line.empty()) {
        hall.say(*this, std::move(line));
    }
}

void
Member::attend()
{
    if (!hall.enter(*this))
        return write("* there is no seat left; come back later\n");
    write("* welcome, " + nick + "; / tells what there is\n");
    for (;;) {
        hear();
        const int ready = ss_wait_input(request, -1);
        if (ready == -ECANCELED)
            write("* the server is stopping; come back soon\n");
        if (ready != -EINTR) {
            check(ready);
            obey();
        }
    }
}

Hall *
hall_of(ss_request *request)
{
    return static_cast<Hall *>(ss_server_data(ss_server(request)));
}
} // namespace

SS_PLUGIN(.name = "chat_cpp", .summary = "rooms, in which everybody hears what anybody says",
          .transports = SS_STREAM, .mixins = SS_THREADING | SS_COROUTINE | SS_ONE_PROCESS,
          .options = options)

int
handle(ss_request *request)
{
    return guarded([request] {
        check(ss_set_timeouts(request, 0, -1)); // members may listen for as long as they like
        Member(*hall_of(request), request).attend();
    });
}

int
server_activate(struct ss_server *server)
{
    return guarded([server] {
        const auto members = static_cast<std::size_t>(ss_option_integer(server, "members"));
        ss_server_set_data(server, new Hall(members));
    });
}

void
server_close(struct ss_server *server)
{
    delete static_cast<Hall *>(ss_server_data(server));
}
