#!/usr/bin/env python3
"""Compares our image decoders with Pillow over every PNG, JPEG and WebP of Pillow's own test images.

Every file that Pillow opens must be opened, and its pixels must agree up to TOLERANCE, or the file stands in DIFFERENCES
with the reason; every file of another format must be refused with 415. Pillow's source package holds the images:

    pip download --no-binary :all: --no-deps pillow==13.0.0
    compare_images.py --images pillow-13.0.0.tar.gz --pixels build/release/bin/image_pixels
"""
import argparse
import collections
import hashlib
import io
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import warnings

import numpy
from PIL import Image, ImageOps

SHA256 = {"pillow-13.0.0.tar.gz": "cdcd1ba258178f7356d74170c9a81ba4eab6a5d55748bc402a5a2a6fe6be3510"}
MAX_DECODED_PIXELS = 16_000_000
# Levels of 255. PNG and lossless WebP: what rounding over white and the scaling of 16 bits may differ by. JPEG: the two
# builds of libjpeg-turbo round the inverse DCT and the colour conversion alike, and inks are multiplied in another order.
TOLERANCE = {"PNG": 1, "JPEG": 2, "MPO": 2, "WEBP": 1}
# name: the reason why we differ from Pillow.
DIFFERENCES = {
    "exif_imagemagick_orientation.png": "the orientation stands in a text chunk, which browsers ignore",
    "xmp_tags_orientation.png": "the orientation stands in XMP, which browsers ignore",
    "xmp_tags_orientation_exiftool.png": "the orientation stands in XMP, which browsers ignore",
}


def open_with_pillow(path):
    """(format, RGB array) or (format, None) where Pillow fails; format is None where it knows none."""
    try:
        image = Image.open(path)
    except Exception:
        return None, None
    name = image.format
    try:
        image.load()
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I;16") or image.mode == "I":
            grey = numpy.asarray(image).astype(numpy.int64)
            grey[grey == image.info.get("transparency")] = 65535  # over white
            grey = (grey * 255 + 32767) // 65535
            return name, numpy.repeat(grey[:, :, None], 3, axis=2).astype(numpy.int16)
        if image.mode in ("P", "PA", "LA", "La", "RGBa") or "transparency" in image.info:
            image = image.convert("RGBA")
        if image.mode == "RGBA":
            white = Image.new("RGBA", image.size, (255, 255, 255, 255))
            image = Image.alpha_composite(white, image)
        return name, numpy.asarray(image.convert("RGB")).astype(numpy.int16)
    except Exception:
        return name, None


def unpack(archive, folder):
    data = pathlib.Path(archive).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if SHA256.get(pathlib.Path(archive).name) != digest:
        sys.exit(f"{archive}: its sha256 is {digest}, not the pinned one")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = [m for m in tar.getmembers() if m.isfile() and "/Tests/images/" in m.name]
        tar.extractall(folder, members, filter="data")
    return sorted(p for p in pathlib.Path(folder).rglob("*") if p.is_file())


def decode_with_ours(program, paths, folder):
    asked = "".join(f"{path}\n" for path in paths)
    ran = subprocess.run([program, folder], input=asked, text=True, stdout=subprocess.PIPE, check=True)
    return ran.stdout.splitlines()


def compare(path, said, rgb_path):
    """same, other (format, rightly refused), given up (by Pillow: we may open it or not), or what differs."""
    name, expected = open_with_pillow(path)
    word, rest = said.split(" ", 1)
    if name is None:
        return "given up"
    if name not in TOLERANCE:
        return "other" if said.startswith("refused 415") else f"is {name}: {said}"
    if expected is None:
        return "given up"
    if word != "ok":
        return f"{name} refused: {rest}"
    width, height = map(int, rest.split())
    if expected.shape[0] * expected.shape[1] > MAX_DECODED_PIXELS:
        return "same"  # decoded at a reduced scale
    if expected.shape[:2] != (height, width):
        return f"{name} is {width}x{height}, and Pillow's {expected.shape[1]}x{expected.shape[0]}"
    ours = numpy.fromfile(rgb_path, numpy.uint8).reshape(height, width, 3)
    worst = int(numpy.abs(ours - expected).max())
    return "same" if worst <= TOLERANCE[name] else f"{name} pixels differ by up to {worst}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True, help="Pillow's source package")
    parser.add_argument("--pixels", required=True, help="the program image_pixels")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    counts = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        paths = unpack(args.images, folder)
        out = pathlib.Path(folder) / "rgb"
        out.mkdir()
        for i, (path, said) in enumerate(zip(paths, decode_with_ours(args.pixels, paths, out), strict=True)):
            verdict = compare(path, said, out / f"{i}.rgb")
            name = str(path).split("/Tests/images/")[1]
            if verdict in ("same", "other", "given up"):
                counts[verdict] += 1
                if name in DIFFERENCES:
                    counts["failures"] += 1
                    print(f"LISTED {name}: as a difference, but there is none")
            elif name in DIFFERENCES:
                print(f"known  {name}: {verdict}; {DIFFERENCES[name]}")
            else:
                counts["failures"] += 1
                print(f"DIFFER {name}: {verdict}")
    print(f"{counts['same']} PNG, JPEG and WebP files agree, {counts['other']} of other formats are refused with 415, "
          f"{counts['given up']} Pillow itself gives up, {counts['failures']} failures")
    return 1 if counts["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
