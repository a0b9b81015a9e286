"""docs/ says what the source says: tables, tests, pictures, programs, settings."""

import re
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

import kafka_settings
import pytest

from support import TIMEOUT

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "zero-copy.md"


@pytest.fixture(scope="module")
def page():
    return PAGE.read_text()


def section(page, title):
    return page.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_decision_table_is_the_policys(page):
    rules = (ROOT / "src/engine/policy.c").read_text().split("rules[] = {")[1].split("\n};")[0]
    want = re.findall(r'LEAT_(\w+),\s*"([^"]+)"', rules)
    rows = re.findall(r"^\| [^|]+ \| [^|]+ \| ([^|]+) \| ([^|]+) \|$", section(page, "When to use what"), re.M)
    found = [(technique.upper().replace(" ", "_"), reason) for technique, reason in rows if reason[0] != "-"][1:]
    assert len(want) > 10
    assert found == want


def test_every_test_that_is_named_exists(page):
    named = set(re.findall(r"`([a-z][a-z_0-9]{20,})`", section(page, "What goes wrong")))
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.[cp]*"))
    assert len(named) > 20
    assert [name for name in sorted(named) if not re.search(rf"\b{name}\(", sources)] == []


def test_the_pictures_are_there_and_ask_nobody(page):
    pictures = re.findall(r"!\[[^]]+\]\((pictures/[a-z-]+\.svg)\)", page)
    assert len(pictures) == len(set(pictures)) == len(list((ROOT / "docs/pictures").glob("*.svg")))
    for name in pictures:
        text = (ROOT / "docs" / name).read_text()
        xml.fromstring(text)
        assert "href" not in re.sub(r'class="href"|\.href', "", text) and "<script" not in text


def test_the_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page):
        assert (ROOT / "docs" / target).exists(), target


def test_the_proof_in_the_text_runs(page):
    program = re.search(r"```python\n(.*?)```", page, re.S)[1]
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() in ("by reference", "copied")


# ---- docs/kafka.md: the settings are the code's ----

KAFKA_PAGE = ROOT / "docs" / "kafka.md"


def rows(text):
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split(" | ")]
            for line in text.split("\n") if line.startswith("|") and not line.startswith("|--")]


def test_the_settings_of_the_broker_are_listed():
    part = section(KAFKA_PAGE.read_text(), "Settings").split("What a topic has")[0]
    want = [[each.name, each.default, f"{each.text} {each.bounds}".strip()] for each in kafka_settings.own()]
    want += [[name, "", text] for name, text in kafka_settings.texts()]
    assert len(want) > 25
    assert rows(part)[1:] == sorted(want)


def test_the_settings_of_topics_are_listed():
    part = section(KAFKA_PAGE.read_text(), "Settings").split("What a topic has")[1].split("Other names")[0]
    want = [[each.server_name, each.name, each.default, f"{each.text} {each.bounds}".strip()]
            for each in kafka_settings.of_topics()]
    assert len(want) > 30
    assert rows(part)[1:] == want


def test_the_settings_that_are_refused_are_listed():
    part = section(KAFKA_PAGE.read_text(), "Settings").split("Refused, unless")[1]
    others = kafka_settings.others()
    assert len(others) == (ROOT / "src/kafka/broker/config.c").read_text().split("others[] = {")[1].split("\n};")[0].count('{"')
    assert rows(part)[1:] == [[name, why + (f" ({fine} is fine)" if fine else "")] for name, why, fine in others if why]


def test_the_manual_page_of_settings_is_the_codes():
    """What it lists, in its order; kafka_settings.py writes the lines."""
    page = (ROOT / "man" / "leat-kafka.conf.5").read_text()
    parts = dict(part.split("\n", 1) for part in page.split("\n.Sh ")[1:])
    assert f".Bl -tag -width Ds\n{kafka_settings.man_broker()}.El\n" in parts["SETTINGS OF THE BROKER"] + "\n"
    assert f".Bl -tag -width Ds\n{kafka_settings.man_topics()}.El\n" in parts["SETTINGS OF TOPICS"] + "\n"
    assert f".Bl -tag -width Ds\n{kafka_settings.man_refused()}.El\n" in parts["WHAT IS REFUSED"] + "\n"
    assert (parts["WHAT IS IGNORED"] + "\n").endswith(kafka_settings.man_ignored())
