from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from app.cluster.job import CONTAINER, job_of, selector, slug

DEPLOYMENT = yaml.safe_load(Path(__file__).parents[2].joinpath("support/event-service.yaml").read_text())
RUN = ["replay", "run", "task", "--rate", "500"]


def changed(change) -> dict:
    deployment = copy.deepcopy(DEPLOYMENT)
    change(deployment["spec"]["template"])
    return job_of(deployment, RUN, "1a2b")


def pod_of(job: dict) -> dict:
    return job["spec"]["template"]["spec"]


def test_the_command_is_the_given_one():
    [container] = pod_of(job_of(DEPLOYMENT, RUN, "1a2b"))["containers"]
    assert (container["name"], container["command"]) == (CONTAINER, ["taskledger", *RUN])
    assert "args" not in container


def test_what_decides_how_the_command_behaves_is_that_of_the_event_service():
    template = DEPLOYMENT["spec"]["template"]["spec"]
    pod = pod_of(job_of(DEPLOYMENT, RUN, "1a2b"))
    for field in (
        "automountServiceAccountToken",
        "imagePullSecrets",
        "initContainers",
        "securityContext",
        "serviceAccountName",
        "terminationGracePeriodSeconds",
        "tolerations",
        "volumes",
    ):
        assert pod[field] == template[field]
    for field in ("env", "envFrom", "image", "imagePullPolicy", "resources", "securityContext", "volumeMounts"):
        assert pod["containers"][0][field] == template["containers"][1][field]


def test_what_makes_a_pod_a_replica_is_gone():
    pod = pod_of(job_of(DEPLOYMENT, RUN, "1a2b"))
    assert pod["affinity"].keys() == {"nodeAffinity"}
    assert "topologySpreadConstraints" not in pod
    replica = {"lifecycle", "livenessProbe", "ports", "readinessProbe", "startupProbe"}
    assert replica.isdisjoint(pod["containers"][0])


def test_no_sidecar_keeps_the_job_from_ending():
    annotations = job_of(DEPLOYMENT, RUN, "1a2b")["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"checksum/config": "2f6d", "dapr.io/enabled": "false"}


def test_no_service_or_autoscaler_of_the_event_service_counts_the_pod():
    labels = job_of(DEPLOYMENT, RUN, "1a2b")["spec"]["template"]["metadata"]["labels"]
    selected = DEPLOYMENT["spec"]["selector"]["matchLabels"]
    assert not any(labels.get(key) == value for key, value in selected.items())


def test_other_labels_stay_for_network_policies():
    labels = job_of(DEPLOYMENT, RUN, "1a2b")["spec"]["template"]["metadata"]["labels"]
    assert labels["todo-app/kafka-client"] == "true"


def test_labels_say_what_the_job_is():
    assert job_of(DEPLOYMENT, RUN, "1a2b")["metadata"] == {
        "name": "taskledger-replay-run-task-1a2b",
        "labels": {
            "app.kubernetes.io/name": "taskledger-operator",
            "app.kubernetes.io/instance": "taskledger-replay-run-task-1a2b",
            "app.kubernetes.io/component": "replay-run-task",
            "app.kubernetes.io/part-of": "event-service",
            "app.kubernetes.io/managed-by": "taskledger",
        },
    }
    assert selector(RUN) == "app.kubernetes.io/managed-by=taskledger,app.kubernetes.io/component=replay-run-task"


def test_a_killed_command_is_started_again_and_a_lost_node_does_not_count():
    spec = job_of(DEPLOYMENT, RUN, "1a2b")["spec"]
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert spec["backoffLimit"] == 6
    lost, answered = spec["podFailurePolicy"]["rules"]
    assert (lost["action"], lost["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    assert answered["action"] == "FailJob"
    assert answered["onExitCodes"] == {"containerName": CONTAINER, "operator": "NotIn", "values": [134, 137, 139, 143]}


def test_the_job_goes_after_its_end_and_has_a_deadline_only_where_asked():
    assert job_of(DEPLOYMENT, RUN, "1a2b")["spec"]["ttlSecondsAfterFinished"] == 86_400
    assert "activeDeadlineSeconds" not in job_of(DEPLOYMENT, RUN, "1a2b")["spec"]
    assert job_of(DEPLOYMENT, RUN, "1a2b", 60)["spec"]["activeDeadlineSeconds"] == 60


def test_the_deployment_is_left_as_it_was():
    before = copy.deepcopy(DEPLOYMENT)
    job_of(DEPLOYMENT, RUN, "1a2b")
    assert before == DEPLOYMENT


def test_a_bare_template_will_do():
    deployment = {
        "metadata": {"name": "event-service"},
        "spec": {
            "selector": {},
            "template": {"metadata": {}, "spec": {"containers": [{"name": "a", "image": "i"}]}},
        },
    }
    pod = pod_of(job_of(deployment, ["lag"], "1a2b"))
    assert pod["containers"] == [{"name": CONTAINER, "image": "i", "command": ["taskledger", "lag"]}]


def test_the_container_is_the_default_one_or_the_first_where_none_is_named_as_the_deployment():
    def name_the_shipper(template):
        template["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"] = "log-shipper"

    def rename(template):
        template["spec"]["containers"][1]["name"] = "worker"

    for change in (name_the_shipper, rename):
        assert pod_of(changed(change))["containers"][0]["image"] == "registry.example/shipper:1.0"


def test_fields_that_no_client_knows_yet_are_kept():
    def add(template):
        template["spec"]["newInKubernetes"] = {"a": 1}
        template["spec"]["containers"][1]["newInKubernetes"] = 2

    pod = pod_of(changed(add))
    assert pod["newInKubernetes"] == {"a": 1}
    assert pod["containers"][0]["newInKubernetes"] == 2


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["lag"], "lag"),
        (["dead-letters", "retry", "8F14 e45f", "--yes"], "dead-letters-retry-8f14-e45f"),
        (["--json"], ""),
        (["replay", "run", "x" * 28 + "-y"], "replay-run-" + "x" * 28),
    ],
)
def test_a_slug_is_short_and_fit_for_a_label(arguments, name):
    assert slug(arguments) == name
