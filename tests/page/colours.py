#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whether each colour of the page can be read on each of its grounds: a contrast of 4.5, as WCAG 2
wants it for text, in light and in dark."""
import re
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent.parent / "plugins/metrics/page.html"
LEAST = 4.5
GROUNDS = {"paper", "raised"}
NO_TEXT = {"line"}


def luminance(colour):
    """Of "#rgb" or "#rrggbb"."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    shares = [int(digits[i:i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """From 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def schemes(text):
    """The colours of each :root, by their names."""
    return [dict(re.findall(r"--([a-z]+): (#[0-9a-f]+)\b", block))
            for block in re.findall(r":root \{(.*?)\}", text, re.DOTALL)]


def main():
    """Says which are too faint."""
    found = schemes(PAGE.read_text(encoding="utf-8"))
    faint = [f"{name} on {ground} of scheme {number}: {contrast(colours[name], colours[ground]):.2f}"
             for number, colours in enumerate(found)
             for name in colours.keys() - GROUNDS - NO_TEXT for ground in GROUNDS
             if contrast(colours[name], colours[ground]) < LEAST]
    assert contrast("#000", "#ffffff") == 21
    assert len(found) == 2 and found[0].keys() == found[1].keys(), found
    if faint:
        sys.exit("\n".join(faint))


if __name__ == "__main__":
    main()
