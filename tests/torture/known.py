# SPDX-License-Identifier: MIT
"""What is known to go wrong and is not this program's to mend now. Each entry goes when its reason does."""

KNOWN = [
    # (phases or None for all, roles, calls or None for all, a name on the failed call's stack or in the finding, why)
    (("start", "upgrade"), ("supervisor",),
     ("bind", "flock", "listen"), "bind_socket control.c",
     "a control socket that seems to be another daemon's is not waited for"),
    (("upgrade", "upgrade_removed"), ("supervisor",), ("listen", "setsockopt"), "make_ready",
     "the kernel does not refuse to a socket that listens already what it has granted before"),
    (None, ("supervisor",), ("read",), "libsystemd.so.0 < serve supervisor.c",
     "the kernel has no such error for a signalfd, a timerfd or an eventfd"),
]


def known(point, what, where):
    """Why a finding at this place is expected, or None."""
    for phases, roles, calls, text, why in KNOWN:
        here = (phases is None or point.phase in phases) and point.role in roles
        if here and (calls is None or point.call in calls) and (text in where or text in what):
            return why
    return None
