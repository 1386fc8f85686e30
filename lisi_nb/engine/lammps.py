"""LAMMPS input as text, in named blocks. Nothing here starts a process or opens a file.

Every command lisi_nb ever sends to LAMMPS is in this file. Units are LAMMPS ``metal``: A, ps, eV, K, bar.
"""

from __future__ import annotations

from dataclasses import dataclass

from lisi_nb.errors import check_choice, check_range

RELAX_FORCE_EV_A = 0.02  # on the atom with the largest force
TYPES = ("Li", "Si")  # LAMMPS types 1, 2: the one order in data files, pair_coeff and trajectories
BOTTOM_MODES = ("free", "fixed", "tethered")
DATA_FILE, FINAL_DATA, STOP_REQUEST = "data.lmp", "final.data", "stop.request"
RESTARTS = ("restart.a", "restart.b", "final.restart")  # the first two in turn while a run goes on
INPUT, RESUME_INPUT = "in.lmp", "resume.lmp"
RELAXED_DATA, RELAX_LOG = "relaxed.data", "relax.lammps"
DUMP_COLUMNS = ("id", "type", "xu", "yu", "zu")
PART, FROM = "${part}", "${from}"  # LAMMPS variables of a resumed run: its number and its restart file


def trajectory_file(part: int | str = 0) -> str:
    """Trajectory of part `part` of a run: 0 is the start, each resumption adds one."""
    return f"traj.{part}.bin"


def deviation_file(part: int | str = 0) -> str:
    """Model deviation of a part."""
    return "model_devi.out" if part == 0 else f"model_devi.{part}.out"


def log_file(part: int | str = 0) -> str:
    """LAMMPS log of a part."""
    return "log.lammps" if part == 0 else f"log.{part}.lammps"


TRAJECTORY, DEVIATION = trajectory_file(), deviation_file()


@dataclass(frozen=True)
class Stage:
    """One stretch of MD: `n_steps` from `start_K` to `stop_K`; with `pressure_bar`, the cell relaxes.

    `relax` says how: ``"z"`` alone, or ``"iso"``, all edges by the same factor.
    """

    n_steps: int
    start_K: float
    stop_K: float
    pressure_bar: float | None = None
    relax: str = "z"


@dataclass(frozen=True)
class Segment:
    """One LAMMPS run: what is integrated, for how long, held by what, and what is written.

    Attributes
    ----------
    stages : tuple of Stage
        Run one after the other on one time axis.
    timestep_fs, damping_ps : float
        Time step, and thermostat relaxation time (Nose-Hoover).
    seed : int
        Seed of the initial velocities.
    keep_velocities : bool
        Start with the velocities of the structure instead of new ones: the next segment of a chain goes on where the
        last one ended, up to the state of the thermostat.
    relax_after : bool
        At the end also relax the atoms to the nearest minimum of energy, in files of its own: ``relaxed.data`` and
        ``relax.lammps``. The final state stays that of the MD.
    dump_every, thermo_every, deviation_every, restart_every : int
        Steps between frames, thermo lines, ensemble deviations and restart files; 0 writes none.
    bottom : str
        ``"free"``, ``"fixed"`` or ``"tethered"`` (harmonic, `tether_eV_A2`) for atoms of the bottom group.
    walls : bool
        Reflecting walls at both ends of z, so that evaporated lithium cannot reach the back of the slab.
    free : bool
        Nothing repeats: a particle in empty space, whose box grows with atoms that leave it.
    """

    stages: tuple[Stage, ...]
    timestep_fs: float = 1.0
    seed: int = 1
    damping_ps: float = 0.1
    dump_every: int = 100
    thermo_every: int = 100
    deviation_every: int = 100
    restart_every: int = 0
    bottom: str = "free"
    tether_eV_A2: float = 2.0
    walls: bool = False
    free: bool = False
    keep_velocities: bool = False
    relax_after: bool = False

    def __post_init__(self) -> None:
        check_choice("bottom", self.bottom, BOTTOM_MODES)
        check_range("timestep_fs", self.timestep_fs, 0.05, 5.0, "fs")
        check_range("seed", self.seed, 1, 900_000_000)
        for stage in self.stages:
            check_choice("relax", stage.relax, ("z", "iso"))

    @property
    def n_steps(self) -> int:
        """Steps of all stages together."""
        return sum(stage.n_steps for stage in self.stages)


def header(segment: Segment) -> str:
    """Units, periodicity and structure."""
    boundary = "m m m" if segment.free else "p p f" if segment.walls else "p p p"
    return f"units metal\natom_style atomic\natom_modify map yes\nboundary {boundary}\nread_data {DATA_FILE}\n"


def restored() -> str:
    """Structure, velocities, thermostat and step of a restart file."""
    return f"atom_modify map yes\nread_restart {FROM}\n"


def potential(models: list[str], deviation_every: int, part: int | str = 0) -> str:
    """DeePMD pair style: the first model drives, all of them give the force deviation. Or Tersoff's silicon."""
    if models[0].endswith(".tersoff"):
        return f"pair_style tersoff\npair_coeff * * {models[0]} {' '.join('Si' for _ in TYPES)}\nneighbor 1.0 bin\n"
    out = f" out_freq {deviation_every} out_file {deviation_file(part)}" if len(models) > 1 else ""
    return f"pair_style deepmd {' '.join(models)}{out}\npair_coeff * * {' '.join(TYPES)}\nneighbor 1.0 bin\n"


def output(segment: Segment, part: int | str = 0) -> str:
    """Thermo lines (flushed, so that a reader can follow), binary trajectory sorted by atom, restart files in turn."""
    lines = [
        f"thermo {segment.thermo_every}",
        "thermo_style custom step atoms temp pe ke etotal press pzz lz vol cpu",
        "compute mobile_T mobile temp",
        "thermo_modify temp mobile_T flush yes lost error",
    ]
    if segment.dump_every:
        lines += [
            f"dump trajectory all custom {segment.dump_every} {trajectory_file(part)} {' '.join(DUMP_COLUMNS)}",
            "dump_modify trajectory sort id flush yes",
        ]
    if segment.restart_every:
        lines.append(f"restart {segment.restart_every} {RESTARTS[0]} {RESTARTS[1]}")
    return "\n".join(lines) + "\n"


def hold(segment: Segment, bottom_ids: list[int]) -> str:
    """The group that moves, and how the bottom layers and the ends of the cell are held."""
    lines = ["group mobile union all"]
    if segment.bottom != "free" and bottom_ids:
        ids = " ".join(_ranges(bottom_ids))
        lines = [f"group bottom id {ids}", "group mobile subtract all bottom"]
        if segment.bottom == "fixed":
            lines += ["velocity bottom set 0.0 0.0 0.0", "fix hold bottom setforce 0.0 0.0 0.0"]
        else:
            lines = [
                f"group bottom id {ids}",
                "group mobile union all",
                f"fix hold bottom spring/self {segment.tether_eV_A2}",
            ]
    if segment.walls:
        lines.append("fix walls all wall/reflect zlo EDGE zhi EDGE")
    return "\n".join(lines) + "\n"


def velocities(segment: Segment) -> str:
    """Gaussian velocities at the first temperature, without net momentum; none where the structure brings its own."""
    if segment.keep_velocities:
        return ""
    return f"velocity mobile create {segment.stages[0].start_K} {segment.seed} mom yes rot no dist gaussian\n"


def halt() -> str:
    """Stop cleanly, keeping every file, once the stop request appears."""
    return f"variable stop equal is_file({STOP_REQUEST})\nfix stop all halt 20 v_stop > 0.5 error soft message no\n"


def stages(segment: Segment) -> str:
    """The runs themselves: Nose-Hoover in the mobile group, optionally with pressure along z.

    Each stage runs up to its absolute last step with its ramp over its absolute steps, so a resumed run skips what is
    done and continues a ramp where it was. A requested stop skips the rest; each stage ends with a restart file.
    """
    text, first = f"timestep {segment.timestep_fs / 1000:g}\n", 0
    for stage in segment.stages:
        last = first + stage.n_steps
        ensemble = f"temp {stage.start_K:g} {stage.stop_K:g} {segment.damping_ps:g}"
        if stage.pressure_bar is None:
            ensemble = "nvt " + ensemble
        else:
            ensemble = f"npt {ensemble} {stage.relax} {stage.pressure_bar:g} {stage.pressure_bar:g} 0.5"
        commands = [
            f"fix integrate mobile {ensemble}",
            f"run {last} upto start {first} stop {last}",
            f"write_restart {RESTARTS[2]}",  # while the thermostat is there: its state belongs to the file
            "unfix integrate",
        ]
        if segment.bottom == "free":
            commands = ["fix drift mobile momentum 100 linear 1 1 1", *commands, "unfix drift"]
        quoted = " &\n  ".join(f'"{command}"' for command in commands)
        text += f'if "$(step) < {last} && $(v_stop) < 0.5" then &\n  {quoted}\n'
        first = last
    return text


def final() -> str:
    """Last structure, written also after a requested stop."""
    return f"write_data {FINAL_DATA} nocoeff\n"


def relaxation(segment: Segment, models: list[str]) -> str:
    """Minimum of energy next to the final state, by the driving model alone; skipped after a requested stop."""
    if not segment.relax_after:
        return ""
    commands = [
        f"log {RELAX_LOG}",
        *(["undump trajectory"] if segment.dump_every else []),
        "restart 0",
        *potential(models[:1], 0).splitlines()[:2],
        "thermo 100",
        "min_modify norm max",
        f"minimize 0.0 {RELAX_FORCE_EV_A} 500 2000",
        f"write_data {RELAXED_DATA} nocoeff",
    ]
    quoted = " &\n  ".join(f'"{command}"' for command in commands)
    return f'if "$(v_stop) < 0.5" then &\n  {quoted}\n'


def input_text(segment: Segment, models: list[str], bottom_ids: list[int] | None = None) -> str:
    """The whole LAMMPS input of a segment, block by block."""
    blocks = {
        "structure": header(segment),
        "potential": potential(models, segment.deviation_every),
        "held atoms": hold(segment, bottom_ids or []),
        "velocities": velocities(segment),
        "output": output(segment),
        "stop on request": halt(),
        "molecular dynamics": stages(segment),
        "final state": final(),
        **({"relaxed state": relaxation(segment, models)} if segment.relax_after else {}),
    }
    return _joined(blocks)


def resume_text(segment: Segment, models: list[str], bottom_ids: list[int] | None = None) -> str:
    """The input that carries a segment on: run it with the LAMMPS variables ``part`` (1, 2, ...) and ``from``."""
    blocks = {
        "state": restored(),
        "potential": potential(models, segment.deviation_every, PART),
        "held atoms": hold(segment, bottom_ids or []),
        "output": output(segment, PART),
        "stop on request": halt(),
        "molecular dynamics": stages(segment),
        "final state": final(),
        **({"relaxed state": relaxation(segment, models)} if segment.relax_after else {}),
    }
    return _joined(blocks)


def _joined(blocks: dict[str, str]) -> str:
    return "\n".join(f"# {name}\n{text}" for name, text in blocks.items())


def _ranges(ids: list[int]) -> list[str]:
    """Sorted ids as LAMMPS ranges: [1,2,3,7] -> ['1:3', '7']."""
    out: list[list[int]] = []
    for i in sorted(ids):
        if out and i == out[-1][1] + 1:
            out[-1][1] = i
        else:
            out.append([i, i])
    return [f"{a}:{b}" if b > a else f"{a}" for a, b in out]
