"""The study on a case whose answer is known."""

import pytest

from lisi_nb.studies import template


def test_the_atoms_are_those_of_the_crystal():
    params = template.scaled("smoke")
    atoms = template.build(params)
    assert len(atoms) == template.n_atoms(params) == 128
    assert atoms.get_volume() / len(atoms) == pytest.approx(3.4268**3 / 2)  # bcc, two atoms in a cube of the PBE edge
