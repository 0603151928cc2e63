"""Tests that scripts/gather_corpus sorts shards and mixes nothing up."""

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "gather_corpus"


def write_shard(path, names):
    with tarfile.open(path, "w") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))


def members(path):
    with tarfile.open(path) as archive:
        return {m.name: archive.extractfile(m).read().decode() for m in archive}


@pytest.fixture
def shards(tmp_path):
    people = [f"train/people/coco-{i}.jpg" for i in range(120)]
    few = [f"train/people/pacs-{i}.jpg" for i in range(7)]
    plain = [f"train/city/{i}.jpg" for i in range(20)]
    write_shard(tmp_path / "a.tar", [*people[:50], *few[:3], *plain])
    write_shard(tmp_path / "b.tar", [*people[50:], *few[3:]])
    return [tmp_path / "a.tar", tmp_path / "b.tar"]


def gather(shards, output, *options):
    command = [sys.executable, SCRIPT, *shards, "-o", output, *options]
    return subprocess.run(command, capture_output=True, text=True)


def test_every_picture_lands_in_one_place_with_its_own_bytes(shards, tmp_path):
    done = gather(shards, tmp_path / "out", "--unseen", "pacs", "--validation", "5")
    assert done.returncode == 0, done.stderr
    files = sorted((tmp_path / "out").rglob("*.tar"))
    parts = {str(p.relative_to(tmp_path / "out")): members(p) for p in files}
    assert {name: len(part) for name, part in parts.items()} == {
        "train/city.tar": 20,  # too few for a validation of their own
        "train/people.tar": 115,
        "unseen.tar": 7,
        "validation.tar": 5,
    }
    found = [item for part in parts.values() for item in part.items()]
    assert len(dict(found)) == len(found) == 147
    assert all(name == content for name, content in found)
    assert all("pacs" in name for name in parts["unseen.tar"])


def test_the_choice_depends_on_names_and_not_on_the_order_of_shards(shards, tmp_path):
    gather(shards, tmp_path / "one")
    gather(shards[::-1], tmp_path / "two")
    for name in ("validation.tar", "train/people.tar"):
        one, two = ((tmp_path / out / name).read_bytes() for out in ("one", "two"))
        assert one == two


def test_an_unknown_set_is_named(shards, tmp_path):
    done = gather(shards, tmp_path / "out", "--unseen", "pacs", "exif")
    assert done.returncode == 1 and "no picture of the set exif" in done.stderr
    assert not (tmp_path / "out").exists()
