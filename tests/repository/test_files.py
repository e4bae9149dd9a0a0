"""What a stranger finds in the repository is whole and true."""

from __future__ import annotations

import datetime
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import lossfloor as lf

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / ".github" / "ISSUE_TEMPLATE"
FORMS = ["bug.yml", "feature.yml", "wrong-number.yml"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


# Changelog and citation


def released() -> dict[str, datetime.date]:
    """Return the date of each version in the changelog, the newest first."""
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    found = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", heading) for heading in headings[1:]]
    assert all(found), headings
    return {match[1]: datetime.date.fromisoformat(match[2]) for match in found if match}


def test_the_changelog_is_dated_and_in_order() -> None:
    versions = released()
    assert list(versions.values()) == sorted(versions.values(), reverse=True)
    numbers = [tuple(map(int, version.split("."))) for version in versions]
    assert numbers == sorted(set(numbers), reverse=True)


def test_the_changelog_has_the_usual_sections_once_a_version() -> None:
    for text in re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1:]:
        sections = re.findall(r"^### (.*)$", text, flags=re.MULTILINE)
        assert len(sections) == len(set(sections)), text[:40]
        assert set(sections) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}, sections


def test_the_citation_is_of_this_version() -> None:
    # `make lint` checks that it is valid.
    citation = read_yaml(ROOT / "CITATION.cff")
    newest, date = next(iter(released().items()))
    assert citation["version"] == newest == lf.__version__
    assert citation["date-released"] == date
    assert citation["license"] == PROJECT["license"]
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in PROJECT["authors"]]
    assert citation["references"][0]["url"] == "https://arxiv.org/abs/2104.08382"


# GitHub


def test_ci_runs_the_checks_of_the_repository() -> None:
    workflow = read_yaml(ROOT / ".github" / "workflows" / "ci.yml")
    assert set(workflow[True]) == {"push", "pull_request", "workflow_dispatch"}  # YAML reads the key `on` as true
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["group"]
    commands = {job: [step["run"] for step in it["steps"] if "run" in step] for job, it in workflow["jobs"].items()}
    assert commands == {"quick": ["make quick"], "test": [".ci/run"]}
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        assert job["timeout-minutes"] <= 60
        oldest, *_, newest = job["strategy"]["matrix"]["python"]
        assert PROJECT["requires-python"] == f">={oldest}"
        assert [int(part) for part in newest.split(".")] > [int(part) for part in oldest.split(".")]


def test_actions_are_pinned_to_a_major_version() -> None:
    for path in (ROOT / ".github" / "workflows").iterdir():
        for job in read_yaml(path)["jobs"].values():
            used = [step["uses"] for step in job["steps"] if "uses" in step]
            assert used
            assert all(re.fullmatch(r"actions/[\w-]+@v\d+", action) for action in used), used


def test_ci_can_be_run() -> None:
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
    assert (ROOT / ".ci" / "run").read_text().endswith("\nmake test\n")


@pytest.mark.parametrize("name", FORMS)
def test_issue_forms_are_what_github_reads(name: str) -> None:
    form = read_yaml(TEMPLATES / name)
    assert set(form) == {"name", "description", "title", "labels", "body"}
    questions = [element for element in form["body"] if element["type"] != "markdown"]
    ids = [question["id"] for question in questions]
    assert len(set(ids)) == len(ids)
    assert questions[0]["validations"]["required"]
    for question in questions:
        assert question["type"] in ("textarea", "dropdown")
        assert set(question) <= {"type", "id", "attributes", "validations"}
        assert question["attributes"]["label"]
        options = question["attributes"].get("options", [])
        assert all(isinstance(option, str) for option in options)
        assert bool(options) == (question["type"] == "dropdown")


@pytest.mark.parametrize("name", ["bug.yml", "wrong-number.yml"])
def test_reports_ask_for_the_installation_and_an_example(name: str) -> None:
    required = {
        question["id"]: question["attributes"]["label"]
        for question in read_yaml(TEMPLATES / name)["body"]
        if question.get("validations", {}).get("required")
    }
    assert required["info"] == "Output of `lossfloor info`"
    assert "example" in required["example"].lower()


def test_there_are_no_other_forms() -> None:
    assert sorted(path.name for path in TEMPLATES.iterdir()) == sorted([*FORMS, "config.yml"])
    assert read_yaml(TEMPLATES / "config.yml") == {"blank_issues_enabled": False}


# Commands and links


def test_help_lists_every_command() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)
    listed = re.findall(r'^\t@echo "make (\S+) ', makefile, flags=re.MULTILINE)
    assert sorted(listed) == sorted(set(phony.split()) - {"help"})


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md"])
def test_links_lead_to_files(name: str) -> None:
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", (ROOT / name).read_text())
    assert [target for target in targets if "://" not in target and not (ROOT / target).exists()] == []
