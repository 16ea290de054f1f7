"""Run one operator command in the cluster: start its Job, show its log, give its exit code, delete the Job."""

from __future__ import annotations

import shlex
import time
import uuid
from typing import TYPE_CHECKING, NamedTuple

from app.cluster import status
from app.cluster.api import NotThere
from app.cluster.job import CONTAINER, job_of, selector
from app.domain.errors import ConfigurationError, TaskledgerError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from app.cluster.api import Cluster
    from app.cluster.job import Document

INTERRUPTED = 130


class Patience(NamedTuple):
    """How long to wait for what, in seconds."""

    start: float = 600.0
    """For a command to begin: a node to be added, an image to be pulled, the pause before the last restart."""
    silence: float = 120.0
    """For a Kubernetes API that does not answer."""
    quiet: float = 15.0
    """For the next line of a log, before its stream is opened again: it may be dead."""
    between: float = 1.0
    """Between two looks at the Job."""


PATIENCE = Patience()


class Voice(NamedTuple):
    """Where to write: the lines of the command, and sentences about the Job."""

    show: Callable[[str], None]
    say: Callable[[str], None]


class NeverBegan(ConfigurationError):
    """The command could not be started."""

    code = "job_never_began"


def run(
    cluster: Cluster,
    deployment: str,
    arguments: Sequence[str],
    voice: Voice,
    *,
    detach: bool = False,
    deadline_seconds: int | None = None,
    patience: Patience = PATIENCE,
) -> int:
    """Run `taskledger` with these arguments as a Job; returns the command's exit code.

    Whether two runs of one command bear each other is not decided here: the command holds its lease in the database,
    and refuses with the reason in its log. A Job that has ended, or that cannot begin, is deleted. Otherwise (`detach`,
    Ctrl-C, an API that has gone silent) it goes on, and the voice says how to follow it and how to abort it.
    """
    job = job_of(cluster.deployment(deployment), arguments, uuid.uuid4().hex[:8], deadline_seconds)
    name = job["metadata"]["name"]
    for other in cluster.jobs(selector(arguments)):
        if other.get("status", {}).get("active"):
            voice.say(
                f"Job {other['metadata']['name']} runs the same command already: "
                "the lease in the database decides whether this one may begin."
            )
    cluster.create_job(job)
    voice.say(f"Job {name} in namespace {cluster.namespace} runs `taskledger {shlex.join(arguments)}`.")
    if detach:
        voice.say(_farewell(name, cluster))
        return 0
    try:
        code = _Following(cluster, name, voice, patience).to_the_end()
    except NeverBegan:
        _delete(cluster, name, voice)
        raise
    except NotThere as error:
        raise TaskledgerError(
            f"Job {name} was deleted before its command ended: start the same command again to go on."
        ) from error
    except KeyboardInterrupt:
        voice.say(_farewell(name, cluster))
        return INTERRUPTED
    except BaseException:
        voice.say(_farewell(name, cluster))
        raise
    _delete(cluster, name, voice)
    return code


def _farewell(name: str, cluster: Cluster) -> str:
    return (
        f"The Job goes on. Follow it: {cluster.kubectl} logs --follow job/{name}\n"
        f"Abort it: {cluster.kubectl} delete job {name}"
    )


def _delete(cluster: Cluster, name: str, voice: Voice) -> None:
    try:
        cluster.delete_job(name)
    except TaskledgerError as error:
        voice.say(f"Job {name} was not deleted; Kubernetes does so a day after its end. {error}")


class _Following:
    """One Job, followed over the pods that Kubernetes makes for it one after the other."""

    def __init__(self, cluster: Cluster, name: str, voice: Voice, patience: Patience) -> None:
        self._cluster = cluster
        self._name = name
        self._voice = voice
        self._patience = patience
        self._pod = ""
        self._shown = ""
        """Time stamp of the last line shown of this pod's log."""
        self._reason = ""
        self._ended_at: float | None = None
        """When the newest pod was first seen to have ended."""
        self._waits_since = time.monotonic()

    def to_the_end(self) -> int:
        """Show the log until the command has ended; returns its exit code, or 1 where nobody saw one."""
        answered = time.monotonic()
        while True:
            try:
                job = self._cluster.job(self._name)
                pod = status.newest(self._cluster.pods(self._name))
            except Unavailable:
                if time.monotonic() - answered > self._patience.silence:
                    raise
            else:
                code = self._look(job, pod)
                if code is not None:
                    return code
                answered = time.monotonic()
            time.sleep(self._patience.between)

    def _look(self, job: Document, pod: Document | None) -> int | None:
        """Show what is new; returns the exit code once the command is over and all of its log was shown."""
        end = None if pod is None else status.ended(pod)
        if end is None or self._ended_at is None:
            self._ended_at = None if end is None else time.monotonic()
        if pod is not None and status.has_begun(pod):
            whole = self._show_log(pod["metadata"]["name"], follow=end is None)
            if end is None:
                self._waits_since = time.monotonic()
            if not whole:
                return None
        if end is not None and end.answered:
            return end.code
        why = status.over(job)
        if why == "":
            return 0
        if why is not None:
            self._voice.say(f"Kubernetes ended the Job: {why}.")
            return end.code if end is not None and end.code is not None else 1
        if end is not None:
            self._wait(f"the command was killed ({end.reason}); Kubernetes starts it again, and it resumes")
        elif pod is None or not status.has_begun(pod):
            self._wait("Kubernetes has not made a pod for the Job" if pod is None else status.waits_for(pod))
        return None

    def _show_log(self, pod: str, *, follow: bool) -> bool:
        """Show the lines that were not shown yet; returns whether there is no need to look again."""
        if pod != self._pod:
            self._pod, self._shown = pod, ""
        lines = self._cluster.log(pod, CONTAINER, since=self._shown, follow=follow, quiet_seconds=self._patience.quiet)
        try:
            for line in lines:
                stamp, _, text = line.partition(" ")
                if stamp > self._shown:  # a stream that is opened again begins with lines of the last stamp
                    self._shown = stamp
                    self._voice.show(text)
        except (Unavailable, NotThere) as error:
            if self._ended_at is None or time.monotonic() - self._ended_at < self._patience.silence:
                return False
            self._voice.say(f"The end of the log is missing. {error}")  # it may have gone together with its node
        return True

    def _wait(self, reason: str) -> None:
        if reason != self._reason:
            self._reason = reason
            self._voice.say(f"Waiting: {reason}.")
        if time.monotonic() - self._waits_since > self._patience.start:
            raise NeverBegan(
                f"The command did not begin within {self._patience.start:g} s, its Job is deleted: {reason}."
            )
