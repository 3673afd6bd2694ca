# SPDX-License-Identifier: MIT
"""Kubernetes' published schema, as its client for Python has it (Debian: python3-kubernetes).

Its models are generated from the OpenAPI description that Kubernetes publishes. They are read as
text: nothing of the package is imported, and nothing that it needs must be there.
"""
import ast
import re
from functools import cache
from pathlib import Path

MODELS = Path("/usr/lib/python3/dist-packages/kubernetes/client/models")
SCALARS = {"str": str, "int": int, "bool": bool, "float": (int, float)}
REQUIRED = re.compile(r"Invalid value for `(\w+)`, must not be `None`")
# Of what may be a number or text.
EITHER = {"max_unavailable", "max_surge", "min_available", "target_port", "port"}


def file_name(model):
    """V1PodSpec is in v1_pod_spec.py."""
    words = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", model)
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", words)
    return words.lower() + ".py"


@cache
def read_model(model):
    """{key in a manifest: (attribute, type)}, and the keys that must be there."""
    text = (MODELS / file_name(model)).read_text(encoding="utf-8")
    tables = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict) and \
                isinstance(node.targets[0], ast.Name):
            tables[node.targets[0].id] = ast.literal_eval(node.value)
    keys = tables["attribute_map"]
    fields = {keys[name]: (name, kind) for name, kind in tables["openapi_types"].items()}
    return fields, {keys[name] for name in REQUIRED.findall(text)}


def model_of(document):
    """The model of a whole manifest: apps/v1 Deployment is V1Deployment."""
    version = document["apiVersion"].rpartition("/")[2]
    return version[0].upper() + version[1:] + document["kind"]


def check(value, kind, where, attribute=""):
    """What is wrong with a value of that type: one text for each mistake."""
    if kind.startswith("list["):
        if not isinstance(value, list):
            yield f"{where}: found {value!r}, expected a list"
            return
        for index, item in enumerate(value):
            yield from check(item, kind[5:-1], f"{where}[{index}]")
    elif kind.startswith("dict("):
        if not isinstance(value, dict):
            yield f"{where}: found {value!r}, expected names with values"
            return
        for key, item in value.items():
            yield from check(item, kind[5:-1].split(", ")[1], f"{where}.{key}")
    elif kind in SCALARS:
        is_right = isinstance(value, SCALARS[kind]) and isinstance(value, bool) == (kind == "bool")
        if not is_right:
            yield f"{where}: found {value!r}, expected {kind}"
    elif kind == "object":
        if attribute in EITHER and (isinstance(value, bool) or not isinstance(value, (int, str))):
            yield f"{where}: found {value!r}, expected a number or text"
    else:
        yield from check_model(value, kind, where)


def check_model(value, model, where):
    if not isinstance(value, dict):
        yield f"{where}: found {value!r}, expected {model}"
        return
    fields, required = read_model(model)
    for key in required - set(value):
        yield f"{where}.{key} is missing"
    for key, item in value.items():
        if key not in fields:
            yield f"{where}.{key}: {model} has no such field"
        else:
            attribute, kind = fields[key]
            yield from check(item, kind, f"{where}.{key}", attribute)
