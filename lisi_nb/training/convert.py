"""From the backend that trains to the one that runs MD: a frozen model as a TensorFlow graph for ``dp compress``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from lisi_nb.training.angles import unmute
from lisi_nb.training.dp import dp, reference_python


def to_tensorflow(model: Path, target: Path, threads: int = 2) -> Path:
    """Convert a frozen model (``.pth`` or ``.dp``) to a ``.pb`` beside it that predicts the same; a ``.dp`` is changed.

    Raises
    ------
    ValueError, RunFailed
        It is no plain energy model; DeePMD-kit cannot convert it.
    """
    folder, portable = model.parent, model.with_suffix(".dp")
    if model != portable:
        dp(reference_python(), "convert-backend", model.name, portable.name, folder=folder, threads=threads)
    _as_tensorflow_expects(portable)
    dp(Path(sys.executable), "convert-backend", portable.name, target.name, folder=folder, threads=threads)
    return target


def _as_tensorflow_expects(model: Path) -> None:
    """Move the atomic energies of a portable model where the TensorFlow backend of DeePMD-kit 3.2 expects them.

    PyTorch keeps them outside the network together with a scale it ignores for energies; TensorFlow applies the scale,
    but writes a scale of one and no energies outside, so that its own models stay as they are. Neighbours that are
    muted in angles (`lisi_nb.training.angles`) become zeros.
    """
    from deepmd.dpmodel.utils.serialization import load_dp_model, save_dp_model

    data = load_dp_model(str(model))
    kind = data["model"].get("fitting", {}).get("type", data["model"].get("type"))
    if kind != "ener":
        raise ValueError(
            f"{model.name} is a DeePMD model of type {kind!r}, which cannot be converted. Allowed: plain energy models "
            "('ener'). Give a frozen TensorFlow model (.pb) instead."
        )
    outside = data["model"]["@variables"]
    data["model"]["fitting"]["@variables"]["bias_atom_e"] += outside["out_bias"][0]
    outside["out_bias"][:], outside["out_std"][:] = 0.0, 1.0
    unmute(data["model"])
    save_dp_model(str(model), data)


def carry_training_input(model: Path, data: dict[str, Any]) -> None:
    """Write the training input into a converted model: ``dp compress`` reads it there, ``convert-backend`` drops it.

    The optimizer goes under another name, because TensorFlow's ``dp compress`` refuses those it could not train with.
    """
    import tensorflow as tf
    from deepmd.utils.argcheck import normalize

    graph = tf.compat.v1.GraphDef.FromString(model.read_bytes())
    node = next(node for node in graph.node if node.name == "train_attr/training_script")
    carried = {("_optimizer" if key == "optimizer" else key): value for key, value in data.items()}
    node.attr["value"].tensor.string_val[0] = json.dumps(normalize(carried)).encode()
    model.write_bytes(graph.SerializeToString())
