"""The Job that runs one operator command, made from the pod template of a Deployment. Pure.

Where a command runs must not decide what it does: image, environment, volumes, security context and service account
are those of the event service. What differs is what makes a pod a replica: its labels (a Service, an autoscaler or
a disruption budget must not count the Job's pod), its ports, probes and spread, and its sidecars (a Job ends when all
of its containers have ended, and a Dapr sidecar never does).
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Document = dict[str, Any]
"""An object of the Kubernetes API as JSON has it, with the fields that no client library knows yet."""

CONTAINER = "taskledger"
"""The name of the one container of the Job's pod."""
KILLED = (134, 137, 139, 143)
"""Exit codes of a process that a signal ended (ABRT, KILL, SEGV, TERM): it gave no answer and may be run again."""
RESTARTS = 6
"""Times that a killed command is started again, 10 s after the first time, 320 s after the last."""
KEPT_SECONDS = 24 * 3600
"""How long Kubernetes keeps an ended Job that nobody waits for."""

_POD_FIELDS_OF_REPLICAS = ("topologySpreadConstraints", "restartPolicy", "activeDeadlineSeconds")
_CONTAINER_FIELDS_OF_REPLICAS = ("args", "lifecycle", "livenessProbe", "ports", "readinessProbe", "startupProbe")
_ANNOTATIONS_OF_REPLICAS = ("dapr.io/", "prometheus.io/")


def slug(arguments: Sequence[str]) -> str:
    """Name a command by its leading words, `replay-run-task`: at most 40 characters that a label may have."""
    words = itertools.takewhile(lambda argument: not argument.startswith("-"), arguments)
    return re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")[:40].strip("-")


def selector(arguments: Sequence[str]) -> str:
    """Give the label selector of all Jobs of one command."""
    return ",".join(f"{key}={value}" for key, value in _labels_of_command(arguments).items())


def job_of(
    deployment: Mapping[str, Any], arguments: Sequence[str], unique: str, deadline_seconds: int | None = None
) -> Document:
    """Make the Job that runs `taskledger` with these arguments as the Deployment's pods would.

    `unique` tells this Job from others of the same command: lower case letters and digits. Kubernetes starts a killed
    command again, and without counting when it took the node away; any other exit code is the command's own answer,
    and ends the Job. After `deadline_seconds`, the pauses between starts included, it ends the Job in any case.

    Labels of the template that the Deployment does not select its pods by are kept, so a network policy for
    both must select by one of those.
    """
    template = deployment["spec"]["template"]
    name = f"taskledger-{slug(arguments)}-{unique}"
    ours = {
        **_labels_of_command(arguments),
        "app.kubernetes.io/name": "taskledger-operator",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/part-of": deployment["metadata"]["name"],
    }
    selected = deployment["spec"]["selector"].get("matchLabels", {})
    kept = {key: value for key, value in template["metadata"].get("labels", {}).items() if key not in selected}
    spec: Document = {
        "backoffLimit": RESTARTS,
        "podFailurePolicy": {
            "rules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                {
                    "action": "FailJob",
                    "onExitCodes": {"containerName": CONTAINER, "operator": "NotIn", "values": list(KILLED)},
                },
            ]
        },
        "ttlSecondsAfterFinished": KEPT_SECONDS,
        "template": {
            "metadata": {"labels": kept | ours, "annotations": _annotations(template["metadata"])},
            "spec": _pod_spec(template["spec"], template["metadata"], deployment["metadata"]["name"], arguments),
        },
    }
    if deadline_seconds is not None:
        spec["activeDeadlineSeconds"] = deadline_seconds
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "labels": ours}, "spec": spec}


def _labels_of_command(arguments: Sequence[str]) -> dict[str, str]:
    return {"app.kubernetes.io/managed-by": "taskledger", "app.kubernetes.io/component": slug(arguments)}


def _annotations(metadata: Mapping[str, Any]) -> dict[str, str]:
    annotations = {
        key: value
        for key, value in metadata.get("annotations", {}).items()
        if not key.startswith(_ANNOTATIONS_OF_REPLICAS)
    }
    return annotations | {"dapr.io/enabled": "false"}


def _pod_spec(
    spec: Mapping[str, Any], metadata: Mapping[str, Any], deployment: str, arguments: Sequence[str]
) -> Document:
    pod = {key: value for key, value in spec.items() if key not in _POD_FIELDS_OF_REPLICAS}
    if "affinity" in pod:
        pod["affinity"] = {key: value for key, value in pod["affinity"].items() if key != "podAntiAffinity"}
    main = _main_container(spec["containers"], metadata.get("annotations", {}), deployment)
    container = {key: value for key, value in main.items() if key not in _CONTAINER_FIELDS_OF_REPLICAS}
    container |= {"name": CONTAINER, "command": ["taskledger", *arguments]}
    return pod | {"restartPolicy": "Never", "containers": [container]}


def _main_container(containers: Sequence[Document], annotations: Mapping[str, str], deployment: str) -> Document:
    """Find the container that is no sidecar: the one named as the default or as the Deployment, or else the first."""
    by_name = {container["name"]: container for container in containers}
    default = annotations.get("kubectl.kubernetes.io/default-container", deployment)
    return by_name.get(default, containers[0])
