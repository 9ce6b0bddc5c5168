"""The console in a real Chromium: a call is made, seen in the list and opened."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import openai
import pytest
from conftest import KEY, fetch, program
from playwright.sync_api import expect, sync_playwright

PICTURES = Path(__file__).parent.parent / ".cache" / "pictures"
SIZES = {"wide": (1440, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def browser():
    path = os.environ.get("TACHOGRAPH_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not path:
        pytest.fail("no Chromium: install the package `chromium`, or name one by TACHOGRAPH_CHROMIUM")
    with sync_playwright() as playwright:
        # A sandbox inside a container run by root cannot be had; the pages are our own.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


class Visit:
    """A page, and everything about it that should not have happened."""

    def __init__(self, browser, url, **context):
        self.faults = []
        self.url = url
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.page.on("console", lambda said: said.type in ("error", "warning") and self.faults.append(said.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", self._asked)
        self.page.on("requestfailed", self._failed)
        self.page.on("response", lambda got: got.status >= 400 and self.faults.append(f"{got.status} {got.url}"))

    def _asked(self, request):
        if not request.url.startswith((self.url + "/", "data:", "blob:")):
            self.faults.append(f"asked {request.url}")

    def _failed(self, request):
        # The page ends its own readings when it moves on, and the live feed when it is closed.
        if "ERR_ABORTED" not in (request.failure or ""):
            self.faults.append(f"{request.failure} {request.url}")


def demo(folder, environment, *arguments):
    done = subprocess.run(
        [program("TACHOGRAPH_GATEWAY"), "demo", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def filled(gateway, upstream, tmp_path, environment):
    """A gateway with a call of each kind."""
    client = openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, max_retries=0)
    messages = [
        {"role": "system", "content": "You know trucks."},
        {"role": "user", "content": "How fast does the tachograph turn?"},
    ]
    demo(tmp_path, environment, "--requests", "60", "--days", "1")
    upstream.stream("openai-chat.sse", every_ms=20)
    list(
        client.chat.completions.create(
            model="openai/gpt-4o-mini", messages=messages, stream=True, extra_headers={"Helicone-User-Id": "ada"}
        )
    )
    gateway.rows(61)
    return gateway


@pytest.fixture
def visit(filled, browser):
    """Opens a page of a person's own; all are closed at the end."""
    visits = []

    def open_page(**context):
        visits.append(Visit(browser, filled.url, **context))
        return visits[-1]

    yield open_page
    for opened in visits:
        opened.context.close()


def log_in(gateway, visited, page="/requests"):
    visited.page.goto(gateway.login)
    expect(visited.page).to_have_url(gateway.url + "/")
    visited.page.goto(gateway.url + page)
    return visited


def test_a_call_is_seen_and_opened(filled, visit):
    visited = log_in(filled, visit(viewport={"width": 1440, "height": 900}, color_scheme="light"))
    page = visited.page
    newest = page.locator(".calls tbody tr").first
    for cell, text in [
        ("model", "gpt-4o-mini-2024-07-18"),
        ("user", "ada"),
        ("outcome", "200"),
        ("input", "500"),
        ("output", "300"),
        ("cost", "0.000255"),
    ]:
        expect(newest.locator(f"td.{cell}")).to_contain_text(text)
    for cell in ("latency", "ttft"):
        expect(newest.locator(f"td.{cell}")).to_contain_text("ms")

    newest.locator("td.latency").click()
    drawer = page.get_by_role("dialog", name="Request")
    figures = drawer.locator(".figures")
    for label, text in [("Cost", "0.000255"), ("Tokens in", "500"), ("Tokens out", "300"), ("Latency", "ms"), ("TTFT", "ms")]:
        expect(figures.locator("div", has=page.get_by_text(label, exact=True))).to_contain_text(text)
    for said in ("You know trucks.", "How fast does the tachograph turn?", "The tachograph turns slowly. 速度は一定です 🚚"):
        expect(drawer.get_by_text(said)).to_be_visible()
    drawer.get_by_role("tab", name="Cost").click()
    expect(drawer.get_by_role("tabpanel")).to_contain_text("0.15")
    drawer.get_by_role("tab", name="Response").click()
    expect(drawer.get_by_role("tabpanel")).to_contain_text("chat.completion.chunk")
    drawer.get_by_role("tab", name="Details").click()
    expect(drawer.get_by_role("tabpanel")).to_contain_text("ada")
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)
    assert visited.faults == []


def test_a_new_call_appears_by_itself(filled, upstream, visit):
    visited = log_in(filled, visit())
    expect(visited.page.locator(".totals dd").first).to_have_text("61")
    upstream.document("anthropic-messages.json")
    client = openai.OpenAI(base_url=filled.url + "/v1", api_key=KEY, max_retries=0)
    client.chat.completions.create(
        model="anthropic/claude-haiku-4-5", max_tokens=9, messages=[{"role": "user", "content": "hi"}]
    )
    expect(visited.page.locator(".calls tbody tr").first.locator("td.cost")).to_contain_text("0.001933", timeout=10_000)
    expect(visited.page.locator(".totals dd").first).to_have_text("62", timeout=15_000)
    assert visited.faults == []


def test_nobody_looks_in_without_a_login_and_a_link_works_once(filled, visit):
    assert log_in(filled, visit()).faults == []
    stranger = visit()
    stranger.page.goto(filled.login)
    expect(stranger.page.get_by_text("used already")).to_be_visible()
    stranger.page.goto(filled.url + "/requests")
    expect(stranger.page).to_have_url(re.compile("/login"))
    assert "ada" not in stranger.page.content()
    stranger.page.locator("input[name=key]").fill(KEY)
    stranger.page.keyboard.press("Enter")
    expect(stranger.page.locator(".calls tbody tr").first).to_contain_text("ada")


def test_every_page_is_reached_by_keys_and_shows_its_rows(filled, visit):
    visited = log_in(filled, visit(viewport={"width": 1440, "height": 900}), "/")
    page = visited.page
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    for key, heading, shown in [
        ("r", "Requests", ".calls tbody tr"),
        ("s", "Sessions", ".grid-table tbody tr"),
        ("u", "Users", ".grid-table tbody tr"),
        ("y", "Properties", ".grid-table tbody tr"),
        ("p", "Prompts", ".grid-table tbody tr"),
        ("m", "Models and providers", ".heat-row"),
        ("c", "Cache", ".chart svg"),
        ("l", "Limits and budgets", ".card"),
        ("w", "Why the bill moved", ".bridge-row"),
        ("q", "Query", ".schema li"),
        ("h", "Health", ".verdict"),
        ("t", "Settings", ".setting"),
        ("o", "Overview", ".tile"),
    ]:
        page.keyboard.press("g")
        page.keyboard.press(key)
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        expect(page.locator(shown).first).to_be_attached()
    expect(page.locator(".tile")).to_have_count(7)
    assert visited.faults == []


def test_filters_live_in_the_address_and_j_walks_what_they_leave(filled, visit):
    visited = log_in(filled, visit(viewport={"width": 1440, "height": 900}))
    page = visited.page
    page.keyboard.press("/")
    page.keyboard.type("user:ad")
    expect(page.get_by_role("option", name="ada").first).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("q=user"))
    users = page.locator(".calls tbody tr td.user")
    expect(users.first).to_have_text("ada")
    expect(page.locator(".chip")).to_contain_text("ada")
    assert set(users.all_inner_texts()) == {"ada"}
    ids = page.locator(".calls tbody tr[data-id]").evaluate_all("rows => rows.map(row => row.dataset.id)")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(ids[0]))
    for id in ids[1:3]:
        page.keyboard.press("j")
        expect(page).to_have_url(re.compile(id))
    address = page.url
    fresh = log_in_again(visit, visited)
    fresh.page.goto(address)
    expect(fresh.page.get_by_role("dialog", name="Request")).to_be_visible()
    expect(fresh.page.locator(".calls tbody tr td.user").first).to_have_text("ada")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Remove the filter user:ada").click()
    expect(page.locator(".chip")).to_have_count(0)
    page.go_back()
    expect(page.locator(".chip")).to_contain_text("ada")
    assert visited.faults == [] and fresh.faults == []


def test_a_drag_zooms_a_palette_leads_and_a_table_stands_in_for_a_chart(filled, visit):
    visited = log_in(filled, visit(viewport={"width": 1440, "height": 900}), "/")
    page = visited.page
    chart = page.locator(".chart svg").first
    expect(chart).to_be_visible()
    box = chart.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 60, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile("from=[0-9]+&until=[0-9]+"))
    page.go_back()
    page.get_by_role("button", name="Table").first.click()
    expect(page.locator(".chart-table tbody tr").first).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.type("sett")
    expect(page.get_by_role("option", name="Settings").first).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Settings")
    page.get_by_label("Name of the new key").fill("a program")
    page.get_by_role("button", name="Make a key").click()
    expect(page.get_by_role("status").filter(has_text="shown this once")).to_contain_text("sk-tachograph-")
    assert visited.faults == []


def test_a_note_and_a_score_stay_on_a_request(filled, visit):
    visited = log_in(filled, visit(viewport={"width": 1440, "height": 900}))
    page = visited.page
    page.locator(".calls tbody tr[data-id]").first.locator("td.latency").click()
    page.get_by_role("tab", name="Notes").click()
    page.get_by_label("Note", exact=True).fill("Seen by a person.")
    page.get_by_role("button", name="Add note").click()
    expect(page.locator(".written")).to_contain_text("Seen by a person.")
    page.get_by_role("button", name="Good").click()
    expect(page.get_by_role("button", name="Good")).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect(page.locator(".written")).to_contain_text("Seen by a person.")
    assert visited.faults == []


def test_sql_is_answered_and_kept(filled, visit):
    visited = log_in(filled, visit(viewport={"width": 1440, "height": 900}), "/query")
    page = visited.page
    page.get_by_label("SQL", exact=True).fill("SELECT count(*) AS rows FROM requests")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("table", name="Answer").locator("tbody td")).to_have_text("61")
    page.get_by_label("Name of this query").fill("all rows")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="all rows", exact=True)).to_be_visible()
    assert visited.faults == []


def test_a_spike_is_explained_in_four_clicks(gateway, browser, tmp_path, environment):
    """The path of docs/tour.md: from the overview to the user, the prompt and the calls that raised the bill."""
    demo(tmp_path, environment, "--requests", "500")
    visited = log_in(gateway, Visit(browser, gateway.url, viewport={"width": 1440, "height": 900}), "/")
    page = visited.page
    page.get_by_role("link", name="Why the bill moved →").click()
    expect(page.locator(".cause .mover")).to_contain_text(re.compile("katherine|paper-digest@v2"))
    expect(page.get_by_role("table", name="By prompt").locator("tr").first).to_contain_text("paper-digest@v2")
    expect(page.get_by_role("table", name="By user").locator("tr").first).to_contain_text("katherine")
    page.get_by_role("table", name="By user").get_by_role("link", name="katherine").click()
    expect(page.locator(".calls tbody tr td.user").first).to_have_text("katherine")
    page.locator(".calls tbody tr[data-id]").first.locator("td.latency").click()
    page.get_by_role("tab", name="Details").click()
    page.get_by_role("link", name="open", exact=True).click()
    expect(page.locator(".waste")).to_contain_text("loop")
    page.get_by_role("link", name="Flame graph").click()
    expect(page.locator(".frame").first).to_be_visible()
    assert visited.faults == []
    visited.context.close()


def log_in_again(visit, visited):
    """Another window of the same person."""
    return visit(viewport={"width": 1440, "height": 900}, storage_state=visited.context.storage_state())


PAGES = ["", "sessions", "users", "properties", "prompts", "providers", "cache", "limits", "why", "query", "health", "settings"]


def test_a_session_of_ten_thousand_spans_scrolls_with_few_rows_on_the_page(gateway, browser):
    steps, trace = 10_000, "5f" * 16
    begun = time.time_ns() - 3_600 * 10**9
    said = lambda key, value: {"key": key, "value": {"stringValue": value}}
    used = lambda key, value: {"key": key, "value": {"intValue": str(value)}}
    spans = [
        {
            "traceId": trace,
            "spanId": f"{step + 1:016x}",
            "parentSpanId": f"{(step - 1) // 4 + 1:016x}" if step else "",
            "name": f"step {step}",
            "startTimeUnixNano": str(begun + step * 10**6),
            "endTimeUnixNano": str(begun + step * 10**6 + 10**8),
            "attributes": [said("session.id", "long-one"), said("gen_ai.operation.name", "execute_tool")]
            if step % 2
            else [
                said("session.id", "long-one"), said("gen_ai.operation.name", "chat"),
                said("gen_ai.system", "openai"), said("gen_ai.request.model", "gpt-4o-mini"),
                used("gen_ai.usage.input_tokens", 500), used("gen_ai.usage.output_tokens", 300),
            ],
        }
        for step in range(steps)
    ]
    for start in range(0, steps, 500):
        sent = {"resourceSpans": [{"scopeSpans": [{"spans": spans[start : start + 500]}]}]}
        fetch(gateway.url + "/v1/traces", sent, KEY)
    until = time.monotonic() + 60
    while fetch(gateway.url + "/api/totals", key=KEY)["requests"] < steps and time.monotonic() < until:
        time.sleep(0.1)
    visited = Visit(browser, gateway.url, viewport={"width": 1440, "height": 900})
    page = log_in(gateway, visited, "/sessions/long-one").page
    expect(page.get_by_text("step 0", exact=True)).to_be_visible(timeout=30_000)
    # How long a task takes is the machine's affair, and printed; how much the page holds is ours.
    told = page.evaluate(
        """async () => {
          const longest = [];
          new PerformanceObserver((list) => longest.push(...list.getEntries().map((entry) => entry.duration)))
            .observe({ type: 'longtask' });
          const pane = document.querySelector('main');
          let most = 0;
          for (let at = 0; at <= 100; at += 1) {
            pane.scrollTop = (at / 100) * (pane.scrollHeight - pane.clientHeight);
            await new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)));
            most = Math.max(most, document.querySelectorAll('*').length);
          }
          return { most, longest: Math.max(0, ...longest), height: pane.scrollHeight };
        }"""
    )
    print(f"longest task while {steps} spans were scrolled: {told['longest']:.0f} ms")
    assert told["most"] < 4_000, told
    assert told["height"] > steps * 10, told
    # The last in the order of the tree: always the last child of the last child.
    last = 0
    while 4 * last + 1 < steps:
        last = min(4 * last + 4, steps - 1)
    expect(page.get_by_text(f"step {last}", exact=True)).to_be_visible()
    assert visited.faults == []
    visited.context.close()


def test_no_page_is_wider_than_its_screen(filled, visit):
    """Pictures for people to look at: tests/.cache/pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    session = log_in(filled, visit()).context.storage_state()
    for size, (width, height) in SIZES.items():
        visited = visit(viewport={"width": width, "height": height}, color_scheme="dark", storage_state=session)
        for name in PAGES:
            visited.page.goto(f"{filled.url}/{name}")
            expect(visited.page.get_by_role("heading", level=1)).to_be_visible()
            visited.page.wait_for_load_state("networkidle" if name in ("", "why") else "load")
            visited.page.screenshot(path=PICTURES / f"{name or 'overview'}-{size}.png")
            sticks_out = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert visited.page.evaluate(sticks_out) <= 0, f"{name} is wider than the screen ({size})"
        assert visited.faults == []


def test_pictures_of_each_size_and_colour(filled, visit):
    """For people to look at: tests/.cache/pictures. What is checked is that nothing sticks out of a phone's screen."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    session = log_in(filled, visit()).context.storage_state()
    for size, (width, height) in SIZES.items():
        for colour in ("dark", "light"):
            visited = visit(
                viewport={"width": width, "height": height}, color_scheme=colour, storage_state=session
            )
            page = visited.page
            page.goto(filled.url + "/requests")
            expect(page.locator(".calls tbody tr").first).to_be_visible()
            page.screenshot(path=PICTURES / f"list-{size}-{colour}.png")
            sticks_out = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert page.evaluate(sticks_out) <= 0, f"the list is wider than the screen ({size})"
            page.locator(".calls tbody tr").first.locator("td.time").click()
            expect(page.get_by_role("dialog", name="Request").locator(".conversation")).to_be_visible()
            page.screenshot(path=PICTURES / f"drawer-{size}-{colour}.png")
            assert page.evaluate(sticks_out) <= 0, f"the drawer is wider than the screen ({size})"
            assert visited.faults == []
