"""Build bulk LixSi, and plan its MD: anneal (amorphous), equilibrate at zero pressure, sample at constant volume."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from lisi_nb import potentials
from lisi_nb.engine.lammps import Segment, Stage
from lisi_nb.engine.steps import Step, Stop
from lisi_nb.structures.crystals import crystal
from lisi_nb.structures.delithiated import X_MAX, at_amorphous_volume, delithiated
from lisi_nb.studies.lixsi.orderings import QUICK_STEPS, lowest_orderings, n_missing
from lisi_nb.studies.lixsi.params import Params
from lisi_nb.units import U_PER_A3_IN_G_CM3

if TYPE_CHECKING:
    from lisi_nb.engine.chain import Done

LARGEST_POPULATION = 40  # of a search, as in ``orderings.BRANCH["paper"]``
RESTART_EVERY = 1000  # steps; at most this much is lost when a run is killed
FEWEST_FRAMES = 20  # of the sampled time: 10 to 50 % of the lags are fitted, and a line wants 5 of them


def check(params: Params) -> None:
    """Raise ``ValueError`` for combinations that no single range catches, before anything is made."""
    hottest = max(params.temperature_K, params.melt_K if params.start == "amorphous" else 0.0)
    potentials.get(params.potential).check({"Li", "Si"}, hottest)
    if params.start == "amorphous" and params.melt_K < params.temperature_K:
        raise ValueError(
            f"melt_K={params.melt_K:g} K lies below temperature_K={params.temperature_K:g} K: nothing would be cooled. "
            "Choose a higher melt_K, or start='crystal'."
        )
    n_si = 16 * int(np.prod(params.cells()))
    if params.start == "searched" and params.x != X_MAX and n_atoms(params) - n_si >= X_MAX * n_si:
        raise ValueError(
            f"x={params.x:g} takes no Li out of the {X_MAX * n_si:g} Li in repeats={params.repeats}: nothing to "
            f"search. Choose a smaller x, more cells, or x={X_MAX:g}, the crystal."
        )
    if params.frame_ps * 1000 < params.timestep_fs:
        raise ValueError(
            f"frame_ps={params.frame_ps:g} is shorter than one time step ({params.timestep_fs:g} fs). Save less often."
        )
    n_frames = params.steps(params.duration_ps) // dump_every(params)
    if n_frames < FEWEST_FRAMES:
        raise ValueError(
            f"duration_ps={params.duration_ps:g} with frame_ps={params.frame_ps:g} gives {n_frames} frames, too few "
            f"to fit a diffusion coefficient ({FEWEST_FRAMES} needed). Sample longer, or save frames more often."
        )


def dump_every(params: Params) -> int:
    """Steps between frames."""
    return params.steps(params.frame_ps)


def build(params: Params, progress: Callable[[str, int, int], None] | None = None) -> Atoms:
    """What the chain starts from: the Li15Si4 supercell without some Li (at x = 3.75 the crystal itself).

    A search (``start="searched"``) is kept in the cache; stopped and built again, it goes on where it was.

    Raises
    ------
    ValueError
        A combination that cannot be run: what came, what is allowed, what to do.
    """
    check(params)
    if params.start != "amorphous" and params.x == X_MAX:
        atoms = crystal("Li15Si4") * params.cells()
        what = "crystal"
    elif params.start == "searched":
        atoms, n_searched = _searched(params, progress)
        what = f"the lowest of {n_searched} orderings of Li on the sites of Li15Si4"
    else:
        atoms = delithiated(params.x, params.cells(), params.seed)
        what = "Li15Si4 with random Li vacancies"
    n_li, n_si = int((atoms.numbers == 3).sum()), int((atoms.numbers == 14).sum())
    then = f"; molten at {params.melt_K:g} K first" if params.start == "amorphous" else ""
    report = f"Li{n_li}Si{n_si}, x = {n_li / n_si:.3f}: {what}{then}"
    warnings = []
    if abs(n_li / n_si - params.x) > 0.005:
        warnings.append(f"x = {n_li / n_si:.3f} instead of {params.x:g}: {n_si} Si allow no nearer one")
    atoms.info = {"report": report, "warnings": warnings}
    return atoms


def _searched(params: Params, progress: Callable[[str, int, int], None] | None) -> tuple[Atoms, int]:
    """The lowest ordering found, at the amorphous volume, and the number looked at."""
    found = lowest_orderings(params.x, n_relaxed=1, progress=progress, **_search(params))
    atoms = at_amorphous_volume(found.search.remaining())
    return atoms[np.argsort(atoms.numbers, kind="stable")], len(found.search.energies_eV)


def _search(params: Params) -> dict[str, Any]:
    """What names a search, beside x."""
    population = min(LARGEST_POPULATION, max(4, params.n_orderings // 2))
    return dict(
        potential=params.potential,
        repeats=params.cells(),
        population=population,
        n_generations=-(-params.n_orderings // population),
        seed=params.seed,
    )


def preparation(params: Params) -> list[tuple[str, int, int]]:
    """What `build` still has to relax: (what, atoms, steps) of the orderings of a search that are not in the cache."""
    if params.start != "searched" or params.x == X_MAX:
        return []
    missing = n_missing(params.x, **_search(params))
    return [("search of orderings", n_atoms(params), missing * QUICK_STEPS)] if missing else []


def n_atoms(params: Params) -> int:
    """Number of atoms that `build` would give."""
    n_si = 16 * int(np.prod(params.cells()))
    return n_si + max(1, round(params.x * n_si))


def expected_steps(params: Params) -> int:
    """MD steps of the whole chain."""
    steps = params.steps(params.equilibrate_ps) + params.steps(params.duration_ps)
    return steps + (sum(_anneal_steps(params)) if params.start == "amorphous" else 0)


def expected_segments(params: Params) -> int:
    """Segments of the whole chain."""
    return 3 if params.start == "amorphous" else 2


def _anneal_steps(params: Params) -> tuple[int, int]:
    """Melting, cooling."""
    return params.steps(params.anneal_ps / 3), params.steps(params.anneal_ps * 2 / 3)


def density_g_cm3(atoms: Atoms, volume_A3: float) -> float:
    """Mass density of the atoms in a volume."""
    return float(atoms.get_masses().sum() / volume_A3 * U_PER_A3_IN_G_CM3)


def plan(params: Params, history: tuple[Done, ...]) -> Step | Stop:
    """What comes after `history`: anneal (amorphous only), equilibrate, sample, and the end."""
    names = [done.name for done in history]
    held = params.temperature_K
    if params.start == "amorphous" and not names:
        melt, cool = _anneal_steps(params)
        hot = Stage(melt, params.melt_K, params.melt_K, 0.0, "iso")
        why = f"melt at {params.melt_K:g} K and cool to {held:g} K: the crystal's order goes"
        return Step("anneal", _segment(params, (hot, Stage(cool, params.melt_K, held, 0.0, "iso"))), why)
    if "equilibrate" not in names:
        settle = Stage(params.steps(params.equilibrate_ps), held, held, 0.0, "iso")
        why = f"let the volume settle at {held:g} K and zero pressure"
        return Step("equilibrate", _segment(params, (settle,), go_on=bool(names)), why)
    if "sample" not in names:
        return _sample(params, history[-1])
    return Stop(f"{params.duration_ps:g} ps were sampled")


def _sample(params: Params, last: Done) -> Step:
    """Constant volume at the mean of the second half of the equilibration, atoms and velocities taken along."""
    volume = last.thermo()["Volume"]
    half = volume[len(volume) // 2 :]
    atoms = last.atoms.copy()
    scale = float(np.cbrt(half.mean() / atoms.get_volume()))
    atoms.set_cell(atoms.cell * scale, scale_atoms=True)
    numbers = {
        "volume_A3": float(half.mean()),
        "volume_scatter_A3": float(half.std()),
        "last_volume_A3": float(volume[-1]),
        "density_g_cm3": density_g_cm3(atoms, float(half.mean())),
    }
    held = params.temperature_K
    segment = _segment(params, (Stage(params.steps(params.duration_ps), held, held),), go_on=True)
    return Step("sample", segment, "at the mean volume of the second half of the equilibration", numbers, atoms)


def _segment(params: Params, stages: tuple[Stage, ...], go_on: bool = False) -> Segment:
    every = dump_every(params)
    return Segment(
        stages,
        timestep_fs=params.timestep_fs,
        seed=params.seed,
        dump_every=every,
        thermo_every=min(50, every),
        deviation_every=max(every, 50),
        restart_every=RESTART_EVERY,
        keep_velocities=go_on,
    )
