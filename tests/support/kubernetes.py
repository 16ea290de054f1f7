"""A real Kubernetes API for tests: etcd, API server, controllers and scheduler; kwok plays the nodes.

Validation, access rules, controllers and scheduling are real. No container runs: kwok moves pods to Running by itself,
and a Job's pod to its end when it has the annotation `EXIT_CODE`. Probes, network policies and sidecars do nothing.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import subprocess
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
import yaml
from support.kubernetes_tools import BUILD_SECONDS
from support.service import wait_until

from app.embedded.home import free_port

if TYPE_CHECKING:
    from collections.abc import Iterable

Document = dict[str, Any]

MARKS = [pytest.mark.cluster, pytest.mark.timeout(BUILD_SECONDS)]
"""For `pytestmark` of modules that use the fixture `cluster`: the first of their tests may have to build it."""
EXIT_CODE = "taskledger.test/exit-code"
READY_SECONDS = 60
STOP_SECONDS = 15
NODE = "node-0"


class Kubernetes:
    """A cluster of one node. Objects are JSON documents; what the server does not know, it refuses."""

    def __init__(self, folder: Path, programs: Path) -> None:
        """Take a folder of its own, and the one that `tools` gives."""
        self.kubeconfig = folder / "kubeconfig"
        """Of an administrator."""
        self.log = folder / "containers.log"
        """What every container of every pod has written, in the form of the container runtime interface."""
        self._folder = folder
        self._programs = programs
        self._ports = [free_port() for _ in range(6)]
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            self._start(self._programs)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):  # etcd last: without it the API server takes a minute to end
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def apply(self, documents: Iterable[Document], namespace: str = "default") -> None:
        """Create or change objects, checked strictly by the server; those without a namespace get this one."""
        for document in documents:
            metadata = document["metadata"]
            path = self.path(document["apiVersion"], document["kind"], metadata.get("namespace", namespace))
            query = "?fieldManager=tests&fieldValidation=Strict&force=true"
            self.call("PATCH", f"{path}/{metadata['name']}{query}", document, "application/apply-patch+yaml")

    def path(self, api_version: str, kind: str, namespace: str) -> str:
        """Give the path of a kind of objects, as the server knows it."""
        group = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        found = [r for r in self.call("GET", group)["resources"] if r["kind"] == kind and "/" not in r["name"]]
        scope = f"/namespaces/{namespace}" if found[0]["namespaced"] else ""
        return f"{group}{scope}/{found[0]['name']}"

    def call(
        self, method: str, path: str, body: Document | None = None, content_type: str = "application/json"
    ) -> Document:
        """Ask the API as an administrator; raises urllib's HTTPError with the server's answer for a note."""
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", content, method=method)
        request.add_header("Authorization", "Bearer admin")
        request.add_header("Content-Type", content_type)
        try:
            with urllib.request.urlopen(request, timeout=10, context=self._tls) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            error.add_note(error.read().decode())
            raise

    def kubeconfig_of(self, service_account: str, namespace: str) -> Path:
        """Write a kube config of this service account, which has its rights and nothing more."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        config = self._folder / f"kubeconfig-{namespace}-{service_account}"
        self._write_kubeconfig(config, self.call("POST", path, request)["status"]["token"], namespace)
        return config

    def _start(self, programs: Path) -> None:
        api, etcd, peers, controllers, scheduler, kubelet = self._ports
        self.url = f"https://127.0.0.1:{api}"
        certificates = self._folder / "certificates"
        certificates.mkdir()
        key = certificates / "accounts.key"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        tokens = self._folder / "tokens.csv"
        tokens.write_text('admin,admin,admin,"system:masters"\n')
        self.log.touch()
        self._write_kubeconfig(self.kubeconfig, "admin", "default")
        own = f"http://127.0.0.1:{etcd}"
        other = f"http://127.0.0.1:{peers}"
        self._run(
            "etcd", f"--data-dir={self._folder / 'etcd'}", "--unsafe-no-fsync", "--log-level=warn",
            f"--listen-client-urls={own}", f"--advertise-client-urls={own}", f"--listen-peer-urls={other}",
            f"--initial-advertise-peer-urls={other}", f"--initial-cluster=default={other}",
        )  # fmt: skip
        # Debian's etcd lacks what lists by watching need, and kwok would wait longer each time before it watches again.
        self._run(
            programs / "kube-apiserver", "--feature-gates=WatchList=false", f"--etcd-servers={own}",
            "--bind-address=127.0.0.1", f"--secure-port={api}",
            "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.96.0.0/16", f"--cert-dir={certificates}",
            f"--token-auth-file={tokens}", "--authorization-mode=RBAC",
            f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
            "--service-account-issuer=https://kubernetes.default.svc", "--kubelet-preferred-address-types=InternalIP",
        )  # fmt: skip
        wait_until(self._is_ready, "the Kubernetes API is ready", READY_SECONDS)
        self._run(
            programs / "kube-controller-manager", f"--kubeconfig={self.kubeconfig}", "--leader-elect=false",
            "--bind-address=127.0.0.1", f"--secure-port={controllers}", f"--service-account-private-key-file={key}",
        )  # fmt: skip
        self._run(
            programs / "kube-scheduler", f"--kubeconfig={self.kubeconfig}", "--leader-elect=false",
            "--bind-address=127.0.0.1", f"--secure-port={scheduler}",
        )  # fmt: skip
        rules = self._folder / "kwok.yaml"
        logs = {
            "apiVersion": "kwok.x-k8s.io/v1alpha1",
            "kind": "ClusterLogs",
            "metadata": {"name": "all"},
            "spec": {"logs": [{"logsFile": str(self.log), "follow": True}]},
        }
        rules.write_text(f"{(programs / 'stages.yaml').read_text()}\n---\n{yaml.safe_dump(logs)}")
        self._run(
            programs / "kwok", f"--kubeconfig={self.kubeconfig}", f"--config={rules}", "--manage-all-nodes",
            "--node-ip=127.0.0.1", f"--node-port={kubelet}", f"--server-address=127.0.0.1:{kubelet}",
            f"--tls-cert-file={certificates / 'apiserver.crt'}",
            f"--tls-private-key-file={certificates / 'apiserver.key'}",
        )  # fmt: skip
        self.apply([_node()])
        wait_until(self._has_a_node, "the node is ready", READY_SECONDS)

    def _run(self, program: str | Path, *arguments: str) -> None:
        name = Path(program).name
        with (self._folder / f"{name}.log").open("wb") as log:
            self._processes.append(subprocess.Popen([program, *arguments], cwd=self._folder, stdout=log, stderr=log))

    def _is_ready(self) -> bool:
        self._check_processes()
        with contextlib.suppress(OSError):
            self._tls = ssl.create_default_context(cafile=self._authority)
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5, context=self._tls) as answer:
                return answer.status == HTTPStatus.OK
        return False

    def _has_a_node(self) -> bool:
        self._check_processes()
        conditions = self.call("GET", f"/api/v1/nodes/{NODE}")["status"].get("conditions", [])
        return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)

    def _check_processes(self) -> None:
        for process in self._processes:
            if process.poll() is not None:
                name = Path(process.args[0]).name
                raise AssertionError(f"{name} ended: {(self._folder / f'{name}.log').read_text()[-2000:]}")

    @property
    def _authority(self) -> Path:
        """The certificate that the API server made for itself."""
        return self._folder / "certificates" / "apiserver.crt"

    def _write_kubeconfig(self, path: Path, token: str, namespace: str) -> None:
        cluster = {"server": self.url, "certificate-authority": str(self._authority)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": "tests", "user": {"token": token}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests", "namespace": namespace}}],
            "current-context": "tests",
        }
        path.write_text(yaml.safe_dump(config))


def _node() -> Document:
    size = {"cpu": "8", "memory": "32Gi", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": NODE,
            "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"},
        },
        "status": {"allocatable": size, "capacity": size},
    }
