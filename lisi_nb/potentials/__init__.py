"""Machine-learning potentials: ``potentials.get("lisi")`` is a checked, ready-to-run ensemble."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from lisi_nb import paths
from lisi_nb.errors import check_choice, check_range
from lisi_nb.potentials.compressed import compressed, sha256
from lisi_nb.potentials.loading import load

SUFFIXES = (".pb", ".pth", ".dp")
# LAMMPS reads the name in a command, and shells in rerun.sh.
_PLAIN = "[A-Za-z0-9][A-Za-z0-9._-]*"
_MEMBER = re.compile(rf"({_PLAIN}/)*{_PLAIN}({'|'.join(map(re.escape, SUFFIXES))})")


@dataclass(frozen=True)
class Potential:
    """An ensemble of DeePMD models with its card; the first member drives MD.

    Attributes
    ----------
    name : str
        Name in the registry.
    folder : Path
        Holds ``card.json`` and the frozen members.
    card : dict
        Model card: elements, level of theory, training set, validity, errors, speed, hashes, licence.
    """

    name: str
    folder: Path
    card: dict[str, Any]

    @property
    def elements(self) -> tuple[str, ...]:
        """Elements in type order."""
        return tuple(self.card["elements"])

    @property
    def sha256(self) -> str:
        """One hash for the whole ensemble: the members' hashes, joined."""
        return "+".join(member["sha256"][:16] for member in self.card["members"])

    def members(self) -> list[Path]:
        """Frozen members, after checking that each is there and has the hash of the card.

        Raises
        ------
        FileNotFoundError, ValueError
            A member is missing, is not the file the card describes, or has a name that is not plain.
        """
        files = []
        for member in self.card["members"]:
            if not _MEMBER.fullmatch(member["file"]):
                raise ValueError(
                    f"The card of potential {self.name!r} names the file {member['file']!r}. Allowed: letters, digits, "
                    f"dots, dashes and underscores, ending in {', '.join(SUFFIXES)}, in folders below the card's. "
                    "Rename the file, and in the card."
                )
            path = self.folder / member["file"]
            if not path.exists():
                raise FileNotFoundError(
                    f"Potential {self.name!r} lacks {member['file']} in {self.folder}. Restore it "
                    f"(`git checkout -- {path.name}` in that folder) or rebuild it: {self.card['rebuild']}"
                )
            found = sha256(path)
            if found != member["sha256"]:
                raise ValueError(
                    f"{member['file']} of potential {self.name!r} has sha256 {found[:16]}..., but the card says "
                    f"{member['sha256'][:16]}.... The file was changed or damaged: restore it from git, or rebuild "
                    f"and re-card it: {self.card['rebuild']}"
                )
            files.append(path)
        return files

    def models(self) -> list[Path]:
        """Members ready for LAMMPS: compressed (made once, then cached) unless the card says that cannot be."""
        members = self.members()
        return [compressed(path) for path in members] if self.card.get("compressed", True) else members

    def check(self, symbols: set[str], temperature_K: float) -> None:
        """Raise ``ValueError`` when elements or temperature lie outside what the card vouches for."""
        foreign = sorted(symbols - set(self.elements))
        if foreign:
            raise ValueError(
                f"The structure contains {', '.join(foreign)}, but potential {self.name!r} knows only "
                f"{', '.join(self.elements)}. Choose one of {names()} that covers it, or train one."
            )
        low, high = self.card["validity"]["temperature_K"]
        check_range(
            "temperature_K", temperature_K, low, high, "K", f"Potential {self.name!r} was trained for this range only."
        )

    @cached_property
    def _first(self) -> Any:
        return load(self.members()[0], self.elements)

    @cached_property
    def _calculators(self) -> list[Any]:
        return [self._first, *(load(path, self.elements) for path in self.members()[1:])]

    def calculator(self) -> Any:
        """ASE calculator of the first member: energy, forces, stress (eV, A)."""
        return self._first

    def calculators(self) -> list[Any]:
        """ASE calculators of all members."""
        return list(self._calculators)

    def atomic_energies(self, atoms: Atoms) -> np.ndarray:
        """Each atom's share of the energy by the first member, eV ``(n_atoms,)``.

        ``view(run, potential.atomic_energies, "energy (eV)")`` colours by it. Only the sum is physical (it is the
        energy); how a model shares it out among unlike atoms is its own choice.
        """
        self.check(set(atoms.get_chemical_symbols()), self.card["validity"]["temperature_K"][0])
        work = atoms.copy()
        work.center(vacuum=10.0, axis=np.flatnonzero(~atoms.pbc))  # the engine takes every cell as periodic
        types = [self.elements.index(symbol) for symbol in atoms.symbols]
        model = self._first.dp
        return model.eval(work.positions.reshape(1, -1), work.cell.array.reshape(1, 9), types, atomic=True)[3].ravel()

    def deviation(self, atoms: Atoms) -> float:
        """Largest force deviation of the ensemble on `atoms`, eV/A.

        ``max_i sqrt(mean_k |F_i^k - mean_k F_i^k|^2)`` over members k and atoms i (DP-GEN,
        doi:10.1016/j.cpc.2020.107206), the same quantity LAMMPS writes during MD.
        """
        self.check(set(atoms.get_chemical_symbols()), self.card["validity"]["temperature_K"][0])
        forces = np.array([self._forces(calculator, atoms) for calculator in self._calculators])
        spread = forces - forces.mean(axis=0)
        return float(np.sqrt((spread**2).sum(axis=2).mean(axis=0)).max())

    @staticmethod
    def _forces(calculator: Any, atoms: Atoms) -> np.ndarray:
        work = atoms.copy()
        work.calc = calculator
        return work.get_forces()


def _folders() -> dict[str, Path]:
    """Name -> folder: the shipped ones, and those a user brought."""
    shipped, own = ((root / "potentials").resolve() for root in (paths.DATA, paths.own_potentials().parent))
    return {card.parent.name: card.parent for root in (own, shipped) for card in root.glob("[!.]*/card.json")}


def names() -> list[str]:
    """Names of the shipped potentials and of those you brought (``data/potentials``)."""
    return sorted(_folders())


def get(name: str) -> Potential:
    """Return the potential `name`; an unknown name raises ``ValueError`` with the choices."""
    check_choice("potential", name, names())
    folder = _folders()[name]
    return Potential(name, folder, json.loads((folder / "card.json").read_text()))
