#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whether manifests.py finds what it looks for: each test breaks the shipped manifests in one place.

    test_manifests.py BUILD
"""
import copy
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True  # the source tree is not ours to fill

try:
    import yaml
except ImportError:
    print("skipped: python3-yaml is not installed")
    sys.exit(77)

import manifests
import schema

BUILD = Path(sys.argv.pop(1))
SHIPPED = list(yaml.safe_load_all(manifests.FILE.read_text(encoding="utf-8")))


class Broken:
    """The shipped manifests, to be broken."""

    def setUp(self):
        documents = copy.deepcopy(SHIPPED)
        self.kinds = {document["kind"]: document for document in documents}
        self.documents = documents
        self.pod = self.kinds["Deployment"]["spec"]["template"]["spec"]
        self.container = self.pod["containers"][0]


class Together(Broken, unittest.TestCase):
    def expect(self, text):
        found = manifests.check_all(self.documents, BUILD)
        self.assertEqual(len(found), 1, found)
        self.assertIn(text, found[0])

    def configure(self, before, after):
        data = self.kinds["ConfigMap"]["data"]
        self.assertIn(before, data["sockserverd.conf"])
        data["sockserverd.conf"] = data["sockserverd.conf"].replace(before, after)

    def test_what_is_shipped_is_good(self):
        self.assertEqual(manifests.check_all(self.documents, BUILD), [])

    def test_a_missing_kind(self):
        self.documents.pop()
        self.expect("expected one of each")

    def test_a_selector_of_other_pods(self):
        self.kinds["Service"]["spec"]["selector"] = {"app.kubernetes.io/name": "other"}
        self.expect("Service selects")

    def test_a_port_that_nobody_has(self):
        self.kinds["Service"]["spec"]["ports"][0]["targetPort"] = "http"
        self.expect("which no container has")

    def test_a_listener_without_a_port(self):
        self.configure('"tcp://*:7007"', '"tcp://*:7008"')
        self.expect("the container has the ports")

    def test_a_volume_that_does_not_exist(self):
        self.container["volumeMounts"].append({"name": "data", "mountPath": "/data"})
        self.expect("which does not exist")

    def test_another_configmap(self):
        self.pod["volumes"][0]["configMap"]["name"] = "other"
        self.expect("is the ConfigMap other")

    def test_a_configuration_that_is_never_read_again(self):
        self.container["volumeMounts"][0]["subPath"] = "sockserverd.conf"
        self.expect("subPath")
        del self.container["volumeMounts"][0]["subPath"]
        self.configure('reload = "auto"', 'reload = "manual"')
        self.expect('no reload = "auto"')

    def test_too_short_a_grace_period(self):
        self.pod["terminationGracePeriodSeconds"] = 25
        self.expect("a stop may take")

    def test_too_short_a_delay(self):
        self.configure('pre_stop_delay = "5s"', 'pre_stop_delay = "1s"')
        self.expect("pre_stop_delay is shorter")

    def test_rights_that_nothing_needs(self):
        self.container["securityContext"]["readOnlyRootFilesystem"] = False
        self.expect("securityContext")

    def test_a_probe_that_is_not_in_the_image(self):
        self.container["livenessProbe"]["exec"]["command"] = ["/bin/sh", "-c", "true"]
        self.expect("not in the image")
        self.container["livenessProbe"]["exec"]["command"] = ["/usr/bin/sockserverctl", "healthy"]
        self.expect("no command healthy")

    def test_a_configuration_with_a_mistake(self):
        self.configure('mixin = "coroutine"', 'mixin = "coroutines"')
        self.expect('unknown mixin "coroutines"')


@unittest.skipUnless(schema.MODELS.is_dir(), "python3-kubernetes is not installed")
class Schema(Broken, unittest.TestCase):
    def expect(self, text):
        found = manifests.check_schema(self.documents)
        self.assertEqual(len(found), 1, found)
        self.assertIn(text, found[0])

    def test_an_unknown_field(self):
        self.container["readinesProbe"] = {}
        self.expect("V1Container has no such field")

    def test_a_missing_field(self):
        del self.container["name"]
        self.expect("name is missing")

    def test_a_wrong_type(self):
        self.kinds["Deployment"]["spec"]["replicas"] = "3"
        self.expect("expected int")
        self.kinds["Deployment"]["spec"]["replicas"] = 3
        self.container["ports"] = {}
        self.expect("expected a list")

    def test_a_value_that_is_no_text(self):
        self.kinds["ConfigMap"]["data"]["number"] = 1
        self.expect("expected str")


if __name__ == "__main__":
    unittest.main()
