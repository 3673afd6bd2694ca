# SPDX-License-Identifier: MIT
"""What became of each request, step by step, and what of it must not be.

load.py writes one line for each request, with its number and what it was answered, byte for byte;
the last line says how many numbers were given. steps.py says what was done to which node, and when.
judge() compares the two.
"""
import collections

Request = collections.namedtuple(
    "Request", "number kind due ended service client result tries answer")
# kind     tcp, kept, tls, kept-tls or udp
# due      when it had to be sent by the timetable; ended: when its answer was whole; in seconds
# service  the seconds that the handler was asked to take; they are not waited
# client   the address it was sent from, as the handler shall see it; without a port if none is known
# result   answered, or what happened instead: refused, reset, ended, cut, late
# tries    how often it was sent: again if the answer was "bye", and a datagram that was not answered
# answer   all that came, without its newline

Step = collections.namedtuple("Step", "name began ended kills builds reloads")
# kills    [Kill]; a planned step has none
# builds   [(when, node, build)]: from then on the node answers with this build
# reloads  [(began, ended)] of nginx, whose old process does not pass on the answers of datagrams that
#          it had under way: it has closed the socket that they would leave by

Kill = collections.namedtuple("Kill", "node began ended")

DATAGRAMS = ("udp",)
STAYS = ("kept", "kept-tls")


class Incomplete(Exception):
    """The history has no end: who wrote it died."""


def write_request(request, file):
    file.write("\t".join(str(field) for field in request) + "\n")


def read_history(lines):
    """The requests and how many numbers were given."""
    requests, given = [], None
    for line in lines:
        fields = line.rstrip("\n").split("\t")
        if fields[0] == "given":
            given = int(fields[1])
            continue
        number, kind, due, ended, service, client, result, tries, answer = fields
        requests.append(Request(int(number), kind, float(due), float(ended), float(service), client,
                                result, int(tries), answer))
    if given is None:
        raise Incomplete("the load did not write to its end")
    return requests, given


def wait_of(request):
    return max(0.0, request.ended - request.due - request.service)


class Judge:
    def __init__(self, steps, nodes, builds):
        self.steps, self.nodes = steps, nodes
        self.builds = builds  # all that there are
        self.changes = [change for step in steps for change in step.builds]

    def step_of(self, request):
        """Where it was due; None before the first one and after the last."""
        for step in self.steps:
            if step.began <= request.due < step.ended:
                return step
        return None

    def fault(self, request):
        """What is wrong with a request, or None."""
        if request.result != "answered":
            return None if self._explained(request) else f"{request.result}: {request.answer!r}"
        if request.kind in DATAGRAMS and request.tries > 1 and not (
                self._killed_meanwhile(request) or self._reloaded_meanwhile(request)):
            return f"lost: it was sent {request.tries} times until it was answered"
        return self._fault_of_answer(request)

    def _fault_of_answer(self, request):
        words = request.answer.split(" ")
        if len(words) != 4:
            return f"wrong: answered {request.answer!r}"
        number, client, node, build = words
        if number != str(request.number):
            return f"wrong: the answer of request {number}"
        if ":" not in request.client:
            client = client.rpartition(":")[0]
        if client != request.client:
            return f"wrong: it came from {request.client}, and the handler saw {client}"
        if node not in self.nodes or build not in self.builds:
            return f"wrong: answered by {node}, build {build}"
        return self._fault_of_build(request, node, build)

    def _fault_of_build(self, request, node, build):
        """Whoever came after a change is answered by the plugin that it brought. A connection that
        stays may be one of before."""
        if request.kind in STAYS:
            return None
        changes = [change for when, where, change in self.changes
                   if where == node and when <= request.due]
        if changes and changes[-1] != build:
            return f"wrong: {node} answered with build {build} after the change to {changes[-1]}"
        return None

    def _killed_meanwhile(self, request):
        """Whether it may have been sent to a node that was killed. Who balances datagrams does not
        notice the death itself, but that one was not answered, and tries again later."""
        return any(request.due <= (step.ended if request.kind in DATAGRAMS else kill.ended) and
                   request.ended >= kill.began
                   for step in self.steps for kill in step.kills)

    def _reloaded_meanwhile(self, request):
        return any(request.due <= ended and request.ended >= began
                   for step in self.steps for began, ended in step.reloads)

    def _explained(self, request):
        """A killed node takes along what it ran; what a connection that stays comes to know of that
        later, it knows when it asks next. No answer is late for that."""
        if request.result == "late":
            return False
        if request.result == "cut" and request.kind in STAYS:
            return any(step.kills and step.began <= request.due < step.ended
                       for step in self.steps)
        return self._killed_meanwhile(request)


def judge(requests, given, steps, nodes, builds):
    """[(step or None, request or None, what is wrong)]"""
    judged = Judge(steps, nodes, builds)
    seen = collections.Counter(request.number for request in requests)
    found = [(None, None, f"request {number} is in the history {seen[number]} times")
             for number in range(1, given + 1) if seen[number] != 1]
    found += [(None, None, f"request {number} was never given out")
              for number in seen if not 1 <= number <= given]
    for request in requests:
        what = judged.fault(request)
        if what is not None:
            found.append((judged.step_of(request), request, what))
    return found


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def rows(requests, found, steps):
    """For each step: its name, requests, failed, lost with a killed node, sent again, p99, longest
    wait and the kind that waited so long."""
    wrong = {id(request) for _, request, _ in found if request is not None}
    for step in steps:
        here = [request for request in requests if step.began <= request.due < step.ended]
        good = [request for request in here if request.result == "answered"]
        longest = max(good, key=wait_of, default=None)
        failed = sum(id(request) in wrong for request in here)
        yield (step.name, len(here), failed,
               sum(request.result != "answered" and id(request) not in wrong for request in here),
               sum(request.tries > 1 for request in here),
               percentile([wait_of(request) for request in good], 0.99),
               wait_of(longest) if longest else 0.0, longest.kind if longest else "")
