"""The page in headless Chromium: with and without script, on narrow screens and on paper."""

import contextlib
import io
import itertools
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from analysis import report
from harness.experiment.provenance import utc_now
from harness.monitoring import run_status
from harness.monitoring.live.server import LivePage, LiveServer
from harness.monitoring.run_status import RunStatus
from tests.unit.analysis.conftest import HOSTILE, curve, made, write_significant_results

pytestmark = pytest.mark.slow
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
COLUMN = "table => column => [...table.tBodies[0].rows].map(row => row.cells[column].innerText)"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a page that has every section."""
    store = write_significant_results(tmp_path_factory.mktemp("browser") / "results")
    root, one = store.root, made("vae", 0, beta=4.0)
    store.write_curve(one.id, curve(one))
    with contextlib.redirect_stdout(io.StringIO()):
        assert report.main([str(root)]) == 0
    return (root / "report" / "report.html").as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of this file."""
    if CHROMIUM is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on the path")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=0
        )
        yield started
        started.close()


@dataclass
class Opened:
    """A page with its other requests and its errors."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


def opened(browser: Browser, address: str, **settings: Any) -> Opened:
    """The page, loaded."""
    found = Opened(browser.new_page(offline=True, reduced_motion="reduce", **settings))
    found.page.set_default_timeout(0)  # none: a busy machine takes its time
    found.page.on("request", lambda request: found.requests.append(request.url))
    found.page.on("console", lambda message: found.complaints.append(message.text))
    found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
    found.page.goto(address)
    return found


@pytest.fixture
def shown(browser: Browser, address: str) -> Iterator[Opened]:
    """The page on a desktop."""
    found = opened(browser, address, viewport={"width": 1280, "height": 900})
    yield found
    found.page.close()


def test_it_renders_without_a_complaint_and_asks_for_nothing(shown: Opened, address: str) -> None:
    assert shown.complaints == []
    assert [url for url in shown.requests if not url.startswith("data:image/webp;base64,")] == [
        address
    ]
    assert shown.page.locator("h1").inner_text() == "made-up"


def test_tables_and_pictures_are_there_and_loaded(shown: Opened) -> None:
    assert shown.page.locator("table").count() >= 7
    assert shown.page.locator("tbody tr").count() > 30
    widths = shown.page.evaluate(
        "[...document.images].map(image => image.complete && image.naturalWidth)"
    )
    assert len(widths) >= 3 + 3
    assert all(widths)


def test_verdicts_come_before_every_table(shown: Opened) -> None:
    verdicts, table = shown.page.locator("#verdicts li p"), shown.page.locator("table").first
    assert "paired t, n = 6" in " ".join(verdicts.all_inner_texts())
    place, below = verdicts.last.bounding_box(), table.bounding_box()
    assert place is not None
    assert below is not None
    assert place["y"] < below["y"]


def test_every_link_leads_to_a_place_in_the_page(shown: Opened) -> None:
    links = shown.page.evaluate("[...document.links].map(link => link.getAttribute('href'))")
    places = shown.page.evaluate("[...document.querySelectorAll('[id]')].map(each => each.id)")
    assert len(links) > 15
    assert len(places) == len(set(places))
    assert {link.removeprefix("#") for link in links} <= set(places)
    shown.page.locator("nav a[href='#missing']").click()
    assert shown.page.url.endswith("#missing")
    assert shown.page.evaluate(
        "document.querySelector('#missing h2').getBoundingClientRect().top < innerHeight"
    )


def test_a_click_on_a_heading_sorts_and_ties_keep_their_order(shown: Opened) -> None:
    table = shown.page.locator("#table-of-summary-test table")
    button, heading = table.locator("thead button").nth(1), table.locator("thead th").nth(1)
    names, column = table.evaluate_handle(COLUMN), heading.inner_text()
    assert column.startswith("NELBO")
    given = names.evaluate("read => read(0)")
    button.click()
    up = names.evaluate("read => read(1)")
    numbers = [float(text.split()[0]) for text in up if text != "–"]
    assert numbers == sorted(numbers)
    assert up[len(numbers) :] == ["–"] * (len(up) - len(numbers))
    assert len(up) - len(numbers) == 2
    assert heading.get_attribute("aria-sort") == "ascending"
    tied = [
        name
        for name, text in zip(names.evaluate("read => read(0)"), up, strict=True)
        if text == "–"
    ]
    assert tied == [name for name in given if name in tied]
    button.click()
    down = names.evaluate("read => read(1)")
    assert down == [*reversed(up[: len(numbers)]), *up[len(numbers) :]]
    assert [name for name in names.evaluate("read => read(0)") if name in tied] == tied
    button.click()
    assert names.evaluate("read => read(0)") == given
    assert heading.get_attribute("aria-sort") is None


def test_numbers_sort_by_size_and_repeated_names_are_grey(
    shown: Opened,
) -> None:
    table = shown.page.locator("#table-of-estimates table")
    names, grey = table.evaluate_handle(COLUMN), table.locator("tbody th.repeats")
    before = grey.count()
    table.locator("thead button", has_text="Mean").click()
    means = [float(text.split()[0]) for text in names.evaluate("read => read(3)")]
    assert means == sorted(means)
    assert min(means) < 20 < 100 < max(means)
    arms = names.evaluate("read => read(0)")
    assert grey.count() == sum(one == other for one, other in itertools.pairwise(arms))
    assert grey.count() != before


def visible(page: Page, selector: str) -> list[str]:
    """The texts of the elements that are shown."""
    return [each.inner_text() for each in page.locator(selector).all() if each.is_visible()]


def test_the_bar_filters_arms_and_one_metric(shown: Opened) -> None:
    page, rows = shown.page, "#table-of-estimates tbody tr"
    whole = len(visible(page, rows))
    page.locator(".filter input").fill("GMVAE")
    arms = {text.split("\t")[0] for text in visible(page, rows)}
    assert arms
    assert all("gmvae" in arm for arm in arms)
    assert all("gmvae" in text for text in visible(page, ".verdicts li"))
    assert all("gmvae" in text for text in visible(page, ".gallery"))
    page.locator(".filter select").select_option(label="NELBO on the test images")
    assert {text.split("\t")[1] for text in visible(page, rows)} == {"NELBO (nats)"}
    assert visible(page, "#verdicts h3") == ["NELBO on the test images", "Before you cite"]
    assert visible(page, "#seeds h3") == ["NELBO on the test images"]
    assert " of " in page.locator(".filter output").inner_text()
    page.locator(".filter input").fill("")
    page.locator(".filter select").select_option(index=0)
    assert len(visible(page, rows)) == whole
    assert page.locator(".filter output").inner_text() == ""


def test_a_click_on_a_point_shows_its_scores_its_curve_and_its_samples(shown: Opened) -> None:
    page = shown.page
    point = page.locator("#seeds tr", has_text="vae β=4").first.locator("circle").first
    score = point.get_attribute("aria-label")
    assert score is not None
    assert score.startswith("seed 0: ")
    point.focus()
    page.keyboard.press("Enter")
    detail = page.locator("tr.detail")
    assert "vae β=4, seed 0" in detail.inner_text()
    assert f"NELBO on the test images: {score.removeprefix('seed 0: ')}" in detail.inner_text()
    assert "at step 20,000; steps on a log axis" in detail.inner_text()
    image = detail.locator("img")
    image.evaluate("image => image.decode()")
    assert image.evaluate("image => image.naturalWidth") > 0
    page.keyboard.press("Enter")
    assert detail.count() == 0
    other = page.locator("#seeds tr", has_text="vae β=4").first.locator("circle").nth(1)
    other.focus()
    page.keyboard.press(" ")
    assert "Its samples do not lie beside this page." in detail.inner_text()
    assert shown.complaints == []


def test_hostile_text_is_text(shown: Opened) -> None:
    assert shown.page.locator("script").count() == 1
    assert shown.page.locator("#missing td.reason").inner_text() == HOSTILE
    assert HOSTILE in shown.page.locator("#missing tbody th").inner_text()
    assert f"bench {HOSTILE}" in shown.page.locator("#reproduce pre").first.inner_text()


@pytest.mark.parametrize("width", [320, 400, 768, 1280])
def test_the_body_never_scrolls_sideways(browser: Browser, address: str, width: int) -> None:
    found = opened(browser, address, viewport={"width": width, "height": 800})
    assert found.page.evaluate("document.documentElement.scrollWidth") == width
    outside = """[...document.querySelectorAll('body *')]
        .filter(each => !each.closest('.scroll, pre, summary')
            && each.getBoundingClientRect().right > innerWidth + 1)
        .map(each => each.outerHTML.slice(0, 80))"""
    assert found.page.evaluate(outside) == []
    found.page.close()


def test_it_reads_the_same_without_its_script(
    browser: Browser, address: str, shown: Opened
) -> None:
    context = browser.new_context(
        java_script_enabled=False, viewport={"width": 1280, "height": 900}
    )
    bare = context.new_page()
    bare.goto(address)
    assert bare.locator("thead button").count() == 0
    assert (
        bare.locator("main").inner_text().split() == shown.page.locator("main").inner_text().split()
    )
    context.close()


def test_the_live_page_shows_progress_and_then_the_report(browser: Browser, tmp_path: Path) -> None:
    store = write_significant_results(tmp_path / "results")
    running = RunStatus("run", "made-up", "here", utc_now(), asked=9, cells=9, ended={"ok": 3})
    run_status.write(store, running)
    live = LivePage(store, str(store.root), tmp_path)
    with LiveServer(live) as server, live.refreshing():
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        page = browser.new_page(viewport={"width": 400, "height": 800})
        page.set_default_timeout(0)
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(server.url)
        page.locator("strong", has_text="3 of 9 cells done").wait_for()
        page.frame_locator("#report").locator("h1", has_text="made-up").wait_for()
        run_status.write(store, replace(running, ended={"ok": 9}, end="done"))
        page.locator("strong", has_text="9 of 9 cells done").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") == 400
        assert complaints == []
        page.close()
        server.shutdown()
        thread.join()


def test_nothing_is_hidden_on_paper(shown: Opened) -> None:
    assert not shown.page.locator("details pre").first.is_visible()
    shown.page.emulate_media(media="print")
    shown.page.set_viewport_size({"width": 680, "height": 960})  # A4 less its margins
    hidden = """[...document.querySelectorAll('main *:not(title, [hidden])')].filter(each =>
        !each.checkVisibility({contentVisibilityAuto: true})
        || each.scrollWidth > each.clientWidth + 1
            && getComputedStyle(each).overflowX !== 'visible')
        .map(each => each.outerHTML.slice(0, 80))"""
    assert shown.page.evaluate(hidden) == []
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 680
    box = shown.page.locator("details pre").first.bounding_box()
    assert box is not None
    assert box["height"] > 20
