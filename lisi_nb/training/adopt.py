"""Bring your own potential: a DeePMD model, from a file or by URL and hash, gets a card like the shipped one.

``adopt("mine", [Path("graph.pb")])`` copies the members, measures what a card needs (lattices, speed, errors on
labelled frames if given) and registers them under that name.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ase import Atoms

from lisi_nb import paths, potentials
from lisi_nb.engine import versions
from lisi_nb.engine.files import write_json
from lisi_nb.errors import RunFailed
from lisi_nb.potentials import SUFFIXES, Potential
from lisi_nb.potentials.compressed import compressed, sha256
from lisi_nb.training.convert import to_tensorflow
from lisi_nb.training.publish import properties, speed, test_errors, thresholds
from lisi_nb.training.recipe import probe
from lisi_nb.training.zeros import element_offsets_eV, on_teachers_scale

UNCALIBRATED_EV_A = [0.15, 0.45]
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


def fetch(url: str, digest: str) -> Path:
    """Download a file once (cached); a wrong SHA-256 stops with both hashes.

    Raises
    ------
    ValueError
        `digest` is no SHA-256, or the file has another one.
    """
    import pooch

    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise ValueError(f"sha256={digest!r} is not a SHA-256. Give the 64 hexadecimal digits its authors publish.")
    name = f"{digest[:8]}-{url.rsplit('/', 1)[-1]}"
    return Path(pooch.retrieve(url, known_hash=f"sha256:{digest}", fname=name, path=paths.cache() / "fetched"))


def adopt(
    name: str,
    models: list[Path],
    level_of_theory: str = "not stated",
    licence: str = "not stated",
    temperature_K: tuple[float, float] = (50.0, 1600.0),
    labelled: list[Atoms] | None = None,
    source: str = "",
    facts: Mapping[str, Any] | None = None,
) -> Potential:
    """Register models under `name`, with a card of what was measured here.

    Parameters
    ----------
    name : str
        New name: lower-case letters, digits, dashes, underscores.
    models : list of Path
        One or more frozen DeePMD models (``.pb``, ``.dp``, ``.pth``); the first drives MD, several give a deviation.
    level_of_theory, licence, source : str
        For the card: what its labels mean, terms of use, where it came from.
    temperature_K : tuple of float
        Range in which it may be used.
    labelled : list of ase.Atoms, optional
        Labelled frames it was not trained on: errors (see `on_own_zeros`) and trust thresholds are taken from them.
    facts : mapping, optional
        More for the card, in place of what it would say of a model from elsewhere.

    Raises
    ------
    ValueError, FileNotFoundError, RunFailed
        A bad or taken name; a missing or unreadable model; models of different elements; elements without Li or Si.
    """
    check_name(name)
    if not models:
        raise ValueError("No model was given. Give at least one frozen DeePMD model.")
    target = paths.own_potentials() / name
    draft = target.with_name(f".{name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        members = [_member(path, draft / f"member{k}.pb") for k, path in enumerate(models)]
        card = _first_card(name, members, models, level_of_theory, licence, list(temperature_K), source)
        card |= facts or {}
        write_json(draft / "card.json", card)
        _measure(Potential(name, draft, card), card, labelled or [])
        write_json(draft / "card.json", card)
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return potentials.get(name)


def references(frames: list[Atoms]) -> set[str]:
    """Who made the labels, as each frame says."""
    return {str(atoms.info.get("reference", "given")) for atoms in frames}


def on_own_zeros(potential: Potential, frames: list[Atoms]) -> tuple[list[Atoms], str]:
    """Labels on the potential's zeros of energy, and what was fitted for that, in words.

    Labels of what the potential was trained on (``training`` of its card) stay as they are, and nothing is said. Of
    others only energy differences can be compared: the elements' zeros are fitted by least squares, or, if all frames
    are of one composition, one zero for all atoms.
    """
    training = potential.card.get("training", {})
    own = set(training.get("references", ()))
    if "reference" in training:  # a fine-tuned teacher keeps the teacher's zeros
        own |= {training["reference"], f"{training['reference']}-tuned"}
    if references(frames) <= own:
        return frames, ""
    predicted = [atoms.copy() for atoms in frames]
    for atoms in predicted:
        atoms.calc = potential.calculator()
    pairs = list(zip(frames, predicted, strict=True))
    elements = sorted({symbol for atoms in frames for symbol in atoms.get_chemical_symbols()})
    try:
        offsets_eV = element_offsets_eV(pairs, elements)
    except ValueError:
        shift = [(a.get_potential_energy() - p.get_potential_energy()) / len(a) for a, p in pairs]
        offsets_eV = dict.fromkeys(elements, sum(shift) / len(shift))
    each = ", ".join(f"{element} {offset:.4f}" for element, offset in offsets_eV.items())
    return on_teachers_scale(frames, offsets_eV), (
        f"zeros fitted: {each} eV, on these {len(frames)} frames, whose labels are of another reference than the "
        "potential's; energy errors are what is left"
    )


def check_name(name: str) -> None:
    """Raise ``ValueError`` unless a new potential may have this name."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"name={name!r} is not allowed. Use 1 to 40 lower-case letters, digits, dashes, underscores.")
    if name in potentials.names():
        raise ValueError(f"A potential {name!r} exists already. Choose another name; no potential is overwritten.")


def _member(model: Path, target: Path) -> Path:
    """Copy a model as ``.pb``, converting it where needed; the engine here is DeePMD-kit's TensorFlow backend."""
    if not model.exists():
        raise FileNotFoundError(f"{model} does not exist. Give the path of a frozen DeePMD model.")
    if model.suffix not in SUFFIXES:
        raise ValueError(f"{model.name!r} is no frozen DeePMD model. Allowed: {', '.join(SUFFIXES)} (`dp freeze`).")
    if model.suffix == ".pb":
        shutil.copyfile(model, target)
        return target
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copyfile(model, Path(folder) / f"model{model.suffix}"))
        shutil.move(to_tensorflow(copy, copy.with_suffix(".pb")), target)
    return target


def _first_card(
    name: str, members: list[Path], models: list[Path], theory: str, licence: str, range_K: list[float], source: str
) -> dict[str, Any]:
    types = [_elements(path, model) for path, model in zip(members, models, strict=True)]
    if len(set(types)) > 1:
        raise ValueError(f"The models know different elements: {' | '.join(map(', '.join, types))}. Give one ensemble.")
    if not {"Li", "Si"} <= set(types[0]):
        raise ValueError(f"The model knows {', '.join(types[0])}; the studies here need Li and Si.")
    slow = [reason for path in members if (reason := _cannot_compress(path))]
    return {
        "name": name,
        "elements": list(types[0]),
        "members": [{"file": p.name, "sha256": sha256(p), "bytes": p.stat().st_size} for p in members],
        "kind": f"DeePMD model, {len(members)} member{'s' if len(members) > 1 else ''}, brought by the user",
        "level_of_theory": theory,
        "compressed": not slow,
        "source": source or ", ".join(model.name for model in models),
        "training_set": {"note": "not known here"},
        "validity": {
            "temperature_K": range_K,
            "trust_eV_A": UNCALIBRATED_EV_A,
            "trust_how": "not calibrated: no labelled frames were given"
            + ("" if len(members) > 1 else "; one member has no deviation"),
        },
        "known_weakness": slow[0] if slow else "not examined here",
        "licence": licence,
        "rebuild": "by its authors",
    }


def _elements(member: Path, model: Path) -> tuple[str, ...]:
    from deepmd.infer import DeepPot

    try:
        return tuple(DeepPot(str(member)).get_type_map())
    except Exception as error:
        raise ValueError(f"{model} cannot be read as a DeePMD model: {error}") from error


def _cannot_compress(member: Path) -> str:
    try:
        compressed(member)
    except RunFailed as error:
        return f"runs uncompressed and slower: {str(error).splitlines()[-1]}"
    return ""


def _measure(potential: Potential, card: dict[str, Any], labelled: list[Atoms]) -> None:
    """Fill in what can be computed: lattices, formation energies, speed, errors, thresholds."""
    card["properties"] = properties(potential)
    card["speed"] = speed(potential, probe(), 100)
    on_zeros, zeros = on_own_zeros(potential, labelled)
    card["test_errors"] = test_errors(potential, on_zeros) if labelled else {}
    if zeros:
        card["zeros"] = zeros
    if labelled and len(card["members"]) > 1:
        low_high, how = thresholds(potential, labelled)
        card["validity"] |= {"trust_eV_A": low_high, "trust_how": how}
    card["made"] = {"date": time.strftime("%Y-%m-%d"), "versions": versions.installed()}
