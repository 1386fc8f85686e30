"""The ab initio labels at hand: how many there are, which may be trained on, and which are set apart and why.

Labelling (`recipe correct`) appends to ``ENGINE.0.extxyz``, ``ENGINE.1.extxyz``, ... for hours; everything here works
with whatever is there, and never writes to these files.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ase import Atoms

from lisi_nb.training.dataset import ELEMENTS, MAX_FORCE_EV_A
from lisi_nb.training.held_out import by_system, refuse_overlap
from lisi_nb.training.intake import sort_labels
from lisi_nb.training.label import frame_id, read_frames
from lisi_nb.training.zeros import paired

Pair = tuple[Atoms, Atoms]
QUEUES = ("frames", "melts", "glasses")  # files of the frames that were chosen for the engine


@dataclass(frozen=True)
class Labels:
    """Frames labelled by the ab initio engine and by the teacher.

    Attributes
    ----------
    trained, held_out : list of pair
        (ab initio, teacher) labels of one frame: to train on, and of the held-out systems.
    apart : list of tuple of str
        System and reason of each frame that is used for neither.
    settings : str
        The ab initio engine's settings, the same for all.
    n_waiting : int
        Chosen frames that are not labelled yet.
    tuned : list of ase.Atoms
        Labels of the fine-tuned teacher for these frames; none before it is tuned.
    """

    trained: list[Pair]
    held_out: list[Pair]
    apart: list[tuple[str, str]]
    settings: str
    n_waiting: int = 0
    tuned: list[Atoms] = field(default_factory=list)

    def __str__(self) -> str:
        reasons = Counter(f"{system}: {why}" for system, why in self.apart)
        lines = [
            f"{len(self.trained)} ab initio frames to train on, {len(self.held_out)} held out, "
            f"{len(self.apart)} set apart, {self.n_waiting} not labelled yet ({self.settings})",
            *(f"  {text}" for text in sorted(reasons)),
        ]
        return "\n".join(lines)


def gather(folder: Path, engine: str) -> Labels:
    """What has been labelled so far in `folder`.

    Raises
    ------
    FileNotFoundError
        There are no ab initio labels.
    ValueError
        Labels do not say their settings, or say different ones; or the teacher has not labelled these frames.
    """
    files = [f for f in sorted(folder.glob(f"{engine}.[0-9]*.extxyz")) if not f.stem.endswith(".failed")]
    found = [atoms for file in files for atoms in read_frames(file, mend=False)]
    if not found:
        raise FileNotFoundError(f"No {engine} labels in {folder}. Make some: python -m lisi_nb.training.recipe correct")
    one_setting(found, "ab initio")
    sorted_labels = sort_labels(found, ELEMENTS, MAX_FORCE_EV_A)
    apart = [(str(found[k].info["system"]), why) for k, why in sorted_labels.apart]
    files = sorted(folder.glob(f"{engine}.[0-9]*.failed.extxyz"))
    failed = [a for file in files for a in read_frames(file, mend=False)]
    apart += [(str(a.info["system"]), str(a.info["failure"])) for a in failed]
    teacher = read_frames(folder / f"{engine}.teacher.extxyz", mend=False)
    if teacher:
        one_setting(teacher, "teacher's")
    known = {atoms.info["frame_id"] for atoms in teacher}
    if missing := [a for a in sorted_labels.good if a.info["frame_id"] not in known]:
        raise ValueError(
            f"The teacher has not labelled {len(missing)} of the {len(found)} ab initio frames. Let it: "
            "python -m lisi_nb.training.recipe teach"
        )
    training, tested = by_system(sorted_labels.good)
    refuse_overlap(training, tested)
    pairs = [paired(frames, teacher) if frames else [] for frames in (training, tested)]
    chosen = [a for kind in QUEUES for a in read_frames(folder / f"{engine}.{kind}.extxyz", mend=False)]
    done = {frame_id(a) for a in (*found, *failed)}
    n_waiting = len({frame_id(a) for a in chosen} - done)
    tuned = read_frames(folder / f"{engine}.tuned.extxyz", mend=False)
    return Labels(pairs[0], pairs[1], apart, str(found[0].info["settings"]), n_waiting, tuned)


def one_setting(frames: list[Atoms], whose: str) -> None:
    """Raise ``ValueError`` unless every label names its reference settings, and all the same."""
    settings = Counter(str(a.info.get("settings", "")) for a in frames)
    if settings[""]:
        raise ValueError(f"{settings['']} {whose} labels do not say their reference settings. Label them again.")
    if len(settings) > 1:
        counts = " | ".join(f"{name} ({n} frames)" for name, n in sorted(settings.items()))
        raise ValueError(f"The {whose} labels mix reference settings: {counts}. Train on one.")
