"""Build the structure, and plan its MD."""

from ase import Atoms

from lisi_nb import potentials
from lisi_nb.engine.lammps import Segment, Stage
from lisi_nb.structures.crystals import crystal
from lisi_nb.studies.template.params import Params


def check(params: Params) -> None:
    """Raise ``ValueError`` for combinations that no single range catches, before anything is made."""
    potentials.get(params.potential).check({"Li"}, params.temperature_K)


def n_atoms(params: Params) -> int:
    """Number of atoms, without building."""
    return 2 * params.n_cells**3


def build(params: Params, progress: object = None) -> Atoms:
    """Build the crystal; ``atoms.info["report"]`` says in words what was built."""
    check(params)
    atoms = crystal("Li").repeat(params.n_cells)
    atoms.info["report"] = f"bcc lithium, {len(atoms)} atoms, edge {atoms.cell.lengths()[0]:.1f} Å"
    return atoms


def plan(params: Params, history: tuple[Segment, ...]) -> Segment | None:
    """One segment at 1 bar, then ``None``."""
    if history:
        return None
    n_steps, kelvin = round(1000 * params.duration_ps / params.timestep_fs), params.temperature_K
    stage = Stage(n_steps, kelvin, kelvin, pressure_bar=1.0, relax="iso")
    return Segment((stage,), params.timestep_fs, params.seed, dump_every=25, thermo_every=5, restart_every=1000)
