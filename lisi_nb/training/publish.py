"""From trained members to a potential in ``data/potentials``: test errors, properties, thresholds, card."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from lisi_nb.engine import devices, parse, versions
from lisi_nb.engine.execute import run_blocking
from lisi_nb.engine.files import write_json
from lisi_nb.engine.lammps import DEVIATION, Segment, Stage
from lisi_nb.paths import DATA
from lisi_nb.potentials import Potential, get
from lisi_nb.potentials.compressed import sha256
from lisi_nb.structures.amorphous import Recipe, melt_quench
from lisi_nb.structures.crystals import NAMES, crystal
from lisi_nb.structures.interfaces import FACETS
from lisi_nb.training.dataset import ELEMENTS
from lisi_nb.training.explore import amorphous_interface
from lisi_nb.training.frames import small_interface

REPORT = "validation"  # folder beside the card
LARGEST_ERROR_EV_A = (1.0, 3.0)  # of a frame's worst atom: a typical force in a melt; far beyond


def predictions(potential: Potential, frames: list[Atoms]) -> dict[str, np.ndarray]:
    """Errors of the first member and deviation of the ensemble on labelled frames.

    Returns
    -------
    dict
        Arrays ``(n,)``: ``energy_eV_atom``, the error; ``Li_sq_eV2_A2``, ``Si_sq_eV2_A2`` and so on, squared force
        errors summed over the element's components; ``max_force_error_eV_A``; ``max_devi_f_eV_A``.
    """
    from deepmd.infer import DeepPot

    models = [DeepPot(str(path)) for path in potential.members()]
    elements = models[0].get_type_map()  # an adopted model has an order of its own
    rows = []
    for atoms in frames:
        types = [elements.index(s) for s in atoms.symbols]
        position, cell = atoms.positions.reshape(1, -1), atoms.cell.array.reshape(1, 9)
        results = [model.eval(position, cell, types) for model in models]
        forces = np.array([r[1][0] for r in results])
        error = forces[0] - atoms.get_forces()
        spread = np.sqrt(((forces - forces.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0))
        rows.append(
            (
                (float(results[0][0].ravel()[0]) - atoms.get_potential_energy()) / len(atoms),
                *(float((error[np.array(types) == k] ** 2).sum()) for k in range(len(elements))),
                float(np.linalg.norm(error, axis=1).max()),
                float(spread.max()),
            )
        )
    squares = [f"{element}_sq_eV2_A2" for element in elements]
    names = ("energy_eV_atom", *squares, "max_force_error_eV_A", "max_devi_f_eV_A")
    return dict(zip(names, np.array(rows).T, strict=True))


def test_errors(potential: Potential, frames: list[Atoms]) -> dict[str, Any]:
    """RMSE of energy (meV/atom) and of force components (eV/A; all, by element) by kind of system and overall."""
    found = predictions(potential, frames)
    groups: dict[str, list[int]] = defaultdict(list)
    for k, atoms in enumerate(frames):
        groups[atoms.info["system"].split("/")[0]].append(k)
        groups["all"].append(k)
    table = {}
    for name, members in sorted(groups.items()):
        row: dict[str, float] = {
            "n_frames": len(members),
            "energy_rmse_meV_atom": round(1e3 * float(np.sqrt((found["energy_eV_atom"][members] ** 2).mean())), 2),
        }
        squares, n_atoms = 0.0, 0
        for element in potential.elements:
            count = sum(frames[k].get_chemical_symbols().count(element) for k in members)
            square = float(found[f"{element}_sq_eV2_A2"][members].sum())
            squares, n_atoms = squares + square, n_atoms + count
            if count:
                row[f"force_rmse_{element}_eV_A"] = round(float(np.sqrt(square / (3 * count))), 4)
        table[name] = row | {"force_rmse_eV_A": round(float(np.sqrt(squares / (3 * n_atoms))), 4)}
    return table


def thresholds(potential: Potential, frames: list[Atoms]) -> tuple[list[float], str]:
    """Trust limits (low, high; eV/A) on the largest force deviation of a frame, and how they came about.

    The ensemble is calibrated on labelled `frames` it was not trained on: the largest force error is so many times the
    largest deviation (root mean squares). At the limits, `LARGEST_ERROR_EV_A` are to be expected.

    Raises
    ------
    ValueError
        The members never deviate: they are the same.
    """
    found = predictions(potential, frames)
    error, deviation = (np.sqrt((found[name] ** 2).mean()) for name in ("max_force_error_eV_A", "max_devi_f_eV_A"))
    if deviation == 0:
        raise ValueError("The ensemble has no deviation. Train at least two members from different seeds.")
    ratio = float(error / deviation)
    limits = [float(f"{accepted / ratio:.2g}") for accepted in LARGEST_ERROR_EV_A]
    source = ", ".join(sorted({str(a.info.get("reference", "given")) for a in frames}))
    how = (
        f"calibrated on {len(frames)} frames ({source} labels) that were not trained on, where the largest force error "
        f"is {ratio:.1f} times the largest deviation (root mean squares): at the limits, errors of "
        f"{' and '.join(f'{e:g}' for e in LARGEST_ERROR_EV_A)} eV/Å are to be expected of a frame's worst atom."
    )
    return limits, how


def properties(potential: Potential) -> dict[str, Any]:
    """Lattice parameters (A) and formation energies (eV/atom) of the crystals, relaxed with the first member."""
    from ase.filters import FrechetCellFilter
    from ase.optimize import FIRE

    energy, found = {}, {}
    for name in NAMES:
        atoms = crystal(name)
        atoms.calc = potential.calculator()
        FIRE(FrechetCellFilter(atoms), logfile=None).run(fmax=0.01, steps=300)
        energy[name] = atoms.get_potential_energy() / len(atoms)
        found[name] = atoms
    formation = {}
    for name, atoms in found.items():
        x = atoms.get_chemical_symbols().count("Li") / len(atoms)
        formation[name] = round(float(energy[name] - x * energy["Li"] - (1 - x) * energy["Si"]), 4)
    return {
        "si_lattice_A": round(float(found["Si"].get_volume() ** (1 / 3)), 4),
        "li_lattice_A": round(float(found["Li"].get_volume() ** (1 / 3)), 4),
        "volume_A3_atom": {name: round(float(a.get_volume() / len(a)), 3) for name, a in found.items()},
        "formation_eV_atom": formation,
        "element_eV_atom": {name: round(float(energy[name]), 6) for name in ELEMENTS},
    }


def amorphous_silicon(potential: Potential) -> dict[str, Any]:
    """What melt and quench makes of 216 silicon atoms at 50 K/ps, and how far that is from amorphous silicon."""
    edge = 216 ** (1 / 3) * 2.73
    recipe = Recipe("Si", 216, (edge, edge), 2.3, 2500.0, 4.0, 50.0, 300.0, 4.0, 2.0, 1)
    _, found = melt_quench(recipe, potential)
    return {
        "quench_K_per_ps": recipe.quench_K_per_ps,
        "density_g_cm3": round(found.density_g_cm3, 3),
        "coordination_2.85A": round(found.coordination, 2),
        "first_peak_A": round(found.first_peak_A, 2),
        "problems": list(found.problems()),
    }


def stability(potential: Potential, duration_ps: float = 50.0, temperature_K: float = 1000.0) -> dict[str, Any]:
    """Small Si | Li interfaces held at `temperature_K` for `duration_ps`: LAMMPS stops if an atom is lost.

    Returns per interface the number of atoms and the largest force deviation, its 95th percentile and maximum in eV/A.
    """
    table: dict[str, Any] = {}
    for k, facet in enumerate((*FACETS, "aSi")):
        atoms = amorphous_interface(k, 0.0) if facet == "aSi" else small_interface(facet, k, 0.0)
        segment = Segment(
            (Stage(round(1000 * duration_ps / 2.0), temperature_K, temperature_K),),
            timestep_fs=2.0,
            seed=k + 1,
            dump_every=0,
            deviation_every=50,
        )
        with tempfile.TemporaryDirectory() as folder:
            end = run_blocking(Path(folder), atoms, segment, potential.models(), devices.choose())
            deviation = parse.model_deviation(Path(folder) / DEVIATION)["max_devi_f_eV_A"]
        table[facet] = {
            "n_atoms": len(atoms),
            "n_atoms_lost": len(atoms) - len(end),
            "max_devi_f_p95_eV_A": round(float(np.percentile(deviation, 95)), 3),
            "max_devi_f_max_eV_A": round(float(deviation.max()), 3),
        }
    return {"duration_ps": duration_ps, "temperature_K": temperature_K, "interfaces": table}


def speed(potential: Potential, atoms: Atoms, n_steps: int = 300) -> dict[str, Any]:
    """Microseconds per atom and step of MD with the whole ensemble on this machine's default device."""
    device = devices.choose()
    segment = Segment((Stage(n_steps, 600.0, 600.0),), timestep_fs=1.0, dump_every=0, thermo_every=50)
    with tempfile.TemporaryDirectory() as folder:
        run_blocking(Path(folder), atoms, segment, potential.models(), device)
        thermo = parse.thermo(Path(folder) / "log.lammps")
    spent = thermo["CPU"][-1] - thermo["CPU"][1]
    steps = thermo["Step"][-1] - thermo["Step"][1]
    return {
        "us_per_atom_step": round(1e6 * float(spent / steps / len(atoms)), 1),
        "n_atoms": len(atoms),
        "device": str(device),
    }


def tell_card(potential: Potential, facts: dict[str, Any]) -> Potential:
    """Write `facts` into the card, in place of what it said of them before; return the potential with its new card."""
    write_json(potential.folder / "card.json", potential.card | facts)
    return get(potential.name)


def publish(
    name: str,
    members: list[Path],
    train: list[Atoms],
    test: list[Atoms],
    judges: list[Atoms],
    description: dict[str, Any],
    probe: Atoms,
) -> Potential:
    """Copy frozen members into ``data/potentials/NAME`` and write their card, in place of what was there.

    Everything is measured in a draft beside it: a failure leaves the potential as it was.

    Parameters
    ----------
    name : str
        Name in the registry.
    members : list of Path
        Frozen models; the first one drives MD.
    train, test : list of Atoms
        Labelled frames that were, and were not, trained on.
    judges : list of ase.Atoms
        Labelled frames that were not trained on, the best there are: for the trust thresholds.
    description : dict
        What cannot be computed: level of theory, validity text, licence, how to rebuild, training settings.
    probe : ase.Atoms
        Structure for the speed measurement.
    """
    folder = DATA / "potentials" / name
    draft, old = (folder.with_name(f".{name}.{suffix}") for suffix in ("part", "old"))
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        card = _first_card(name, _copied(members, draft), train, test, description)
        write_json(draft / "card.json", card | _measured(Potential(name, draft, card), test, judges, probe))
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
        draft.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return get(name)


def _copied(members: list[Path], folder: Path) -> list[dict[str, Any]]:
    """Copy members into `folder`; what a card says of their files."""
    copies = [Path(shutil.copyfile(path, folder / f"member{k}.pb")) for k, path in enumerate(members)]
    return [{"file": copy.name, "sha256": sha256(copy), "bytes": copy.stat().st_size} for copy in copies]


def _first_card(
    name: str, files: list[dict[str, Any]], train: list[Atoms], test: list[Atoms], description: dict[str, Any]
) -> dict[str, Any]:
    """The card before anything is measured."""
    rounds: dict[str, int] = defaultdict(int)
    kinds: dict[str, int] = defaultdict(int)
    for atoms in [*train, *test]:
        rounds[str(atoms.info["round"])] += 1
        kinds[atoms.info["system"].split("/")[0]] += 1
    return {
        "name": name,
        "elements": list(ELEMENTS),
        "members": files,
        **description,
        "training_set": {
            "n_train": len(train),
            "n_test": len(test),
            "n_atoms": sum(map(len, [*train, *test])),
            "frames_by_round": dict(rounds),
            "frames_by_kind": dict(sorted(kinds.items())),
        },
    }


def _measured(potential: Potential, test: list[Atoms], judges: list[Atoms], probe: Atoms) -> dict[str, Any]:
    """What a card says of errors, trust, properties, stability and speed."""
    low_high, how = thresholds(potential, judges)
    return {
        "test_errors": test_errors(potential, test),
        "validity": potential.card["validity"] | {"trust_eV_A": low_high, "trust_how": how},
        "properties": properties(potential) | {"amorphous_si": amorphous_silicon(potential)},
        "stability": stability(potential),
        "speed": speed(potential, probe),
        "made": {"date": time.strftime("%Y-%m-%d"), "versions": versions.installed()},
    }
