"""Tests for kcolor.environment: whose commit a figure is reported with."""

import subprocess

import pytest

from kcolor import environment as module
from kcolor.environment import environment


@pytest.fixture
def repository(tmp_path):
    """A repository with one commit; returns its folder and the commit."""

    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True)

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    return tmp_path, git("rev-parse", "HEAD").stdout.strip()


def test_commit_is_the_one_of_kcolors_own_repository(repository, monkeypatch):
    folder, commit = repository
    (folder / "kcolor").mkdir()
    monkeypatch.setattr(module, "__file__", str(folder / "kcolor" / "environment.py"))
    assert environment()["commit"] == commit


def test_commit_of_a_repository_around_site_packages_is_not_reported(
    repository, monkeypatch
):
    folder, _ = repository
    package = folder / "venv" / "lib" / "site-packages" / "kcolor"
    package.mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(package / "environment.py"))
    assert environment()["commit"] is None


def test_versions_name_what_is_installed_and_what_is_not():
    versions = environment()["versions"]
    assert versions["numpy"].count(".") >= 1
    assert set(versions) >= {"python", "kcolor", "keras", "tensorflow"}
