"""The settings of `leat kafka` as the source has them: its tables, read."""

import dataclasses
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LIMITS = {"INT16_MAX": 2**15 - 1, "INT32_MAX": 2**31 - 1, "INT64_MAX": 2**63 - 1, "INT64_MIN": -2**63}
TYPE_MAX = {"SHORT": 2**15 - 1, "INT": 2**31 - 1, "LONG": 2**63 - 1}


@dataclasses.dataclass
class Setting:
    name: str
    kind: str
    words: list
    preset: int
    least: int
    most: int
    text: str
    server_name: str = ""  # of a topic's: the default for all topics

    def value(self, number):
        if self.kind == "BOOLEAN":
            return ["false", "true"][number]
        if self.kind == "CHOICE":
            return self.words[number]
        if self.kind == "LIST":
            return ",".join(self.words[int(digit, 16) - 1] for digit in reversed(f"{number:x}") if digit != "0")
        return f"{number / 1e9:g}" if self.kind == "RATIO" else str(number)

    @property
    def default(self):
        return self.value(self.preset)

    @property
    def bounds(self):
        """In words; empty where the type or the text says it."""
        if self.kind == "LIST" and not self.words:
            return ""
        if self.kind in ("CHOICE", "LIST"):
            return ("A list of: " if self.kind == "LIST" else "One of: ") + ", ".join(self.words) + "."
        if self.kind == "BOOLEAN" or self.least == self.most:
            return ""
        least, most = (self.least > -2**31), self.most < TYPE_MAX.get(self.kind, 2**63)
        if least and most:
            return f"From {self.value(self.least)} to {self.value(self.most)}."
        return f"At least {self.value(self.least)}." if least else ""


def _rows(file, macro):
    """The arguments of each X() of a macro."""
    text = (ROOT / "src/kafka" / file).read_text()
    body = re.search(rf"#define {macro}\(X\)(.*?[^\\])\n\n|#define {macro}\(X\)(.*?[^\\])\n(?=[/#])", text, re.S)
    body = re.sub(r"\\\n", " ", body[1] or body[2])
    for row in re.findall(r"X\(((?:\"(?:[^\"\\]|\\.)*\"|[^()])*)\)", body):
        row = re.sub(r'"\s+"', "", row)
        yield [part.strip() for part in re.findall(r'(?:"(?:[^"\\]|\\.)*"|[^,])+', row)]


def _number(text):
    return LIMITS[text] if text in LIMITS else int(text)


def _text(literal):
    return "" if literal == "NULL" else literal.strip('"')


def own():
    """The broker's numbers."""
    words = {row[0]: _text(row[1]).split(",") for row in _rows("broker/config.h", "KAFKA_CONFIG_WORDS")} \
        if "KAFKA_CONFIG_WORDS" in (ROOT / "src/kafka/broker/config.h").read_text() else {}
    return [Setting(_text(name), kind.removeprefix("TOPIC_CONFIG_"), words.get(ident, []), _number(preset), _number(least),
                    _number(most), _text(text))
            for ident, name, kind, preset, least, most, text in _rows("broker/config.h", "KAFKA_CONFIGS")]


def texts():
    return [(_text(name), _text(text)) for _, name, text in _rows("broker/config.h", "KAFKA_TEXT_CONFIGS")]


def of_topics():
    return [Setting(_text(name), kind, _text(words).split(",") if words != "NULL" else [], _number(preset), _number(least),
                    _number(most), _text(text), _text(server))
            for _, name, server, kind, words, preset, least, most, text in _rows("store/topic_config.h", "TOPIC_CONFIGS")]


def others():
    """What Kafka has and leat does nothing with: (name, why it is refused or empty, the value that is fine or empty)."""
    table = re.search(r"others\[\] = \{\n(.*?)\n\};", (ROOT / "src/kafka/broker/config.c").read_text(), re.S)[1]
    table = re.sub(r'"\s*\n\s*"', "", table)
    return [tuple(_text(part) for part in row)
            for row in re.findall(r'\{(".*?"),\s*("(?:.|\n)*?"|NULL),\s*(".*?"|NULL)\}', table)]


# ---- as the manual page has them: man/leat-kafka.conf.5 ----

def _sentences(text):
    """A line for each, as mdoc wants it."""
    return text.replace("\\", "\\e").replace(". ", ".\n") + "\n"


def _item(name, default, text):
    return f".It Cm {name}" + (f" Pq {default}" if default else "") + "\n" + _sentences(text.strip())


def man_broker():
    rows = [(each.name, each.default, f"{each.text} {each.bounds}") for each in own()] + [(name, "", text) for name, text in texts()]
    return "".join(_item(*row) for row in sorted(rows))


def man_topics():
    return "".join(_item(each.name, each.default, f"{each.text} {each.bounds}") +
                   (f"For all topics:\n.Cm {each.server_name} .\n" if each.server_name else "For single topics only.\n")
                   for each in of_topics())


def man_refused():
    return "".join(_item(name, "", why[0].upper() + why[1:] + (f"; {fine} is fine" if fine else "") + ".")
                   for name, why, fine in others() if why)


def man_ignored():
    names = [name for name, why, _ in others() if not why]
    return "".join(f".Cm {name} ,\n" for name in names[:-1]) + f".Cm {names[-1]} .\n"
