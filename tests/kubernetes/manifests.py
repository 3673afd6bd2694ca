#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The manifests of packaging/kubernetes: whether they fit together, and the daemon; and, where
Kubernetes' published schema is installed, whether each field is one of it.

    manifests.py BUILD            they fit together
    manifests.py BUILD --schema   each field is known and of the right type

One line for each mistake; the status is 1 if there was one.
"""
import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True  # the source tree is not ours to fill

import schema

PROJECT = Path(__file__).resolve().parent.parent.parent
FILE = PROJECT / "packaging/kubernetes/sockserverd.yaml"
KINDS = {"ConfigMap", "Deployment", "Service", "PodDisruptionBudget"}
FOLDER, NAME = "/etc/sockserverd", "sockserverd.conf"
SPARE = 5      # seconds of the grace period that nothing is planned for
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
PORT = re.compile(r'address = "(tcp|udp)://[^"]*:(\d+)"')


class Manifests:
    def __init__(self, documents):
        self.kinds = {document["kind"]: document for document in documents}
        self.pod = self.kinds["Deployment"]["spec"]["template"]
        self.container, = self.pod["spec"]["containers"]
        self.configuration = self.kinds["ConfigMap"]["data"].get(NAME, "")

    # ---- what belongs together: each yields one text for each mistake --------------------------

    def labels(self):
        labels = self.pod["metadata"]["labels"].items()
        selectors = {"Deployment": self.kinds["Deployment"]["spec"]["selector"]["matchLabels"],
                     "Service": self.kinds["Service"]["spec"]["selector"],
                     "PodDisruptionBudget":
                         self.kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]}
        for kind, selector in selectors.items():
            if not selector or not selector.items() <= labels:
                yield f"{kind} selects {selector}, and the pods have {dict(labels)}"

    def ports(self):
        listeners = {(scheme.upper(), int(port))
                     for scheme, port in PORT.findall(self.configuration)}
        own = {port["name"]: (port.get("protocol", "TCP"), port["containerPort"])
               for port in self.container["ports"]}
        if set(own.values()) != listeners:
            yield f"the container has the ports {own}, and its configuration {sorted(listeners)}"
        for port in self.kinds["Service"]["spec"]["ports"]:
            if port["targetPort"] not in own:
                yield f"the Service's port {port['name']} leads to {port['targetPort']}, " \
                      f"which no container has"
            elif own[port["targetPort"]][0] != port.get("protocol", "TCP"):
                yield f"the Service's port {port['name']} has another protocol than its target"

    def volumes(self):
        volumes = {volume["name"]: volume for volume in self.pod["spec"]["volumes"]}
        mounts = {mount["mountPath"]: mount["name"] for mount in self.container["volumeMounts"]}
        for path, name in mounts.items():
            if name not in volumes:
                yield f"{path} is the volume {name}, which does not exist"
        for name in set(volumes) - set(mounts.values()):
            yield f"the volume {name} is mounted nowhere"
        if any("subPath" in mount for mount in self.container["volumeMounts"]):
            yield "a mount with a subPath is never changed: nothing would be reloaded"
        source = volumes.get(mounts.get(FOLDER), {}).get("configMap", {}).get("name")
        if source != self.kinds["ConfigMap"]["metadata"]["name"]:
            yield f"{FOLDER} is the ConfigMap {source}, expected the one of this file"
        if "emptyDir" not in volumes.get(mounts.get("/run/sockserverd"), {}):
            yield "/run/sockserverd is no volume: the probes find no control socket"

    def times(self):
        """What the daemon may take to stop is less than it is given."""
        def longest(key):
            return max((float(number) * UNITS[unit] for number, unit in re.findall(
                rf'{key} = "([0-9.]+)(ms|s|m|h)"', self.configuration)), default=0)
        needs = longest("pre_stop_delay") + longest("drain_timeout") + SPARE
        has = self.pod["spec"]["terminationGracePeriodSeconds"]
        if has < needs:
            yield f"terminationGracePeriodSeconds is {has}, and a stop may take {needs:g} s"
        probe = self.container["readinessProbe"]
        hears = probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"]
        if longest("pre_stop_delay") < hears:
            yield f"pre_stop_delay is shorter than the {hears} s in which the kubelet hears of it"

    def security(self):
        """What the image is made for: any user but root, a root that cannot be written, no rights."""
        wanted = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                  "capabilities": {"drop": ["ALL"]}}
        if self.container["securityContext"] != wanted:
            yield f"the container's securityContext is {self.container['securityContext']}, " \
                  f"expected {wanted}"
        if self.pod["spec"]["securityContext"].get("runAsNonRoot") is not True:
            yield "the pod may run as root"

    def probes(self, build):
        """There is no shell in the image: a probe is a program that is in it, with its arguments."""
        for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
            program, *words = self.container[probe]["exec"]["command"]
            if program != "/usr/bin/sockserverctl":
                yield f"{probe} runs {program}, which is not in the image"
                continue
            helped = subprocess.run([build / "bin/sockserverctl", "--help"], capture_output=True,
                                    text=True, check=True)
            if not re.search(rf"^ +{words[0]}\b", helped.stdout, re.MULTILINE):
                yield f"{probe}: sockserverctl has no command {words[0]}"

    def daemon(self, build):
        """The daemon takes the configuration, and follows the volume."""
        if 'reload = "auto"' not in self.configuration:
            yield "the configuration has no reload = \"auto\": a changed ConfigMap changes nothing"
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / NAME
            file.write_text(self.configuration, encoding="utf-8")
            done = subprocess.run(
                [build / "bin/sockserverd", "--check", "--plugin-path", build / "plugins", "-c",
                 file], capture_output=True, text=True, check=False)
        if done.returncode:
            yield f"sockserverd --check: {done.stderr.strip()}"

    def mistakes(self, build):
        for check in (self.labels, self.ports, self.volumes, self.times, self.security):
            yield from check()
        yield from self.probes(build)
        yield from self.daemon(build)


def check_all(documents, build):
    kinds = [document["kind"] for document in documents]
    if sorted(kinds) != sorted(KINDS):
        return [f"found {kinds}, expected one of each of {sorted(KINDS)}"]
    return list(Manifests(documents).mistakes(build))


def check_schema(documents):
    return [mistake for document in documents
            for mistake in schema.check_model(document, schema.model_of(document), document["kind"])]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("--schema", action="store_true")
    options = parser.parse_args()
    try:
        import yaml
    except ImportError:
        print("skipped: python3-yaml is not installed")
        return 77
    if options.schema and not schema.MODELS.is_dir():
        print("skipped: python3-kubernetes is not installed")
        return 77
    documents = list(yaml.safe_load_all(FILE.read_text(encoding="utf-8")))
    mistakes = check_schema(documents) if options.schema else check_all(documents, options.build)
    for mistake in mistakes:
        print(f"{FILE.name}: {mistake}")
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
