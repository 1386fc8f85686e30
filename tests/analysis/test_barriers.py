"""Barriers that are known: a quartic double well, the surface of Mueller and Brown, EMT metals by symmetry, lisi."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc100
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms, FixedLine

from lisi_nb import potentials
from lisi_nb.analysis.barriers import Barrier, forward_by, migration_barrier
from lisi_nb.analysis.elasticity import relaxed
from lisi_nb.structures.crystals import crystal
from lisi_nb.structures.vacancies import hop_ends, li_hops


class Surface(Calculator):
    """Energy and gradient of one atom as functions of x and y; a spring holds z."""

    implemented_properties = ("energy", "forces")

    def __init__(self, function):
        super().__init__()
        self.function = function

    def calculate(self, atoms=None, properties=None, system_changes=()):
        super().calculate(atoms, properties, system_changes)
        x, y, z = atoms.positions[0]
        energy, dx, dy = self.function(x, y)
        self.results = {"energy": energy + 0.5 * z**2, "forces": -np.array([[dx, dy, z]])}


HEIGHT_eV, TILT_eV_A = 0.8, 0.1


def double_well(x, y):
    return (
        HEIGHT_eV * (x**2 - 1) ** 2 + TILT_eV_A * x + 2 * (y - 0.3 * x**2) ** 2,
        4 * HEIGHT_eV * x * (x**2 - 1) + TILT_eV_A - 2.4 * x * (y - 0.3 * x**2),
        4 * (y - 0.3 * x**2),
    )


def mueller_brown(x, y):
    """Theor. Chim. Acta 53, 75 (1979), times 0.01 eV."""
    energy = dx = dy = 0.0
    for A, a, b, c, x0, y0 in (
        (-200, -1, 0, -10, 1, 0),
        (-100, -1, 0, -10, 0, 0.5),
        (-170, -6.5, 11, -6.5, -0.5, 1.5),
        (15, 0.7, 0.6, 0.7, -1, 1),
    ):
        u, v = x - x0, y - y0
        e = 0.01 * A * np.exp(a * u**2 + b * u * v + c * v**2)
        energy, dx, dy = energy + e, dx + e * (2 * a * u + b * v), dy + e * (b * u + 2 * c * v)
    return energy, dx, dy


def atom(x, y):
    return Atoms("Li", positions=[(x, y, 0.0)], cell=[20, 20, 20])


def test_a_double_well_has_the_barrier_of_its_polynomial():
    """In the valley y = 0.3 x^2 the energy is a quartic: its extrema are the roots of a cubic."""
    found = migration_barrier(atom(-1, 0.3), atom(1, 0.3), Surface(double_well), n_images=5, fmax_eV_A=1e-3, steps=2000)
    left, top, right = sorted(np.roots([4 * HEIGHT_eV, 0, -4 * HEIGHT_eV, TILT_eV_A]).real)
    energy = [double_well(x, 0.3 * x**2)[0] for x in (left, top, right)]
    assert found.converged
    assert found.max_force_eV_A < 1e-3
    assert found.forward_eV == pytest.approx(energy[1] - energy[0], abs=1e-5)
    assert found.backward_eV == pytest.approx(energy[1] - energy[2], abs=1e-5)
    assert found.reaction_eV == pytest.approx(energy[2] - energy[0], abs=1e-5)
    assert found.images[int(found.energies_eV.argmax())].positions[0, 0] == pytest.approx(top, abs=2e-3)
    assert found.distance_A == pytest.approx(np.hypot(right - left, 0.3 * (right**2 - left**2)), abs=1e-3)
    assert len(found.energies_eV) == len(found.path_A) == len(found.images) == 7
    assert (np.diff(found.path_A) > 0).all()
    assert found.path_A[-1] > found.distance_A
    assert found.statement == f"one barrier of {found.forward_eV:.3f} eV, {found.backward_eV:.3f} eV back"


def test_the_surface_of_mueller_and_brown():
    """Minima at -146.70 and -108.17, the higher saddle at -40.66: textbook numbers of this surface."""
    found = migration_barrier(
        atom(-0.56, 1.44), atom(0.62, 0.03), Surface(mueller_brown), n_images=15, fmax_eV_A=5e-3, steps=3000
    )
    assert found.converged
    assert found.forward_eV == pytest.approx(1.4670 - 0.4066, abs=2e-4)
    assert found.backward_eV == pytest.approx(1.0817 - 0.4066, abs=2e-4)


def test_gold_on_aluminium_goes_over_the_bridge():
    """ASE's own example. By symmetry the saddle is the bridge site, so a relaxation there gives the same barrier."""
    slab = fcc100("Al", size=(2, 2, 3))
    add_adsorbate(slab, "Au", 1.7, "hollow")
    slab.center(axis=2, vacuum=4.0)
    slab.set_constraint(FixAtoms(mask=[a.tag > 1 for a in slab]))
    after = slab.copy()
    half = slab.cell[0] / 2
    after.positions[-1] += half
    found = migration_barrier(slab, after, EMT(), n_images=3, fmax_eV_A=0.01)
    bridge = slab.copy()
    bridge.positions[-1] += half / 2
    bridge.set_constraint([FixAtoms(mask=[a.tag > 1 for a in slab]), FixedLine(len(slab) - 1, (0, 0, 1))])
    top, bottom = (relaxed(a, EMT(), cell=False, fmax_eV_A=0.005).get_potential_energy() for a in (bridge, slab))
    assert found.converged
    assert found.forward_eV == pytest.approx(top - bottom, abs=1e-3)
    assert found.forward_eV == pytest.approx(0.374, abs=2e-3)  # as public examples of this system print
    assert found.reaction_eV == pytest.approx(0, abs=1e-3)
    np.testing.assert_allclose(found.energies_eV, found.energies_eV[::-1], atol=2e-3)


def test_a_vacancy_in_copper_hops_across_the_boundary_of_the_cell():
    """Forward and back are the same; the path through the periodic boundary is as short as any other."""
    copper = bulk("Cu", cubic=True) * (2, 2, 2)
    barriers = []
    away = copper.get_distances(0, range(len(copper)), mic=True).round(3)
    neighbours = np.flatnonzero(away == away[away > 0].min())
    for k in neighbours[[0, -1]]:
        after = copper.copy()
        after.positions[k] += copper.get_distance(k, 0, mic=True, vector=True)
        after.wrap()
        barriers.append(migration_barrier(copper[1:], after[1:], EMT(), n_images=3, fmax_eV_A=0.02))
    for found in barriers:
        assert found.converged
        assert found.reaction_eV == pytest.approx(0, abs=1e-3)
        assert found.forward_eV == pytest.approx(found.backward_eV, abs=1e-3)
        assert found.distance_A == pytest.approx(3.61 / 2**0.5, rel=0.15)
    assert barriers[0].forward_eV == pytest.approx(barriers[1].forward_eV, abs=2e-3)


def test_another_calculator_on_the_same_path():
    path = migration_barrier(atom(-1, 0.3), atom(1, 0.3), Surface(double_well), n_images=5, fmax_eV_A=1e-3)

    def twice(x, y):
        return tuple(2 * value for value in double_well(x, y))

    same, double = forward_by(path, [Surface(double_well), Surface(twice)])
    assert same == pytest.approx(path.forward_eV, abs=1e-12)
    assert double == pytest.approx(2 * path.forward_eV, abs=1e-12)


def test_ends_are_left_alone_and_progress_is_told():
    told = []
    ends = atom(-0.98, 0.31), atom(1, 0.3)
    before = [e.positions.copy() for e in ends]
    migration_barrier(*ends, Surface(double_well), n_images=3, progress=lambda step, force: told.append((step, force)))
    for end, old in zip(ends, before, strict=True):
        np.testing.assert_array_equal(end.positions, old)
        assert end.calc is None
    assert [n for n, _ in told] == sorted(n for n, _ in told)
    assert told[-1][1] < 0.05


def test_too_few_steps_are_said_not_hidden():
    found = migration_barrier(
        atom(-1, 0.3), atom(1, 0.9), Surface(double_well), n_images=5, fmax_eV_A=1e-3, steps=3, relax_ends=False
    )
    assert not found.converged
    assert found.statement.startswith("not converged: ")


def test_a_path_without_a_barrier_and_one_with_a_valley():
    def slope(x, y):
        return 0.1 * x + 2 * y**2, 0.1, 4 * y

    def valley(x, y):
        return 0.5 * x**2 + 2 * y**2, x, 4 * y

    down = migration_barrier(atom(1, 0), atom(-1, 0), Surface(slope), n_images=3, relax_ends=False)
    assert down.forward_eV == 0
    assert down.backward_eV == pytest.approx(0.2)
    assert "no barrier: the highest image is an end" in down.statement
    assert (
        "a minimum of -0.500 eV lies between the ends"
        in migration_barrier(atom(1, 0), atom(-1, 0), Surface(valley), n_images=3, relax_ends=False, steps=2).statement
    )


@pytest.mark.parametrize(
    ("final", "message"),
    [
        (Atoms("Si", positions=[(1, 0, 0)], cell=[20, 20, 20]), r"ends are Li and Si.*different order.*hop_ends"),
        (Atoms("Li", positions=[(1, 0, 0)], cell=[21, 20, 20]), r"different cells. Relax the cell before"),
        (atom(-1, 0.31), r"The two ends are one structure: there is no path"),
        (atom(-0.4, 0.3), r"relax into one minimum \(they were 0.60 Å apart\)"),
    ],
)
def test_bad_ends(final, message):
    with pytest.raises(ValueError, match=message):
        migration_barrier(atom(-1, 0.3), final, Surface(double_well))


@pytest.mark.parametrize("options", [{"n_images": 0}, {"fmax_eV_A": 0}, {"steps": 0}, {"spring_eV_A2": 0}])
def test_bad_options(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}=0"):
        migration_barrier(atom(-1, 0.3), atom(1, 0.3), Surface(double_well), **options)


@pytest.mark.slow
def test_lithium_hops_in_the_crystal_with_the_shipped_potential():
    """Between two sites that are copies of each other: no energy is won."""
    cell = crystal("Li15Si4")
    calculator = potentials.get("lisi").calculator()
    cell = relaxed(cell, calculator, fmax_eV_A=0.02)
    hop = next(h for h in li_hops(cell) if h.si_from == h.si_to == 3)
    found = migration_barrier(*hop_ends(cell, hop), calculator, n_images=3, fmax_eV_A=0.05)
    assert found.converged
    assert found.reaction_eV == pytest.approx(0, abs=5e-3)
    assert 0.01 < found.forward_eV < 1.5


@pytest.mark.parametrize(
    ("energies", "said"),
    [
        ([0, 0.1, 0.3, 0.1, 0], "one barrier of 0.300 eV, 0.300 eV back"),
        ([0, 0.3, 0.1, 0.4, 0.2], "a minimum of 0.100 eV lies between the ends"),
        ([0, 0.3, 0.299, 0.3, 0.2], "one barrier of 0.300 eV, 0.100 eV back"),
        ([0, 0.1, 0.2, 0.3], "no barrier: the highest image is an end"),
    ],
)
def test_a_path_over_two_passes_is_not_called_one_barrier(energies, said):
    path = np.linspace(0, 3, len(energies))
    found = Barrier(2.5, path, np.array(energies, dtype=float), 0.03, True, 40, ())
    assert found.statement == said
