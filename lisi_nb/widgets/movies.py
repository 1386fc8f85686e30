"""Pictures one after the other, as a file that plays."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from lisi_nb import plots

MOVIES = (".gif", ".mp4")


def write_movie(figures: Iterable[plots.Picture], path: Path, frames_per_s: float = 8.0) -> Path:
    """Write figures of one size as an animated GIF that repeats for ever, or as MP4 (H.264), by the ending of `path`.

    Raises
    ------
    ValueError
        MP4 is asked for where no ffmpeg is; nothing has been drawn then.
    """
    images = (Image.open(io.BytesIO(plots.png(figure, dpi=70))) for figure in figures)
    if path.suffix.lower() == ".mp4":
        return _write_mp4(images, path, frames_per_s)
    first, *others = images
    first.save(path, save_all=True, append_images=others, duration=round(1000 / frames_per_s), loop=0)
    return path


def _write_mp4(images: Iterable[Image.Image], path: Path, frames_per_s: float) -> Path:
    try:
        import imageio_ffmpeg

        imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        raise ValueError(
            f"{path.name} needs ffmpeg, and there is none. Type `pip install imageio-ffmpeg`, or save a .gif."
        ) from None
    drawn = list(images)
    width, height = (length // 2 * 2 for length in drawn[0].size)  # H.264 keeps one colour for 2 x 2 pixels
    writer = imageio_ffmpeg.write_frames(path, (width, height), fps=frames_per_s, macro_block_size=2)
    writer.send(None)
    for image in drawn:
        writer.send(image.convert("RGB").crop((0, 0, width, height)).tobytes())
    writer.close()
    return path
