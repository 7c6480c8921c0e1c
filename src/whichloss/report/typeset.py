"""Markdown as HTML that needs nothing but a browser: formulas as MathML, code coloured, names of cards linked."""

import re
from collections.abc import Callable
from functools import lru_cache
from html import escape
from typing import Any

from ..cards import pieces
from ..cards.terminal import BOLD
from .mathml import math as math

_BOLD = re.compile(BOLD)
_LONG = 22  # letters of LaTeX: a formula in a line that may be too wide for a phone
Link = Callable[[str], str]  # the name in a piece of code -> where its card is, or nothing


def html(markdown: str, link: Link = lambda name: "") -> str:
    """A section of a card."""
    # blank lines between blocks: a display right below a line of prose would else count as part of it
    apart = "\n\n".join(piece.text for piece in pieces(markdown))
    text: str = _reader().render(apart, {"link": link})
    return text


@lru_cache(maxsize=1)
def _reader() -> Any:
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    reader = MarkdownIt("commonmark", {"html": False, "highlight": _coloured}).enable("table")
    reader.use(dollarmath_plugin, renderer=_formula, allow_labels=False)
    reader.inline.ruler.before("emphasis", "bold", _bold)
    reader.add_render_rule("code_inline", _code)
    reader.add_render_rule("table_open", lambda *_: '<div class="scroll" tabindex="0"><table class="fields">\n')
    reader.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return reader


def _bold(state: Any, silent: bool) -> bool:
    """Bold also where a Korean ending follows at once, which CommonMark does not take for the end of a word."""
    found = _BOLD.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    if not silent:
        state.push("strong_open", "strong", 1)
        end, state.pos, state.posMax = state.posMax, found.start("bold"), found.end("bold")
        state.md.inline.tokenize(state)
        state.posMax = end
        state.push("strong_close", "strong", -1)
    state.pos = found.end()
    return True


def _formula(latex: str, options: dict[str, Any]) -> str:
    if not options.get("display_mode"):
        return math(latex) if len(latex) < _LONG else f'<span class="long">{math(latex)}</span>'
    return f'<div class="formula" tabindex="0">{math(latex, display=True)}</div>'


def _code(renderer: Any, tokens: Any, at: int, options: Any, env: Any) -> str:
    text = tokens[at].content
    to = env["link"](text)
    shown = f"<code>{escape(text)}</code>"
    return f'<a href="{escape(to)}">{shown}</a>' if to else shown


def _coloured(code: str, language: str, attributes: str) -> str:
    """Python with a class per kind of word; anything else as it is."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    if language != "python":
        return ""
    text: str = highlight(code, PythonLexer(), HtmlFormatter(nowrap=True, classprefix="py-"))
    return f'<pre><code class="python">{text}</code></pre>'
