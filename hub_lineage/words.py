"""Figures and nouns in words for people: the same ones in the terminal, the app and the exports.

Everything that comes from the Hub is hostile, so a name passes :func:`one_line` before it reaches a person.
"""

from __future__ import annotations

import html
import unicodedata
from typing import Final

RELATIONS: Final = {
    "finetune": "fine-tune",
    "adapter": "adapter",
    "merge": "merge",
    "quantized": "quantised copy",
    "duplicate": "duplicate",
}
KINSHIPS: Final = {
    "parent": "parent",
    "ancestor": "further ancestor",
    "descendant": "descendant",
    "sibling": "sibling",
    "cousin": "cousin",
    "duplicate": "duplicate",
    "component": "shares some layers",
    "shared_initialisation": "same initialisation, no kin",
    "unrelated": "unrelated",
    "unknown": "not known",
}
MEANINGS: Final = {  # what a kinship says of a candidate, in a sentence
    "parent": "The model asked about was made from this one.",
    "ancestor": "It stands further up the same line: a parent's parent, or beyond.",
    "descendant": "It was made from the model asked about, directly or through others.",
    "sibling": "Both were made from one model.",
    "cousin": "Both come from one model, by different ways.",
    "duplicate": "Its body holds the same weights, to the bit.",
    "component": "The two share the weights of some layers, and no more.",
    "shared_initialisation": "Both began training from the same random numbers; neither was made from the other.",
    "unrelated": "The two have no more in common than chance gives.",
    "unknown": "The two can't be compared by their weights.",
}
AGREEMENTS: Final = {
    "confirmed": "The weights confirm what is declared.",
    "contradicted": "The weights contradict what is declared.",
    "undeclared": "Nothing is declared.",
    "unverifiable": "What is declared can't be checked against the weights at hand.",
}
SOURCES: Final = {  # a source of evidence: its name, and what the true parent gives
    "correlation": ("correlation", "high for all kin, about 0 for strangers"),
    "correlation.median": ("correlation, median tensor", "high for all kin"),
    "separation": ("separation", "about 0 for the parent: with it known, other kin tell no more"),
    "separation.least": ("link that no other explains", "high for the parent"),
    "tree.branch": ("own branch in the family's tree", "short for the parent"),
    "origin.cosine": ("what was added, along this model", "about 0 for the parent"),
    "norm.ratio": ("norms, logarithm of the ratio", "near 0 for the parent, but for long training"),
    "equal_values": ("identical values", "many for near kin in 16 bits"),
    "sites.votes": ("kin that side with the child", "few for the parent, in 16 bits"),
    "parts": ("correlation of shared layers", "about 1 where layers were copied"),
    "shapes": ("depths differ by blocks", "0 where an adapter fits"),
    "dates": ("dates of upload, odds times", "above 1 for a model older than its child"),
    "declared": ("what cards declare, odds times", "above 1 for a model named as the base"),
    "downloads": ("downloads, odds times", "above 1 for a model used more than most"),
    "weights_alone": ("is the parent, by weights alone", "the odds before dates, cards and downloads were counted"),
}
COUNTED: Final = {  # soft evidence: what raises the odds of a candidate, what lowers them, and where it says nothing
    "dates": ("uploaded before it", "uploaded after it", "dates tell nothing"),
    "declared": ("named as its base", "cards speak against it", "cards say nothing"),
    "downloads": ("used more than most", "used less than most", "used about as much as most"),
}
ALONE: Final = "weights_alone"
"""The source of evidence that tells a candidate's probability before anything was counted beside weights."""
HIDDEN: Final = "an unknown model"

# Format characters (Cf) hold the marks that turn the direction of text round; they can make one name look like another.
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def one_line(text: str, limit: int = 200) -> str:
    """The text without control, invisible or line-breaking characters, and at most ``limit`` characters long."""
    kept = "".join(" " if unicodedata.category(c) in _INVISIBLE else c for c in text[: limit + 1])
    return f"{kept[: limit - 1]}…" if len(kept) > limit else kept


def markup(text: str, limit: int = 600) -> str:
    """The text for HTML and SVG, in attributes too; safe inside templates that give braces and dollars a meaning."""
    escaped = html.escape(one_line(text, limit), quote=True)
    return escaped.translate({ord(c): f"&#{ord(c)};" for c in "{}$`\\"})


def short(text: str, limit: int) -> str:
    """The text cut in its middle, so that beginning and end still tell one name from another."""
    line = one_line(text)
    if len(line) <= limit:
        return line
    tail = (limit - 1) // 2
    return f"{line[: limit - 1 - tail]}…{line[-tail:]}"


def relation(word: str | None) -> str:
    """A relation in words; ``descends`` where it isn't known."""
    return one_line(RELATIONS.get(word, word) if word else "descends")


def kinship(word: str) -> str:
    """A kinship in words."""
    return one_line(KINSHIPS.get(word, word))


def meaning(word: str) -> str:
    """What a kinship says of a candidate, in a sentence; empty where there is nothing to say."""
    return MEANINGS.get(word, "")


def percent(share: float) -> str:
    """A probability in per cent, never rounded to certainty."""
    if 0 < share < 0.01:
        return "under 1 %"
    return "over 99 %" if 0.99 < share < 1 else f"{100 * share:.0f} %"


def figure(value: float) -> str:
    """A figure to three digits, without a leading zero: ``.123``, ``-.050``, ``12.3``."""
    if abs(value) < 0.0005 or value in {-1.0, 1.0}:
        return f"{abs(value) if abs(value) < 1 else value:.0f}"
    if abs(value) >= 1000:
        return f"{value:.1e}"
    text = f"{value:.3f}" if abs(value) < 1 else f"{value:.3g}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def chance(p_value: float) -> str:
    """A p-value, as small as it is worth telling."""
    return "< .001" if p_value < 0.001 else figure(p_value)


def coefficient(value: float) -> str:
    """A parent's share in a merge, to two digits: ``.6``, ``.25``."""
    text = f"{value:.2g}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def amount(count: int) -> str:
    """A number of bytes: ``812 B``, ``3.4 kB``, ``14 GB``."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def source(word: str) -> str:
    """The name of a source of evidence, in words."""
    return SOURCES[word][0] if word in SOURCES else one_line(word).replace("_", " ").replace(".", ": ")


def counted(word: str, factor: float) -> str:
    """Soft evidence about a candidate in words, by the factor that multiplied its odds; empty for other evidence."""
    more, less, nothing = COUNTED.get(word, ("", "", ""))
    return more if factor > 1 else less if factor < 1 else nothing


def times(factor: float) -> str:
    """A factor of odds: ``× 0.04``, ``× 14``."""
    return f"× {factor:.2g}"


def expected(word: str) -> str:
    """What the true parent gives for a source of evidence; empty where there is nothing to say."""
    return SOURCES[word][1] if word in SOURCES else ""
