"""The documentation agrees with what it speaks of: links lead somewhere, commands exist, configurations can be used."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import typer.main
import yaml

from vms import cli
from vms.config import parse_config

ROOT = Path(__file__).parents[1]
_SKIPPED = {".venv", ".git", ".tools", "node_modules"}
_FENCE = re.compile(r"^( *)(```+)(\w*)[^\n]*\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_COMMAND = re.compile(r"^\s*(?:\$ )?(?:sudo (?:-u \w+ )?)?(?:\.venv/bin/)?vms( +[^;&`#>\n]+)")
_TAGS = ("recording ", "sealed recording")  # texts that are hashed with digests and keys, and begin with vms
_WORD = re.compile(r"[a-z][a-z-]*$")


def pages() -> list[Path]:
    """Every page of the project."""
    found = (path for path in ROOT.rglob("*.md") if not _SKIPPED.intersection(path.relative_to(ROOT).parts))
    return sorted(path for path in found if "/." not in f"/{path.relative_to(ROOT)}")


PAGES = pages()
every_page = pytest.mark.parametrize("page", PAGES, ids=[str(each.relative_to(ROOT)) for each in PAGES])


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return _FENCE.sub("", page.read_text())


def blocks(page: Path, language: str | None = None) -> Iterator[str]:
    """Its blocks of code; language: only those that name it."""
    for _, _, name, text in _FENCE.findall(page.read_text()):
        if language is None or name == language:
            yield text


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors that GitHub makes of a page's headings."""
    found: dict[str, int] = {}
    names = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", prose(page), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        many = found.get(slug, 0)
        found[slug] = many + 1
        names.add(f"{slug}-{many}" if many else slug)
    return frozenset(names)


def test_there_are_pages_to_look_at() -> None:
    names = {str(page.relative_to(ROOT)) for page in PAGES}
    assert {
        "README.md",
        "README.pt-BR.md",
        "docs/architecture/overview.md",
        "docs/runbooks/volumes.md",
    } <= names


@every_page
def test_links_lead_to_a_file_and_a_heading_of_it(page: Path) -> None:
    broken = []
    for link in _LINK.findall(prose(page)):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue  # of another host
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_of_the_documentation_is_linked_from_another() -> None:
    linked = {
        (page.parent / unquote(link).partition("#")[0]).resolve()
        for page in PAGES
        for link in _LINK.findall(prose(page))
        if not link.startswith("#")
    }
    assert [page for page in PAGES if page.is_relative_to(ROOT / "docs") and page not in linked] == []


def test_guides_are_there_in_both_languages_and_lead_to_each_other() -> None:
    guides = [page for page in PAGES if page.parent == ROOT / "docs" / "user-guide"]
    linked = {
        page: {(page.parent / link).resolve() for link in _LINK.findall(prose(page))} for page in guides
    }
    english = [page for page in guides if not page.name.endswith(".pt-BR.md")]
    assert len(english) * 2 == len(guides)
    for page in english:
        twins = [
            twin for twin in linked[page] if twin.name.endswith(".pt-BR.md") and page in linked.get(twin, ())
        ]
        assert len(twins) == 1, page.name


# -- commands ---------------------------------------------------------------------------------------------


def unknown(line: str) -> str | None:
    """What is wrong with a command line that begins behind ``vms``; None when nothing is."""
    command: Any = typer.main.get_command(cli.app)  # typer brings a click of its own
    words = line.replace("[", " ").replace("]", " ").split()
    while hasattr(command, "commands") and words and _WORD.match(words[0]):
        found = command.commands.get(words[0])
        if found is None:
            return f"no command {words[0]}"
        command, words = found, words[1:]
    options = {each for parameter in command.params for each in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        name = word.split("=")[0].rstrip(".,:)…")
        if re.match(r"--?[a-z]", name) and name not in options | {"--help"}:
            return f"no option {name}"
    return None


def commands(page: Path) -> Iterator[str]:
    """Command lines of a page's blocks and code in the text, without ``vms`` itself."""
    lines = [line for block in blocks(page) for line in block.replace("\\\n", " ").splitlines()]
    for text in (*lines, *_CODE.findall(prose(page))):
        found = _COMMAND.match(text)
        if found and not found[1].strip().startswith(_TAGS):
            yield found[1].strip()


@every_page
def test_commands_that_are_shown_exist_with_their_options(page: Path) -> None:
    wrong = {line: problem for line in commands(page) if (problem := unknown(line))}
    assert wrong == {}


def test_commands_are_found_in_pages() -> None:
    """Else the test above could not fail."""
    found = {line.split()[0] for page in PAGES for line in commands(page) if line}
    assert {"serve", "status", "fsck", "verify", "keys", "volume-key", "decrypt", "config"} <= found
    assert unknown("fsck --config vms.yaml --repair") is None
    assert unknown("fsck --mend") == "no option --mend"
    assert unknown("volume-key old FILE") == "no command old"


# -- configurations ---------------------------------------------------------------------------------------


def test_the_example_configuration_is_usable() -> None:
    """As `vms config check` says it; the command itself, so that its words are right too."""
    path = ROOT / "deploy" / "vms.example.yaml"
    done = subprocess.run(
        [ROOT / ".venv/bin/vms", "config", "check", path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "usable; 5 cameras, 2 volumes" in done.stdout


def test_the_example_configuration_shows_what_there_is_to_configure() -> None:
    """A new section of the configuration is shown to people, too."""
    from vms.config import Config, EncryptionConfig, StorageConfig, TierConfig, VolumeConfig

    text = (ROOT / "deploy" / "vms.example.yaml").read_text()
    left_out = {"bus", "enabled", "secret_key"}
    for section in (Config, StorageConfig, VolumeConfig, TierConfig, EncryptionConfig):
        missing = [name for name in section.model_fields if f"{name}:" not in text and name not in left_out]
        assert missing == [], section.__name__


@pytest.mark.parametrize("page", ["README.md", "README.pt-BR.md"])
def test_the_configuration_of_the_first_page_can_be_used(page: str) -> None:
    trees: list[Any] = [yaml.safe_load(block) for block in blocks(ROOT / page, "yaml")]
    assert trees
    for tree in trees:
        parse_config(tree, page)
