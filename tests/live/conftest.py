"""The running project that the live tests share; and a browser to look at it.

Both are started once, and stopped at the end whatever happened.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.live.project import Project, free_port

# Enough for the 28 held-out days of the shipped model and nine to train on: three weeks more make it better
# beyond doubt.
FIRST_LANDING = "2013-02-06"


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("project")
    ports = [free_port() for _ in range(3)]
    running = Project(folder / "home", folder / "landing", *ports)
    try:
        up = running.headwater("up", "--until", FIRST_LANDING, check=False)
        assert up.returncode == 0, up.stdout + up.stderr
        yield running
    finally:
        running.headwater("down", check=False)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that may only reach this machine; what it asks of others, or fails at, fails the test."""
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    elsewhere: list[str] = []
    failures: list[str] = []

    def note(url: str) -> None:
        if urlsplit(url).scheme in {"http", "https"} and urlsplit(url).hostname != "127.0.0.1":
            elsewhere.append(url)

    page.on("request", lambda request: note(request.url))
    page.on("pageerror", lambda error: failures.append(str(error)))
    yield page
    page.close()
    assert elsewhere == []
    assert failures == []
