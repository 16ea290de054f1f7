"""The programs of a Kubernetes API without containers, built from Go modules once and kept for every checkout.

`python tests/support/kubernetes_tools.py` builds them ahead of the tests, which takes long the first time.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCES = Path(__file__).with_name("kubernetes-tools")
KUBERNETES = "v1.34.4"
KWOK = "sigs.k8s.io/kwok@v0.8.0"
GO = (1, 26)
"""What kwok needs."""
PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
STAGES = ("node/fast", "node/heartbeat-with-lease", "pod/fast")
"""kwok's own rules for how nodes and pods go on, of its folder kustomize/stage."""
BUILD_SECONDS = 2400
"""Longest time for a build, and for waiting until another process has made one."""


class MissingPart(Exception):
    """Something that this machine lacks, and how to get it."""


def tools() -> Path:
    """Give the folder with the programs and `stages.yaml`; builds it where it is not there yet, saying so.

    Raises MissingPart, also for what is needed beside it: etcd and openssl.
    """
    for program, package in (("etcd", "etcd-server"), ("openssl", "openssl")):
        if shutil.which(program) is None:
            raise MissingPart(f"{program} is not installed; on Debian and Ubuntu: apt-get install {package}")
    content = b"".join(path.read_bytes() for path in sorted(SOURCES.iterdir()))
    key = hashlib.sha256(content + f"{KWOK} {PROGRAMS} {STAGES}".encode()).hexdigest()[:12]
    folder = platformdirs.user_cache_path("taskledger") / f"kubernetes-{KUBERNETES}-{key}"
    if folder.exists():
        return folder
    _check_go()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder.with_name(f"{folder.name}.lock")):
        if not folder.exists():
            _build(folder)
    return folder


def _build(folder: Path) -> None:
    _say(f"Building Kubernetes {KUBERNETES} and kwok, once, in six minutes on two idle cores (kept in {folder}).")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        version = f"-X k8s.io/component-base/version.gitVersion={KUBERNETES}"
        packages = [f"k8s.io/kubernetes/cmd/{program}" for program in PROGRAMS]
        _go("build", "-o", f"{made}/", "-ldflags", f"-s -w {version}", *packages)
        module, tag = KWOK.split("@")
        _go("install", "-ldflags", "-s -w", f"{module}/cmd/kwok@{tag}", GOBIN=str(made))
        kwok = Path(json.loads(_go("mod", "download", "-json", KWOK))["Dir"])
        stages = [path for stage in STAGES for path in sorted((kwok / "kustomize/stage" / stage).glob("*.yaml"))]
        stages = [path for path in stages if path.stem not in {"kustomization", "pod-complete"}]
        texts = [path.read_text() for path in [*stages, SOURCES / "pod-exit.yaml"]]
        (made / "stages.yaml").write_text("\n---\n".join(texts))
        made.rename(folder)
    _say(f"Built in {time.monotonic() - began:.0f} s.")


def _go(*arguments: str, **environment: str) -> str:
    command = ["nice", "-n", "19", "go", *arguments]
    environment = os.environ | {"GOFLAGS": "-buildvcs=false -trimpath"} | environment
    done = subprocess.run(
        command, cwd=SOURCES, env=environment, timeout=BUILD_SECONDS, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise MissingPart(f"`go {arguments[0]}` failed: {done.stderr.strip()[-1000:]}")
    return done.stdout


def _check_go() -> None:
    wanted = f"Go {GO[0]}.{GO[1]} or newer builds the Kubernetes API server: https://go.dev/dl"
    if shutil.which("go") is None:
        raise MissingPart(f"Go is not installed. {wanted}")
    version = subprocess.run(["go", "env", "GOVERSION"], check=True, capture_output=True, text=True).stdout
    found = re.match(r"go(\d+)\.(\d+)", version)
    if found and (int(found[1]), int(found[2])) < GO:
        raise MissingPart(f"The installed Go is too old ({version.strip()}). {wanted}")


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Let one process build at a time; the lock goes with the process."""
    deadline = time.monotonic() + BUILD_SECONDS
    with lock.open("w") as file:
        said = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not said:
                    _say("Waiting for another process that builds Kubernetes.")
                said = True
                if time.monotonic() > deadline:
                    raise MissingPart(f"Another process holds {lock} for {BUILD_SECONDS} s.") from None
                time.sleep(1)
        yield


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    try:
        tools()
    except MissingPart as missing:
        sys.exit(str(missing))
