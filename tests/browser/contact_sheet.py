"""The screenshots of the recording on one sheet for the README: `make recording`."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

PROJECT = Path(__file__).parents[2]
SHOTS = PROJECT / "tests" / "artifacts"
SHEET = PROJECT / "docs" / "recording.png"
NOTEBOOK = (286, 28, 1248, 700)  # without JupyterLab's side bars
COLUMNS, WIDTH, CAPTION = 2, 600, 26


def write_sheet(folder: Path, path: Path) -> Path:
    """The recording's screenshots in `folder`, with their names as captions, in rows of `COLUMNS`."""
    shots = sorted(folder.glob("recording-*.png"))
    height = WIDTH * (NOTEBOOK[3] - NOTEBOOK[1]) // (NOTEBOOK[2] - NOTEBOOK[0])
    size = (COLUMNS * (WIDTH + 8) - 8, -(-len(shots) // COLUMNS) * (height + CAPTION))
    whole = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(whole)
    for k, shot in enumerate(shots):
        left, top = k % COLUMNS * (WIDTH + 8), k // COLUMNS * (height + CAPTION)
        caption = shot.stem.partition("-")[2].replace("-", " ")
        draw.text((left + 2, top + 4), caption, fill="black", font=ImageFont.load_default(15))
        picture = Image.open(shot).convert("RGB").crop(NOTEBOOK)
        whole.paste(picture.resize((WIDTH, height), Image.Resampling.LANCZOS), (left, top + CAPTION))
    path.parent.mkdir(exist_ok=True)
    whole.quantize(48).save(path, optimize=True)
    return path


if __name__ == "__main__":
    print(f"{write_sheet(SHOTS, SHEET)}: {SHEET.stat().st_size / 1000:.0f} kB")
