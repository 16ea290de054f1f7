from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from support.kubernetes import EXIT_CODE, MARKS, Kubernetes
from support.service import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = MARKS

ROOT = Path(__file__).parents[2]
ROLE = ROOT / "deploy/kubernetes/operator-role.yaml"
DEPLOYMENT = ROOT / "tests/support/event-service.yaml"
SECONDS = 60
CREDENTIALS = "operator"

COMMAND_LINE = """
import functools
import click
from app.cli import Commands
from app.cli.cluster import ClusterCommand
from app.cluster import run as running

# kwok never ends the log of a container that has ended, as a kubelet does
running.run = functools.partial(running.run, patience=running.Patience(quiet=1))

class Group(Commands):
    list_commands = click.Group.list_commands
    get_command = click.Group.get_command

@click.group(cls=Group)
def main():
    pass

@main.command(cls=ClusterCommand)
@click.argument("projection")
def rebuild(projection):
    raise AssertionError("this runs in the cluster")

main()
"""


class Namespace:
    """A namespace of a test's own with an event service and an operator who has the Role and nothing else."""

    def __init__(self, cluster: Kubernetes, name: str, tmp_path: Path) -> None:
        self.cluster = cluster
        self.name = name
        self._program = tmp_path / "program.py"
        self._program.write_text(COMMAND_LINE)
        metadata = {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
        cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}])
        accounts = [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}}
            for account in ("event-service", CREDENTIALS)
        ]
        role, binding = yaml.safe_load_all(ROLE.read_text())
        binding["subjects"] = [{"kind": "ServiceAccount", "name": CREDENTIALS, "namespace": name}]
        deployment = yaml.safe_load(DEPLOYMENT.read_text())
        cluster.apply([*accounts, role, binding, deployment], name)
        self.kubeconfig = cluster.kubeconfig_of(CREDENTIALS, name)

    @contextmanager
    def command(self, *options: str) -> Iterator[subprocess.Popen[str]]:
        """Start the command line with the operator's kube config; it does not outlive the test."""
        with subprocess.Popen(
            [sys.executable, self._program, "rebuild", "task", "--in-cluster", *options],
            env=os.environ | {"KUBECONFIG": str(self.kubeconfig)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as started:
            try:
                yield started
            finally:
                started.kill()

    def run(self, *options: str, end: Sequence[int] = ()) -> tuple[int, str, str]:
        """Run the command line, let its pods end like this one after the other; gives code, output and remarks."""
        with self.command(*options) as started:
            for number, code in enumerate(end, start=1):
                wait_until(lambda: len(self.pods()) == number, f"there is a pod {number}", SECONDS)  # noqa: B023
                self.end(code)
            output, remarks = started.communicate(timeout=SECONDS)
        return started.returncode, output, remarks

    def items(self, kind: str, api: str = "api/v1") -> list[dict]:
        return self.cluster.call("GET", f"/{api}/namespaces/{self.name}/{kind}")["items"]

    def jobs(self) -> list[dict]:
        return self.items("jobs", "apis/batch/v1")

    def pods(self) -> list[dict]:
        """Give the Job's pods in the order in which they were made."""
        pods = [pod for pod in self.items("pods") if pod["metadata"]["ownerReferences"][0]["kind"] == "Job"]
        return sorted(pods, key=lambda pod: pod["metadata"]["creationTimestamp"])

    def end(self, code: int) -> None:
        """Let the newest pod run, and end with this exit code."""
        wait_until(lambda: self.pods() and self.pods()[-1]["status"]["phase"] == "Running", "the pod runs", SECONDS)
        path = f"/api/v1/namespaces/{self.name}/pods/{self.pods()[-1]['metadata']['name']}"
        change = {"metadata": {"annotations": {EXIT_CODE: str(code)}}}
        self.cluster.call("PATCH", path, change, "application/merge-patch+json")

    def may(self, verb: str, resource: str, group: str = "", name: str = "", subresource: str = "") -> bool:
        """Ask the API server what the operator may do."""
        attributes = {"namespace": self.name, "verb": verb, "group": group, "resource": resource}
        attributes |= {"name": name, "subresource": subresource}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": f"system:serviceaccount:{self.name}:{CREDENTIALS}",
                "groups": ["system:serviceaccounts", f"system:serviceaccounts:{self.name}", "system:authenticated"],
                "resourceAttributes": attributes,
            },
        }
        answer = self.cluster.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return answer["status"]["allowed"]


@pytest.fixture
def namespace(cluster: Kubernetes, tmp_path: Path) -> Iterator[Namespace]:
    name = f"test-{uuid.uuid4().hex[:12]}"
    cluster.log.write_text("")
    yield Namespace(cluster, name, tmp_path)
    cluster.call("DELETE", f"/api/v1/namespaces/{name}")


def log(cluster: Kubernetes, *lines: str) -> None:
    with cluster.log.open("a") as file:
        for number, line in enumerate(lines, start=1):
            file.write(f"2026-03-01T12:00:{number:02}.000000000Z stdout F {line}\n")


def test_the_command_runs_as_a_job_and_its_exit_code_is_given(cluster, namespace):
    log(cluster, "10 %", "100 %")
    code, output, remarks = namespace.run(end=[0])
    assert (code, output) == (0, "10 %\n100 %\n"), remarks
    assert "runs `taskledger rebuild task`." in remarks
    wait_until(lambda: not namespace.jobs() and not namespace.pods(), "the Job and its pods are gone", SECONDS)


def test_the_pod_is_the_event_services_without_what_makes_it_a_replica(cluster, namespace):
    code, _, remarks = namespace.run("--detach", "--job-deadline", "600")
    assert code == 0, remarks
    wait_until(namespace.pods, "the Job has a pod", SECONDS)
    [pod] = namespace.pods()
    [container] = pod["spec"]["containers"]
    assert container["command"] == ["taskledger", "rebuild", "task"]
    assert pod["spec"]["serviceAccountName"] == "event-service"
    assert pod["metadata"]["annotations"]["dapr.io/enabled"] == "false"
    selected = "app.kubernetes.io/component=event-service"
    of_the_service = cluster.call("GET", f"/api/v1/namespaces/{namespace.name}/pods?labelSelector={selected}")
    assert pod["metadata"]["name"] not in {other["metadata"]["name"] for other in of_the_service["items"]}
    [job] = namespace.jobs()
    assert (job["spec"]["activeDeadlineSeconds"], job["spec"]["ttlSecondsAfterFinished"]) == (600, 86_400)


def test_a_command_that_fails_is_not_started_again(namespace):
    code, _, remarks = namespace.run(end=[3])
    assert code == 3, remarks
    assert "Waiting: the command was killed" not in remarks
    wait_until(lambda: not namespace.jobs(), "the Job is gone", SECONDS)


def test_a_killed_command_is_started_again_and_followed(namespace):
    code, _, remarks = namespace.run(end=[137, 0])
    assert code == 0, remarks
    assert "Waiting: the command was killed (Error); Kubernetes starts it again, and it resumes." in remarks


def test_ctrl_c_leaves_the_job_running(cluster, namespace):
    log(cluster, "10 %")
    with namespace.command() as command:
        assert command.stdout.readline() == "10 %\n"
        command.send_signal(signal.SIGINT)
        _, remarks = command.communicate(timeout=SECONDS)
    [job] = namespace.jobs()
    assert command.returncode == 130, remarks
    assert f"Abort it: kubectl --namespace {namespace.name} delete job {job['metadata']['name']}" in remarks
    assert job["status"]["active"] == 1


def test_without_the_role_the_missing_right_is_named(cluster, namespace):
    role = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace.name}/roles/taskledger-operator"
    rules = cluster.call("GET", role)["rules"]
    kept = [rule for rule in rules if rule["resources"] != ["jobs"]]
    cluster.call("PATCH", role, {"rules": kept}, "application/merge-patch+json")
    code, _, remarks = namespace.run()
    assert code == 2
    assert remarks.startswith(f"error: You may not list jobs in namespace {namespace.name}: ask for the Role in ")


def test_a_deployment_of_another_name_is_out_of_reach(namespace):
    code, _, remarks = namespace.run("--deployment", "web")
    assert code == 2
    assert remarks.startswith(f"error: You may not get deployments/web in namespace {namespace.name}: ")


def test_the_role_allows_what_the_command_does_and_nothing_else(namespace):
    allowed = {
        ("get", "deployments", "apps", "event-service"),
        *((verb, "jobs", "batch", "") for verb in ("create", "get", "list", "delete")),
        ("list", "pods", "", ""),
        ("get", "pods", "", "", "log"),
    }
    verbs = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]
    resources = [
        ("deployments", "apps"),
        ("statefulsets", "apps"),
        ("jobs", "batch"),
        ("cronjobs", "batch"),
        ("pods", ""),
        ("secrets", ""),
        ("configmaps", ""),
        ("services", ""),
        ("serviceaccounts", ""),
        ("events", ""),
        ("roles", "rbac.authorization.k8s.io"),
        ("rolebindings", "rbac.authorization.k8s.io"),
    ]
    questions = {(verb, resource, group, name) for verb in verbs for resource, group in resources for name in ("", "x")}
    questions |= {(verb, "deployments", "apps", "event-service") for verb in verbs}
    questions |= {
        (verb, "pods", "", "", part) for verb in verbs for part in ("log", "exec", "attach", "portforward", "eviction")
    }
    questions |= {(verb, "serviceaccounts", "", "", "token") for verb in verbs}
    answers = {question for question in questions if namespace.may(*question)}
    named = {(*right[:3], "x") for right in allowed if len(right) == 4 and not right[3]}
    assert answers == allowed | named
