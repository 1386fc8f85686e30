"""One call views a structure, a series or a run; what a viewer would draw wrongly is refused."""

import asyncio
import base64
import io
import shutil
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock, call

import imageio_ffmpeg
import nbformat
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from nbclient import NotebookClient
from PIL import Image
from synthetic import make_run

from lisi_nb import palette, plots, reproduce
from lisi_nb.engine.parse import Frame
from lisi_nb.engine.run import Run
from lisi_nb.studies import interdiffusion
from lisi_nb.widgets import frames, ngl_scene, phases, view
from lisi_nb.widgets.frames import Look, Series, Slab, colouring
from lisi_nb.widgets.reading import Unreadable
from lisi_nb.widgets.viewer import STILL_BYTES, small_png


@pytest.fixture
def silicon():
    return bulk("Si", cubic=True).repeat((1, 1, 3))


@pytest.fixture
def moved(silicon):
    """The second of two frames: atom k moved by 0.01 k A along x, across the face of the cell too."""
    other = silicon.copy()
    other.positions[:, 0] += 0.01 * np.arange(len(other))
    other.wrap()
    return other


def test_a_structure_and_a_series_use_nglview(silicon):
    assert view(silicon).said.startswith("nglview, because the cell stays the same: 24 atoms")
    assert view([silicon, silicon]).said.startswith("nglview")


def test_z_lies_to_the_right_and_the_turn_is_no_mirror(silicon):
    silicon.positions += np.random.default_rng(0).normal(0, 0.1, silicon.positions.shape)
    turned = ngl_scene.turned(silicon)
    assert turned.cell.lengths() == pytest.approx(silicon.cell.lengths()[[2, 0, 1]])
    assert turned.positions[:, 0] == pytest.approx(silicon.cell.lengths()[2] - silicon.positions[:, 2])
    before, after = (np.linalg.det(a.positions[1:4] - a.positions[0]) for a in (silicon, turned))
    assert after == pytest.approx(before)


def test_the_cell_has_its_twelve_edges():
    drawn = [(np.array(a), np.array(b)) for _, a, b, *_ in ngl_scene.edges(np.array([2.0, 3.0, 5.0]))]
    lengths = Counter(float(np.linalg.norm(b - a)) for a, b in drawn)
    assert lengths == {2.0: 4, 3.0: 4, 5.0: 4}
    assert len({(*a, *b) for a, b in drawn}) == 12


def rotated(vector, quaternion):
    x, y, z, w = quaternion
    cross = np.cross([x, y, z], np.cross([x, y, z], vector) + w * np.asarray(vector))
    return np.asarray(vector) + 2 * cross


@pytest.mark.parametrize("camera", plots.CAMERAS)
def test_the_cameras_of_nglview_are_those_of_the_pictures(camera):
    """NGL's screen has x to the left, y up, z away; directions of the cell come there through `turned`."""
    in_ngl = {0: [0, 1, 0], 1: [0, 0, -1], 2: [-1, 0, 0]}  # of the cell's x, y, z
    screen = [rotated(in_ngl[axis], ngl_scene.TURNS[camera]) for axis in plots.CAMERAS[camera]]
    np.testing.assert_allclose(screen, [[-1, 0, 0], [0, 1, 0], [0, 0, -1]], atol=1e-12)  # right, up, to the reader


def test_what_changes_uses_ovito_and_nglview_refuses_it(silicon, moved):
    larger = silicon.copy()
    larger.set_cell(1.1 * larger.cell.array)
    for what, colour, words in (
        ([silicon, larger], "element", "another cell"),
        ([silicon, silicon[:-1]], "element", "other atoms"),
        ([silicon] * 51, "element", "at most 50"),
        (bulk("Si"), "element", "not rectangular"),
        ([silicon, moved], "displacement", "colours change"),
    ):
        assert view(what, colour).said.startswith("OVITO, because")
        assert words in view(what, colour).said
        with pytest.raises(ValueError, match=words):
            view(what, colour, viewer="nglview")


def test_more_atoms_than_nglview_takes_use_ovito_and_it_says_why(silicon, monkeypatch):
    monkeypatch.setattr(ngl_scene, "MOST_ATOMS", 24)
    assert view(silicon).scene.name == "nglview"
    words = "there are 48 atoms, and nglview takes at most 24"
    assert words in view(silicon.repeat((2, 1, 1))).said
    with pytest.raises(ValueError, match=words):
        view(silicon.repeat((2, 1, 1)), viewer="nglview")


def test_as_many_atoms_as_nglview_takes_are_few_megabytes():
    atoms = bulk("Li", cubic=True).repeat((29, 29, 29))
    shown = view(atoms)
    assert len(atoms) > 0.9 * ngl_scene.MOST_ATOMS
    assert shown.scene.name == "nglview"
    assert 2e6 < len(str(shown.scene.widget.get_state())) < 5e6


def test_a_run_uses_ovito_and_its_slider_changes_the_frame(smoke_run):
    shown = view(smoke_run)
    assert shown.said.startswith("OVITO")
    before = shown.scene.widget._scene
    shown.slider.value = shown.slider.max
    assert shown.scene.widget._scene is not before
    with pytest.raises(ValueError, match="read one by one"):
        view(smoke_run, viewer="nglview")


def test_a_stride_shows_every_nth_frame(smoke_run):
    every = list(smoke_run.frames())
    some = frames.Trajectory(smoke_run, 7)
    assert len(some) == len(every[::7])
    for k, frame in enumerate(every[::7]):
        np.testing.assert_array_equal(some.atoms(k).positions, frame.positions_A - frame.box_A[:, 0])
    assert "every 7th of" in view(smoke_run, every=7).said


def test_a_half_written_last_frame_is_left_out(smoke_run, tmp_path):
    run = Run(shutil.copytree(smoke_run.folder, tmp_path / "x"))
    n, file = run.n_frames, run.trajectories[0]
    file.write_bytes(file.read_bytes()[:-100])
    shown = view(run)
    assert len(shown.look.frames) == n - 1
    shown.slider.value = shown.slider.max
    assert shown.answer.value == ""


def test_a_folder_deleted_while_it_is_viewed_is_a_sentence(smoke_run, tmp_path):
    run = Run(shutil.copytree(smoke_run.folder, tmp_path / "x"))
    shown = view(run)
    shutil.rmtree(run.folder)
    shown.slider.value = 3
    assert "The folder of this run is gone" in shown.answer.value
    with pytest.raises(Unreadable, match="gone"):
        shown.look.frames.atoms(0)


@pytest.mark.parametrize("what", [None, 3, "run", [], [1, 2]])
def test_other_things_are_refused(what):
    with pytest.raises(TypeError, match=r"view\(\) takes"):
        view(what)


def test_what_cannot_be_drawn_is_refused(silicon, tmp_path):
    for bad, settings, words in (
        (Atoms(), {}, "no atoms"),
        (Atoms("Au"), {}, "No colour is known for Au"),
        (Run(tmp_path), {}, "no frame yet"),
        (silicon, {"viewer": "vmd"}, "viewer='vmd' is not known"),
        (silicon, {"every": 0}, "every=0 is not allowed"),
        (silicon, {"colour": "charge"}, "colour='charge' is not known"),
        (silicon, {"colour": [1.0, 2.0], "label": "z (Å)"}, r"shape \(2,\) for a frame of 24 atoms"),
        (silicon, {"colour": np.full(24, np.nan), "label": "z (Å)"}, "no finite number"),
        ([silicon, silicon], {"colour": np.ones((3, 24)), "label": "z (Å)"}, "numbers for 3 frames, but 2"),
        (silicon, {"colour": np.arange(24.0)}, r'label="" is not allowed for numbers of your own.*"energy \(eV\)"'),
        (silicon, {"colour": lambda atoms: atoms.positions[:, 2]}, 'label="" is not allowed'),
        ([silicon, silicon[:-1]], {"colour": "displacement"}, "no displacement is defined"),
    ):
        with pytest.raises(ValueError, match=words):
            view(bad, **settings)


def test_coordination_is_that_of_the_crystal(silicon):
    """4 nearest neighbours in diamond Si (2.35 A); 12 more at 3.84 A lie beyond the cutoff."""
    assert set(frames.coordination(silicon)) == {4.0}


def run_of(folder, atoms, walls):
    """A run of `atoms`, whose images are then shifted by whole cells, periodic along z or between walls there."""
    shifts = np.random.default_rng(0).integers(-3, 4, (len(atoms), 3)) * [1, 1, not walls]
    low = np.array([1.0, -2.0, 3.0])
    box = np.column_stack((low, low + atoms.cell.lengths()))
    paths = (atoms.positions + low, atoms.positions + shifts * atoms.cell.lengths() + low)
    kinds, periodic = np.full(len(atoms), 2), (True, True, not walls)
    steps = (Frame(k, box, kinds, path, periodic) for k, path in enumerate(paths))
    run = make_run(folder, interdiffusion.scaled("smoke"), steps, len(atoms))
    return run, np.linalg.norm(shifts * atoms.cell.lengths(), axis=1)


def naive_coordination(atoms):
    """Neighbours within the cutoff, over all images that unwrapped atoms can need."""
    images = [np.arange(-7, 8) if periodic else [0] for periodic in atoms.pbc]
    cells = np.stack(np.meshgrid(*images, indexing="ij"), -1).reshape(-1, 3) @ atoms.cell.array
    apart = atoms.positions[:, None] - atoms.positions
    return [sum((np.linalg.norm(cells + d, axis=1) < frames.NEIGHBOUR_A).sum() for d in row) - 1 for row in apart]


@pytest.mark.parametrize("walls", [False, True], ids=["bulk", "slab"])
def test_a_run_is_periodic_along_z_as_lammps_was_told(silicon, tmp_path, walls):
    silicon.positions += np.random.default_rng(1).normal(0, 0.1, silicon.positions.shape) + 0.5
    silicon.wrap()
    run, moved_A = run_of(tmp_path, silicon, walls)
    shown = frames.Trajectory(run, 1)
    atoms = shown.atoms(1)
    assert atoms.pbc.tolist() == [True, True, not walls]
    np.testing.assert_array_equal(frames.coordination(atoms), naive_coordination(atoms))
    assert set(frames.coordination(atoms)) == ({2.0, 4.0} if walls else {4.0})
    np.testing.assert_array_equal(phases.phases(atoms), phases.phases(shown.atoms(0)))
    np.testing.assert_allclose(frames.displacement(shown, 1), moved_A, atol=1e-9)
    drawn, _ = Look(shown, colouring(shown)).frame(1)
    np.testing.assert_allclose(drawn.positions, silicon.positions, atol=1e-6)


def names(atoms):
    """Number of atoms of each phase."""
    return dict(Counter(phases.NAMES[k] for k in phases.phases(atoms)))


def test_phases_are_those_of_the_crystals(silicon):
    silicon = silicon.repeat((2, 2, 1))
    assert names(silicon) == {"diamond Si": 96}
    for kind, a, name in (("bcc", 3.49, "bcc Li"), ("fcc", 4.32, "close-packed Li")):
        lithium = bulk("Li", kind, a=a, cubic=True).repeat(4)
        assert names(lithium) == {name: len(lithium)}
    rng = np.random.default_rng(0)
    for element, volume_A3 in (("Si", 20.0), ("Li", 20.0)):  # random atoms are no crystal
        gas = Atoms(f"{element}200", 0.5 + rng.random((200, 3)) * (200 * volume_A3) ** (1 / 3), pbc=True)
        gas.set_cell(np.full(3, (200 * volume_A3) ** (1 / 3)))
        assert names(gas) == {f"other {element}": 200}


def test_the_faces_of_a_slab_are_its_edge_and_lithium_inside_changes_nothing(silicon):
    """(001) slab of 12 planes: the outer two of a side lack neighbours or second neighbours: 4 of 12 planes."""
    slab = silicon.repeat((2, 2, 1))
    slab.center(vacuum=10, axis=2)
    slab.pbc = (True, True, False)
    assert names(slab) == {"diamond Si": 64, "edge of diamond Si": 32}
    hole = slab.positions[40] + slab.cell.array[0] / 4  # tetrahedral site, 2.35 A from silicon
    assert names(slab + Atoms("LiF", [hole, hole + 1])) == names(slab) | {"other Li": 1, "other element": 1}


def test_phases_have_names_in_the_legend_of_every_viewer(silicon):
    mixed = silicon.repeat((2, 2, 1))
    mixed.numbers[mixed.positions[:, 2] > 9] = 3
    for what, viewer in ((mixed, "nglview"), ([mixed, mixed], "ovito")):
        shown = view(what, "phase")
        assert shown.scene.name.lower() == viewer
        legend = shown.children[0].value
        for name, colour in palette.PHASES.items():
            assert (f'{colour}">&#9679;</span> {name}' in legend) == (name != "other element")
    picture = view(mixed, "phase").picture()
    written = {text.get_text() for text in picture.axes[0].get_legend().get_texts()}
    assert written == set(names(mixed))
    look = Look(Series([mixed]), colouring(Series([mixed]), "phase"))
    atoms, values = look.frame(0)
    expected = [palette.rgb(palette.PHASES[phases.NAMES[k]]) for k in phases.phases(atoms)]
    np.testing.assert_array_equal(look.rgb(atoms, values), expected)
    for where, _, colour in ngl_scene.groups(look, atoms):
        assert (look.rgb(atoms, values)[where] == palette.rgb(colour)).all()


def test_phases_refuse_a_thread_in_which_ovito_would_end_the_kernel(silicon):
    with ThreadPoolExecutor() as pool, pytest.raises(RuntimeError, match="main thread"):
        pool.submit(phases.phases, silicon).result()


def test_displacement_is_what_the_atoms_moved(silicon, moved, smoke_run):
    np.testing.assert_allclose(frames.displacement(Series([silicon, moved]), 1), 0.01 * np.arange(24), atol=1e-9)
    first, last = smoke_run.ends()
    run = frames.Trajectory(smoke_run, 1)
    expected = np.sqrt(((last.positions_A - first.positions_A) ** 2).sum(axis=1))
    np.testing.assert_allclose(frames.displacement(run, len(run) - 1), expected)


def test_numbers_become_colours_between_their_limits(silicon):
    numbers = np.linspace(-3.0, 5.0, 24)
    numbers[3] = np.nan
    colours = colouring(Series([silicon]), numbers, "energy (eV)")
    assert (colours.label, colours.limits) == ("energy (eV)", (-3.0, 5.0))
    atoms, values = Look(Series([silicon]), colours).frame(0)
    rgb = Look(Series([silicon]), colours).rgb(atoms, values)
    assert len({tuple(c) for c in rgb}) == 24
    assert rgb[3].tolist() == [0.7, 0.7, 0.7]
    text = view(silicon, numbers, "energy (eV)").children[0].value
    assert all(words in text for words in ("energy (eV)", "-3", "5", "linear-gradient"))


def test_a_function_of_the_frame_gives_the_numbers_of_each_frame(silicon, moved):
    colours = colouring(Series([silicon, moved]), lambda atoms: atoms.positions[:, 2], "z (Å)")
    np.testing.assert_array_equal(colours.of(1), moved.positions[:, 2])


def test_every_atom_belongs_to_exactly_one_group_of_nglview(silicon):
    silicon.numbers[:5] = 3
    for colour, label in (("element", ""), ("phase", ""), (np.arange(24.0), "energy (eV)")):
        look = Look(Series([silicon]), colouring(Series([silicon]), colour, label))
        assert sum(where.astype(int) for where, *_ in ngl_scene.groups(look, silicon)).tolist() == [1] * 24


def test_a_slice_shows_the_atoms_between_its_faces(silicon):
    for viewer in ("nglview", "ovito"):
        shown = view(silicon, viewer=viewer)
        shown.axis.value = 2
        shown.slice.value = (4.0, 9.0)
        assert shown.look.slab == Slab(2, 4.0, 9.0)
        kept, _ = shown.look.frame(0)
        z = silicon.positions[:, 2]
        assert len(kept) == np.count_nonzero((z >= 4.0) & (z <= 9.0)) > 0
        shown.slice.value = (shown.slice.min, shown.slice.max)
        assert len(shown.look.frame(0)[0]) == 24


def drawn_by_ngl(scene):
    """Indices of the atoms that nglview was last told to show."""
    told = [words for words in scene.widget._ngl_msg_archive if words["methodName"] == "setSelection"]
    assert len(told) == len(scene._groups), "what was told before is kept, and sent again with every frame"
    chosen = [words["args"][0].removeprefix("@") for words in told]
    return sorted(int(k) for atoms in chosen if atoms != "none" for k in atoms.split(","))


def test_the_slice_of_a_series_is_that_of_the_frame_shown(silicon):
    """Li moves through the slab from frame to frame, out of the cell and in again."""
    silicon.numbers[:8] = 3
    series = [silicon.copy() for _ in range(4)]
    for k, atoms in enumerate(series):
        atoms.positions[:8, 2] += 5.0 * k
    shown = view(series)
    assert shown.scene.name == "nglview"
    shown.axis.value = 2
    shown.slice.value = (4.0, 9.0)
    seen = []
    for k in (0, 1, 2, 3, 0):
        shown.scene.widget.frame = k  # as the browser does, to which the player is linked
        z = shown.look.atoms(k).positions[:, 2]
        seen.append(drawn_by_ngl(shown.scene))
        assert seen[-1] == np.flatnonzero((z >= 4.0) & (z <= 9.0)).tolist()
        assert len(shown.look.frame(k)[0]) == len(seen[-1])
    assert seen[1] != seen[0] == seen[4]
    shown.slice.value = (shown.slice.min, shown.slice.max)
    assert drawn_by_ngl(shown.scene) == list(range(24))


def test_the_cameras_look_where_they_say():
    """An atom far to the right and one far up are so in the picture, and a mirror would swap them."""
    atoms = Atoms("LiSi", [[1.0, 2.0, 30.0], [20.0, 4.0, 3.0]], cell=(25, 25, 40))
    for camera, (right, up) in {"side": (2, 0), "top": (0, 1)}.items():
        axes = plots.atoms_view(atoms, camera).axes[0]
        offsets = axes.collections[0].get_offsets()
        depth = {"side": 1, "top": 2}[camera]
        expected = atoms.positions[np.argsort(atoms.positions[:, depth])][:, [right, up]]
        np.testing.assert_allclose(offsets, expected)
        assert (axes.get_xlabel(), axes.get_ylabel()) == (f"{'xyz'[right]} (Å)", f"{'xyz'[up]} (Å)")


def test_pictures_and_movies_are_written(smoke_run, tmp_path):
    shown = view(smoke_run, "displacement", every=6)
    picture = Image.open(shown.save_picture(tmp_path / "a.png", camera="top"))
    assert picture.format == "PNG"
    movie = Image.open(shown.save_movie(tmp_path / "a.gif"))
    assert (movie.format, movie.n_frames) == ("GIF", len(shown.look.frames))
    first = np.asarray(movie.convert("RGB"))
    movie.seek(movie.n_frames - 1)
    assert np.abs(np.asarray(movie.convert("RGB")).astype(int) - first).max() > 50


def test_pictures_and_movies_are_taken_from_where_the_last_button_looks(silicon, moved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = view([silicon, moved])
    side, top = (shown.save_picture(f"{camera}.png", camera=camera).read_bytes() for camera in ("side", "top"))
    assert shown.save_picture("a.png").read_bytes() == side != top
    moving = {camera: shown.save_movie(f"{camera}.gif", camera).read_bytes() for camera in ("side", "top")}
    button(shown, "top").click()
    for words in ("Save picture", "Save movie"):
        button(shown, words).click()
    assert Path("view-1.png").read_bytes() == top
    assert shown.save_movie("a.gif").read_bytes() == moving["top"] != moving["side"]
    button(shown, "Still picture").value = True
    assert bytes(shown.still.value) == plots.png(shown.picture(camera="top"))
    button(shown, "side").click()
    assert shown.save_picture("a.png").read_bytes() == side


def test_a_movie_as_mp4_shows_the_frames_of_the_pictures(silicon, moved, tmp_path):
    """Read back by ffmpeg: H.264, as browsers play it, and every frame is the still picture but for rounding."""
    shown = view([silicon, moved, silicon], "displacement")
    path = shown.save_movie(tmp_path / "a.mp4", frames_per_s=4.0)
    reader = imageio_ffmpeg.read_frames(path)
    found = next(reader)
    assert (found["codec"], found["pix_fmt"].partition("(")[0], found["fps"]) == ("h264", "yuv420p", 4.0)
    pictures = [np.frombuffer(frame, np.uint8).reshape(*found["size"][::-1], 3).astype(int) for frame in reader]
    assert len(pictures) == 3
    extent_A = shown.look.extent_A(range(3))
    for k, picture in enumerate(pictures):
        drawn = Image.open(io.BytesIO(plots.png(shown.look.picture(k, "side", extent_A), dpi=70))).convert("RGB")
        expected = np.asarray(drawn).astype(int)[: picture.shape[0], : picture.shape[1]]
        assert np.abs(picture - expected).mean() < 3
    assert np.abs(pictures[1] - pictures[0]).max() > 50


@pytest.mark.parametrize("missing", ["imageio_ffmpeg", "its ffmpeg"])
def test_without_ffmpeg_an_mp4_is_refused_with_a_way_out(silicon, tmp_path, monkeypatch, missing):
    if missing == "imageio_ffmpeg":
        monkeypatch.setitem(sys.modules, missing, None)
    else:
        monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", Mock(side_effect=RuntimeError))
    monkeypatch.chdir(tmp_path)
    shown = view([silicon, silicon])
    with pytest.raises(ValueError, match=r"a\.mp4 needs ffmpeg.*save a \.gif"):
        shown.save_movie("a.mp4")
    button(shown, "Save movie").click()
    assert "needs ffmpeg" in shown.answer.value
    assert list(tmp_path.iterdir()) == []


def test_other_kinds_of_files_are_refused(silicon, tmp_path):
    with pytest.raises(ValueError, match=r"'a\.avi' does not end in \.gif or \.mp4"):
        view([silicon, silicon]).save_movie(tmp_path / "a.avi")
    with pytest.raises(ValueError, match=r"does not end in \.png"):
        view(silicon).save_picture(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match="at least 2 frames"):
        view(silicon).save_movie(tmp_path / "a.gif")
    with pytest.raises(ValueError, match="camera='left' is not known"):
        view(silicon).save_picture(tmp_path / "a.png", camera="left")


def button(shown, words):
    rows = [row for row in shown.children if hasattr(row, "children")]
    return next(w for row in rows for w in row.children if getattr(w, "description", "") == words)


def test_ovito_is_touched_in_the_main_thread_alone(silicon, tmp_path, monkeypatch):
    """JupyterLab delivers clicks in another thread, in which OVITO would take the kernel down."""
    monkeypatch.chdir(tmp_path)
    touched = []

    def remember(original, name):
        def touch(*arguments):
            touched.append((name, threading.current_thread() is threading.main_thread()))
            return original(*arguments)

        return touch

    async def click_everything():
        shown = view([silicon, silicon], "phase", viewer="ovito")
        for owner, name in ((shown.scene, "_data"), (shown.scene, "_aim"), (shown.scene.widget, "refresh")):
            monkeypatch.setattr(owner, name, remember(getattr(owner, name), name))

        def clicks():
            shown.slider.value = 1
            shown.slice.value = (1.0, 4.0)
            button(shown, "Still picture").value = True
            for words in ("top", "Save picture", "Save movie"):
                button(shown, words).click()

        await asyncio.to_thread(clicks)
        await asyncio.sleep(0.1)
        return shown

    shown = asyncio.run(click_everything())
    assert {name for name, _ in touched} == {"_data", "_aim", "refresh"}
    assert all(main for _, main in touched)
    assert "view-1.mp4" in shown.answer.value


@pytest.mark.parametrize("viewer", ["nglview", "ovito"])
def test_a_still_picture_is_one_click_away_where_there_is_no_webgl(silicon, viewer):
    shown = view(silicon, viewer=viewer)
    assert shown.still.layout.display == "none"
    button(shown, "Still picture").value = True
    assert Image.open(io.BytesIO(shown.still.value)).size[0] > 200
    assert shown.still.layout.display is None
    button(shown, "Still picture").value = False
    assert shown.still.layout.display == "none"
    assert "no WebGL" in shown.children[1].value


def test_the_buttons_save_a_picture_and_a_movie_and_say_where(silicon, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = view([silicon, silicon])
    for words in ("Save picture", "Save picture", "Save movie"):
        button(shown, words).click()
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["view-1.mp4", "view-1.png", "view-2.png"]
    assert "view-1.mp4" in shown.answer.value


def test_a_view_leaves_one_picture_in_a_saved_notebook(tmp_path):
    source = "from ase.build import bulk\nfrom lisi_nb.widgets import view\nview(bulk('Si', cubic=True))"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()
    widget, still = notebook.cells[0].outputs
    assert reproduce.WIDGET_VIEW in widget.data
    assert list(still.data) == ["image/png"]
    assert painted_atoms(base64.b64decode(still.data["image/png"]))
    assert reproduce.without_widgets(notebook).cells[0].outputs == [still]


def painted_atoms(png):
    """Whether the colour of silicon is in a picture."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")) / 255
    return (np.abs(pixels - palette.rgb(palette.COLOURS["Si"])).max(axis=2) < 0.06).sum() > 100


def test_the_picture_that_a_view_leaves_is_small():
    many = bulk("Si", cubic=True).repeat((11, 11, 13))
    many.positions += np.random.default_rng(0).normal(0, 1.0, many.positions.shape)
    many.numbers[::2] = 3
    picture = Look(Series([many]), colouring(Series([many]))).picture(0)
    assert len(plots.png(picture)) > STILL_BYTES > len(small_png(picture)) > 10_000


def test_ovitos_centre_of_turning_is_never_sent_to_a_view_that_is_open():
    """Its script takes a change of it for an error; a view that is opened later gets it with everything else."""
    near = Atoms("Li2", [[0, 0, 0], [3, 0, 0]], cell=[9, 9, 9], pbc=True)
    far = Atoms("Li3", [[0, 0, 0], [3, 0, 0], [40, 40, 40]], cell=[50, 50, 50], pbc=True)
    scene = view([near, far]).scene
    before = scene.widget._orbit_center
    scene.widget.send_state = Mock()
    scene.show(1)
    assert scene.widget._orbit_center != before
    assert scene.widget.send_state.call_args_list == [call(key="_scene")]
    assert scene.widget.get_state()["_orbit_center"] == scene.widget._orbit_center
