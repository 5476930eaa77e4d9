"""The HTML report in a real browser: opened, clicked, typed at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import drybpf
from browser import Browser
from drybpf.coverage import Coverage, html
from support import FIREWALL, ROOT, TRAFFIC

SEEN = "(e => e !== null && e.getClientRects().length > 0)(document.querySelector({!r}))"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("page")
    with Coverage() as coverage:
        program = drybpf.load(FIREWALL)["xdp_firewall"]
        for packet in list(drybpf.read_capture(TRAFFIC))[:20]:
            program(packet.data)
    (folder / "report.html").write_text(html(coverage, roots=[ROOT]), "utf-8")
    with Browser(folder) as browser:
        browser.open(folder / "report.html")
        yield browser


def _is_seen(page: Browser, selector: str) -> bool:
    return bool(page.ask(SEEN.format(selector)))


def test_a_click_on_a_line_shows_its_instructions(page: Browser) -> None:
    row, under = "#f0-168", "#f0-168 + tr.under"
    assert _is_seen(page, row)
    assert not _is_seen(page, under)
    page.click(row)
    assert _is_seen(page, under)
    text = page.ask(f"document.querySelector({under!r}).innerText")
    assert "if r2 > r3 goto +63" in text
    assert "taken 0, not taken 20" in text
    assert page.ask(f"document.querySelector({row!r}).getAttribute('aria-expanded')") == "true"
    page.click(row)
    assert not _is_seen(page, under)


def test_a_line_can_be_opened_from_the_keyboard(page: Browser) -> None:
    page.ask("document.querySelector('#f0-171').focus()")
    page.key("Enter")
    assert _is_seen(page, "#f0-171 + tr.under")
    page.key("Enter")
    assert not _is_seen(page, "#f0-171 + tr.under")


def test_only_what_was_missed(page: Browser) -> None:
    assert _is_seen(page, "tr.plain")
    page.click("#only")
    assert not _is_seen(page, "tr.plain")
    assert _is_seen(page, "tr.part, tr.miss")
    page.click("#only")
    assert _is_seen(page, "tr.plain")


def test_n_goes_to_the_next_gap(page: Browser) -> None:
    page.ask("document.activeElement.blur()")
    page.key("n")
    first = page.ask("document.activeElement.id")
    page.key("n")
    assert page.ask("document.activeElement.id") != first
    page.key("p")
    assert page.ask("document.activeElement.id") == first


def test_a_link_to_a_line_opens_it(page: Browser) -> None:
    page.ask("location.hash = '#f0-109'; new Promise(done => setTimeout(done, 100))")
    assert _is_seen(page, "#f0-109 + tr.under")


def test_nothing_is_wider_than_the_window(page: Browser) -> None:
    assert page.ask("document.documentElement.scrollWidth <= innerWidth")
