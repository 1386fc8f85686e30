"""Frames that are built for labelling: what they are, that none is of a held-out system, that the file is made once."""

from types import SimpleNamespace

import numpy as np
import pytest
from ase.calculators.emt import EMT
from ase.io import read

from lisi_nb import potentials
from lisi_nb.training import ab_initio_frames, surface_frames
from lisi_nb.training.held_out import HELD_OUT
from lisi_nb.training.label import frame_id


class Springs(EMT):
    """Pulls every atom to where it first saw it, so that relaxing has something to do."""

    implemented_properties = ("energy", "forces", "free_energy")

    def calculate(self, atoms=None, properties=None, system_changes=None):
        apart = atoms.positions - atoms.positions.round(1)
        self.results = {"energy": float((apart**2).sum()), "forces": -2 * apart}
        self.results["free_energy"] = self.results["energy"]


@pytest.fixture(scope="module")
def built():
    return surface_frames.surface_frames(Springs())


def test_every_slab_and_cell_is_there_as_often_as_said_and_none_is_held_out(built):
    counts = {f"surface/{name}{facet}": n for (name, facet), n in surface_frames.SLABS.items()}
    counts |= {f"crystal/{name}": n for name, n in surface_frames.CELLS.items()}
    found = [a.info["system"] for a in built]
    assert {system: found.count(system) for system in counts} == counts
    assert len(found) == sum(counts.values())
    assert not set(found) & set(HELD_OUT)


def test_slabs_have_room_and_the_vacancy_lacks_one_atom(built):
    for atoms in built:
        assert atoms.pbc.all()
        if atoms.info["system"].startswith("surface"):
            height = np.ptp(atoms.positions[:, 2])
            assert atoms.cell[2, 2] - height > 2 * surface_frames.VACUUM_A - 2.0
        if atoms.info["system"] == "crystal/Li_vacancy":
            assert len(atoms) == 53


def test_all_frames_differ_and_the_same_seed_gives_them_again(built):
    names = [frame_id(a) for a in built]
    assert len(set(names)) == len(names)
    assert [frame_id(a) for a in surface_frames.surface_frames(Springs())] == names


def test_relaxing_goes_no_further_than_asked(built):
    slab = built[0]
    assert frame_id(surface_frames.relaxed(slab, Springs(), 0)) == frame_id(slab)
    few, many = (surface_frames.relaxed(slab, Springs(), n) for n in (3, 40))
    energy = [Springs().get_potential_energy(a) for a in (slab, few, many)]
    assert energy[0] > energy[1] > energy[2]


def test_a_held_out_system_is_refused(monkeypatch):
    monkeypatch.setattr(surface_frames, "SLABS", {("Li", "110"): 1})
    with pytest.raises(ValueError, match=r"surface/Li110 is held out .*take it out of SLABS or CELLS"):
        surface_frames.surface_frames(Springs())


def test_glasses_are_cooled_melts_of_small_cells_and_made_once(tmp_path, monkeypatch):
    monkeypatch.setattr(ab_initio_frames, "GLASS_X", (1.0,))
    target = tmp_path / "glasses.extxyz"
    made = ab_initio_frames.glasses(target, tmp_path, potentials.get("lisi"))
    frames = read(made, index=":")
    assert len(frames) == ab_initio_frames.PER_GLASS
    for atoms in frames:
        assert atoms.info["system"] == "amorphous/x=1"
        assert (atoms.symbols == "Li").sum() == (atoms.symbols == "Si").sum() == 12
        assert 10 < atoms.get_volume() / len(atoms) < 24, "Å³: neither melted away nor collapsed"
    before = made.read_bytes()
    unused = SimpleNamespace()  # a potential that can do nothing
    assert ab_initio_frames.glasses(target, tmp_path, unused) == made
    assert made.read_bytes() == before
