"""Cut the particle, and plan its delithiation: a chain of equilibrate, sample, remove."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms

from lisi_nb import potentials
from lisi_nb.engine.lammps import Segment, Stage
from lisi_nb.engine.steps import Step, Stop
from lisi_nb.structures.crystals import crystal
from lisi_nb.structures.delithiated import delithiated
from lisi_nb.structures.nanoparticles import boxed, remove_outermost_li, sphere, sphere_of
from lisi_nb.studies.nanoparticle.params import PAPER_SHARE, X_OF, Params

if TYPE_CHECKING:
    from lisi_nb.engine.chain import Done

MELT_K = 1400.0
RESTART_EVERY = 1000
FEWEST_FRAMES = 10  # sampled per composition: its second half is averaged, in 5 blocks


def composition(atoms: Atoms) -> float:
    """Li per Si."""
    return float((atoms.numbers == 3).sum() / (atoms.numbers == 14).sum())


def bulk(params: Params) -> Atoms:
    """The periodic bulk the particle is cut from, before it is molten where it is to be amorphous."""
    if params.family == "c-Li3.75Si":
        return crystal("Li15Si4")
    return delithiated(X_OF[params.family], (params.bulk_repeat,) * 3, params.seed)


def cut(params: Params, source: Atoms) -> Atoms:
    """The particle: exactly `n_li` and `n_si` atoms where they are given, else all atoms within the diameter."""
    if params.n_li or params.n_si:
        return sphere_of(source, params.n_li, params.n_si, params.vacuum_A)
    return sphere(source, params.diameter_A, params.vacuum_A)


def _diameter_A(particle: Atoms) -> float:
    """Twice the distance of the outermost atom from the middle of the box."""
    return 2 * float(np.linalg.norm(particle.positions - particle.cell.lengths() / 2, axis=1).max())


def build(params: Params, progress: Callable[[str, int, int], None] | None = None) -> Atoms:
    """What the chain starts from: the crystalline particle, or the bulk that becomes amorphous first.

    Raises
    ------
    ValueError
        A diameter below one cell of the bulk, a removal that leaves nothing to remove, a temperature beyond the
        potential's range, or too few frames.
    """
    check(params)
    source = bulk(params)
    particle = cut(params, source)
    what = f"{particle.get_chemical_formula()}, x = {composition(particle):.2f}, {_diameter_A(particle):.0f} Å"
    report = f"particle: {what}"
    start = particle if params.family == "c-Li3.75Si" else source
    if start is source:
        report = f"bulk to be made amorphous: {source.get_chemical_formula()}; then about {report}"
    edge = start.cell.lengths()[0]
    start.info = {"report": f"{report}\n{n_removed(params, particle)} Li are removed at each step; box {edge:.1f} Å"}
    start.set_pbc(start is source)
    return start


def check(params: Params) -> None:
    """Raise ``ValueError`` for combinations that no single range catches, before anything is made."""
    hottest = max(params.temperature_K, 0.0 if params.family == "c-Li3.75Si" else MELT_K)
    potentials.get(params.potential).check({"Li", "Si"}, hottest)
    if bool(params.n_li) != bool(params.n_si):
        raise ValueError(
            f"n_li={params.n_li} and n_si={params.n_si}: give both to cut exactly so many atoms, or 0 for both to cut "
            "a sphere of diameter_A."
        )
    n_frames = _rest(params) // dump_every(params)
    if n_frames < FEWEST_FRAMES:
        raise ValueError(
            f"step_ps={params.step_ps:g} with frame_ps={params.frame_ps:g} samples {n_frames} frames per composition, "
            f"fewer than {FEWEST_FRAMES}. Sample longer, or save frames more often."
        )
    particle = cut(params, bulk(params))
    n_li, n_si = (int((particle.numbers == z).sum()) for z in (3, 14))
    first = (n_li - n_removed(params, particle)) / n_si
    if first < params.x_end:
        raise ValueError(
            f"n_remove={params.n_remove}: taking {n_removed(params, particle)} of {n_li} Li leaves x = {first:.2f}, "
            f"below x_end={params.x_end:g}; remove fewer, or lower x_end."
        )


def n_removed(params: Params, particle: Atoms) -> int:
    """Li taken at each step."""
    return params.n_remove or max(1, round(PAPER_SHARE * int((particle.numbers == 3).sum())))


def n_atoms(params: Params) -> int:
    """Atoms of the particle as it is cut from the unmolten bulk."""
    return len(cut(params, bulk(params)))


def n_compositions(params: Params) -> int:
    """Compositions the chain visits, the first included."""
    particle = cut(params, bulk(params))
    n_li, n_si = (int((particle.numbers == z).sum()) for z in (3, 14))
    return 1 + int((n_li - params.x_end * n_si) // n_removed(params, particle))


def expected_steps(params: Params) -> int:
    """MD steps of the whole chain; the amorphous particle may differ by a few atoms and a composition."""
    md = n_compositions(params) * (_quarter(params) + _rest(params))
    return md if params.family == "c-Li3.75Si" else md + _steps(params, params.anneal_ps)


def expected_segments(params: Params) -> int:
    """Segments of the whole chain."""
    return 2 * n_compositions(params) + (params.family != "c-Li3.75Si")


def _steps(params: Params, duration_ps: float) -> int:
    return max(1, round(1000 * duration_ps / params.timestep_fs))


def _quarter(params: Params) -> int:
    return _steps(params, params.step_ps / 4)


def _rest(params: Params) -> int:
    return _steps(params, params.step_ps * 3 / 4)


def dump_every(params: Params) -> int:
    """Steps between frames."""
    return max(1, round(1000 * params.frame_ps / params.timestep_fs))


def _segment(
    params: Params, stages: tuple[Stage, ...], number: int, sample: bool = False, free: bool = True
) -> Segment:
    every = dump_every(params)
    return Segment(
        stages,
        timestep_fs=params.timestep_fs,
        seed=params.seed + 1000 * number,
        dump_every=every,
        thermo_every=min(50, every),
        deviation_every=max(every, 50),
        restart_every=RESTART_EVERY,
        free=free,
        keep_velocities=sample,
        relax_after=sample,
    )


def plan(params: Params, history: tuple[Done, ...]) -> Step | Stop:
    """What comes after `history`: melt the bulk (amorphous families), equilibrate, sample, remove Li, equilibrate ...

    A quarter of `step_ps` after each removal the state is kept: the next removal starts from it, while the sampling of
    this composition goes on for the other three quarters (Artrith et al.).
    """
    number, held = len(history), params.temperature_K
    equilibrate = _segment(params, (Stage(_quarter(params), held, held),), number)
    if not history:
        if params.family == "c-Li3.75Si":
            return Step("equilibrate", equilibrate, "the particle as it was cut from the crystal")
        melt, cool = _steps(params, params.anneal_ps / 3), _steps(params, params.anneal_ps * 2 / 3)
        stages = (Stage(melt, MELT_K, MELT_K, 0.0, "iso"), Stage(cool, MELT_K, held, 0.0, "iso"))
        return Step(
            "anneal", _segment(params, stages, number, free=False), "melt the bulk and cool it: it becomes amorphous"
        )
    last = history[-1]
    if last.name == "anneal":
        atoms = cut(params, last.atoms)
        numbers = {"x": composition(atoms), "n_atoms": len(atoms)}
        return Step("equilibrate", equilibrate, "the particle, cut from the amorphous bulk", numbers, atoms)
    if last.name == "equilibrate":
        rest = (Stage(_rest(params), held, held),)
        why = "sampled from here; after this first quarter the state was kept for the next removal"
        return Step("sample", _segment(params, rest, number, sample=True), why, {"x": composition(last.atoms)})
    seed = history[-2].atoms
    first = next(done for done in history if done.name == "equilibrate").atoms
    n = n_removed(params, first)
    n_li, n_si = (int((seed.numbers == z).sum()) for z in (3, 14))
    x_next = (n_li - n) / n_si
    if n > n_li or x_next < params.x_end:
        why = f"taking {n} more Li would bring x from {n_li / n_si:.2f} to {x_next:.2f}, below {params.x_end:g}"
        return Stop(why, {"x": n_li / n_si, "x_next": x_next, "x_end": params.x_end})
    farthest = np.linalg.norm(seed.positions[seed.numbers == 3] - seed.get_center_of_mass(), axis=1)
    reach = np.sort(farthest)[-n:]
    atoms = boxed(remove_outermost_li(seed, n), params.vacuum_A)
    numbers = {
        "x_before": n_li / n_si,
        "x": composition(atoms),
        "n_removed": n,
        "removed_from_A": float(reach[0]),
        "removed_to_A": float(reach[-1]),
    }
    return Step("equilibrate", equilibrate, f"the {n} outermost Li were removed", numbers, atoms)
