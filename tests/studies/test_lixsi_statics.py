"""Static parts of bulk LixSi: orderings, barriers and dopants, their tables and charts."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from lisi_nb import potentials, published
from lisi_nb.analysis.barriers import Barrier
from lisi_nb.structures.crystals import crystal
from lisi_nb.structures.vacancies import Hop
from lisi_nb.studies.lixsi import dopants, migration, orderings, tables
from lisi_nb.studies.lixsi.static_charts import barrier_chart, dopants_chart, search_chart

# --- orderings -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_searched_orderings_lie_below_random_ones(empty_data):
    """Li36Si16 with the shipped potential; called again, nothing is evaluated anew."""
    said = []
    options = {"population": 6, "n_generations": 4, "n_relaxed": 2, "seed": 3}
    found = orderings.lowest_orderings(2.25, **options, progress=lambda *each: said.append(each))
    assert found.x == 2.25
    assert found.gain_meV > 2 * 1000 * found.search.random_eV.error / 52
    assert said[:24] == [("searching orderings of x = 2.25", k, 24) for k in range(1, 25)]
    assert said[24:] == [("relaxing the lowest of x = 2.25", k, 2) for k in (1, 2)]
    for atoms in found.relaxed:
        assert atoms.get_chemical_formula() == "Li36Si16"
        assert np.abs(atoms.get_forces()).max() < orderings.FMAX_eV_A
    assert found.energies_eV[0] <= found.energies_eV[1]
    assert found.energies_eV[0] * 52 < found.search.best[0].energy_eV + 1e-6  # relaxed to the end, it is not higher
    again = orderings.lowest_orderings(2.25, **options, progress=lambda *each: said.append(each))
    assert len(said) == 26 + 2  # only what was relaxed before is read again
    np.testing.assert_array_equal(again.search.energies_eV, found.search.energies_eV)
    (row,) = tables.orderings_table([found]).rows
    assert row[:3] == ("Li36Si16", "2.25", "24")
    assert row[3].startswith(f"{found.gain_meV:.1f} ± ")
    spots, line, level = search_chart(found).curves
    assert line.y[-1] == spots.y.min() == 0
    assert level.y[0] == pytest.approx(found.gain_meV)


def test_a_sequence_takes_lithium_from_what_was_found(monkeypatch):
    asked = []

    def fake(x, potential, lattice=None, **options):
        asked.append((x, lattice, options))

        class Found:
            class search:
                @staticmethod
                def remaining():
                    return f"left at {x}"

        return Found()

    monkeypatch.setattr(orderings, "lowest_orderings", fake)
    orderings.delithiation([3.0, 2.0, 1.0], seed=4)
    assert asked == [(3.0, None, {"seed": 4}), (2.0, "left at 3.0", {"seed": 4}), (1.0, "left at 2.0", {"seed": 4})]
    with pytest.raises(ValueError, match=r"xs=\[1.0, 2.0\] does not fall. Give compositions from rich to poor"):
        orderings.delithiation([1.0, 2.0])


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (4.0, {}, "x=4.0 Li per Si is outside 0.01 to 3.75"),
        (3.75, {}, r"n_li=60 Li is outside 1 to 59 Li. The lattice has 60 Li sites"),
        (2.0, {"n_relaxed": 0}, "n_relaxed=0 is outside"),
        (2.0, {"potential": "lisl"}, "potential='lisl' is not known"),
    ],
)
def test_bad_searches(x, options, message):
    with pytest.raises(ValueError, match=message):
        orderings.lowest_orderings(x, **options)


# --- barriers --------------------------------------------------------------------------------------------------------


def a_barrier(height_eV, back_eV):
    energies = np.array([0.0, height_eV, height_eV - back_eV])
    return Barrier(2.5, np.array([0.0, 1.4, 2.9]), energies, 0.03, True, 40, (Atoms(),) * 3)


def test_a_path_that_did_not_converge_has_no_number(monkeypatch):
    wild = dataclasses.replace(a_barrier(70.0, 70.0), converged=False, max_force_eV_A=17.0)
    monkeypatch.setattr(migration, "migration_barrier", lambda *_, **__: wild)
    found = migration.vacancy_barriers(crystal("Li15Si4"), None, n_hops=1)
    (row,) = tables.barriers_table(found).rows
    assert row[3:8] == ("", "", "", "", "17.000")
    assert "not converged" in row[8]
    assert barrier_chart(found).curves == ()


def test_the_two_cells_are_the_crystal_and_the_ordering_nearest_to_the_papers(monkeypatch):
    monkeypatch.setattr(migration, "host", lambda calculator: "crystal")
    searched = [SimpleNamespace(x=x, relaxed=(f"lowest at {x}", "another")) for x in (3.5, 2.25, 1.5)]
    assert migration.hosts(None, searched) == ("crystal", "lowest at 2.25")


def test_a_hop_without_a_path_says_so_and_the_rest_goes_on(monkeypatch):
    cell, lines = crystal("Li15Si4"), []

    def fake(first, last, calculator, **options):
        if len(lines) == 2:
            raise ValueError("The two ends relax into one minimum")
        return a_barrier(0.1 * len(lines), 0.1)

    monkeypatch.setattr(migration, "migration_barrier", fake)
    found = migration.vacancy_barriers(cell, None, n_hops=3, progress=lines.append)
    assert [each.barrier is None for each in found] == [False, True, False]
    assert [each.hop.distance_A for each in found] == sorted(each.hop.distance_A for each in found)
    assert lines[0].startswith("hop 1 of 3: 2.")
    table = tables.barriers_table(found)
    assert table.rows[0][:2] == ("Li60Si16", f"{found[0].hop.distance_A:.2f}")
    assert table.rows[0][3:7] == ("0.100", "", "0.100", "0.000")
    assert table.rows[1][3:8] == ("",) * 5
    assert table.rows[1][8] == "The two ends relax into one minimum"
    assert table.rows[2][3:7] == ("0.300", "", "0.100", "0.200")
    first, third = barrier_chart(found).curves
    np.testing.assert_allclose(first.y, [0, 0.1, 0])
    assert first.dash != third.dash
    with pytest.raises(ValueError, match="vacant=500 is outside 0 to 75"):
        migration.vacancy_barriers(cell, None, hops=[Hop(0, 500, 2.0, 3, 3)])


def test_hops_are_spread_over_all_kinds():
    hops = [Hop(0, k, 2.0 + k, 3, 3) for k in range(1, 10)]
    assert [h.vacant for h in migration.spread(hops, 3)] == [1, 5, 9]
    assert [h.vacant for h in migration.spread(hops, 1)] == [1]
    assert migration.spread(hops, 50) == tuple(hops)


@pytest.mark.slow
def test_the_crystal_of_the_paper_with_the_shipped_potential():
    """Li60Si16, as its Fig. S4 has it; the shortest hop between equal sites."""
    calculator = potentials.get("lisi").calculator()
    cell = migration.host(calculator)
    for symbol, n in (("Li", "n_li"), ("Si", "n_si")):
        assert (cell.symbols == symbol).sum() == published.value("nanoparticle", n, "neb_Li3.75Si").value
    members = potentials.get("lisi").calculators()
    (found,) = migration.vacancy_barriers(cell, calculator, members=members, n_hops=1, n_images=3)
    assert 0 < found.scatter_eV < 0.2
    assert found.barrier.converged
    assert found.barrier.forward_eV > 0
    assert found.barrier.forward_eV - found.barrier.backward_eV == pytest.approx(found.barrier.reaction_eV)


# --- dopants ---------------------------------------------------------------------------------------------------------


def made_up(energies_eV, settings="7net-l3i5 fmax_eV_A=0.02 steps=500", converged=True):
    """Gives each model the energy of its dopant and site, plus 0.01 eV for each later start."""

    def relax(frames):
        out = []
        for atoms in frames:
            found = atoms.copy()
            energy = energies_eV[atoms.info["dopant"]][("core", "shell").index(atoms.info["site"])]
            found.calc = SinglePointCalculator(found, energy=energy + 0.01 * atoms.info["start"])
            found.info |= {"settings": settings, "converged": converged}
            out.append(found)
        return out

    return relax


FIVE = {x: (-100.0, -99.5 + 0.1 * k) for k, x in enumerate(dopants.PAPER_BEST)}


def test_the_lowest_start_of_each_site_counts():
    found = dopants.screen(dopants.models(["Nb", "C"], 3), made_up({"Nb": (-3.0, -2.0), "C": (-1.0, -1.5)}))
    assert [d.element for d in found.dopants] == ["Nb", "C"]
    nb, c = found.dopants
    assert nb.core_minus_shell_eV == pytest.approx(-1.0)
    assert c.core_minus_shell_eV == pytest.approx(0.5)
    assert (nb.prefers, c.prefers) == ("core", "shell")
    assert nb.spread_eV == pytest.approx(0.02)
    assert nb.core.info["start"] == 0
    ideal = dopants.doped_cluster("Nb", "core", rattle_A=0.0)
    assert dopants.silicon_around(ideal, 13) == 12
    assert dopants.silicon_neighbours(ideal) == 5  # of a vertex, the dopant at the core left out
    whole = dopants.doped_cluster("Si", "core", rattle_A=0.0)
    assert dopants.silicon_neighbours(whole) == pytest.approx((12 * 6 + 12) / 13)
    assert nb.core_si > nb.shell_si > 0
    assert found.n_starts == 3
    assert found.engine == "7net-l3i5"
    assert found.statement == (
        "Energies of 7net-l3i5: SevenNet-l3i5 universal potential (Materials Project PBE/PBE+U relaxations); 3 starts "
        "of each."
    )
    table = tables.dopants_table(found)
    assert "7net-l3i5" in table.columns[1]
    assert table.rows[0][:4] == ("Nb", "-1.000", "0.020", "core")
    assert table.rows[0][6:] == (f"{nb.core_cn:.1f}, {nb.shell_cn:.1f}", "yes", "yes")
    assert table.rows[1][:2] == ("C", "+0.500")
    chart = dopants_chart(found)
    assert chart.categories == ("Nb", "C")
    np.testing.assert_allclose(chart.curves[0].y, [-1.0, 0.5])
    assert "7net-l3i5" in chart.x_label


def test_silicon_as_its_own_dopant_has_no_preference():
    """Core and shell are the same structure: zero with any energies that know only elements and places."""

    def relax(frames):
        for atoms in frames:
            energy = float(atoms.numbers @ np.sin(atoms.positions).sum(axis=1))
            atoms.calc = SinglePointCalculator(atoms, energy=energy)
            atoms.info |= {"settings": "gpaw", "converged": True}
        return frames

    (si,) = dopants.screen(dopants.models(["Si"]), relax).dopants
    assert si.core_minus_shell_eV == 0
    assert si.prefers == "undecided"
    assert math.isnan(si.spread_eV)


def test_the_papers_five_are_judged_only_with_scatter():
    several = dopants.screen(dopants.models(n_starts=2), made_up(FIVE))
    assert dopants.core_claim(several).verdict == "true"
    assert "Nb -0.60" in dopants.core_claim(several).because
    one = dopants.screen(dopants.models(), made_up(FIVE))
    assert dopants.core_claim(one).verdict == "undecided"
    assert "one start of each: no scatter is known" in dopants.core_claim(one).because
    assert {d.prefers for d in one.dopants} == {"undecided"}
    wrong = dopants.screen(dopants.models(n_starts=2), made_up(FIVE | {"Ce": (-100.0, -101.0)}))
    assert dopants.core_claim(wrong).verdict == "false"
    four = dopants.screen(dopants.models(["Sc", "Nb", "Al", "Ge"], 2), made_up(FIVE))
    assert dopants.core_claim(four).verdict == "undecided"
    unfinished = dopants.screen(dopants.models(n_starts=2), made_up(FIVE, converged=False))
    assert dopants.core_claim(unfinished).verdict == "undecided"
    near = dopants.screen(dopants.models(n_starts=2), made_up(FIVE | {"Ce": (-100.0, -99.995)}))
    assert dopants.core_claim(near).verdict == "undecided"


def test_the_quick_look_reads_the_relaxations_of_the_papers_five(empty_data, monkeypatch):
    """Whatever was relaxed for the repository is found by geometry and settings, and the teacher is not asked again."""

    def never(*_):
        raise AssertionError("the teacher was asked")

    monkeypatch.setattr("lisi_nb.references.relaxing.relax_queue", never)
    monkeypatch.setattr("lisi_nb.references.relaxing._elsewhere", never)
    found = dopants.quick_look()
    assert {d.element for d in found.dopants} == set(dopants.PAPER_BEST)
    assert (found.engine, found.n_starts) == (dopants.TEACHER, dopants.N_STARTS)
    assert all(np.isfinite([d.core_eV, d.shell_eV, d.spread_eV]).all() for d in found.dopants)
    for d in found.dopants:
        assert not d.converged or abs(d.core.get_forces()).max() <= 0.02


@pytest.mark.parametrize("elements", [[], ["Nb", "Nb"]])
def test_bad_elements(elements):
    with pytest.raises(ValueError, match="give each element once, at least one"):
        dopants.models(elements)


def test_energies_of_two_engines_or_of_one_site_are_no_screening():
    frames = dopants.models(["Nb"])
    energies = made_up({"Nb": (-3.0, -2.0)})

    def mixed(frames):
        out = energies(frames)
        out[0].info["settings"] = "gpaw"
        return out

    with pytest.raises(ValueError, match=r"Energies of different settings cannot be compared: \['7net.*'gpaw'\]"):
        dopants.screen(frames, mixed)
    with pytest.raises(ValueError, match=r"Nb was not relaxed at the shell. Take all frames of models\(\['Nb'\]\)"):
        dopants.screen(frames[:1], energies)
