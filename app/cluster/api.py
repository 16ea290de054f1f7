"""The part of the Kubernetes API that one Job needs; only `app.cluster` imports the `kubernetes` client.

Objects are plain JSON: the client's own models would drop fields that are newer than the client, and a Job made from
a Deployment must lose none. Every request is asked once and answered within `ANSWER_SECONDS`; the caller repeats.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import urllib3
from kubernetes import client, config

from app.domain.errors import ConfigurationError, TaskledgerError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.cluster.job import Document

ANSWER_SECONDS = 15.0
LINE_BYTES = 1024 * 1024
"""Longest line of a log; the rest of a longer one is left out."""
ROLE = "deploy/kubernetes/operator-role.yaml"
POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

_GROUPS = {"deployments": "/apis/apps/v1", "jobs": "/apis/batch/v1", "pods": "/api/v1"}
_METHODS = {"create": "POST", "delete": "DELETE", "get": "GET", "list": "GET"}


class NotThere(ConfigurationError):
    """The cluster has no such object."""

    code = "not_in_cluster"


class Cluster:
    """One namespace of a cluster. Every method raises one sentence that says what to do.

    ConfigurationError: not allowed, or not there. Unavailable: no answer, ask again. TaskledgerError: refused.
    """

    def __init__(self, api: client.ApiClient, namespace: str, context: str | None = None) -> None:
        """Use a client that knows the server and who asks; the context is for people only."""
        self._api = api
        self.namespace = namespace
        self.kubectl = " ".join(["kubectl", *(["--context", context] if context else []), "--namespace", namespace])
        """The beginning of a command line that asks the same namespace."""

    @classmethod
    def connect(cls, context: str | None = None, namespace: str | None = None) -> Self:
        """Use the kube config, its current context by default; inside a pod without one, the pod's own account.

        The namespace is by default that of the context or of the pod.
        """
        settings = client.Configuration()
        try:
            try:
                contexts, active = config.list_kube_config_contexts()
            except config.ConfigException:
                if context is not None or not POD_NAMESPACE.exists():
                    raise
                config.load_incluster_config(settings)
                found = POD_NAMESPACE.read_text(encoding="utf-8").strip()
            else:
                config.load_kube_config(context=context, client_configuration=settings)
                chosen = next((entry for entry in contexts if entry["name"] == context), active)
                found = chosen["context"].get("namespace") or "default"
        except config.ConfigException as error:
            raise ConfigurationError(
                f"There is no cluster to ask: {str(error).rstrip('.')}. "
                "Let KUBECONFIG name a kube config, and --context one of its contexts."
            ) from error
        settings.retries = urllib3.Retry(0, redirect=0)
        return cls(client.ApiClient(settings), namespace or found, context)

    def deployment(self, name: str) -> Document:
        """Read a Deployment."""
        return self._ask("get", "deployments", name)

    def create_job(self, job: Document) -> None:
        """Create a Job; the server refuses fields that it does not know."""
        self._ask("create", "jobs", query={"fieldValidation": "Strict"}, body=job)

    def job(self, name: str) -> Document:
        """Read a Job."""
        return self._ask("get", "jobs", name)

    def jobs(self, selector: str) -> list[Document]:
        """List the Jobs that have these labels."""
        items: list[Document] = self._ask("list", "jobs", query={"labelSelector": selector})["items"]
        return items

    def delete_job(self, name: str) -> None:
        """Delete a Job, and let Kubernetes delete its pods."""
        self._ask("delete", "jobs", name, query={"propagationPolicy": "Background"})

    def pods(self, job: str) -> list[Document]:
        """List the pods of a Job."""
        items: list[Document] = self._ask(
            "list", "pods", query={"labelSelector": f"batch.kubernetes.io/job-name={job}"}
        )["items"]
        return items

    def log(self, pod: str, container: str, *, since: str, follow: bool, quiet_seconds: float) -> Iterator[str]:
        """Read the lines of a log, each behind a time stamp and a space, from a time stamp on.

        With `follow` until the container ends. Raises Unavailable where the log breaks off, as it does
        when nothing came for `quiet_seconds`.
        """
        query = {"container": container, "timestamps": "true", "follow": str(follow).lower()}
        if since:
            query["sinceTime"] = since
        response = self._send("get", "pods", f"{pod}/log", query=query, seconds=quiet_seconds)
        try:
            rest = b""
            for piece in response.stream(decode_content=True):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    yield line[:LINE_BYTES].decode(errors="replace")
                rest = rest[:LINE_BYTES]
            if rest:
                yield rest.decode(errors="replace")
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"The log of {pod} broke off: {error}.") from error
        finally:
            response.close()

    def _ask(
        self,
        verb: str,
        resource: str,
        name: str = "",
        *,
        query: dict[str, str] | None = None,
        body: Document | None = None,
    ) -> Document:
        response = self._send(verb, resource, name, query=query or {}, seconds=ANSWER_SECONDS, body=body)
        try:
            answer: Document = json.loads(response.data)
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"The Kubernetes API broke off its answer: {error}.") from error
        return answer

    def _send(
        self,
        verb: str,
        resource: str,
        name: str,
        *,
        query: dict[str, str],
        seconds: float,
        body: Document | None = None,
    ) -> urllib3.BaseHTTPResponse:
        host = self._api.configuration.host
        request = self._api.param_serialize(
            _METHODS[verb],
            f"{_GROUPS[resource]}/namespaces/{self.namespace}/{resource}{'/' if name else ''}{name}",
            query_params=list(query.items()),
            header_params={"Accept": "*/*", "Content-Type": "application/json"},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response: urllib3.BaseHTTPResponse = self._api.call_api(
                *request, _request_timeout=(ANSWER_SECONDS, seconds)
            ).response
            if response.status >= HTTPStatus.BAD_REQUEST:
                raise self._refusal(response.status, _message(response.data), verb, f"{resource}/{name}".rstrip("/"))
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(
                f"The Kubernetes API at {host} does not answer ({type(error).__name__}): "
                "check the network, and that the cluster runs."
            ) from error
        except client.ApiException as error:  # the client could not speak TLS
            raise ConfigurationError(
                f"The Kubernetes API at {host} is not the one that the kube config knows: {error.reason}."
            ) from error
        return response

    def _refusal(self, status: int, said: str, verb: str, what: str) -> TaskledgerError:
        """Turn an error of the API into one sentence."""
        if status == HTTPStatus.UNAUTHORIZED:
            return ConfigurationError("The cluster does not know you: log in again, or choose another --context.")
        if status == HTTPStatus.FORBIDDEN and f"cannot {verb} " in said:  # a quota is a 403 too
            return ConfigurationError(
                f"You may not {verb} {what} in namespace {self.namespace}: ask for the Role in {ROLE} ({said})."
            )
        if status == HTTPStatus.NOT_FOUND:
            return NotThere(
                f"There is no {what} in namespace {self.namespace}: choose another with --namespace or --deployment."
            )
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Unavailable(f"The Kubernetes API cannot {verb} {what} now ({status}): {said}.")
        return TaskledgerError(f"The cluster refuses to {verb} {what} ({status}): {said}.")


def _message(content: bytes) -> str:
    try:
        answer: Any = json.loads(content)
        return str(answer["message"]).rstrip(".")
    except (ValueError, KeyError, TypeError):
        return content.decode(errors="replace")[:500].strip() or "no reason given"
