# SPDX-License-Identifier: MIT
"""What is known to go wrong and is not this program's to mend now. Each entry goes when its reason does."""

KNOWN = [
    # (phases, roles, a name on the failed call's stack, why)
    (("start", "reload_good", "reload_bad", "upgrade", "steady"), ("supervisor", "trial"),
     "libconfig.so",
     "libconfig's parser does not look at what malloc() returns, and it still runs in the "
     "supervisor's own process"),
]


def known(point, where):
    """Why a finding at this place is expected, or None."""
    for phases, roles, name, why in KNOWN:
        if point.phase in phases and point.role in roles and name in where:
            return why
    return None
