"""What Kubernetes says of a Job and its pods: what they wait for, and how the command ended. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from app.cluster.job import CONTAINER, KILLED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from app.cluster.job import Document


class Ended(NamedTuple):
    """How a pod's command ended; a code of None where nobody saw it, as when the node was lost."""

    code: int | None
    reason: str

    @property
    def answered(self) -> bool:
        """Whether the code is the command's own answer."""
        return self.code is not None and self.code not in KILLED


def newest(pods: Iterable[Document]) -> Document | None:
    """Choose the pod that was made last."""
    return max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)


def ended(pod: Mapping[str, Any]) -> Ended | None:
    """Tell how the pod's command ended; None while it goes on or has not begun.

    Where Kubernetes took the pod away, an exit code but 0 is no answer, as the Job's rules have it.
    """
    terminated = _state(pod).get("terminated")
    taken = _condition(pod, "DisruptionTarget")
    if terminated is not None and terminated["exitCode"] and taken is not None and taken["status"] == "True":
        return Ended(None, taken.get("reason") or "taken away")
    if terminated is not None:
        return Ended(terminated["exitCode"], terminated.get("reason") or "Error")
    if pod["status"].get("phase") == "Failed":
        return Ended(None, pod["status"].get("reason") or "lost")
    return None


def has_begun(pod: Mapping[str, Any]) -> bool:
    """Whether there is a log to read."""
    return not {"running", "terminated"}.isdisjoint(_state(pod))


def waits_for(pod: Mapping[str, Any]) -> str:
    """Say in Kubernetes' own words why the pod's command has not begun: no node, no image, no secret."""
    status = pod["status"]
    scheduled = _condition(pod, "PodScheduled")
    if scheduled is not None and scheduled["status"] == "False":
        return f"no node takes the pod: {scheduled.get('message') or scheduled.get('reason')}"
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        waiting = container.get("state", {}).get("waiting")
        if waiting is not None and waiting.get("reason") != "PodInitializing":
            details = [waiting.get("reason") or "waiting", waiting.get("message")]
            return f"container {container['name']}: {': '.join(filter(None, details))}"
    return "the pod is being set up" if "nodeName" in pod["spec"] else "the pod waits for a node"


def over(job: Mapping[str, Any]) -> str | None:
    """Tell why Kubernetes starts no more pods: an empty text where the Job is complete, None while it may go on."""
    complete, failed = _condition(job, "Complete"), _condition(job, "Failed")
    if complete is not None and complete["status"] == "True":
        return ""
    if failed is not None and failed["status"] == "True":
        return failed.get("message") or failed.get("reason") or "it failed"
    return None


def _condition(thing: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    found = (entry for entry in thing.get("status", {}).get("conditions", []) if entry["type"] == kind)
    return next(found, None)


def _state(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    for container in pod["status"].get("containerStatuses", []):
        if container["name"] == CONTAINER:
            state: Mapping[str, Any] = container.get("state", {})
            return state
    return {}
