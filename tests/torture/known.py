# SPDX-License-Identifier: MIT
"""What is known to go wrong and is not this program's to mend now. Each entry goes when its reason does."""

KNOWN = [
    # (phases, roles, calls or None for all, a name on the failed call's stack or in the finding, why)
    (("start", "reload_good", "reload_bad", "upgrade", "steady"), ("supervisor", "trial"),
     None, "libconfig.so",
     "libconfig's parser does not look at what malloc() returns, and it still runs in the "
     "supervisor's own process"),
    (("start", "upgrade"), ("supervisor",),
     ("bind", "flock", "listen"), "bind_socket control.c",
     "a control socket that seems to be another daemon's is not waited for"),
    (("upgrade",), ("supervisor",), ("listen",), "make_ready",
     "the kernel does not refuse listen(2) to a socket that listens already"),
    (("steady",), ("supervisor",),
     ("socket",), "the watchdog was not told",
     "sd_notify() makes a socket for each message, so nothing is told while there is none to be "
     "had; a socket of the daemon's own would do"),
]


def known(point, what, where):
    """Why a finding at this place is expected, or None."""
    for phases, roles, calls, text, why in KNOWN:
        here = point.phase in phases and point.role in roles
        if here and (calls is None or point.call in calls) and (text in where or text in what):
            return why
    return None
