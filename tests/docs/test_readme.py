from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


@pytest.mark.stack
def test_the_session_in_the_readme_works(service_url: str, tmp_path: Path) -> None:
    session = README.split("<!-- executed by tests/docs/test_readme.py -->\n```sh\n")[1].split("```")[0]
    session, replaced = re.subn(r"^URL=.*$", f"URL={service_url}", session, flags=re.MULTILINE)
    assert replaced == 1
    command = ["bash", "-euo", "pipefail", "-c", session]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert "HTTP/1.1 201 Created" in (tmp_path / "headers.txt").read_text()
    assert '"title":"Water all the plants"' in run.stdout
    assert '"code":"version_mismatch"' in run.stdout
    assert re.search(r'"items":\[{[^]]*"title":"Water all the plants"[^]]*"status":"completed"', run.stdout)
    assert re.findall(r'"type":"(task\.\w+)"', run.stdout) == ["task.created", "task.updated", "task.completed"]


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"^make (\w+)", README, flags=re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))], ids=lambda page: page.name)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / link).exists(), link
    for named in re.findall(r"`((?:app|agents|projections|web|tests|bench)/[\w/.]+)`", page.read_text()):
        assert (ROOT / named).exists(), named
