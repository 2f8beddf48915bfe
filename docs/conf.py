"""How the documentation is built: `tox -e docs`."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path

from docutils.nodes import Element
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import lnmailbox
import lnmailbox.contract
import lnmailbox.testing
import lnmailbox.wire

project = "lnmailbox"
copyright = "2026, lnmailbox contributors"  # noqa: A001
version = release = importlib.metadata.version("lnmailbox")

sys.path.insert(0, str(Path(__file__).parent))
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "names"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"lnmailbox {version}"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# A name in backticks is code, and a link if it is documented.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# Built without the network, so without the inventories of other projects. Names of this one must
# resolve.
nitpick_ignore_regex = [
    ("py:obj", ".*"),
    ("py:.*", r"(?!lnmailbox\b).*"),
    ("py:class", r"lnmailbox\..*\b_?[A-Z][a-z]*(_co)?"),  # type variables
]

# Annotations name the defining module; the reference names the module to import from.
PUBLIC = {
    f"{getattr(thing, '__module__', '')}.{name}": f"{module.__name__}.{name}"
    for module in (lnmailbox.contract, lnmailbox.testing, lnmailbox.wire, lnmailbox)
    for name, thing in ((name, getattr(module, name)) for name in module.__all__)
}
# The part of a journal that mailboxes know.
PUBLIC["lnmailbox.keeping.channels.ChannelJournal"] = "lnmailbox.SQLiteJournal"


def resolve_to_public(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: Element
) -> Element | None:
    """Find `lnmailbox.contract.MailBox` as `lnmailbox.MailBox`."""
    name = PUBLIC.get(node["reftarget"])
    if name is None or node["refdomain"] != "py":
        return None
    domain = env.domains["py"]
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", name, node, content)


def shorten_defaults(
    app: Sphinx,
    what: str,
    name: str,
    thing: object,
    options: object,
    signature: str | None,
    return_annotation: str | None,
) -> tuple[str | None, str | None]:
    r"""Write a default of many zeros as `bytes(1366)`, not as so many `\x00`."""
    if signature is not None:
        signature = re.sub(
            r"b'((?:\\x00)+)'", lambda zeros: f"bytes({len(zeros[1]) // 4})", signature
        )
    return signature, return_annotation


def skip_aliases(
    app: Sphinx, what: str, name: str, thing: object, skip: bool, options: object
) -> bool | None:
    """Leave out the fields of named tuples, of which Python says only their number."""
    return True if (getattr(thing, "__doc__", None) or "").startswith("Alias for field") else None


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-signature", shorten_defaults)
    app.connect("autodoc-skip-member", skip_aliases)
    app.connect("missing-reference", resolve_to_public)
