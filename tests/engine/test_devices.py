"""Devices: CPU always, a GPU only when nvidia-smi answers and DeePMD can use it."""

import os
import stat

import pytest

from lisi_nb.engine import devices, execute
from lisi_nb.engine.devices import Device
from lisi_nb.engine.execute import command, environment
from lisi_nb.errors import RunFailed


@pytest.fixture
def fake_smi(tmp_path, monkeypatch):
    """An `nvidia-smi` on PATH that answers as given."""

    def install(answer: str) -> None:
        tool = tmp_path / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\nprintf '{answer}'\n")
        tool.chmod(tool.stat().st_mode | stat.S_IEXEC)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    return install


UUIDS = {"0": "GPU-aa11", "1": "GPU-bb22", "2": "GPU-bb33"}


@pytest.fixture
def three(fake_smi, tmp_path, monkeypatch):
    """Three GPUs, by number and by id."""
    fake_smi("")
    rows = {"index,uuid": [f"{k}, {uuid}" for k, uuid in UUIDS.items()]}
    rows["index,name,memory.free"] = [f"{k}, H200, 1024" for k in UUIDS]
    cases = "".join(
        f"*={fields}) printf '%s\\n' " + " ".join(f"'{r}'" for r in lines) + ";;\n" for fields, lines in rows.items()
    )
    (tmp_path / "nvidia-smi").write_text(f'#!/bin/sh\ncase "$1" in\n{cases}esac\n')
    return lambda shown: monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)


@pytest.mark.parametrize(
    ("shown", "numbers"),
    [("2,1", ["1", "2"]), ("1", ["1"]), ("GPU-aa11", ["0"]), ("GPU-bb", ["1", "2"]), ("", []), ("-1", []), ("7", [])],
)
def test_gpus_that_the_environment_hides_are_not_there(three, shown, numbers):
    """Slurm or the user has given some of the GPUs: numbers stay those of nvidia-smi, the others are not offered."""
    three(shown)
    assert [number for number, _ in devices.gpus()] == numbers
    hidden = next(number for number in UUIDS if number not in numbers)
    with pytest.raises(ValueError, match="no NVIDIA GPU answers" if not numbers else "gpu:.' is not there"):
        devices.choose(f"gpu:{hidden}")
    with pytest.raises(ValueError, match=rf"gpu:{hidden} is not there\. Allowed: .*CUDA_VISIBLE_DEVICES={shown}\)"):
        devices.check_there(Device("gpu", "H200", 1, hidden))
    for number in numbers:
        device = devices.choose(f"gpu:{number}")
        devices.check_there(device)
        assert environment(device)["CUDA_VISIBLE_DEVICES"] == number


def test_a_driver_that_hangs_is_no_gpu(fake_smi, tmp_path, monkeypatch):
    fake_smi("")
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(devices, "QUERY_S", 0.2)
    assert devices.gpus() == []
    assert devices.choose().kind == "cpu"
    with pytest.raises(ValueError, match=r"gpu:0 is not there\. Allowed: none"):
        devices.check_there(Device("gpu", "H200", 1, "0"))


def test_a_slice_of_a_gpu_is_used_as_the_environment_names_it(three):
    three("MIG-4f1c")
    device = devices.choose("gpu")
    devices.check_there(device)
    assert environment(device)["CUDA_VISIBLE_DEVICES"] == "MIG-4f1c"
    assert environment(Device("cpu", "X", 1))["CUDA_VISIBLE_DEVICES"] == ""


def test_cuda_counts_as_nvidia_smi_does(monkeypatch):
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "FASTEST_FIRST")
    assert environment(Device("gpu", "G", 1, "1"))["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


def test_cpu_is_named_and_uses_the_allowed_cores():
    device = devices.choose("cpu")
    assert (device.kind, device.cuda_visible) == ("cpu", "")
    assert device.name.strip()
    assert device.ranks == devices.cpu_cores() == len(os.sched_getaffinity(0)) >= 1
    assert str(Device("cpu", "X", 1)) == "X, 1 MPI rank"
    assert str(Device("cpu", "X", 4)) == "X, 4 MPI ranks"


def test_gpu_list(fake_smi, monkeypatch):
    fake_smi(r"0, NVIDIA H200, 142000\n1, NVIDIA H200, 1024\n")
    assert devices.gpus() == [("0", "NVIDIA H200 (139 GiB free)"), ("1", "NVIDIA H200 (1 GiB free)")]
    monkeypatch.setattr(devices, "gpu_backend_installed", lambda: True)
    assert devices.choose("auto") == devices.choose("gpu") == Device("gpu", "NVIDIA H200 (139 GiB free)", 1, "0")
    monkeypatch.setattr(devices, "gpu_backend_installed", lambda: False)
    assert devices.choose("auto").kind == "cpu"  # DeePMD is the CPU build: do not promise a GPU


@pytest.mark.parametrize("answer", ["", "NVIDIA-SMI has failed because it could not talk to the driver\\n"])
def test_no_gpu(fake_smi, answer):
    fake_smi(answer)
    assert devices.gpus() == []
    assert devices.choose("auto").kind == "cpu"
    with pytest.raises(ValueError, match=r"no NVIDIA GPU answers nvidia-smi.*device='cpu'"):
        devices.choose("gpu")


@pytest.mark.parametrize(
    "device", ["tpu", "", "cpu:", "cpu:x", "cpu:-1", "cpu:1.5", "cpu:²", "gpu:0;rm", "auto:1", "cpu:9999999"]
)
def test_unknown_device(device):
    with pytest.raises(ValueError, match=r"is not known. Allowed: auto, cpu, gpu, cpu:RANKS .* gpu:INDEX"):
        devices.choose(device)


def test_ranks_are_chosen_and_bounded():
    assert devices.choose("cpu:1").ranks == 1
    n = devices.cpu_cores()
    assert devices.choose(f"cpu:{n}") == devices.choose("cpu")
    for ranks in (0, n + 1):
        with pytest.raises(ValueError, match=rf"ranks={ranks} is outside 1 to {n}"):
            devices.choose(f"cpu:{ranks}")


def test_one_of_several_gpus(fake_smi):
    fake_smi(r"0, NVIDIA H200, 142000\n1, NVIDIA A100, 1024\n")
    assert devices.choose("gpu:1") == Device("gpu", "NVIDIA A100 (1 GiB free)", 1, "1")
    assert environment(devices.choose("gpu:1"))["CUDA_VISIBLE_DEVICES"] == "1"
    assert devices.gpu_free_bytes("1") == 2**30
    with pytest.raises(ValueError, match=r"device='gpu:2' is not there. Allowed: gpu:0 is NVIDIA H200.*; gpu:1 is"):
        devices.choose("gpu:2")


def test_the_environment_says_what_auto_means(monkeypatch):
    monkeypatch.setenv("LISI_NB_DEVICE", "cpu:1")
    assert devices.choose().ranks == 1
    assert devices.choose("cpu").ranks == devices.cpu_cores()
    monkeypatch.setenv("LISI_NB_DEVICE", "tpu")
    with pytest.raises(ValueError, match="device='tpu' is not known"):
        devices.choose()


def test_command_and_environment():
    one, two = Device("cpu", "X", 1), Device("cpu", "X", 2)
    assert [os.path.basename(w) for w in command(one)][:3] == ["lmp", "-in", "in.lmp"]
    assert [os.path.basename(w) for w in command(two)][:4] == ["mpiexec", "-n", "2", "lmp"]
    assert environment(one)["CUDA_VISIBLE_DEVICES"] == ""
    assert environment(Device("gpu", "G", 1, "3"))["CUDA_VISIBLE_DEVICES"] == "3"
    assert environment(two)["OMP_NUM_THREADS"] == "1"


def test_lammps_is_asked_once_for_its_libraries(tmp_path, monkeypatch):
    """And again after an install; an installation that is broken is said, with the reason."""
    monkeypatch.setenv("LISI_NB_DATA", str(tmp_path))
    monkeypatch.setenv("LD_LIBRARY_PATH", "/of/the/user")
    monkeypatch.setattr(execute, "_ASK", "raise SystemExit('no deepmd here')")
    execute.lammps.cache_clear()
    with pytest.raises(RunFailed, match=r"(?s)make setup.*no deepmd here"):
        execute.lammps()
    found = (
        '{"program": "/bin/lmp", "environment": {"LD_LIBRARY_PATH": "/of/lammps", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}}'
    )
    for code in (f"print({found!r})", "raise SystemExit('asked twice')"):
        monkeypatch.setattr(execute, "_ASK", code)
        execute.lammps.cache_clear()
        assert command(Device("cpu", "test", ranks=1))[0] == "/bin/lmp"
        assert environment(Device("cpu", "test", ranks=1))["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
        assert environment(Device("cpu", "test", ranks=1))["LD_LIBRARY_PATH"] == "/of/the/user:/of/lammps"
    monkeypatch.setattr(execute.sysconfig, "get_paths", lambda: {"purelib": str(tmp_path)})
    execute.lammps.cache_clear()
    with pytest.raises(RunFailed, match="asked twice"):
        execute.lammps()
    execute.lammps.cache_clear()


def test_what_lammps_needs_is_found_from_any_environment(tmp_path, monkeypatch):
    """A kernel that has imported TensorFlow has set the same before: the answer must not leave it out."""
    found = []
    for place, setting in (("plain", ""), ("kernel", "true")):
        monkeypatch.setenv("LISI_NB_DATA", str(tmp_path / place))
        monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", setting)
        execute.lammps.cache_clear()
        found.append(execute.lammps())
    execute.lammps.cache_clear()
    assert found[0] == found[1]
    assert found[1]["environment"]["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    assert "LAMMPS_PLUGIN_PATH" in found[1]["environment"]
