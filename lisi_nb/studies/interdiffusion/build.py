"""Build the silicon | lithium interface of a set of parameters, and plan its MD."""

from __future__ import annotations

from collections.abc import Callable

from ase import Atoms

from lisi_nb import potentials
from lisi_nb.engine.lammps import Segment, Stage
from lisi_nb.structures import amorphous, interfaces
from lisi_nb.studies.interdiffusion.analyse import CN_CUTOFF_A
from lisi_nb.studies.interdiffusion.params import Params

RESTART_EVERY = 1000  # steps; at most this much is lost when a run is killed
CLOSEST_A = 1.8  # shorter than any pair in molten Li or in Si: such a start is not equilibrated


def check(params: Params) -> None:
    """Raise ``ValueError`` for combinations that no single range catches, before anything is made."""
    potentials.get(params.potential).check({"Li", "Si"}, params.temperature_K)
    if params.frame_ps * 1000 < params.timestep_fs:
        raise ValueError(
            f"frame_ps={params.frame_ps} is shorter than one time step ({params.timestep_fs} fs). Save less often."
        )
    if params.window_ps < params.frame_ps or params.window_ps > params.duration_ps:
        raise ValueError(
            f"window_ps={params.window_ps} must lie between frame_ps={params.frame_ps} and "
            f"duration_ps={params.duration_ps}."
        )


def silicon_slab(params: Params) -> Atoms:
    """The crystalline slab of these parameters; amorphous silicon gets its cell and its number of atoms."""
    facet = "100" if params.interface == "aSi" else params.interface
    lattice_A = potentials.get(params.potential).card["properties"]["si_lattice_A"]
    slab = interfaces.silicon_slab(facet, params.lateral_A, params.si_thickness_A, lattice_A)
    narrowest = slab.cell.lengths()[:2].min() * (1 + params.strain_percent / 100)
    if narrowest < 2 * CN_CUTOFF_A:
        raise ValueError(
            f"lateral_A={params.lateral_A:g} gives a cell of {narrowest:.2f} Å, too narrow to count neighbours within "
            f"{CN_CUTOFF_A} Å. Choose lateral_A of {params.lateral_A + 3:g} or more."
        )
    return slab


def recipes(params: Params, slab: Atoms) -> dict[str, amorphous.Recipe]:
    """The melts that `build` makes by MD, by element; a number of atoms that is not whole raises ``ValueError``."""
    n_li = params.li_per_si * len(slab)
    if abs(n_li - round(n_li)) > 1e-6:
        raise ValueError(
            f"li_per_si={params.li_per_si:g} with {len(slab)} Si gives {n_li:.2f} Li atoms. "
            f"The nearest ratios that work: {int(n_li) / len(slab):.6g} and {(int(n_li) + 1) / len(slab):.6g}."
        )
    x_A, y_A = (float(v) for v in slab.cell.lengths()[:2])
    needed = {
        "Li": amorphous.Recipe(
            "Li", round(n_li), (x_A, y_A), 0.515, 1000.0, params.melt_ps, 500.0, min(params.temperature_K, 900.0),
            params.melt_ps, 2.0, params.seed,
        )
    }  # fmt: skip
    if params.interface == "aSi":
        needed["Si"] = amorphous.Recipe(
            "Si", len(slab), (x_A, y_A), 2.28, 3000.0, params.melt_ps, params.si_quench_K_per_ps, 500.0,
            params.melt_ps, min(params.timestep_fs, 1.5), params.seed,
        )  # fmt: skip
    return needed


def n_atoms(params: Params) -> int:
    """Number of atoms that `build` would give, without building anything that takes time."""
    slab = silicon_slab(params)
    return len(slab) + recipes(params, slab)["Li"].n_atoms


def preparation(params: Params) -> list[tuple[str, int, int]]:
    """MD that `build` still has to do: (what, atoms, steps) of each melt that is not in the cache."""
    potential = potentials.get(params.potential)
    return [
        (f"melt-quench of {element}", recipe.n_atoms, recipe.segment().n_steps)
        for element, recipe in recipes(params, silicon_slab(params)).items()
        if not amorphous.cached_file(recipe, potential).exists()
    ]


def build(params: Params, progress: Callable[[str, int, int], None] | None = None) -> Atoms:
    """Build the interface; ``atoms.info["report"]`` says in words what was built.

    ``atoms.info["warnings"]`` lists what is not as its name says, such as a quench that did not make amorphous
    silicon. Such a run is allowed, but no claim of the paper is judged by it.

    Raises
    ------
    ValueError
        A combination that cannot be built: what came, what is allowed, what to do.
    """
    check(params)
    potential = potentials.get(params.potential)
    slab = silicon_slab(params)
    needed = recipes(params, slab)
    si_check = None
    if "Si" in needed:
        slab, si_check = amorphous.melt_quench(needed["Si"], potential, progress)
    lithium, li_check = amorphous.melt_quench(needed["Li"], potential, progress)
    atoms = interfaces.interface(slab, lithium, vacuum_A=params.vacuum_A, strain_percent=params.strain_percent)
    report = interfaces.construction_report(atoms, strain_percent=params.strain_percent, vacuum_A=params.vacuum_A)
    if report.closest_A < CLOSEST_A:
        raise ValueError(
            f"The built structure has a {report.closest_pair} pair at {report.closest_A:.2f} Å, below {CLOSEST_A} Å. "
            "Raise melt_ps or use another seed."
        )
    checks = {"amorphous Si": si_check, "molten Li": li_check}
    made = {name: found for name, found in checks.items() if found is not None}
    warnings = [f"this is not {name}: {problem}" for name, found in made.items() for problem in found.problems()]
    lines = [str(report), *(f"{name}: {found}" for name, found in made.items()), *(f"WARNING {w}" for w in warnings)]
    atoms.info |= {"report": "\n".join(lines), "warnings": warnings}
    return atoms


def plan(params: Params, history: tuple[Segment, ...]) -> Segment | None:
    """The one MD segment of this study, then ``None``."""
    if history:
        return None
    dump_every = max(1, round(1000 * params.frame_ps / params.timestep_fs))
    n_steps = max(1, round(1000 * params.duration_ps / params.timestep_fs))
    return Segment(
        (Stage(n_steps, params.temperature_K, params.temperature_K),),
        timestep_fs=params.timestep_fs,
        seed=params.seed,
        dump_every=dump_every,
        thermo_every=min(50, dump_every),
        deviation_every=max(dump_every, 50),
        restart_every=RESTART_EVERY,
        bottom=params.bottom,
        walls=True,
    )
