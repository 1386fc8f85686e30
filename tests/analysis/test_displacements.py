"""Displacements: drift against numpy, wrapped input refused, streams and arrays alike."""

import numpy as np
import pytest

from lisi_nb.analysis.displacements import displacements, drift_weights

SYMBOLS = ["Li", "Si", "Li", "Li", "Si"]
MASS = np.array([6.94, 28.085, 6.94, 6.94, 28.085])
CELL = np.array([9.0, 10.0, 11.0])


@pytest.fixture
def walk():
    """30 frames of 5 atoms that leave the cell and drift together."""
    rng = np.random.default_rng(0)
    steps = rng.normal(0, 0.8, (30, 5, 3)) + np.array([0.5, 0.0, -0.2])
    return rng.random((5, 3)) * CELL + np.cumsum(steps, axis=0)


def of(walk, **changes):
    return displacements(walk, 1.0, **{"cell_A": CELL, "symbols": SYMBOLS, "drift": "none"} | changes)


@pytest.mark.parametrize(
    ("drift", "weights"),
    [
        ("none", np.zeros(5)),
        ("all", MASS / MASS.sum()),
        ("Si", [0, 0.5, 0, 0, 0.5]),
        ("Li", [1 / 3, 0, 1 / 3, 1 / 3, 0]),
    ],
)
def test_drift_against_numpy(walk, drift, weights):
    moved = of(walk, drift=drift)
    total = walk - walk[0]
    expected = total - np.einsum("a,fax->fx", np.asarray(weights, dtype=float), total)[:, None]
    np.testing.assert_allclose(moved.values_A, expected[:, [0, 2, 3]], atol=1e-5)
    assert (moved.n_frames, moved.n_atoms, moved.duration_ps, moved.drift) == (30, 3, 29.0, drift)
    np.testing.assert_allclose(moved.collective_A[:, 0], expected[:, [0, 2, 3]].sum(axis=1) / 3**0.5, atol=1e-5)


def test_a_stream_gives_what_an_array_gives(walk):
    np.testing.assert_array_equal(of(iter(walk), n_frames=30).values_A, of(walk).values_A)


def test_buffers_that_are_used_again(walk):
    """A reader may overwrite the frame it gave before."""

    def stream():
        buffer = np.empty((5, 3))
        for frame in walk:
            buffer[:] = frame
            yield buffer

    np.testing.assert_array_equal(of(stream(), n_frames=30).values_A, of(walk).values_A)


def test_silicon_alone_has_no_motion_against_itself():
    rigid = np.arange(10.0)[:, None, None] * np.array([0.3, -0.1, 0.2]) + np.random.default_rng(1).random((5, 3))
    assert np.abs(of(rigid, drift="Si").values_A).max() < 1e-6
    assert of(rigid, drift="none").values_A[-1, 0, 0] == pytest.approx(2.7)


@pytest.mark.parametrize("cell", [CELL, np.array([[9.0, 0, 0], [3.0, 10.0, 0], [1.0, 2.0, 11.0]])])
def test_wrapped_positions_are_refused(walk, cell):
    vectors = np.diag(cell) if cell.ndim == 1 else cell
    wrapped = (walk @ np.linalg.inv(vectors)) % 1.0 @ vectors
    assert of(walk, cell_A=cell).n_frames == 30
    with pytest.raises(ValueError, match=r"Atom \d moves by 0\.\d+ of a cell length .*wrapped.*xu yu zu"):
        of(wrapped, cell_A=cell)
    assert of(wrapped, cell_A=None).n_frames == 30  # a particle has no cell to be wrapped into


def test_bad_input(walk):
    with pytest.raises(ValueError, match="element='Na' is not known"):
        of(walk, element="Na")
    with pytest.raises(ValueError, match=r"drift='O' is not known\. Allowed: none, all, Li, Si"):
        of(walk, drift="O")
    with pytest.raises(ValueError, match=r"Frame 0 has shape \(4, 3\); 5 atoms need \(5, 3\)"):
        of(walk[:, :4])
    with pytest.raises(ValueError, match="1 frames came, n_frames=1"):
        of(walk[:1])
    with pytest.raises(ValueError, match="30 frames came, n_frames=40"):
        of(iter(walk), n_frames=40)
    with pytest.raises(ValueError, match="More than n_frames=20"):
        of(iter(walk), n_frames=20)
    with pytest.raises(ValueError, match="frame_ps=0 ps is outside"):
        displacements(walk, 0, cell_A=None, symbols=SYMBOLS)
    walk[7, 2, 1] = np.nan
    with pytest.raises(ValueError, match="Frame 7 has positions that are not finite"):
        of(walk)


def test_weights_add_up():
    assert drift_weights(SYMBOLS, "all").sum() == pytest.approx(1)
    assert drift_weights(SYMBOLS, "none") is None
