# SPDX-License-Identifier: MIT
"""The user's files: found, read, and judged without running any of what is in them."""

import os
import stat
import sys

# A module that uses one of these may make its names as it likes.
MAKE_NAMES = {"__getattr__", "exec", "globals", "locals", "setattr", "vars"}


def find_script(name):
    for folder in ["", *sys.path]:
        if os.path.isfile(os.path.join(folder, name)):
            return os.path.join(folder, name)
    return name


def read(name):
    """Its bytes. Nothing but a regular file is waited for."""
    with open(os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{name} is no regular file")
        return file.read()


def compiled(name, flags=0):
    return compile(read(name), name, "exec", flags, dont_inherit=True)


def judge(name, flags=0):
    """Its code, or its syntax tree by flags; and what is wrong with it."""
    try:
        return compiled(name, flags), None
    except SyntaxError as error:
        return None, f"{error.filename or name}:{error.lineno or 1}: {error.msg}"
    except OSError as error:
        reason = error.strerror or str(error)
        return None, reason if name in reason else f"{name}: {reason}"
    except (ValueError, RecursionError, MemoryError) as error:
        return None, f"{name}: {str(error) or type(error).__name__}"


def check_script(name):
    _, wrong = judge(find_script(name))
    if wrong is not None:
        yield "script", f"{wrong}; expected a Python program that the listener's user may read"


# ---- handlers -----------------------------------------------------------------------------------


def find_module(name):
    """Its spec, without an import of the packages that it is in; None: there is none."""
    spec, path, full = None, None, ""
    for part in name.split("."):
        full = f"{full}.{part}" if full else part
        found = (finder.find_spec(full, path) for finder in sys.meta_path if hasattr(finder, "find_spec"))
        spec = next((one for one in found if one is not None), None)
        if spec is None:
            return None
        path = spec.submodule_search_locations or []
    return spec


def bound_names(tree):
    """All names that a module may have, or None: it may have any."""
    import ast

    names = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and node.attr in ("modules", "__dict__"):
            return None
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, (ast.MatchAs, ast.MatchStar)):
            names.add(node.name)
    return None if names & MAKE_NAMES or "*" in names else names


def check_handler(name, path):
    module, _, kind = name.partition(":")
    spec = find_module(module)
    if spec is None:
        where = ", ".join(path) or "Python's own folders"
        yield "handler", (f"found \"{name}\"; there is no module {module} in {where}; name its "
                          "folder in the option path")
    elif spec.has_location and spec.origin.endswith(".py"):
        tree, wrong = judge(spec.origin, 0x400)  # ast.PyCF_ONLY_AST
        if wrong is None:
            _, wrong = judge(spec.origin)  # some errors are the compiler's
        names = None if wrong is not None else bound_names(tree)
        if wrong is not None:
            yield "handler", f"{wrong}; expected a Python module that the listener's user may read"
        elif names is not None and kind not in names:
            yield "handler", (f"found \"{name}\"; {spec.origin} has no {kind}; expected a class of "
                              "request handlers in it")


def check(script, handler, path):
    """Pairs of an option and what is wrong with it."""
    import warnings

    warnings.simplefilter("ignore")
    sys.path[:0] = path
    return list(check_script(script) if script else check_handler(handler, path))
