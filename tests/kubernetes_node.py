"""What a job needs of Kubernetes, for a test: an API server whose every job is validated, and run here as its container would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

# The release that the executor's own client is of.
RELEASE = "1.32"


class Cluster(ThreadingHTTPServer):
    """jobs: manifests by name, in their order; running: their processes; faults: what the schema does not allow.

    folder: gets the configuration, and a folder for each job. image: the environment of the containers' image; None: no job is
    run, and each counts as failed.
    """

    daemon_threads = True

    def __init__(self, folder: Path, image: Mapping[str, str] | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.image = folder, image
        self.jobs: dict[str, dict[str, Any]] = {}
        self.faults: list[str] = []
        self.secrets: dict[str, dict[str, str]] = {}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        named = {"name": "one"}
        configuration = {
            "apiVersion": "v1", "kind": "Config", "current-context": "one",
            "clusters": [named | {"cluster": {"server": f"http://127.0.0.1:{self.server_port}"}}],
            "users": [named | {"user": {}}], "contexts": [named | {"context": {"cluster": "one", "user": "one"}}],
        }  # fmt: skip
        (folder / "config").write_text(yaml.safe_dump(configuration))
        self.environment = {"KUBECONFIG": str(folder / "config")}

    def submit(self, job: dict[str, Any]) -> None:
        name = job["metadata"]["name"]
        self.jobs[name] = job
        [container] = job["spec"]["template"]["spec"]["containers"]
        pod = self.folder / name
        pod.mkdir()
        if self.image is None:
            return
        places = {each["name"]: each["valueFrom"]["secretKeyRef"] for each in container["env"]}
        given = {name: b64decode(self.secrets[at["name"]][at["key"]]).decode() for name, at in places.items()}
        words = [*container["command"], *container["args"]]
        with (pod / "output").open("wb") as output:
            self.running[name] = subprocess.Popen(
                words, cwd=pod, env={**self.image, **given}, stdout=output, stderr=output, start_new_session=True
            )

    def evict(self) -> None:
        """Kill the processes of a job that runs."""
        os.killpg(next(process.pid for process in self.running.values() if process.poll() is None), signal.SIGKILL)

    def status(self, name: str) -> dict[str, int]:
        code = 1 if self.image is None else self.running[name].poll()
        return {"active": 1} if code is None else {"failed": 1} if code else {"succeeded": 1}


class _Handler(BaseHTTPRequestHandler):
    server: Cluster

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        kind = {"jobs": ("batch/v1", "Job"), "secrets": ("v1", "Secret")}[self.path.rpartition("/")[2]]
        whole = {"apiVersion": kind[0], "kind": kind[1]} | content
        try:
            kubernetes_validate.validate(whole, RELEASE, strict=True)
        except kubernetes_validate.ValidationError as error:
            self.server.faults.append(f"{kind[1]}: {error.message}")
        if kind[1] == "Job":
            self.server.submit(whole)
        else:
            self.server.secrets[whole["metadata"]["name"]] = whole.get("data") or {}
        self._answer(whole, 201)

    def do_GET(self) -> None:
        if "/pods?" in self.path:
            self._answer({"apiVersion": "v1", "kind": "PodList", "items": []})
        else:
            name = self.path.split("/")[-2]
            self._answer(self.server.jobs[name] | {"status": self.server.status(name)})

    def do_DELETE(self) -> None:
        self._answer({"apiVersion": "v1", "kind": "Status", "status": "Success"})

    def _answer(self, content: dict[str, Any], code: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: the test shows what matters."""


@contextmanager
def kubernetes(folder: Path, image: Mapping[str, str] | None = None) -> Iterator[Cluster]:
    cluster = Cluster(folder, image)
    thread = threading.Thread(target=cluster.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield cluster
    finally:
        cluster.shutdown()
        cluster.server_close()
        for process in cluster.running.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
