"""One run reduced: mean square displacements, collective motion, Li by its Si neighbours, silicon clusters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from lisi_nb.analysis import statistics
from lisi_nb.analysis.clusters import KINDS, silicon_clusters
from lisi_nb.analysis.diffusion import CollectiveDiffusion, collective_diffusion
from lisi_nb.analysis.displacements import Displacements, displacements
from lisi_nb.analysis.hops import ClusterMoves, Contacts, Hops, cluster_moves, contact_survival, find_hops
from lisi_nb.analysis.melting import not_molten, silicon_moved_A2
from lisi_nb.analysis.mobility import CoordinationMobility, speed_by_coordination
from lisi_nb.analysis.msd import MSD, mean_square_displacement
from lisi_nb.analysis.pair_distribution import PairDistribution, pair_distribution
from lisi_nb.engine.run import Run, Segment
from lisi_nb.errors import check_range
from lisi_nb.studies.lixsi.build import FEWEST_FRAMES
from lisi_nb.units import Measured

Array = np.ndarray
SYMBOLS = np.array(["Si", "Li"])
DRIFT = "Si"  # Li is followed against the framework, as pymatgen does; Si itself against the centre of mass
PART_PS, N_PARTS = 450.0, 18  # the paper's, for the collective D
PART_SHARE = 0.25  # a part is at most this share of the run: shorter than the paper's where the run is
INTERVAL_PS = 1.0  # over which a move of Li is looked at; the paper does not say
CLUSTER_FRAMES, CONTACT_FRAMES = 60, 300
KEPT_BYTES = 1e9  # of displacements; of a longer run every second, third ... frame is read
BYTES = 12  # of the displacement of one atom in one frame


@dataclass(frozen=True, eq=False)
class Series:
    """One run reduced to what is averaged over seeds; lengths in A, times in ps.

    Attributes
    ----------
    li, si : MSD
        Of Li against the drift chosen, of Si against the centre of mass of all atoms.
    collective : CollectiveDiffusion
        From the net motion of all Li.
    mobility : CoordinationMobility
        Speed of Li and how often it has 0, 1, 2 ... Si neighbours within 3.5 A.
    moves, hops, contacts : ClusterMoves, Hops, Contacts
        Whether Li moves between clusters; hops from site to site; how long Li stays at the Si it touches.
    quantities : dict of Measured
        Everything else: density, temperature, clusters, neighbours, force deviation.
    deviation_eV_A : (n,) array
        Largest force deviation of the ensemble while sampling.
    warnings : tuple of str
        What is not as its name says.
    """

    li: MSD
    si: MSD
    collective: CollectiveDiffusion
    mobility: CoordinationMobility
    moves: ClusterMoves
    hops: Hops
    contacts: Contacts
    quantities: dict[str, Measured]
    deviation_eV_A: Array
    warnings: tuple[str, ...]


def sampled(run: Run) -> Segment | None:
    """The segment at constant volume, also while it runs; ``None`` before it has begun."""
    return next((s for s in run.segments if s.decision["name"] == "sample"), None)


def frame_time_ps(run: Run) -> float:
    """Time between frames: `frame_ps` in whole time steps."""
    step_fs = run.params["timestep_fs"]
    return max(1, round(1000 * run.params["frame_ps"] / step_fs)) * step_fs / 1000


def positions(segment: Segment, every: int = 1) -> Iterator[Array]:
    """Unwrapped positions, frame by frame."""
    return (frame.positions_A for frame in segment.frames(every))


def last_structure(run: Run) -> Atoms:
    """The last sampled frame, wrapped into its cell: such as `thermodynamics.amorphous` relaxes.

    Raises
    ------
    ValueError
        Nothing was sampled yet.
    """
    segment = sampled(run)
    if segment is None:
        raise ValueError(f"{run.id} has sampled nothing yet. Let it run on.")
    return segment.ends()[1].atoms()


def coolest_structures(runs: Iterable[Run]) -> list[Atoms]:
    """`last_structure` of the coolest molten run of each composition, from poor to rich in Li: melted and cooled."""
    by_x: dict[float, Run] = {}
    for run in sorted(runs, key=lambda each: -each.params["temperature_K"]):
        if run.params["start"] == "amorphous":
            by_x[run.params["x"]] = run
    return [last_structure(run) for _, run in sorted(by_x.items())]


def pair_distribution_of(run: Run, n_frames: int = 50, r_max_A: float = 10.0) -> PairDistribution:
    """g(r) of at most `n_frames` frames, evenly spread over the sampled time, broadened as the paper's.

    Raises
    ------
    ValueError
        Nothing was sampled yet, or a number out of range.
    """
    check_range("n_frames", n_frames, 1, 10**6)
    segment = sampled(run)
    if segment is None or not segment.n_frames:
        raise ValueError(f"{run.id} has sampled nothing yet. Let it run on.")
    frames = segment.frames(max(1, -(-segment.n_frames // n_frames)))
    return pair_distribution((frame.atoms() for frame in frames), r_max_A=r_max_A)


def measure(run: Run, drift: str = DRIFT) -> Series:
    """Reduce one run (finished, or as far as it has come); streams its trajectory.

    Memory is that of the displacements: 12 bytes for each atom and frame, at most 1 GB; of a run with more, evenly
    spaced frames are read, and `warnings` say so.

    Parameters
    ----------
    run : Run
        Of this study.
    drift : str
        What Li is followed against: ``"Si"``, ``"all"`` (centre of mass) or ``"none"``.

    Raises
    ------
    ValueError
        Too few frames were sampled, a pure element, or wrapped positions.
    """
    segment = sampled(run)
    n_frames = segment.n_frames if segment else 0
    if segment is None or n_frames < FEWEST_FRAMES:
        raise ValueError(
            f"{run.id} has sampled {n_frames} frames; at least {FEWEST_FRAMES} are needed. Let it run on, or sample "
            "longer (duration_ps)."
        )
    first = next(segment.frames())
    is_si, cell_A, frame_ps = ~first.is_li, np.ptp(first.box_A, axis=1), frame_time_ps(run)
    if is_si.all() or not is_si.any():
        raise ValueError(f"{run.id} has only {SYMBOLS[int(not is_si.any())]}: LixSi needs both elements.")
    every = math.ceil(BYTES * len(is_si) * n_frames / KEPT_BYTES)
    n_frames, frame_ps = math.ceil(n_frames / every), frame_ps * every
    symbols = list(SYMBOLS[(~is_si).astype(int)])

    def moved(element: str, against: str) -> Displacements:
        return displacements(
            positions(segment, every), frame_ps, cell_A=cell_A, symbols=symbols, element=element, drift=against,
            n_frames=n_frames,
        )  # fmt: skip

    lithium = moved("Li", drift)
    part_ps = min(PART_PS, PART_SHARE * lithium.duration_ps)
    lag = min(max(1, round(INTERVAL_PS / frame_ps)), n_frames // 10)
    mobility = speed_by_coordination(positions(segment, every), frame_ps, is_si, cell_A, lag_frames=lag)
    spread = math.ceil(segment.n_frames / CONTACT_FRAMES)
    contacts, at_clusters = (
        contact_survival(
            positions(segment, spread), frame_time_ps(run) * spread, is_si, cell_A,
            max_lag_frames=CONTACT_FRAMES // 4, clusters=clusters,
        )
        for clusters in (False, True)
    )  # fmt: skip
    deviation = segment.model_deviation()["max_devi_f_eV_A"]
    thermo = segment.thermo()
    quantities = _clusters(segment, is_si, cell_A) | {
        "density": Measured(segment.decision["numbers"]["density_g_cm3"], float("nan"), "g/cm^3"),
        "temperature": statistics.block_mean(thermo["Temp"], "K"),
        "pressure": statistics.block_mean(thermo["Press"] / 1e4, "GPa"),
        "contact_time": contacts.time_ps,
        "cluster_time": at_clusters.time_ps,
        "cn_li_si": Measured(mobility.mean_count, float("nan"), "1"),
        "mean_force_deviation": statistics.block_mean(deviation, "eV/A"),
        "max_force_deviation": Measured(
            float(deviation.max()) if len(deviation) else float("nan"), float("nan"), "eV/A"
        ),
    }
    thinned = [f"Of a run this long, a frame every {frame_ps:g} ps was read (1 of {every})."] if every > 1 else []
    return Series(
        li=mean_square_displacement(lithium),
        si=mean_square_displacement(moved("Si", "all")),
        collective=collective_diffusion(lithium, part_ps=part_ps, n_parts=N_PARTS, skip_ps=0.0),
        mobility=mobility,
        moves=cluster_moves(positions(segment, every), frame_ps, is_si, cell_A, lag_frames=lag),
        hops=find_hops(lithium),
        contacts=contacts,
        quantities=quantities,
        deviation_eV_A=deviation,
        warnings=(*run.manifest["structure"].get("warnings", []), *_not_molten(run), *thinned),
    )


def _clusters(segment: Segment, is_si: Array, cell_A: Array) -> dict[str, Measured]:
    """Silicon within 2.7 A of silicon: neighbours, kinds of clusters by share of the atoms, sizes, dimension."""
    every = max(1, segment.n_frames // CLUSTER_FRAMES)
    found = [silicon_clusters(frame, is_si, cell_A) for frame in positions(segment, every)]
    columns = {f"share_{kind}": ([c.share(kind) for c in found], "1") for kind in KINDS} | {
        "cn_si_si": ([2 * c.n_bonds.sum() / is_si.sum() for c in found], "1"),
        "mean_cluster_size": ([c.mean_size for c in found], "1"),
        "largest_cluster_share": ([c.largest / is_si.sum() for c in found], "1"),
        "cluster_dimension": ([float(c.dimension.max()) for c in found], "1"),
    }
    return {
        name: statistics.block_mean(np.array(values, dtype=float), unit) for name, (values, unit) in columns.items()
    }


def _not_molten(run: Run) -> list[str]:
    """A warning where the anneal of an amorphous start left the silicon in its place."""
    anneal = next((s for s in run.segments if s.decision["name"] == "anneal"), None)
    if anneal is None:
        return []
    first, last = anneal.ends()
    moved_A2 = silicon_moved_A2(first.positions_A, last.positions_A, first.box_A, last.box_A, ~first.is_li)
    warning = not_molten(moved_A2, "Anneal longer (anneal_ps) or hotter (melt_K).")
    return [warning] if warning else []
