"""Pictures: every way in gives the same pixels, nothing changes without a note, what is wrong is said by name."""

import gzip
import os
import struct
import subprocess
import sys
import time
import zlib
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from fashion_mnist import fashion_mnist
from PIL import Image

import whichloss
from whichloss.data import Pictures, Scale, is_pictures, picture_arrays, picture_read, pixels, read_pictures
from whichloss.errors import DataUnfit, UserError

N = 24
GREY = np.random.default_rng(0).integers(0, 256, (N, 10, 12), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (N, 10, 12, 3), dtype=np.uint8)
CLEAR = np.random.default_rng(2).integers(0, 256, (N, 10, 12, 4), dtype=np.uint8)


def folder(path: Path, pictures, suffix: str = ".png", **options) -> Path:
    """Pictures written as path/00.png, 01.png, ..."""
    path.mkdir(parents=True, exist_ok=True)
    for i, picture in enumerate(pictures):
        image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
        image.save(path / f"{i:02d}{suffix}", **options)
    return path


def idx(path: Path, array: np.ndarray, kind: int = 8) -> Path:
    """An IDX file, packed where its name says so."""
    data = struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def png(width: int, height: int, depth: int, colour: int, raw: bytes, palette: bytes = b"") -> bytes:
    """A PNG file by hand, for what Pillow does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    colours = chunk(b"PLTE", palette) if palette else b""
    return b"\x89PNG\r\n\x1a\n" + head + colours + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def white(rgba: np.ndarray) -> np.ndarray:
    """(..., C + 1) on white in float64: the definition."""
    a = rgba[..., -1:] / 255.0
    return np.rint(rgba[..., :-1] * a + 255 * (1 - a)).astype(np.uint8)


def said(error: type[Exception], source, **options) -> str:
    with pytest.raises(error) as caught:
        read_pictures(source, **options)
    return str(caught.value)


# --- the scale


@pytest.mark.parametrize("width", [np.float32, np.float64])
def test_every_level_comes_back_with_any_jitter(width):
    scale = Scale((1, 16, 16))
    levels = np.arange(256, dtype=np.uint8)[None]
    x = scale.encode(levels)
    assert x.dtype == np.float32 and scale.dim == 256
    np.testing.assert_array_equal(x, (levels / 127.5 - 1).astype(np.float32))
    jitter = scale.jitter
    assert jitter.dtype == np.float32 and jitter.shape == (256,)
    for u in np.linspace(-0.5, 0.5, 101):
        np.testing.assert_array_equal(scale.decode((x + width(u) * jitter).astype(width)), levels)
    assert (jitter > 0.9 / 127.5).all()  # nearly a level wide, so that the noise fills the gaps


def test_numbers_beyond_the_ends_become_the_ends_and_others_are_refused():
    scale = Scale((1, 1, 3))
    np.testing.assert_array_equal(scale.decode(np.array([[-1e30, 0.001, 1e30]], np.float32)), [[0, 128, 255]])
    with pytest.raises(UserError, match="picture 2, dimension 3 is nan"):
        scale.decode(np.array([[0, 0, 0], [0, 0, np.nan]]))
    with pytest.raises(UserError, match="uint8"):
        scale.encode(np.zeros((1, 3)))
    with pytest.raises(UserError, match=r"\(pictures, 3\)"):
        scale.decode(np.zeros((1, 4)))


# --- one set of pixels, many ways in


def test_every_way_in_gives_the_same_pictures(tmp_path):
    first = np.moveaxis(COLOUR, -1, 1)
    np.save(tmp_path / "last.npy", COLOUR)
    np.save(tmp_path / "fortran.npy", np.asfortranarray(COLOUR))
    sources = [
        folder(tmp_path / "png", COLOUR), COLOUR, first, torch.from_numpy(COLOUR), COLOUR / 255,
        (first / 255).astype(np.float32), torch.from_numpy(first / 255).requires_grad_(),
        (COLOUR / 255).astype(np.float16), tmp_path / "last.npy", str(tmp_path / "fortran.npy"),
        idx(tmp_path / "a-idx4-ubyte", COLOUR), idx(tmp_path / "b-idx4-ubyte.gz", first),
    ]  # fmt: skip
    for source in sources:
        assert is_pictures(source)
        pictures = read_pictures(source)
        assert pictures.shape == (3, 10, 12) and len(pictures) == N
        assert pictures.labels is None and pictures.groups is None and pictures.times is None
        np.testing.assert_array_equal(pictures.values, first.reshape(N, -1))
        np.testing.assert_array_equal(pictures.to_numpy(), first)
        assert pictures.values.dtype == np.uint8 and not pictures.values.flags.writeable
        assert pictures.fingerprint == read_pictures(COLOUR).fingerprint


def test_grey_pictures_have_one_channel(tmp_path):
    bits = (GREY > 127).astype(np.uint8) * 255
    for pictures, source in [
        (GREY, folder(tmp_path / "grey", GREY)),
        (GREY, GREY),
        (GREY, GREY[..., None]),
        (GREY, GREY[:, None]),
        (GREY, idx(tmp_path / "a-idx3-ubyte.gz", GREY)),
        (bits, folder(tmp_path / "bits", [Image.fromarray(p).convert("1") for p in bits])),
        (bits, bits / np.float32(255)),
    ]:
        assert is_pictures(source)
        found = read_pictures(source)
        assert found.shape == (1, 10, 12)
        np.testing.assert_array_equal(found.values, pictures.reshape(N, -1))


def test_jpeg_files_are_what_pillow_decodes(tmp_path):
    path = folder(tmp_path, COLOUR, ".JPG", quality=90)
    decoded = [np.asarray(Image.open(file)).transpose(2, 0, 1) for file in sorted(path.iterdir())]
    np.testing.assert_array_equal(read_pictures(path).to_numpy(), decoded)


def test_files_come_in_the_order_of_their_names_and_hidden_ones_do_not_count(tmp_path):
    names = [f"{i}.png" for i in np.random.default_rng(3).permutation(N)]
    for name, picture in zip(names, GREY, strict=True):
        Image.fromarray(picture).save(tmp_path / name)
    (tmp_path / ".DS_Store").write_text("x")
    (tmp_path / ".thumbs").mkdir()
    order = np.argsort(names)
    np.testing.assert_array_equal(read_pictures(tmp_path).values, GREY[order].reshape(N, -1))


def test_sub_folders_are_classes(tmp_path):
    folder(tmp_path / "dog", GREY[:10])
    folder(tmp_path / "cat", GREY[10:])
    pictures = read_pictures(tmp_path)
    assert pictures.classes == ("cat", "dog") and pictures.labels.dtype == np.int64
    np.testing.assert_array_equal(pictures.labels, [0] * 14 + [1] * 10)
    np.testing.assert_array_equal(pictures.to_numpy()[:, 0], np.concatenate([GREY[10:], GREY[:10]]))
    assert "cat (14), dog (10)" in pictures.notes[-1]
    own = read_pictures(tmp_path, labels=range(N))
    assert len(own.classes) == N and own.notes == ()


@pytest.mark.parametrize("packed", ["", ".gz"])
def test_labels_lie_beside_an_idx_file(tmp_path, packed):
    images = idx(tmp_path / "train-images-idx3-ubyte.gz", GREY)
    assert read_pictures(images).labels is None
    labels = np.arange(N, dtype=np.uint8) % 3 + 7
    beside = idx(tmp_path / f"train-labels-idx1-ubyte{packed}", labels)
    pictures = read_pictures(images)
    assert pictures.classes == ("7", "8", "9") and beside.name in pictures.notes[-1]
    np.testing.assert_array_equal(pictures.labels, labels - 7)
    assert f"'{images}'" in said(UserError, beside)
    idx(tmp_path / f"train-labels-idx1-ubyte{packed}", labels[:-1])
    assert "23 entries, and there are 24 pictures" in said(UserError, images)


def test_large_files_are_read_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(pixels, "BLOCK", 1000)
    monkeypatch.setattr(picture_arrays, "BLOCK", 1000)
    np.save(tmp_path / "a.npy", CLEAR)
    whole = np.moveaxis(white(CLEAR), -1, 1).reshape(N, -1)
    for source in (tmp_path / "a.npy", CLEAR / 255, idx(tmp_path / "a-idx4-ubyte.gz", CLEAR)):
        pictures = read_pictures(source)
        np.testing.assert_array_equal(pictures.values, whole)
        assert pictures.fingerprint == read_pictures(white(CLEAR)).fingerprint


def test_no_file_is_left_behind_and_the_source_may_change(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "empty"))
    (tmp_path / "empty").mkdir()
    np.save(tmp_path / "a.npy", GREY)
    array = GREY.copy()
    pictures = [read_pictures(tmp_path / "a.npy"), read_pictures(array)]
    array[:] = 0
    (tmp_path / "a.npy").write_bytes(b"")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npy", "empty"]
    assert not list((tmp_path / "empty").iterdir())
    for found in pictures:
        np.testing.assert_array_equal(found.values, GREY.reshape(N, -1))


def test_no_room_on_disk_is_said(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")

    class Full:
        def __call__(self, dir):
            return open("/dev/full", "w+b", buffering=0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.TemporaryFile", Full())
        assert "set TMPDIR" in said(UserError, GREY)


PEAK = """
import resource, sys
from whichloss.data import read_pictures
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
pictures = read_pictures(sys.argv[1])
pictures.fingerprint
pictures.save(sys.argv[1] + ".saved")
print(type(pictures).load(sys.argv[1] + ".saved").fingerprint == pictures.fingerprint, (peak() - before) / 1024)
"""


def test_pictures_never_stand_in_memory(tmp_path):
    values = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.uint8, (12_000, 64, 64, 3))  # 147 MB
    values[:, 0, 0, :2] = np.stack([np.arange(12_000) >> 8, np.arange(12_000) & 255], axis=1)  # all differ
    values.flush()
    env = os.environ | {"PYTHONPATH": str(Path(whichloss.__file__).parents[1])}
    run = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path / "a.npy")], env=env, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    same, grown = run.stdout.split()
    assert same == "True" and float(grown) < 100
    for path in tmp_path.iterdir():
        path.unlink()


# --- what is changed, and said


def test_what_is_transparent_is_laid_on_white(tmp_path):
    clear = CLEAR.copy()
    clear[:4, ..., 3] = 255
    assert {0, 255} <= set(clear[..., 3].ravel())
    for source in (folder(tmp_path / "rgba", clear), clear, np.moveaxis(clear, -1, 1)):
        pictures = read_pictures(source)
        np.testing.assert_array_equal(pictures.to_numpy(), np.moveaxis(white(clear), -1, 1))
        (note,) = pictures.notes
        assert note.startswith("20 of 24 pictures were transparent in places")
    grey = read_pictures(folder(tmp_path / "la", [Image.fromarray(p[..., 2:].copy(), "LA") for p in clear]))
    np.testing.assert_array_equal(grey.to_numpy(), np.moveaxis(white(clear[..., 2:]), -1, 1))
    clear[..., 3] = 255
    assert not read_pictures(clear).notes


def test_every_level_and_alpha_is_laid_on_white_to_the_nearest_level():
    v, a = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    exact = 255 - (255 - v.astype(float)) * a / 255
    assert np.abs(pixels.on_white(np.stack([v, a])) - exact).max() <= 0.5


def test_a_palette_is_read_exactly(tmp_path):
    palette = np.random.default_rng(4).integers(0, 256, (256, 3), dtype=np.uint8)
    images = [Image.fromarray(p, "L") for p in GREY]
    for image in images:
        image.putpalette(palette.tobytes())
    pictures = read_pictures(folder(tmp_path / "opaque", images))
    np.testing.assert_array_equal(pictures.to_numpy(), np.moveaxis(palette[GREY], -1, 1))
    assert pictures.notes == ("24 of 24 pictures used a palette: read as RGB, exactly.",)
    alpha = np.arange(256, dtype=np.uint8)
    pictures = read_pictures(folder(tmp_path / "clear", images, transparency=alpha.tobytes()))
    rgba = np.concatenate([palette[GREY], alpha[GREY][..., None]], axis=-1)
    np.testing.assert_array_equal(pictures.to_numpy(), np.moveaxis(white(rgba), -1, 1))
    assert len(pictures.notes) == 2


def test_a_number_beyond_the_palette_is_damage(tmp_path):
    folder(tmp_path, COLOUR)
    raw = b"".join(b"\0" + bytes([0, 1] * 5 + [1, 5]) for _ in range(10))
    (tmp_path / "odd.png").write_bytes(png(12, 10, 8, 3, raw, palette=b"abcdef"))
    assert "'odd.png' (colour 5 of a palette of 2)" in said(UserError, tmp_path)


def test_jpeg_files_are_turned_upright(tmp_path):
    folder(tmp_path, GREY, quality=95, suffix=".jpg")
    upright = read_pictures(tmp_path).to_numpy()[0, 0]
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    turned = Image.open(tmp_path / "00.jpg")
    turned.load()
    turned.rotate(180).save(tmp_path / "00.jpg", quality=95, exif=exif)
    pictures = read_pictures(tmp_path)
    assert np.abs(pictures.to_numpy()[0, 0].astype(int) - upright).mean() < 20 < np.abs(np.diff(upright)).mean()
    assert pictures.notes == ("1 of 24 pictures were turned upright, as their EXIF orientation says.",)


def test_numbers_between_levels_are_rounded_with_a_note():
    soft = (GREY.astype(float) + 0.25 * (GREY < 255)) / 255
    pictures = read_pictures(soft)
    np.testing.assert_array_equal(pictures.values, GREY.reshape(N, -1))
    assert "rounded by up to 0.25 of a level" in pictures.notes[0]
    assert "rounded" not in read_pictures(GREY / 255).notes[0]


# --- sizes


def test_whole_blocks_become_their_means_and_other_sizes_what_pillow_makes(tmp_path):
    big = np.random.default_rng(5).integers(0, 256, (N, 48, 32, 3), dtype=np.uint8)
    means = big.reshape(N, 16, 3, 16, 2, 3).mean(axis=(2, 4))
    path = folder(tmp_path / "png", big)
    for source in (path, big, np.moveaxis(big, -1, 1), idx(tmp_path / "a-idx4-ubyte", big)):
        pictures = read_pictures(source, size=16)
        assert pictures.shape == (3, 16, 16)
        assert np.abs(pictures.to_numpy() - np.moveaxis(means, -1, 1)).max() <= 0.5 + 1e-9
        assert "48 x 32 became 16 x 16 (Pillow, antialiased: means of whole blocks" in pictures.notes[-1]
        assert "stretched" in pictures.notes[-1]
        other = read_pictures(source, size=(21, 14))
        pillow = [np.asarray(Image.fromarray(p).resize((14, 21), Image.Resampling.LANCZOS)) for p in big]
        np.testing.assert_array_equal(other.to_numpy(), np.moveaxis(pillow, -1, 1))
        assert "48 x 32 became 21 x 14 (Pillow, antialiased: Lanczos)." in other.notes[-1]
        assert "stretched" not in other.notes[-1]
    assert read_pictures(big, size=(48, 32)).notes == ()


def test_pictures_of_several_sizes_are_resized_on_request_only(tmp_path):
    folder(tmp_path, GREY)
    Image.fromarray(GREY[0].repeat(2, axis=0)).save(tmp_path / "tall.png")
    Image.fromarray(GREY[0].repeat(2, axis=1)).save(tmp_path / "wide.png")
    Image.fromarray(GREY[1].repeat(2, axis=1)).save(tmp_path / "wide2.png")
    text = said(DataUnfit, tmp_path)
    assert "3 sizes (height x width): 10 x 12 (24: '00.png', '01.png', '02.png', ...); 10 x 24 (2: 'wide.png'" in text
    assert "20 x 12 (1: 'tall.png')" in text and "--size 10x12 (in Python: size=(10, 12))" in text
    pictures = read_pictures(tmp_path, size=(10, 12))
    np.testing.assert_array_equal(pictures.to_numpy()[24:, 0], GREY[[0, 0, 1]])
    assert "10 x 24 to 20 x 12 (2 sizes) became 10 x 12" in pictures.notes[0]


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ((100, 100), "--size 64 (in Python: size=64)"),
        ((96, 128), "--size 48x64 (in Python: size=(48, 64))"),
        ((65, 30), "--size 64x29"),
        ((7, 30), "supported are 8 to 64 a side. Enlarge"),
    ],
)
def test_sizes_out_of_reach_name_the_option(tmp_path, shape, says):
    array = np.zeros((N, *shape), np.uint8)
    array[0] = 1
    assert says in said(DataUnfit, array)
    assert says in said(DataUnfit, folder(tmp_path, array))


def test_the_size_that_a_message_suggests_works(tmp_path):
    array = np.random.default_rng(6).integers(0, 256, (N, 65, 30), dtype=np.uint8)
    assert read_pictures(array, size=(64, 29)).shape == (1, 64, 29)


def test_pictures_are_never_enlarged(tmp_path):
    text = said(DataUnfit, folder(tmp_path, GREY), size=11)
    assert "smaller than --size 11 x 11" in text and "10 x 12 (24: '00.png'" in text
    assert "never enlarged" in said(DataUnfit, GREY, size=(10, 13))


@pytest.mark.parametrize("size", [7, 65, 16.0, "16", (16,), (16, 16, 3), True, (16, 70), -8])
def test_odd_sizes_are_refused(size):
    assert f"--size {size}: give one whole number from 8 to 64" in said(UserError, GREY, size=size)


# --- bad folders


def test_damaged_files_are_all_counted_and_ten_are_named(tmp_path):
    folder(tmp_path, GREY)
    whole = (tmp_path / "00.png").read_bytes()
    damage = {
        "cut": whole[:-20],  # decoding alone would take this one
        "end": whole[:-12],
        "flipped": whole[:90] + bytes([whole[90] ^ 1]) + whole[91:],
        "half": whole[: len(whole) // 2],
        "head": whole[:20],
        "nothing": b"",
        "text": b"hello",
    }
    for name, data in damage.items():
        (tmp_path / f"x-{name}.png").write_bytes(data)
    jpeg = folder(tmp_path / "j", GREY[:1], ".jpg") / "00.jpg"
    for i in range(6):
        (tmp_path / f"y{i}.jpg").write_bytes(jpeg.read_bytes()[: -40 - i])
    jpeg.unlink()
    jpeg.parent.rmdir()
    text = said(UserError, tmp_path)
    assert "13 of 37 pictures cannot be used. 13 damaged: 'x-cut.png' (" in text
    assert "'x-nothing.png' (0 bytes)" in text and "'x-text.png' (no PNG or JPEG inside)" in text
    assert "'y2.jpg'" in text and "y3.jpg" not in text and "Replace the damaged files" in text


def test_animated_16_bit_and_cmyk_pictures_are_named(tmp_path):
    folder(tmp_path, COLOUR)
    frames = [Image.fromarray(p) for p in COLOUR[:2]]
    frames[0].save(tmp_path / "moves.png", save_all=True, append_images=frames[1:])
    Image.fromarray(GREY[0].astype(np.uint16) * 257).save(tmp_path / "grey16.png")
    (tmp_path / "rgb16.png").write_bytes(png(12, 10, 16, 2, bytes(10 * (1 + 12 * 6))))
    frames[0].convert("CMYK").save(tmp_path / "ink.jpg")
    text = said(DataUnfit, tmp_path)
    assert "4 of 28 pictures cannot be used" in text
    assert "1 animated or of several frames: 'moves.png'" in text and "1 CMYK: 'ink.jpg'" in text
    assert "2 of 16 bits a channel: 'grey16.png', 'rgb16.png'" in text
    assert "Save one frame" in text and "8 bits a channel" in text and "to RGB" in text


def test_grey_and_colour_do_not_mix(tmp_path):
    folder(tmp_path, GREY)
    Image.fromarray(COLOUR[0]).save(tmp_path / "red.png")
    Image.fromarray(COLOUR[0]).save(tmp_path / "red.jpg")
    text = said(DataUnfit, tmp_path)
    assert "2 colour ('red.jpg', 'red.png') and 24 grey ('00.png', '01.png', '02.png', ...)" in text


def test_other_files_are_named(tmp_path):
    folder(tmp_path, GREY)
    (tmp_path / "notes.txt").write_text("x")
    assert "1 file that is no PNG or JPEG file ('notes.txt'), beside 24 that are. Move it out" in said(
        UserError, tmp_path
    )
    Image.fromarray(GREY[0]).save(tmp_path / "a.gif")
    assert "2 files that are no PNG or JPEG files ('a.gif', 'notes.txt')" in (text := said(UserError, tmp_path))
    assert "Convert the pictures among them to PNG" in text
    os.symlink(tmp_path / "gone.png", tmp_path / "link.png")
    assert "'link.png'" in said(UserError, tmp_path)


def test_a_folder_of_idx_files_names_one(tmp_path):
    images = idx(tmp_path / "train-images-idx3-ubyte.gz", GREY)
    idx(tmp_path / "train-labels-idx1-ubyte.gz", np.zeros(N, np.uint8))
    assert is_pictures(tmp_path)
    assert f"An IDX file is given by its own name: '{images}'" in said(UserError, tmp_path)


def test_folders_that_are_neither_flat_nor_classes(tmp_path):
    assert "empty folder" in said(DataUnfit, tmp_path)
    folder(tmp_path / "cat", GREY)
    assert f"give '{tmp_path / 'cat'}'" in said(UserError, tmp_path)
    (tmp_path / "dog").mkdir()
    assert "the sub-folder 'dog' is empty" in said(UserError, tmp_path)
    folder(tmp_path / "dog", GREY[:2])
    folder(tmp_path, GREY[:1])
    assert "pictures of its own (1: '00.png') and in sub-folders (26: 'cat/00.png'" in said(UserError, tmp_path)
    (tmp_path / "00.png").unlink()
    folder(tmp_path / "dog" / "small", GREY[:1])
    text = said(UserError, tmp_path)
    assert "dog/small' lies two folders down" in text and f"such as '{tmp_path / 'dog'}'" in text


@pytest.mark.parametrize("n", [1, 19])
def test_too_few_pictures(tmp_path, n):
    says = f"has {n} picture{'s' * (n > 1)}; at least 20 are needed"
    assert says in said(DataUnfit, folder(tmp_path / "png", GREY[:n]))
    assert says in said(DataUnfit, GREY[:n])
    assert says in said(DataUnfit, idx(tmp_path / "a-idx3-ubyte", GREY[:n]))
    assert "has no pictures" in said(DataUnfit, GREY[:0])


def test_equal_pictures_teach_nothing(tmp_path):
    same = GREY[:1].repeat(N, axis=0)
    for source in (same, folder(tmp_path, same), same / 255):
        assert "all 24 pictures are equal" in said(DataUnfit, source)
    same[6:, -1, -1] += np.arange(1, N - 5, dtype=np.uint8)
    assert "but only 19 different ones" in said(DataUnfit, same)
    same[0, 0, 0] ^= 1
    assert len(read_pictures(same)) == N


# --- bad files and arrays

RANGE = "pictures are floats from 0 to 1, or uint8 from 0 to 255"


def test_bad_idx_files(tmp_path):
    good = idx(tmp_path / "a-idx3-ubyte", GREY).read_bytes()
    path = tmp_path / "b-idx3-ubyte"
    for data, says in {
        good[:-1]: "truncated: its header promises 24 x 10 x 12 bytes, and it ends after 2,879 of 2,880",
        good + b"x": "bytes follow after",
        good[:9]: "ends inside its header",
        b"": "it starts with 0x,",
        b"\x89PNG" + good[4:]: "it starts with 0x89504e47, an IDX file of pictures with 0x00000803",
        b"\0\0\7\3" + good[4:]: "it starts with 0x00000703",
    }.items():
        path.write_bytes(data)
        assert is_pictures(path)
        assert says in said(UserError, path)
        path.write_bytes(gzip.compress(data))
        assert says in said(UserError, path)
    path.write_bytes(gzip.compress(good)[:-9])
    assert "cannot be read" in said(UserError, path)
    packed = bytearray(gzip.compress(good))
    packed[60] ^= 255
    path.write_bytes(packed)
    assert "cannot be read" in said(UserError, path)
    assert "IDX type 0x0d" in said(DataUnfit, idx(path, GREY.astype(">f4"), kind=13))
    assert "has shape (24, 120)" in said(DataUnfit, idx(path, GREY.reshape(N, -1)))
    assert "labels without pictures (24 numbers)" in said(UserError, idx(tmp_path / "l", GREY[:, 0, 0]))


def test_bad_npy_files(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, GREY.astype(object), allow_pickle=True)
    assert is_pictures(path) and "Python objects (pickle), which are never loaded" in said(UserError, path)
    np.save(path, GREY)
    path.write_bytes(path.read_bytes()[:-1])
    assert "damaged" in said(UserError, path)
    path.write_bytes(b"no")
    assert not is_pictures(path) and "damaged or no NumPy file" in said(UserError, path)
    np.save(path, GREY[0])
    assert not is_pictures(path) and "has shape (10, 12)" in said(DataUnfit, path)


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (
            GREY / 127.5 - 1,
            f"numbers from -1 to 1; {RANGE}. Give (x + 1) / 2, if",
        ),
        (
            GREY.astype(np.float32),
            f"numbers from 0 to 255; {RANGE}. Give x.round()",
        ),
        (GREY.astype(np.float32), "x.round().astype(numpy.uint8), if these are levels"),
        (
            GREY / 255 * 16,
            f"numbers from 0 to 16; {RANGE}. Give x / 16.",
        ),
        (GREY / 255 * 6 - 2, "Give (x - -2) / 6"),
        (np.where(GREY == 0, np.nan, GREY / 255), "no number (nan or infinite)"),
        (GREY.astype(np.int64), "holds int64; pictures are uint8, or floats from 0 to 1: astype(numpy.uint8) if"),
        (GREY > 100, "holds bool"),
        (GREY.astype(complex), "holds complex128"),
        (GREY.reshape(N, 1, 10, 12, 1), "has shape (24, 1, 10, 12, 1); pictures are (n, H, W)"),
        (np.zeros((N, 16, 16, 5), np.uint8), "neither the second nor the last number"),
        (np.ma.masked_equal(GREY, GREY[0, 0, 0]), "masked pixels"),
    ],
)
def test_bad_arrays(array, says):
    assert says in said(DataUnfit, array)


def test_objects_and_other_types_are_refused(tmp_path):
    assert "Python objects" in said(UserError, GREY.astype(object))
    assert "records" in said(UserError, np.zeros((N, 8, 8), [("r", "u1"), ("g", "u1")]))
    assert "type list cannot be read. Give a folder" in said(UserError, [1, 2])
    assert "no file or folder" in said(UserError, tmp_path / "gone")
    one = folder(tmp_path, GREY[:1]) / "00.png"
    assert is_pictures(one) and "is one picture; give a folder" in said(UserError, one)
    (tmp_path / "a.csv").write_text("a\n1\n")
    assert "holds no pictures that can be read" in said(UserError, tmp_path / "a.csv")


# --- is it pictures?


def test_what_is_no_pictures(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((30, 4)))
    np.savez(tmp_path / "a.npz", GREY)
    (tmp_path / "a.csv").write_text("a\n1\n")
    (tmp_path / "a.npy.gz").write_bytes(b"\x1f\x8bno gzip file")
    inside = [tmp_path / name for name in ("a.npy", "a.npz", "a.csv", "a.npy.gz", "gone")]
    for source in [*inside, tmp_path, np.zeros((30, 4)), torch.zeros(30), "toy:ring8", {"a": [1]}, [GREY], None]:
        assert not is_pictures(source)


def test_folders_of_pictures_at_any_depth_are_pictures(tmp_path):
    for deep in (".", "a", "a/b"):
        path = tmp_path / deep.replace("/", "-") / deep
        folder(path, GREY[:1], ".gif")
        assert is_pictures(tmp_path / deep.replace("/", "-"))
        assert is_pictures(str(path))


# --- labels and groups


def test_labels_and_groups_may_be_given(tmp_path):
    path = idx(tmp_path / "train-images-idx3-ubyte", GREY)
    idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(N, np.uint8))
    own = np.arange(N) % 4 * 10 - 10
    np.save(tmp_path / "own.npy", own)
    words = [("ant", "bee", "cow", "dog")[i % 4] for i in range(N)]
    for labels, classes in [
        (own, ("-10", "0", "10", "20")),
        (torch.from_numpy(own), ("-10", "0", "10", "20")),
        (own.tolist(), ("-10", "0", "10", "20")),
        (tmp_path / "own.npy", ("-10", "0", "10", "20")),
        (idx(tmp_path / "l-idx1-ubyte.gz", (own + 10).astype(np.uint8)), ("0", "10", "20", "30")),
        (words, ("ant", "bee", "cow", "dog")),
        (np.array(words), ("ant", "bee", "cow", "dog")),
    ]:
        pictures = read_pictures(path, labels=labels, group=labels)
        assert pictures.classes == classes
        np.testing.assert_array_equal(pictures.labels, np.arange(N) % 4)
        np.testing.assert_array_equal(pictures.groups, np.arange(N) % 4)
        assert not any("idx1" in note for note in pictures.notes)


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (range(3), "--labels has 3 entries, and there are 24 pictures; give one a picture"),
        (np.zeros(N), "--labels has type float64 and shape (24,); give one whole number or one word"),
        (np.zeros((N, 1), int), "shape (24, 1)"),
        ([None] * 12 + [1] * 12, "type object"),
        ("gone.npy", "--labels 'gone.npy': there is no such file"),
    ],
)
def test_bad_labels(labels, says):
    assert says in said(UserError, GREY, labels=labels)


def test_few_groups_and_options_for_pictures_that_are_read(tmp_path):
    assert "--group has 2 groups; at least 3" in said(DataUnfit, GREY, group=np.arange(N) % 2)
    pictures = read_pictures(GREY)
    assert read_pictures(pictures) is pictures and is_pictures(pictures)
    assert "these are Pictures already" in said(UserError, pictures, size=16)


# --- Pictures


def test_pictures_are_saved_and_loaded_without_memory_or_pickle(tmp_path):
    from safetensors.numpy import load_file

    labels, groups = np.arange(N) % 3, np.arange(N) // 6
    pictures = read_pictures(COLOUR, labels=[f"k{i}" for i in labels], group=groups)
    path = tmp_path / "p.safetensors"
    pictures.save(path)
    again = Pictures.load(path)
    assert isinstance(again.values, np.memmap) and again.values.mode == "r" and not again.values.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        again.values[0, 0] = 1
    for name in ("values", "labels", "groups"):
        np.testing.assert_array_equal(getattr(again, name), getattr(pictures, name))
        np.testing.assert_array_equal(load_file(path)[name], getattr(pictures, name))
    for name in ("shape", "source", "classes", "notes", "times", "fingerprint"):
        assert getattr(again, name) == getattr(pictures, name)
    assert repr(again) == "Pictures(array (24, 10, 12, 3): 24 x 10 x 12 colour, 3 classes)"
    assert [p.name for p in tmp_path.iterdir()] == ["p.safetensors"]
    again.save(path)  # onto the file that it maps
    assert Pictures.load(path).fingerprint == again.fingerprint == pictures.fingerprint
    plain = read_pictures(GREY)
    plain.save(path)
    assert Pictures.load(path).labels is None and Pictures.load(path).classes == ()


def test_damaged_saves_are_refused(tmp_path):
    path = tmp_path / "p.safetensors"
    read_pictures(GREY).save(path)
    data = path.read_bytes()
    for damaged in (data[:-1], data[:50], b"", data.replace(b"[1, 10, 12]", b"[1, 10, 13]")):
        path.write_bytes(damaged)
        with pytest.raises(UserError):
            Pictures.load(path)
    with pytest.raises(UserError, match="missing"):
        Pictures.load(tmp_path / "gone")
    with pytest.raises(UserError, match="cannot be written"):
        read_pictures(GREY).save(tmp_path / "no" / "folder")


@pytest.mark.parametrize(
    "index", [slice(3, 20, 2), [5, 1, 1], np.arange(N) > 3, np.array([], int)], ids=["slice", "list", "mask", "none"]
)
def test_rows_keep_everything_in_order(index):
    pictures = read_pictures(GREY, labels=np.arange(N) % 3, group=np.arange(N) // 6)
    some = pictures.rows(index)
    np.testing.assert_array_equal(some.values, GREY.reshape(N, -1)[index])
    np.testing.assert_array_equal(some.labels, (np.arange(N) % 3)[index])
    np.testing.assert_array_equal(some.groups, (np.arange(N) // 6)[index])
    assert (some.shape, some.classes, some.source) == (pictures.shape, pictures.classes, pictures.source)
    assert len(some) == len(some.values) and some.fingerprint != pictures.fingerprint


def test_the_fingerprint_follows_pixels_shape_labels_and_groups():
    labels = np.arange(N) % 3
    one = GREY.copy()
    one[3, 4, 5] ^= 1
    sources = [
        (GREY, {}), (one, {}), (GREY.reshape(N, 12, 10), {}), (GREY[:-1], {}), (GREY[::-1], {}),
        (GREY, {"labels": labels}), (GREY, {"labels": labels[::-1].copy()}), (GREY, {"labels": labels + 1}),
        (GREY, {"group": labels}),
    ]  # fmt: skip
    prints = [read_pictures(source, **options).fingerprint for source, options in sources]
    assert len(set(prints)) == len(prints) and all(len(one) == 16 for one in prints)
    assert read_pictures(GREY.copy(), labels=labels).fingerprint == prints[5]


@pytest.mark.parametrize(
    ("values", "more", "says"),
    [
        (np.zeros((3, 5), np.uint8), {}, "uint8 (pictures, 4)"),
        (np.zeros((3, 4)), {}, "got float64"),
        (np.zeros((3, 4), np.uint8), {"labels": np.zeros(2, np.int64)}, "labels must be int64 (3,)"),
        (np.zeros((3, 4), np.uint8), {"groups": np.zeros(3)}, "groups must be int64"),
        (np.zeros((3, 4), np.uint8), {"labels": np.array([0, 1, 2]), "classes": ("a", "b")}, "in the 2 classes; got 2"),
    ],
)
def test_pictures_that_do_not_fit_together(values, more, says):
    with pytest.raises(UserError) as caught:
        Pictures(values, (1, 2, 2), **more)
    assert says in str(caught.value)


# --- equal pictures, and stacked ones


def test_equal_pictures_stay_in_one_part_and_are_named(tmp_path):
    pictures = np.random.default_rng(5).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    pictures[[7, 40, 50]] = pictures[3]
    pictures[21] = pictures[20]
    found = read_pictures(folder(tmp_path / "a", pictures))
    assert found.notes == (
        "4 of 60 pictures equal an earlier one (07.png is 03.png; 21.png is 20.png; 40.png is 03.png; ...); equal ones "
        "stay in one part of every split.",
    )
    assert len(np.unique(found.groups)) == 56 and len({*found.groups[[3, 7, 40, 50]]}) == 1
    for seed in range(10):
        parts = whichloss.data.split(found, seed=seed)
        where = np.zeros(60)
        where[parts.validation], where[parts.test] = 1, 2
        assert len({*where[[3, 7, 40, 50]]}) == len({*where[[20, 21]]}) == 1
    assert "number 8 is number 4" in read_pictures(pictures).notes[0]
    labels = np.arange(60) % 2  # 7 like 3, and 21, 40, 50 not
    assert "3 of them have another class than the earlier one." in read_pictures(pictures, labels=labels).notes[-1]
    apart = pictures.copy()
    apart[[7, 40, 50, 21], 0, 0] ^= np.array([1, 2, 3, 1], np.uint8)  # a single level is enough
    assert read_pictures(apart).groups is None and read_pictures(apart).notes == ()


def test_groups_that_share_equal_pictures_become_one():
    pictures = np.random.default_rng(6).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    pictures[39] = pictures[0]
    group = np.arange(40) // 4
    found = read_pictures(pictures, group=group).groups
    assert len(np.unique(found)) == 9 and len({*found[:4], *found[36:]}) == 1
    assert all(len({*found[group == g]}) == 1 for g in range(10))


def test_the_same_few_pictures_again_and_again_are_refused():
    few = np.random.default_rng(7).integers(0, 256, (19, 8, 8), dtype=np.uint8)
    assert "has 190 pictures, but only 19 different ones" in said(DataUnfit, np.concatenate([few] * 10))


def test_a_hundred_thousand_pictures_are_compared_in_seconds():
    values = np.random.default_rng(8).integers(0, 256, (100_000, 64), dtype=np.uint8)
    values[99_999] = values[0]
    start = time.process_time()
    groups, notes = picture_read._together("a", pixels.Found(values, (1, 8, 8)), None)
    assert groups[99_999] == groups[0] and "1 of 100,000" in notes[0]
    assert time.process_time() - start < 5


def test_stacked_digits_are_pictures_whose_parts_share_no_original():
    assert is_pictures("toy:stacked") and is_pictures("toy:stacked:100?source=x")
    found = read_pictures("toy:stacked")
    assert found.shape == (3, 8, 8) and len(found) == 10_000 and len(found.classes) == 1000
    assert found.classes[314] == "3+1+4" and len(np.unique(found.groups)) == 20
    parts = whichloss.data.split(found, seed=3)
    channels = [
        {row.tobytes() for row in np.asarray(found.values[part]).reshape(-1, 64)}
        for part in (parts.train, parts.validation, parts.test)
    ]
    assert not any(a & b for a, b in combinations(channels, 2)) and sum(map(len, channels)) > 1700
    assert found.fingerprint == read_pictures("toy:stacked:10000").fingerprint
    assert "smaller than --size 16 x 16" in said(DataUnfit, "toy:stacked", size=16)
    assert "--group does not go with toy:stacked" in said(UserError, "toy:stacked", group=np.arange(10_000) % 5)
    assert "at least 20 are needed" in said(DataUnfit, "toy:stacked:5")


def test_stacked_pictures_of_ones_own(tmp_path):
    for k, name in enumerate(("cat", "dog")):
        folder(tmp_path / "grey" / name, np.random.default_rng(k).integers(0, 256, (25, 9, 8), dtype=np.uint8))
    found = read_pictures(f"toy:stacked:300?source={tmp_path / 'grey'}")
    assert found.shape == (3, 9, 8) and found.classes[:2] == ("cat+cat+cat", "cat+cat+dog") and len(found.classes) == 8
    bare = folder(tmp_path / "bare", GREY)
    assert "grey pictures with labels" in said(DataUnfit, f"toy:stacked?source={bare}")


def test_fashion_mnist_is_read_with_its_labels():
    pictures = read_pictures(fashion_mnist() / "t10k-images-idx3-ubyte.gz", size=14)
    assert pictures.shape == (1, 14, 14) and np.bincount(pictures.labels).tolist() == [1000] * 10


def test_rows_are_taken_in_blocks_as_they_are_at_once(tmp_path, monkeypatch):
    values = np.random.default_rng(0).integers(0, 256, (300, 12)).astype(np.uint8)
    values.tofile(tmp_path / "bytes")
    mapped = np.memmap(tmp_path / "bytes", np.uint8, "r", shape=values.shape)
    numbers = np.random.default_rng(1).integers(0, 300, 1000)
    monkeypatch.setattr(pixels, "BLOCK", 7 << 16)
    for source in (values, mapped):
        assert np.array_equal(pixels.taken(source, numbers), values[numbers])
    assert pixels.taken(values, numbers[:0]).shape == (0, 12)
