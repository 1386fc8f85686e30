"""What must never happen: code that runs because a file was opened, a shell, a notebook server open to others."""

import ast
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import psutil
import pytest

from lisi_nb.paths import PROJECT

FILES = sorted((PROJECT / "lisi_nb").rglob("*.py"))
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
FORBIDDEN_CALLS = {"eval", "exec", "os.system", "os.popen", "torch.load", "yaml.load", "pandas.read_pickle"}


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_nothing_unpickles_evaluates_or_asks_a_shell(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & FORBIDDEN_MODULES
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in FORBIDDEN_MODULES
        if isinstance(node, ast.Call):
            given = {each.arg: ast.unparse(each.value) for each in node.keywords}
            name = ast.unparse(node.func)
            numbers_only = name == "torch.load" and given.get("weights_only") == "True"  # then nothing runs
            assert name not in FORBIDDEN_CALLS or numbers_only, f"line {node.lineno}"
            assert given.get("shell") != "True", f"line {node.lineno}"
            assert given.get("allow_pickle", "False") == "False", f"line {node.lineno}"


def test_jupyterlab_as_make_lab_starts_it_wants_a_token_and_listens_at_home(tmp_path):
    options = re.search(r"jupyter lab (.*)", (PROJECT / "Makefile").read_text())[1].split()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyter", "lab", *options, "--no-browser", f"--port={port}", "--port-retries=0"]
    command += ["--allow-root"] if os.getuid() == 0 else []
    places = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "RUNTIME", "DATA")}
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=PROJECT, env=os.environ | places, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while "token=" not in (tmp_path / "log").read_text():
            assert time.monotonic() < deadline
            assert server.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.2)
        listening = {c.laddr.ip for c in psutil.Process(server.pid).net_connections() if c.status == "LISTEN"}
        assert listening
        assert listening <= {"127.0.0.1", "::1"}
        url = f"http://127.0.0.1:{port}/api/contents"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url, timeout=20)
        assert refused.value.code == 403
        token = re.search(r"token=(\w+)", (tmp_path / "log").read_text())[1]
        assert len(token) >= 32
        assert urllib.request.urlopen(f"{url}?token={token}", timeout=20).status == 200
    finally:
        server.terminate()
        server.wait(30)
