"""Every test writes into a temporary data folder; expensive things (compressed models, one real run) are shared."""

import shutil
from pathlib import Path

import pytest

from lisi_nb import paths, potentials


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Benchmarks run only when named (`make benchmark`)."""
    asked = any("benchmarks" in str(argument) for argument in config.args)
    return True if collection_path.name == "benchmarks" and not asked else None


@pytest.fixture(scope="session", autouse=True)
def data_folder(tmp_path_factory: pytest.TempPathFactory):
    """Runs and caches of this session; models that this checkout has compressed before (named by hash) are reused."""
    folder = tmp_path_factory.mktemp("data")
    cache = folder / "cache" / "compressed"
    cache.mkdir(parents=True)
    for name in potentials.names():
        for member in potentials.get(name).card["members"]:
            known = paths.DATA / "cache" / "compressed" / f"{member['sha256'][:16]}.pb"
            if known.exists():
                shutil.copyfile(known, cache / known.name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LISI_NB_DATA", str(folder))
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        yield folder


@pytest.fixture(scope="session")
def smoke_run(data_folder):
    """One finished smoke run of Si(100) | Li, made by the real worker, LAMMPS and DeePMD (about 15 s)."""
    from lisi_nb.engine import launch
    from lisi_nb.studies import interdiffusion

    run = launch.launch(interdiffusion, interdiffusion.scaled("smoke", "100"), "smoke", "cpu")
    return launch.wait(run)


@pytest.fixture
def empty_data(tmp_path, monkeypatch, data_folder):
    """A data folder of its own that shares the session's caches: for tests that make or break runs."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cache").symlink_to(data_folder / "cache")
    monkeypatch.setenv("LISI_NB_DATA", str(tmp_path / "data"))
    return tmp_path / "data"
