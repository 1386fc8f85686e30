"""A real JupyterLab server with its token, and Debian's Chromium."""

import contextlib
import functools
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from steps import cell_of, leave, new_page, run_all, wait_done, write_notebook

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="session")
def lab(tmp_path_factory, data_folder):
    """(folder, url of a file in it) of a JupyterLab server on localhost."""
    folder = tmp_path_factory.mktemp("lab")
    # Cells outside the window stay in the page, so that the tests can look at all of them; no question about news.
    for name, chosen in (
        ("notebook-extension/tracker", {"windowingMode": "none"}),
        ("apputils-extension/notification", {"fetchNews": "false"}),
    ):
        settings = folder / ".settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        settings.parent.mkdir(parents=True)
        settings.write_text(json.dumps(chosen))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    # Runs of its own, so that they really run here; only the compressed models are shared.
    shutil.copytree(data_folder / "cache" / "compressed", folder / ".data" / "cache" / "compressed")
    environment = os.environ | {
        "LISI_NB_DATA": str(folder / ".data"),
        "LISI_NB_SCALE": "smoke",
        "JUPYTER_TOKEN": token,
        "JUPYTERLAB_SETTINGS_DIR": str(folder / ".settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / ".workspaces"),
        "JUPYTER_CONFIG_DIR": str(folder / ".config"),
        "JUPYTER_RUNTIME_DIR": str(folder / ".runtime"),
    }
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}"]
    command += ["--allow-root"] if os.geteuid() == 0 else []
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
    try:
        wait_for(f"http://127.0.0.1:{port}/api/status?token={token}", server, folder / "server.log")
        yield folder, lambda name: f"http://127.0.0.1:{port}/lab/workspaces/{Path(name).stem}/tree/{name}?token={token}"
    finally:
        server.terminate()
        server.wait(30)


def wait_for(url: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5)
            return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.5)
    pytest.fail("JupyterLab did not start:\n" + log.read_text()[-3000:])


@pytest.fixture(scope="module")  # playwright keeps an event loop running until it ends
def start_chromium():
    """Function that starts a browser with further flags; all are closed at the end."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed: apt install chromium (make system)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, contextlib.ExitStack() as open_browsers:

        def start(*flags):
            arguments = ["--headless=new", "--disable-quic", "--disable-background-networking", *flags]
            arguments += ["--no-sandbox"] if os.geteuid() == 0 else []
            browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
            open_browsers.callback(browser.close)
            return browser

        yield start


@pytest.fixture(scope="module")
def chromium(start_chromium):
    return start_chromium()


@pytest.fixture
def opened(lab):
    """Function that opens a new notebook on a page and runs all its cells; it returns what finds a cell by words."""
    folder, url = lab

    def open_(page, name, cells, seconds=90):
        write_notebook(folder / name, cells)
        page.goto(url(name))
        run_all(page)
        if seconds:
            wait_done(page, seconds)
        return functools.partial(cell_of, page)

    return open_


@pytest.fixture(scope="session")
def artifacts():
    """Folder of screenshots to look at; git ignores it."""
    folder = Path(__file__).parents[1] / "artifacts"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def page(chromium, request, artifacts):
    """A page that leaves a screenshot in tests/artifacts."""
    page = new_page(chromium)
    yield page
    leave(page, artifacts / f"{request.node.name}-end.png")
