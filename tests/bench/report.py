# SPDX-License-Identifier: MIT
"""What a run says: a table as text and for a document, a bar chart as SVG, everything as JSON."""
import json
import statistics
from xml.sax.saxutils import escape

COLOURS = {"limit": "#9aa5b1", "own": "#2b6cb0", "peer": "#d8a15c"}
DISTURBED = 0.1  # CPUs taken by others, above which figures are not to be relied on
ROW, WIDTH, LABEL, SCALE = 18, 900, 260, 400  # SCALE: pixels of a bar at the limit


def verdict(value, wanted, at_most=False):
    if value is None:
        return "not measured"
    good = value <= wanted if at_most else value >= wanted
    return "ok" if good else "MISSED"


def line(name, value, wanted, note="", at_most=False, unit=""):
    """One row of the table; a missed figure is marked so that it is found."""
    shown = "-" if value is None else f"{value:.2f}{unit}"
    if wanted is None:
        return f"  {name:<44} {shown:>10}  {note or 'for comparison'}"
    sign = "<=" if at_most else ">="
    return (f"  {name:<44} {shown:>10}  {sign} {wanted:g}{unit:<6} "
            f"{verdict(value, wanted, at_most):<12} {note}").rstrip()


def _others_lines(result):
    """Of a figure without sockserverd: how the limit server is beside the peers."""
    if "limit" not in result:
        return []
    cpu, limit = result["cpu_us"], result["limit"]
    lines = [f"  {limit:<44} {cpu[limit]:8.1f} us of CPU per request"]
    for peer in result["figure"]["peers"]:
        name = f"{limit} times {peer}" + (f" ({cpu[peer]:.1f} us)" if peer in cpu else "")
        lines.append(line(name, result["peers"].get(peer), None, result["absent"].get(peer, "")))
    return lines


def figure_lines(result):
    """The block of one figure: the limit server's ratio, then each peer's."""
    figure = result["figure"]
    lines = [f"{figure['title']}"]
    cpu = result["cpu_us"]
    if result.get("skipped"):
        return lines + [f"  skipped: {result['skipped']}", *_others_lines(result), ""]
    own = cpu[figure["server"]]
    lines.append(f"  {figure['server']:<44} {own:8.1f} us of CPU per request, "
                 f"{result['rate'][figure['server']]:,.0f}/s")
    lines.append(line(f"of {result['limit']} ({cpu[result['limit']]:.1f} us)",
                      result["ratio"], figure["ratio"]))
    for peer, wanted in figure["peers"].items():
        ratio = result["peers"].get(peer)
        name = f"times {peer}" + (f" ({cpu[peer]:.1f} us)" if peer in cpu else "")
        lines.append(line(name, ratio, wanted, result["absent"].get(peer, "")))
    return lines + [f"  note: {note}" for note in result["notes"]] + [""]


def simple_lines(title, rows):
    """rows: (name, value, wanted, unit, note), each at most the wanted but for "x"."""
    return [title] + [line(name, value, wanted, note, unit != "x", unit)
                      for name, value, wanted, unit, note in rows] + [""]


def table(run):
    machine = run["machine"]
    lines = [f"sockserverd beside limit servers and peers: {machine['cpu']}, {machine['cpus']} CPUs, "
             f"Linux {machine['kernel']}, {machine['date']}",
             f"{run['rounds']} rounds of {run['seconds']} s; CPU time from {run['how']}; "
             "ratios are medians of rounds (more is better)"]
    others = [s["other_cpus"] for result in run["figures"]
              for slices in result.get("slices", {}).values() for s in slices]
    if others and statistics.median(others) > DISTURBED:
        lines.append(f"DISTURBED: other processes took {statistics.median(others):.1f} CPUs meanwhile; "
                     "do not rely on this run")
    lines.append("")
    for result in run["figures"]:
        lines += figure_lines(result)
    for title, rows in run["others"]:
        lines += simple_lines(title, rows)
    lost = sum(text.count("MISSED") for text in lines)
    lines.append(f"{lost} figures missed" if lost else "no figure was missed")
    return "\n".join(lines) + "\n"


def _kind(name):
    return "limit" if name.startswith("limit") else "own" if name.startswith("sock") else "peer"


def _bars(result, top):
    """One group of bars: requests per CPU second, the limit server's being SCALE pixels long."""
    limit = result["cpu_us"][result["limit"]]
    shapes = [f'<text x="10" y="{top + 13}" font-weight="bold">{escape(result["figure"]["title"])}'
              "</text>"]
    for name, cpu in sorted(result["cpu_us"].items(), key=lambda item: item[1]):
        top += ROW
        length = limit / cpu * SCALE
        shapes += [f'<text x="{LABEL - 8}" y="{top + 13}" text-anchor="end">{escape(name)}</text>',
                   f'<rect x="{LABEL}" y="{top + 2}" width="{length:.1f}" height="{ROW - 4}" '
                   f'fill="{COLOURS[_kind(name)]}"/>',
                   f'<text x="{LABEL + length + 5:.1f}" y="{top + 13}">{limit / cpu:.2f}</text>']
    return shapes, top + 2 * ROW


def chart(run):
    top, shapes = 10, []
    for result in run["figures"]:
        if not result.get("skipped"):
            more, top = _bars(result, top)
            shapes += more
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" '
                      'font-family="sans-serif" font-size="12">',
                      f'<rect width="{WIDTH}" height="{top}" fill="white"/>', *shapes, "</svg>", ""])


def _marked(value, wanted):
    if value is None:
        return "–"
    return f"{value:.2f}" if wanted is None or value >= wanted else f"**{value:.2f}** missed"


def markdown(run):
    """The table for a document: a line for each figure, missed ones in bold."""
    lines = ["| work | mixin | CPU us | limit server, CPU us | of it | peers: times as many requests |",
             "|---|---|---:|---|---:|---|"]
    for result in run["figures"]:
        if result.get("skipped"):
            continue
        figure, cpu = result["figure"], result["cpu_us"]
        work, _, own = figure["title"].partition(": sockserverd ")
        peers = ", ".join(f"{peer} {_marked(ratio, figure['peers'][peer])}"
                          for peer, ratio in result["peers"].items())
        limit = result["limit"].removeprefix("limit: ")
        lines.append(f"| {work} | {own} | {cpu[figure['server']]:.1f} | {limit}, "
                     f"{cpu[result['limit']]:.1f} | {_marked(result['ratio'], figure['ratio'])} | "
                     f"{peers} |")
    return "\n".join(lines) + "\n"


# The lines of the summary, each for every mixin: what, and which figures go into it.
SUMMARY = {
    "TCP": {("connect", "tcp"): "connect, echo, close"},
    "TCP, echo on connections": {("echo64", "tcp"): "64", ("echo1000", "tcp"): "1,000"},
    "Unix": {("connect", "unix"): "connect, echo, close", ("echo64", "unix"): "echo on 64"},
    "A program for each connection": {("exec", "tcp"): "a line"},
    "Forwarded": {("forward_connect", "tcp"): "connect, echo, close", ("forward_echo", "tcp"): "echo on 64"},
    "Forwarded, a download": {("forward_bytes", "tcp"): "each MiB"},
    "HTTP": {("http_1k", "tcp"): "1 KiB", ("http_1m", "tcp"): "1 MiB"},
    "TLS 1.3": {("tls_connect", "tcp"): "handshake, echo, close", ("tls_resume", "tcp"): "resumed",
                ("tls_echo64", "tcp"): "echo on 64"},
    "TLS 1.3, download": {("tls_write", "tcp"): "written", ("tls_sendfile", "tcp"): "a file"},
    "Redis (beside redis-server)": {("redis_get", "tcp"): "GET", ("redis_set", "tcp"): "SET"},
    "Chat (beside Go), 1,000 members, lines in flight": {("chat", "tcp"): "1", ("chat8", "tcp"): "8"},
    "DNS (beside NSD), queries in flight": {("dns1", "udp"): "1", ("dns32", "udp"): "32"},
    "UDP, datagrams in flight": {("window1", "udp"): "1", ("window32", "udp"): "32"},
    "Unix, datagrams in flight": {("window1", "unixgram"): "1", ("window32", "unixgram"): "32"},
}


def _summary_cells(result):
    """The ratio to the limit server, and to the best peer."""
    figure, peers = result["figure"], result["peers"]
    ratio = f"{result['ratio']:.2f}" if result["ratio"] >= figure["ratio"] else f"_{result['ratio']:.2f}_"
    best = min(peers, key=peers.get, default=None)
    return ratio, "–" if best is None else f"{peers[best]:.2f} × {best}"


def _summary_rows(run):
    for title, works in SUMMARY.items():
        by_server = {}
        for result in run["figures"]:
            figure = result["figure"]
            name = works.get((figure["work"], figure["scheme"]))
            if name and not result.get("skipped"):
                by_server.setdefault(figure["server"], []).append((name, *_summary_cells(result)))
        for server, cells in by_server.items():
            names, ratios, peers = (" / ".join(column) for column in zip(*cells))
            mixin = server.removeprefix("sockserverd ")
            yield f"| {title}: {names} | {mixin} | {ratios} | {peers} |"


def _summary_others(run):
    """One sentence of each that is not a comparison of requests."""
    for title, rows in run["others"]:
        own = [f"{name.removeprefix('sockserverd ')} {value:.3g}{unit and ' ' + unit}"
               for name, value, wanted, unit, _ in rows
               if value is not None and wanted is not None and not name.startswith("times")]
        if own:
            yield f"- {title}: {'; '.join(own)}"


def summary(run):
    """As much as a README wants: a line for each kind of work and mixin."""
    machine = run["machine"]
    return "\n".join([
        f"Requests per CPU second beside the limit server of the class and the best peer, on "
        f"{machine['cpus']} CPUs of {machine['cpu']}, Linux {machine['kernel']}, {machine['date']}: "
        f"{run['rounds']} slices of {run['seconds']} s each, {run['minutes']:.0f} minutes. "
        "What is less than wanted of the limit server is in italics.", "",
        "| work | mixin | of the limit server | times the best peer |", "|---|---|---|---|",
        *_summary_rows(run), "", *_summary_others(run), ""])


def write(run, folder):
    (folder / "summary.md").write_text(summary(run))
    (folder / "bench.md").write_text(markdown(run))
    (folder / "bench.json").write_text(json.dumps(run, indent=1) + "\n")
    (folder / "bench.svg").write_text(chart(run))
    (folder / "bench.txt").write_text(table(run))
