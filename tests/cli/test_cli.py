"""The command line: exit codes 0, 1, 2; one JSON object on stdout and words on stderr; a real run."""

import io
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lisi_nb import cli, potentials
from lisi_nb.commands.common import get_study, study_names
from lisi_nb.engine import probe, seal
from lisi_nb.engine import run as runs
from lisi_nb.engine.probe import Probe, Speed
from lisi_nb.units import duration

PROGRAM = str(Path(sys.executable).with_name("lisi-nb"))


@pytest.fixture
def call(capsys):
    """Call the program in this process; return exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(list(arguments))
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return run


def test_smoke_run_reopens_and_prints_one_json_object(smoke_run):
    """As a user types it, in its own process: the finished run is opened, results are on stdout, words on stderr."""
    done = subprocess.run(
        [PROGRAM, "run", "interdiffusion", "--scale", "smoke", "--device", "cpu", "--json"],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert answer["run"] == smoke_run.id
    assert answer["folder"] == str(smoke_run.folder)
    assert (answer["status"], answer["step"], answer["target"]) == ("finished", 300, 300)
    assert answer["results"] == smoke_run.results()["quantities"]
    assert set(answer["results"]["lithiation_length"]) == {"value", "error", "unit"}
    assert "opening that run" in done.stderr
    assert "64 Si + 128 Li" in done.stderr


def test_without_json_stdout_is_empty(call, smoke_run):
    code, out, err = call("show", smoke_run.id)
    assert (code, out) == (0, "")
    assert "temperature_K = 900.0 K" in err
    assert "lithiation_length" in err


def test_a_new_run_from_start_to_end_then_detached_stopped_and_again(call, empty_data):
    """Real runs through the program: finished; detached, then stopped; refused; started over."""
    short = ("run", "interdiffusion", "--scale", "smoke", "--set", "duration_ps=0.04", "--set", "window_ps=0.04")
    code, out, err = call(*short, "--label", "cli", "--json")
    answer = json.loads(out)
    assert (code, answer["status"], answer["step"]) == (0, "finished", 20)
    assert answer["run"].startswith("interdiffusion/cli-")
    assert "finished  step 20/20 (100 %)" in err
    long = ("run", "interdiffusion", "--scale", "smoke", "--set", "duration_ps=500", "--json")
    code, out, _ = call(*long, "--detach")
    answer = json.loads(out)
    assert code == 0
    assert answer["status"] in ("queued", "running")
    code, out, err = call("stop", answer["run"], "--json")
    assert (code, json.loads(out)["status"]) == (0, "stopped")
    assert "Stopped on request" in err
    code, out, err = call(*long)
    assert (code, json.loads(out)["status"]) == (1, "stopped")
    assert "--again" in err
    code, out, _ = call("stop", answer["run"], "--json")
    assert code == 2
    assert "only a queued or running run can be stopped" in json.loads(out)["error"]
    code, out, _ = call(*long, "--again", "--detach")
    assert (code, json.loads(out)["status"] in ("queued", "running")) == (0, True)
    assert call("stop", answer["run"])[0] == 0


def test_a_failed_run_is_exit_code_1(call, empty_data):
    short = ("run", "interdiffusion", "--scale", "smoke", "--set", "duration_ps=0.04", "--set", "window_ps=0.04")
    code, out, _ = call(*short, "--detach", "--json")
    assert code == 0
    run = runs.open_run(json.loads(out)["run"])
    if run.status()["state"] != "finished":
        run.update(state="failed", message="ERROR: made up")
    code, out, err = call(*short, "--json")
    assert (code, json.loads(out)["status"]) in ((1, "failed"), (0, "finished"))
    assert "--again" in err or code == 0


@pytest.mark.parametrize(("state", "goes_on"), [("failed", False), ("stopped", True), ("interrupted", True)])
def test_only_what_goes_on_is_told_to_be_resumed(call, smoke_run, empty_data, state, goes_on):
    """Resuming a failed run starts it over: that is called by its name."""
    kept = empty_data / "runs" / "interdiffusion" / smoke_run.folder.name
    shutil.copytree(smoke_run.folder, kept, symlinks=True)
    runs.Run(kept).update(state=state, message="")
    code, _, err = call("run", "interdiffusion", "--scale", "smoke", "--device", "cpu")
    assert code == 1
    assert f"it is {state}; " in err
    assert "start it over with --again" in err
    assert ("lisi-nb resume" in err) == goes_on


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "interdifusion"), "study='interdifusion' is not known. Allowed: .*Did you mean 'interdiffusion'"),
        (("run", "interdiffusion", "--scale", "huge"), "scale='huge' is not known"),
        (("run", "interdiffusion", "--set", "bad"), "'bad' is not of the form key=value"),
        (("run", "interdiffusion", "--set", "temperature=500"), "Did you mean 'temperature_K'"),
        (("run", "interdiffusion", "--set", "temperature_K=hot"), "temperature_K='hot' is not a number"),
        (("run", "interdiffusion", "--set", "temperature_K=1e9"), "outside 100 to 1600 K"),
        (("run", "interdiffusion", "--set", "interface=112"), "interface='112' is not known"),
        (("run", "interdiffusion", "--label", "../../x"), "label='../../x' is not allowed"),
        (("run", "interdiffusion", "--device", "tpu"), "device='tpu' is not known"),
        (("run", "interdiffusion", "--device", "cpu:999"), "ranks=999 is outside 1 to"),
        (("estimate", "interdifusion"), "Did you mean 'interdiffusion'"),
        (("estimate", "interdiffusion", "--set", "window_ps=900"), "window_ps=900.0 must lie between"),
        (("sweep", "interdiffusion"), "Nothing is varied"),
        (("sweep", "interdiffusion", "--over", "bottom=fixed,loose"), "bottom='loose' is not known"),
        (("sweep", "interdiffusion", "--over", "seed=1,2", "--over", "seed=3"), "given twice with --over"),
        (("sweep", "interdiffusion", "--over", "seed=1,2", "--label", "a/b"), "label='a/b' is not allowed"),
        (("sweep", "--pause", "nothing"), "'nothing' is no sweep. Sweeps: none yet"),
        (("export", "nothing"), "'nothing' is no run"),
        (("rerun", "nothing"), "'nothing' is no run"),
        (("clean", "../../*"), "fits nothing"),
        (("reproduce", "interdiffusion", "--seeds", "0"), "--seeds=0 is not allowed"),
        (("show", "nothing"), "'nothing' is no run. Runs: "),
        (("stop", "nothing"), "'nothing' is no run"),
        (("runs", "--study", "interdifusion"), "Did you mean 'interdiffusion'"),
        (("potentials", "card"), "needs a name: one of lisi"),
        (("potentials", "card", "lisy"), "potential='lisy' is not known"),
    ],
)
def test_bad_input_is_exit_code_2(call, empty_data, arguments, message):
    code, out, err = call(*arguments, "--json")
    assert code == 2
    import re

    assert re.search(message, json.loads(out)["error"])
    assert re.search(message, err)
    assert "Traceback" not in err
    assert not (empty_data / "runs").exists()


@pytest.mark.parametrize(
    "arguments",
    [(), ("fly",), ("run",), ("runs", "--what"), ("potentials", "eat"), ("sweep", "--pause", "a", "--resume", "b")],
)
def test_what_argparse_refuses_is_exit_code_2_too(call, arguments):
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert "usage: lisi-nb" in err


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=1).filter(lambda t: not t.startswith("-")))
def test_hostile_settings_never_trace_back(call, empty_data, text):
    code, out, _ = call("run", "interdiffusion", "--set", text, "--json")
    assert code == 2
    assert json.loads(out)["error"]


TEXTS = st.one_of(
    st.text(max_size=60),
    st.floats().map(repr),
    st.integers().map(str),
    st.sampled_from(
        ["nan", "-inf", "1e999", "1_0", "٣", "²", "0x10", " 5", "5\n", "True", "None", "", "=", "a=b", "{}"]
    ),
    st.sampled_from(["$(id)", "`id`", "a\nshell id", "../lisi", "lisi\0", "${from}", "%s", "\x1b[2J", "x" * 10_000]),
)


@pytest.mark.parametrize("study", study_names())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), TEXTS)
def test_hostile_values_of_known_settings_never_trace_back(call, empty_data, monkeypatch, study, data, text):
    """Up to where the structure would be built: what gets there is of the type and in the range of its setting."""
    module, reached = get_study(study), []
    name = data.draw(st.sampled_from(sorted(module.Params().to_dict())))

    def build(params, progress=None):
        reached.append(getattr(params, name))
        raise ValueError("reached")

    monkeypatch.setattr(module, "build", build)
    monkeypatch.setattr(probe, "speed", lambda *_: Speed(Probe(200, 0.01, 5.0, 10**6), Probe(800, 0.04, 5.0, 10**6)))
    code, out, err = call("run", study, "--scale", "smoke", "--set", f"{name}={text}", "--json", "--yes")
    assert code == 2
    assert "Traceback" not in err
    error = json.loads(out)["error"]
    assert error
    assert not error.startswith("parameter="), "the name is known"
    assert (error == "reached") == bool(reached)
    for value in reached:
        field = module.Params.__dataclass_fields__[name]
        assert type(value) is type(field.default)
        assert field.metadata["choices"] is None or value in field.metadata["choices"]
        assert field.metadata["low"] is None or field.metadata["low"] <= value <= field.metadata["high"]
        assert name != "potential" or value in potentials.names()
    assert not list((empty_data / "runs").glob("*/*"))


def test_runs_show_and_card(call, smoke_run):
    code, out, _ = call("runs", "--json")
    listed = json.loads(out)
    assert code == 0
    assert smoke_run.id in [entry["run"] for entry in listed]
    assert all(set(entry) >= {"run", "folder", "status", "step", "target", "results"} for entry in listed)
    code, out, _ = call("show", smoke_run.folder.name[-8:], "--json")
    shown = json.loads(out)
    assert code == 0
    assert shown["manifest"] == smoke_run.manifest
    assert shown["status"]["state"] == "finished"
    assert shown["results"] == smoke_run.results()
    code, out, _ = call("potentials", "list", "--json")
    assert [card["name"] for card in json.loads(out)] == ["lisi"]
    code, out, err = call("potentials", "card", "lisi", "--json")
    assert json.loads(out)["elements"] == ["Li", "Si"]
    assert "trust_eV_A" in err


CHEAP_ENGINE = """
from dataclasses import replace
from ase.calculators.emt import EMT
from lisi_nb import references
from lisi_nb.training import label

def make():
    if {broken!r}:
        raise ModuleNotFoundError("It lacks a package. Get it.")
    print("words of the engine")
    return EMT()

references._REFERENCES["7net-0"] = replace(references.get("7net-0"), make=make, packages=())
label.main()
"""


def test_frames_are_labelled_in_shards_and_joined(call, tmp_path, monkeypatch):
    """The real queue in a process of its own; in place of the reference environment, one whose engine is cheap."""
    from ase.build import bulk
    from ase.io import read, write

    from lisi_nb.training import label

    python, script = tmp_path / "python", tmp_path / "engine.py"
    python.write_text(f'#!/bin/sh\nshift 2  # -m lisi_nb.training.label\nexec {sys.executable} {script} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(label, "reference_python", lambda: python)
    monkeypatch.chdir(tmp_path)
    edges_A = [3.9, 4.0, 4.1, 4.2]
    write("f.extxyz", [*(bulk("Cu", a=a) for a in edges_A), bulk("Li")], format="extxyz")  # EMT knows no lithium
    script.write_text(CHEAP_ENGINE.format(broken=True))
    shards = [("label", "f.extxyz", f"l.{k}.extxyz", "--reference=7net-0", f"--shard={k}", "--shards=2") for k in "01"]
    code, out, err = call(*shards[0], "--json")
    assert code == 1
    assert json.loads(out)["error"].endswith("cut short (code 1); run again to go on. It lacks a package. Get it.")
    assert "Traceback" not in err
    script.write_text(CHEAP_ENGINE.format(broken=False))
    answer = {"labels": str(tmp_path / "l.0.extxyz"), "labelled": 2, "set_apart": 1}
    for again in (False, True):
        code, out, err = call(*shards[0], "--json")
        assert (code, json.loads(out)) == (0, answer)
        assert "1 set apart, why is in" in err
        assert ("labelled 3/3 frames, time left 0 s" in err) != again
    assert call(*shards[1])[:2] == (0, "")
    code, out, err = call("label", "f.extxyz", "l.extxyz", "--json", "--join", "l.1.extxyz", "l.0.extxyz")
    assert (code, json.loads(out)) == (0, {"labels": str(tmp_path / "l.extxyz"), "labelled": 4, "missing": 1})
    assert "4 of 5 frames are labelled" in err
    assert [2 * a.cell[0, 1] for a in read("l.extxyz", index=":")] == pytest.approx(edges_A)
    for arguments, message in (
        (("f.extxyz", "l.extxyz", "--join", "l.0.extxyz"), "l.extxyz exists. Give another file, or delete it"),
        (("f.extxyz", "m.extxyz", "--join", "l.0.extxyz", "l.7.extxyz"), "There is no l.7.extxyz. Give the label"),
        (("g.extxyz", "m.extxyz", "--reference", "7net-0"), "g.extxyz does not exist"),
        (("f.extxyz", "m.extxyz", "--reference", "7net"), "reference='7net' is not known. Allowed: gpaw"),
        (("f.extxyz", "l.0.extxyz", "--reference", "gpaw"), "holds labels of 7net-0; those of gpaw xc=PBE"),
        (("f.extxyz", "m.extxyz", "--reference", "7net-0", "--shard=2", "--shards=2"), "shard=2 is outside 0 to 1"),
    ):
        code, out, err = call("label", *arguments, "--json")
        assert (code, message in json.loads(out)["error"], message in err) == (2, True, True), err
    assert not Path("m.extxyz").exists()
    assert call("label", "f.extxyz", "m.extxyz")[0] == 2, "neither a reference nor shards to join"


def test_labels_that_number_their_elements_need_them_in_order(call, tmp_path, monkeypatch):
    """A DeePMD set without ``type_map.raw``: nobody can know which element type 0 is."""
    from lisi_nb.training import recipe, validation
    from lisi_nb.training.dataset import write_deepmd

    frames = recipe.labelled()[:40:10]
    (system, *_) = write_deepmd(frames[:1], tmp_path / "set")
    (Path(system) / "type_map.raw").unlink()
    given = []
    monkeypatch.setattr(validation, "validate", lambda potential, labels, *_: given.extend(labels) or {})
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "validation.md").write_text("")
    asked = ("potentials", "validate", "lisi", "--labels", system, "--to", str(tmp_path / "report"))
    code, _, err = call(*asked)
    assert code == 2
    assert "numbers its types" in err
    code, _, err = call(*asked, "--elements", "Li,Si")
    assert code == 0, err
    assert [str(a.symbols) for a in given] == [str(frames[0].symbols)]


def test_a_training_that_would_replace_the_shipped_potential_asks_first(call, monkeypatch):
    from lisi_nb.training import recipe

    monkeypatch.setattr(recipe, "make", lambda *_: pytest.fail("it was trained"))
    code, _, err = call("potentials", "train", "lisi", "--steps", "100")
    assert code == 2
    assert "Confirm with --yes" in err
    code, _, err = call("potentials", "train", "mine")
    assert code == 2
    assert "Give --labels FILE" in err


def test_runs_says_where_how_fast_and_with_what(call, smoke_run):
    _, _, err = call("runs")
    head, *lines = err.splitlines()
    assert head.split() == [
        "study", "label", "state", "done", "steps/s", "time", "left", "device", "potential", "run",
    ]  # fmt: skip
    words = next(line for line in lines if smoke_run.id in line).split()
    assert words[:4] == ["interdiffusion", "smoke", "finished", "100"]
    assert float(words[5]) > 0
    assert words[6:] == [f"cpu:{smoke_run.manifest['device']['ranks']}", "lisi", smoke_run.id]


def test_a_run_that_cannot_be_read_is_listed_beside_the_others(call, smoke_run, empty_data):
    copies(smoke_run, empty_data, 4)
    for name, text in (("many-00000000", ""), ("many-00000001", '{"state": "finished"}')):
        (empty_data / "runs" / "interdiffusion" / name / "status.json").write_text(text)
    (empty_data / "runs" / "interdiffusion" / "many-00000002" / "results.json").write_text("{")
    code, out, err = call("runs", "--json")
    assert code == 0
    states = {entry["run"].partition("/")[2]: entry["status"] for entry in json.loads(out)}
    assert states == {f"many-0000000{k}": "unreadable" for k in range(3)} | {"many-00000003": "finished"}
    assert len(err.splitlines()) == 5
    assert "it lacks 'step'" in err
    code, _, err = call("show", "00000000")
    assert code == 2
    assert "many-00000000/status.json cannot be read" in err
    code, out, _ = call("clean", "interdiffusion/many-00000000", "--yes", "--json")
    assert (code, json.loads(out)["deleted"]) == (0, ["interdiffusion/many-00000000"])


def copies(smoke_run, folder, n):
    """`n` run folders with the files that are read for a list."""
    for k in range(n):
        target = folder / "runs" / "interdiffusion" / f"many-{k:08x}"
        target.mkdir(parents=True)
        for name in ("status.json", "results.json"):
            shutil.copyfile(smoke_run.folder / name, target / name)
        manifest = {key: value for key, value in smoke_run.manifest.items() if key != "identity"}
        for name in ("manifest.json", seal.COPY):
            runs.write_json(target / name, manifest)


def test_a_thousand_runs_are_listed_in_a_second(call, smoke_run, empty_data):
    """In processor time, which other programs on the machine do not change; with a manifest that was tampered with."""
    copies(smoke_run, empty_data, 1000)
    broken = empty_data / "runs" / "interdiffusion" / "many-00000000" / "manifest.json"
    broken.write_text(broken.read_text().replace("900.0", "901.0"))
    times = []
    for _ in range(3):
        started = time.process_time()
        code, _, err = call("runs")
        times.append(time.process_time() - started)
    assert code == 0
    assert len(err.splitlines()) == 1001
    assert "params.temperature_K.value is 901.0, was 900.0" in err
    assert min(times) < 1.0, times


def test_estimate_and_the_question_before_a_long_run(call, empty_data, monkeypatch):
    """The paper's scale takes days here: asked for, and refused before anything is made; the speed is a stand-in."""
    monkeypatch.setattr(
        probe, "speed", lambda *_: Speed(Probe(200, 0.01, 5.0, 5 * 10**8), Probe(800, 0.04, 5.0, 6 * 10**8))
    )
    code, out, err = call("estimate", "interdiffusion", "--scale", "paper", "--device", "cpu:1", "--json")
    answer = json.loads(out)
    assert code == 0
    assert (answer["n_atoms"], answer["n_steps"]) == (4608, 10_000_000)
    # 50 us per atom-step; two more members every 2000 steps.
    n_others = len(potentials.get("lisi").members()) - 1  # evaluated every 2000 steps
    assert answer["run_s"] == pytest.approx(5 + 10_000_000 * 4608 * 50e-6 * (1 + n_others / 2000))
    assert answer["disk_bytes"] == pytest.approx(5001 * 40 * 4608, rel=0.05)
    assert "wall time 26.7 d" in err
    assert answer["problems"]
    paper = ("run", "interdiffusion", "--scale", "paper", "--device", "cpu:1", "--json")
    code, out, _ = call(*paper)
    assert code == 2
    assert "confirm with --yes" in json.loads(out)["error"]
    code, out, _ = call("sweep", *paper[1:], "--over", "temperature_K=500,600", "--label", "big")
    assert code == 2
    assert "confirm with --yes" in json.loads(out)["error"]
    assert not (empty_data / "runs").exists()


def test_export_and_clean(call, smoke_run, empty_data, tmp_path, monkeypatch):
    kept = empty_data / "runs" / "interdiffusion" / smoke_run.folder.name
    shutil.copytree(smoke_run.folder, kept, symlinks=True)
    code, out, _ = call("export", smoke_run.id, "--to", str(tmp_path / "x.tar.gz"), "--json")
    answer = json.loads(out)
    assert code == 0
    assert answer["bytes"] == (tmp_path / "x.tar.gz").stat().st_size > 100_000
    code, out, err = call("clean", "--json")
    assert (code, json.loads(out)["deleted"]) == (0, [])
    assert "nothing is deleted" in err
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))  # nobody to ask
    code, out, _ = call("clean", smoke_run.id, "--json")
    assert (code, kept.exists()) == (2, True)
    assert "Nothing was deleted. Confirm" in json.loads(out)["error"]
    code, out, _ = call("clean", smoke_run.id, "--yes", "--json")
    assert (code, json.loads(out)["deleted"], kept.exists()) == (0, [smoke_run.id], False)


@pytest.mark.slow
def test_a_sweep_from_start_to_table_and_charts(call, smoke_run, empty_data, tmp_path):
    brief = ("--scale", "smoke", "--set", "duration_ps=0.04", "--set", "window_ps=0.04")
    code, out, err = call(
        "sweep",
        "interdiffusion",
        *brief,
        "--over",
        "vacuum_A=10,12",
        "--label",
        "v",
        "--charts",
        str(tmp_path),
        "--json",
    )
    answer = json.loads(out)
    assert (code, answer["status"], answer["runs"]) == (0, "finished", {"finished": 2})
    assert [row["vacuum_A"] for row in answer["table"]] == [10.0, 12.0]
    assert all(set(row["quantities"]["lithiation_length"]) == {"value", "error", "unit"} for row in answer["table"])
    assert re.search(r"lithiation_length +10\.0 +1 ", err)
    assert (tmp_path / "v-across.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "v-overlay-1.csv").exists()
    code, out, _ = call("sweep", "--json")
    assert (code, [s["sweep"] for s in json.loads(out)]) == (0, ["v"])
    code, _, err = call("sweep", "--show", "v", "--quantity", "lithiation_length")
    assert (code, len(err.splitlines())) == (0, 4)


def test_no_runs_yet(call, empty_data):
    code, out, err = call("runs", "--json")
    assert (code, json.loads(out)) == (0, [])
    assert "no runs yet" in err


def test_references_say_what_they_mean_cost_and_need(call, monkeypatch):
    from lisi_nb import references

    code, out, err = call("references", "--json")
    assert code == 0
    assert [entry["name"] for entry in json.loads(out)] == references.names()
    lines = {line.split()[0]: line for line in err.splitlines()}
    assert "PBE, plane waves" in lines["gpaw"]
    assert re.search(r"\d+ s  ", lines["gpaw"])
    assert "ESPRESSO_PSEUDO" in lines["espresso"] or "installed" in lines["espresso"]


def test_doctor(call, monkeypatch):
    """The checks themselves run in tests/engine/test_doctor.py; here: the answer and the exit code."""
    from lisi_nb.engine import doctor

    for ok, needed, expected in ((True, True, 0), (False, False, 0), (False, True, 1)):
        check = doctor.Check("thing", ok, "seen", "" if ok else "remedy", needed)
        monkeypatch.setattr(doctor, "examine", lambda check=check: [check])
        code, out, err = call("doctor", "--json")
        assert code == expected
        assert json.loads(out) == [
            {"name": "thing", "ok": ok, "seen": "seen", "remedy": check.remedy, "needed": needed}
        ]
        assert re.search(r"^versions +python ", err, re.M)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "unknown"), (0, "0 s"), (89.6, "90 s"), (90, "1.5 min"), (3600, "1.0 h"), (2.5 * 86400, "2.5 d")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text
