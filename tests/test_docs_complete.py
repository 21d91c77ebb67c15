"""What a person can meet is explained: alarms, findings of fsck, reasons of gaps; and what is explained exists."""

import json
import re
from pathlib import Path

import pytest

from vms.media.gap import GapReason
from vms.storage.alarms import TEXTS
from vms.storage.findings import Kind
from vms.storage.layout import ASIDE_SUFFIXES
from vms.storage.recording_state import RecordingState

DOCS = Path(__file__).parents[1] / "docs"
OF_THE_API = {"camera_not_recorded", "keeper_away", "cameras_unknown"}
GUIDES = ("recording-modes.md", "modos-de-gravacao.pt-BR.md")


def text(page: str) -> str:
    return (DOCS / page).read_text()


@pytest.mark.parametrize("page", ["api/README.md", "runbooks/volumes.md"])
def test_every_alarm_is_explained(page: str) -> None:
    assert [slug for slug in {*TEXTS, *OF_THE_API} if f"`{slug}`" not in text(page)] == []


def test_every_finding_of_a_check_is_explained() -> None:
    page = text("architecture/recovery.md")
    assert [kind.value for kind in Kind if f"`{kind.value}`" not in page] == []
    assert [suffix for suffix in ASIDE_SUFFIXES if suffix not in page] == []


def test_every_reason_of_a_gap_is_explained() -> None:
    page = text("architecture/time.md")
    assert [reason.value for reason in GapReason if f"`{reason.value}`" not in page] == []


@pytest.mark.parametrize("guide", GUIDES)
def test_every_state_of_recording_is_explained(guide: str) -> None:
    page = text(f"user-guide/{guide}")
    assert [state.value for state in RecordingState if f"`{state.value}`" not in page] == []


def test_requests_that_are_shown_to_integrators_exist() -> None:
    paths = json.loads(text("api/openapi.json"))["paths"]
    known = [re.compile(re.sub(r"\\{[^}]+\\}", "[^/]+", re.escape(path)) + "$") for path in paths]
    page = text("api/README.md")
    shown = set(re.findall(r"\$VMS(/[^\s\"'?\\)]+)", page)) | set(
        re.findall(r"`(?:GET|POST) (/api/v1/[^\s`?]+)`", page)
    )
    assert "/api/v1/cameras/porch/verification" in shown
    assert sorted(path for path in shown if not any(each.match(path) for each in known)) == []
