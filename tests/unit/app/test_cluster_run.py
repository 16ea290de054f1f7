from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from kubernetes import client
from support.scripted_kubernetes import CUT, HANG, Refusal, ScriptedKubernetes

from app.cluster.api import ROLE, Cluster
from app.cluster.run import Patience, Voice, run
from app.domain.errors import ConfigurationError, TaskledgerError, Unavailable

DEPLOYMENT = yaml.safe_load(Path(__file__).parents[2].joinpath("support/event-service.yaml").read_text())
RUN = ["replay", "run", "task"]
PATIENCE = Patience(start=0.3, silence=0.3, quiet=0.2, between=0.01)


def stamp(n: int) -> str:
    return f"2026-03-01T12:00:{n:02}.000000000Z"


def line(n: int) -> str:
    return f"{stamp(n)} line {n}"


def pod(state: dict | None = None, name: str = "pod-1", made: int = 1, **status) -> dict:
    containers = [{"name": "injected", "state": {"running": {}}}, {"name": "taskledger", "state": state or {}}]
    return {
        "metadata": {"name": name, "creationTimestamp": stamp(made)},
        "spec": {"nodeName": "node-1"},
        "status": {"containerStatuses": containers, **status},
    }


def running(**names) -> dict:
    return pod({"running": {"startedAt": stamp(1)}}, phase="Running", **names)


def done(code: int, reason: str = "Error", **names) -> dict:
    return pod({"terminated": {"exitCode": code, "reason": reason}}, phase="Failed", **names)


def over(kind: str, message: str = "") -> dict:
    return {"status": {"conditions": [{"type": kind, "status": "True", "message": message}]}}


class Terminal:
    """What a person would see of a command in the cluster."""

    def __init__(self, api: ScriptedKubernetes) -> None:
        settings = client.Configuration(host=api.url)
        settings.retries = False
        self.cluster = Cluster(client.ApiClient(settings), "todo", "prod")
        self.shown: list[str] = []
        self.said: list[str] = []

    def run(self, show=None, **options) -> int:
        voice = Voice(show or self.shown.append, self.said.append)
        return run(self.cluster, "event-service", RUN, voice, patience=PATIENCE, **options)


@pytest.fixture
def api():
    with ScriptedKubernetes(DEPLOYMENT) as scripted:
        yield scripted


@pytest.fixture
def terminal(api):
    return Terminal(api)


def name_of(api: ScriptedKubernetes) -> str:
    [job] = api.created
    return job["metadata"]["name"]


@pytest.mark.parametrize("code", [0, 1, 3])
def test_the_log_is_shown_the_exit_code_given_and_the_job_deleted(api, terminal, code):
    api.pods = [[], [pod({"waiting": {"reason": "ContainerCreating"}})], [running()], [done(code)]]
    api.logs = [[line(1), line(2)], [line(2), line(3)]]
    assert terminal.run() == code
    assert terminal.shown == ["line 1", "line 2", "line 3"]
    assert api.deleted == [name_of(api)]
    assert [query["follow"] for query in api.log_queries] == ["true", "false"]


def test_two_commands_get_two_jobs(api, terminal):
    api.pods = [[done(0)]]
    terminal.run()
    terminal.run()
    first, second = (job["metadata"]["name"] for job in api.created)
    assert first != second


@pytest.mark.parametrize("broken", [[line(1), line(2), CUT], [line(1), line(2), HANG]])
def test_a_broken_log_is_read_on_from_where_it_broke(api, terminal, broken):
    api.pods = [[running()], [done(0)]]
    api.logs = [broken, [line(2), line(3)]]
    assert terminal.run() == 0
    assert terminal.shown == ["line 1", "line 2", "line 3"]
    assert "sinceTime" not in api.log_queries[0]
    assert api.log_queries[1]["sinceTime"] == stamp(2)


def test_a_log_that_is_not_there_yet_is_asked_for_again(api, terminal):
    api.pods = [[running()], [done(0)]]
    api.logs = [Refusal(404), Refusal(503), [line(1)]]
    assert terminal.run() == 0
    assert terminal.shown == ["line 1"]


def test_a_killed_command_is_followed_into_its_next_pod(api, terminal):
    killed = done(137, "OOMKilled")
    api.pods = [[running()], [killed], [killed, running(name="pod-2", made=2)], [done(0, name="pod-2", made=2), killed]]
    api.logs = [[line(1)], [], [line(1)], []]
    assert terminal.run() == 0
    assert terminal.shown == ["line 1", "line 1"]
    assert "Waiting: the command was killed (OOMKilled); Kubernetes starts it again, and it resumes." in terminal.said


def test_a_command_that_is_killed_too_often_fails_and_says_what_kubernetes_said(api, terminal):
    api.jobs = [over("Failed", "Job has reached the specified backoff limit")]
    api.pods = [[done(137)]]
    assert terminal.run() == 137
    assert "Kubernetes ended the Job: Job has reached the specified backoff limit." in terminal.said
    assert api.deleted


@pytest.mark.parametrize(("condition", "code"), [("Complete", 0), ("Failed", 1)])
def test_the_job_decides_where_no_pod_is_left(api, terminal, condition, code):
    api.jobs = [over(condition, "DeadlineExceeded")]
    assert terminal.run() == code


def test_a_pod_that_was_evicted_counts_as_killed(api, terminal):
    api.pods = [[{**done(0), "status": {"phase": "Failed", "reason": "Evicted"}}], [done(0, name="pod-2", made=2)]]
    assert terminal.run() == 0
    assert "Waiting: the command was killed (Evicted); Kubernetes starts it again, and it resumes." in terminal.said


def test_an_exit_code_of_a_pod_that_kubernetes_took_away_is_no_answer(api, terminal):
    drained = done(1, conditions=[{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}])
    api.pods = [[drained], [drained, done(0, name="pod-2", made=2)]]
    assert terminal.run() == 0
    assert any("killed (EvictionByEvictionAPI)" in sentence for sentence in terminal.said)


@pytest.mark.parametrize(
    ("waiting", "reason"),
    [
        ([], "Kubernetes has not made a pod for the Job"),
        (
            [
                pod(
                    conditions=[
                        {"type": "PodScheduled", "status": "False", "message": "0/3 nodes: Insufficient memory"}
                    ]
                )
            ],
            "no node takes the pod: 0/3 nodes: Insufficient memory",
        ),
        (
            [pod({"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling "x"'}})],
            'container taskledger: ImagePullBackOff: Back-off pulling "x"',
        ),
        ([pod()], "the pod is being set up"),
        ([{**pod(), "spec": {}}], "the pod waits for a node"),
    ],
)
def test_a_command_that_cannot_begin_says_why_and_is_given_up(api, terminal, waiting, reason):
    api.pods = [waiting]
    with pytest.raises(ConfigurationError) as error:
        terminal.run()
    assert str(error.value) == f"The command did not begin within 0.3 s, its Job is deleted: {reason}."
    assert terminal.said[1:] == [f"Waiting: {reason}."]
    assert api.deleted == [name_of(api)]


def test_ctrl_c_leaves_the_job_and_says_how_to_follow_and_abort_it(api, terminal):
    api.pods = [[running()]]
    api.logs = [[line(1)]]

    def interrupt(_):
        raise KeyboardInterrupt

    assert terminal.run(show=interrupt) == 130
    assert terminal.said[-1] == (
        f"The Job goes on. Follow it: kubectl --context prod --namespace todo logs --follow job/{name_of(api)}\n"
        f"Abort it: kubectl --context prod --namespace todo delete job {name_of(api)}"
    )
    assert api.deleted == []


def test_detached_it_starts_and_returns(api, terminal):
    assert terminal.run(detach=True, deadline_seconds=60) == 0
    assert terminal.said[0] == f"Job {name_of(api)} in namespace todo runs `taskledger replay run task`."
    assert terminal.said[1].startswith("The Job goes on.")
    assert api.created[0]["spec"]["activeDeadlineSeconds"] == 60
    assert api.deleted == []


def test_an_api_that_falls_silent_is_given_up_after_a_while_and_the_job_stays(api, terminal):
    api.pods = [[running()], Refusal(0)]
    with pytest.raises(Unavailable):
        terminal.run()
    assert terminal.said[-1].startswith("The Job goes on.")
    assert api.deleted == []


def test_an_api_that_answers_again_is_forgiven(api, terminal):
    api.pods = [Refusal(0), Refusal(500), Refusal(429), [done(0)]]
    api.jobs = [Refusal(0), {"status": {}}]
    assert terminal.run() == 0


def test_the_exit_code_counts_although_the_log_has_gone_with_its_node(api, terminal):
    api.pods = [[done(3)]]
    api.logs = [Refusal(500, "no route to host")]
    assert terminal.run() == 3
    assert "The end of the log is missing." in terminal.said[-1]


def test_a_job_that_someone_deletes_is_said_to_be_deleted(api, terminal):
    api.jobs = [{"status": {}}, Refusal(404)]
    with pytest.raises(TaskledgerError, match="was deleted before its command ended: start the same command again"):
        terminal.run()


def test_a_job_that_cannot_be_deleted_does_not_hide_the_exit_code(api, terminal):
    api.pods = [[done(3)]]
    api.deletions = [Refusal(403, "cannot delete resource jobs")]
    assert terminal.run() == 3
    assert "was not deleted; Kubernetes does so a day after its end" in terminal.said[-1]


def test_another_job_of_the_same_command_is_named_and_not_hindered(api, terminal):
    api.other_jobs = [{"items": [{"metadata": {"name": "a"}, "status": {"active": 1}}, {"metadata": {"name": "b"}}]}]
    api.pods = [[done(0)]]
    assert terminal.run() == 0
    assert terminal.said[0] == (
        "Job a runs the same command already: the lease in the database decides whether this one may begin."
    )
    assert not any("Job b" in sentence for sentence in terminal.said)


@pytest.mark.parametrize(
    ("script", "refusal", "kind", "sentence"),
    [
        (
            "creations",
            Refusal(403, 'X cannot create resource "jobs"'),
            ConfigurationError,
            f'You may not create jobs in namespace todo: ask for the Role in {ROLE} (X cannot create resource "jobs").',
        ),
        (
            "creations",
            Refusal(403, "exceeded quota: jobs, used 5, limited 5"),
            TaskledgerError,
            "The cluster refuses to create jobs (403): exceeded quota: jobs, used 5, limited 5.",
        ),
        (
            "creations",
            Refusal(400, "strict decoding error: unknown field"),
            TaskledgerError,
            "The cluster refuses to create jobs (400): strict decoding error: unknown field.",
        ),
        (
            "deployments",
            Refusal(404),
            ConfigurationError,
            "There is no deployments/event-service in namespace todo: choose another with --namespace or --deployment.",
        ),
        (
            "deployments",
            Refusal(401),
            ConfigurationError,
            "The cluster does not know you: log in again, or choose another --context.",
        ),
        (
            "deployments",
            Refusal(503, "etcd is down"),
            Unavailable,
            "The Kubernetes API cannot get deployments/event-service now (503): etcd is down.",
        ),
    ],
)
def test_a_refusal_is_one_sentence_that_says_what_to_do(api, terminal, *, script, refusal, kind, sentence):
    setattr(api, script, [refusal])
    with pytest.raises(kind) as error:
        terminal.run()
    assert type(error.value) in {kind, *kind.__subclasses__()}
    assert str(error.value) == sentence


def test_a_cluster_that_is_not_there_is_one_sentence(api, terminal):
    api.deployments = [Refusal(0)]
    with pytest.raises(Unavailable, match=r"The Kubernetes API at http://127.0.0.1:\d+ does not answer \(\w+\): check"):
        terminal.run()


def test_a_command_that_says_nothing_for_long_is_followed_on(api, terminal):
    api.pods = [*[[running()]] * 5, [done(0)]]
    api.logs = [*[[HANG]] * 5, [line(1)]]
    assert terminal.run() == 0
    assert terminal.shown == ["line 1"]


def test_of_a_line_without_end_only_the_beginning_is_shown(api, terminal):
    api.pods = [[done(0)]]
    api.logs = [[f"{stamp(1)} {'x' * 3_000_000}", line(2)]]
    assert terminal.run() == 0
    assert [len(text) for text in terminal.shown] == [1024 * 1024 - len(stamp(1)) - 1, len("line 2")]
